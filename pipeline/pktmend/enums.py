"""The engine's words as enumerations.

The numbers are those of <pktmend/words.h>, typed here a second time on purpose: `pktmend --version`, completion and
type checkers need the words and not the engine, whose loading takes longer than all else they do.  A test compares
them with what the engine says of itself, `_core.words()`.
"""

from __future__ import annotations

import enum


def _word(name: str) -> str:
    return name.lower().replace("_", "-")


class Named(enum.IntEnum):
    """An integer from C with a word for people: `str()` gives `never-filled`, not `NEVER_FILLED`."""

    def __str__(self) -> str:
        return _word(self.name)


class Status(Named):
    """What arithmetic and flags say of a check; a packet's is the highest of its own checks'."""

    NONE = 0
    GOOD = 1
    ABSENT = 2
    UNCHECKED = 3
    PENDING = 4
    BAD = 5


class Cause(Named):
    """Why a check is bad, first that fits."""

    NONE = 0
    LEAKED = 1
    NEVER_FILLED = 2
    ILLEGAL_ZERO = 3
    BAD_SEED = 4
    INNER_PENDING = 5
    NOT_COMPLEMENTED = 6
    BYTE_SWAPPED = 7
    LENGTH = 8
    HEADER_DELTA = 9
    NAT_DELTA = 10
    NAT_ON_ZERO = 11
    BIT_FLIP = 12
    CORRUPT = 13
    PSEUDO_HEADER = 14
    COVERAGE = 15


class Reason(Named):
    """Why a check is unchecked; NO_METADATA goes with pending."""

    NONE = 0
    TRUNCATED = 1
    FRAGMENT = 2
    QUOTED = 3
    UNKNOWN_PROTOCOL = 4
    LENGTH = 5
    NO_METADATA = 6


class Proto(Named):
    """The protocols that carry a checksum."""

    IP = 0
    TCP = 1
    UDP = 2
    UDPLITE = 3
    ICMP = 4
    ICMPV6 = 5
    IGMP = 6
    SCTP = 7
    DCCP = 8
    GRE = 9
    VRRP = 10
    OSPF = 11
    PIM = 12
    EIGRP = 13
    RSVP = 14
    PGM = 15
    MOBILITY = 16
    HIP = 17
    SHIM6 = 18


class Verdict(Named):
    """What becomes of a packet."""

    PASS = 0
    DROP = 1


class Drop(Named):
    """Why a packet was dropped here; each has its counter."""

    NONE = 0
    STAGE = 1
    CORRUPT = 2
    UNSPLITTABLE = 3
    NO_SINK = 4
    STAGE_ERROR = 5
    LOOP = 6


class PacketFlag(enum.IntFlag):
    """What the source and the parser say of a packet (column `flags`)."""

    METADATA = 0x0001
    NOT_READY = 0x0002
    CLAIMED_VALID = 0x0004
    SUPER_FRAME = 0x0008
    OUTGOING = 0x0010
    VLAN = 0x0020
    VNET = 0x0040
    TRUNCATED = 0x0080
    MALFORMED = 0x0100
    FRAGMENT = 0x0200
    REPAIRED = 0x0400
    EDITED = 0x0800
    STRAY_METADATA = 0x1000


class CheckFlag(enum.IntFlag):
    """What is known of a check beside its status."""

    QUOTED = 0x01
    CLAIMED_VALID = 0x02
    HAS_EXPECTED = 0x04
    HAS_PSEUDO = 0x08
    CRC32C = 0x10
    NO_FIELD = 0x20
    FLAGGED = 0x40
    REPAIRED = 0x80


class Unread(Named):
    """Why what a packet carries was not looked into; column `unread`."""

    NONE = 0
    LINK_TYPE = 1
    ETHER_TYPE = 2
    ENCAPSULATION = 3
    IP_PROTOCOL = 4
    ENCRYPTED = 5
    DAMAGED = 6
    MALFORMED = 7
    TRUNCATED = 8
    TUNNEL = 9
    PSEUDOWIRE = 10
    DEPTH = 11


class RepairPolicy(Named):
    """What `repair` may write."""

    NONE = 0
    LEAKED = 1
    ALL = 2
    UNFINISHED = 3


class OnError(Named):
    """What a failing stage of a user's does: end the pipeline, or let its batch pass without it, or drop the batch."""

    END = 0
    PASS = 1
    DROP = 2
