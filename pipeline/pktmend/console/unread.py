"""What nobody looked into: counted by what it is, and named.

A packet that no parser understands has no checksum that could be called wrong, so it must be spoken of: silence would
pass for "good".
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from typing import Final

from pktmend._core import Batch
from pktmend.console.plural import quantity
from pktmend.enums import Unread

Kinds = Mapping[tuple[int, int], int]  # {(Unread, the number that is not known): packets}

ESP: Final = 50  # IP protocol; the IP header around it was looked at
SHOWN: Final = 6  # kinds in a sentence
WORDS: Final = {
    Unread.LINK_TYPE: "link type",
    Unread.ETHER_TYPE: "EtherType",
    Unread.ENCAPSULATION: "encapsulated in a way that is not read",
    Unread.IP_PROTOCOL: "IP protocol",
    Unread.ENCRYPTED: "encrypted",
    Unread.DAMAGED: "received damaged",
    Unread.MALFORMED: "malformed",
    Unread.TRUNCATED: "truncated before a checksum",
    Unread.TUNNEL: "in a tunnel that is not read",
    Unread.PSEUDOWIRE: "in a pseudowire of unknown contents",
    Unread.DEPTH: "nested too deep",
}
# Of https://www.tcpdump.org/linktypes.html, what one meets.
LINK_NAMES: Final = {
    6: "Token Ring",
    10: "FDDI",
    100: "ATM RFC 1483",
    107: "Frame Relay",
    122: "IP over Fibre Channel",
    123: "SunATM",
    138: "Apple IP over FireWire",
    143: "DOCSIS",
    177: "LAPD",
    187: "Bluetooth HCI",
    189: "USB",
    190: "CAN",
    195: "IEEE 802.15.4",
    201: "Bluetooth HCI",
    215: "IEEE 802.15.4",
    220: "USB",
    225: "Fibre Channel",
    227: "CAN",
    230: "IEEE 802.15.4",
    247: "InfiniBand",
    249: "USBPcap",
    251: "Bluetooth LE",
    253: "netlink",
    256: "Bluetooth LE",
    266: "USB",
    274: "Ethernet with preamble",
    283: "IEEE 802.15.4",
    **{147 + i: f"USER{i}" for i in range(16)},
}


def take_unread(into: Counter[tuple[int, int]], batch: Batch) -> None:
    """Count what of *batch* was not looked into.  Reads: unread, unread_type."""
    reasons = bytes(batch.unread)
    if reasons.strip(b"\0"):  # hardly ever
        into.update(pair for pair in zip(reasons, batch.unread_type, strict=True) if pair[0])


def kind_text(reason: int, number: int) -> str:
    """Return "link type 147 (USER0)", "EtherType 0x88b5", "encrypted"."""
    word = WORDS[Unread(reason)]
    match reason:
        case Unread.LINK_TYPE:
            name = LINK_NAMES.get(number)
            return f"{word} {number}" + (f" ({name})" if name else "")
        case Unread.ETHER_TYPE:
            return f"{word} {number:#06x}"
        case Unread.IP_PROTOCOL:
            return f"{word} {number}"
        case Unread.ENCRYPTED if number == ESP:
            return f"{word} (ESP)"
    return word


def unread_text(kinds: Kinds) -> str:
    """Return "12 packets were not looked into: 10 link type 147 (USER0), 2 encrypted"; kinds is not empty."""
    ordered = sorted(kinds.items(), key=lambda each: -each[1])
    shown = ordered if len(ordered) <= SHOWN else ordered[: SHOWN - 1]
    parts = [f"{n} {kind_text(*kind)}" for kind, n in shown]
    if others := sum(n for _, n in ordered[len(shown) :]):
        parts.append(f"{others} of other kinds")
    return f"{quantity(sum(kinds.values()), 'packet was')} not looked into: {', '.join(parts)}"
