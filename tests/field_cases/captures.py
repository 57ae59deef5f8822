"""Frames of several links, and capture files: pcap, and pcapng with the kernel's flags."""

from __future__ import annotations

import struct
from collections.abc import Iterable

Timed = tuple[float, bytes]
Flagged = tuple[float, bytes, int]

ETHERNET, NULL, RAW, SLL, IEEE80211, SLL2, NFLOG = 1, 0, 101, 113, 105, 276, 239
NEEDS, VALID = 1 << 9, 1 << 10  # epb_flags: checksum not ready, checksum valid
OUT, IN = 2, 1
MACS = (bytes.fromhex("020000000001"), bytes.fromhex("020000000002"))


def kind_of(packet: bytes) -> int:
    """The EtherType of an IP packet."""
    return 0x86DD if packet[0] >> 4 == 6 else 0x0800


def mac(number: int) -> bytes:
    """A locally administered address."""
    return b"\x02" + number.to_bytes(5, "big")


def eth(packet: bytes, src: int = 1, dst: int = 2, *, tags: tuple[tuple[int, int], ...] = (), kind: int = 0) -> bytes:
    """Ethernet with VLAN tags (TPID, VID); frames below 60 bytes are padded, as on a wire."""
    head = mac(dst) + mac(src) + b"".join(struct.pack("!HH", tpid, vid) for tpid, vid in tags)
    return head + struct.pack("!H", kind or kind_of(packet)) + packet


def padded(frame: bytes, fill: bytes = b"\0") -> bytes:
    """At least 60 bytes, as a card receives it."""
    return frame + fill * (60 - len(frame))


def sll(packet: bytes, direction: int = 0) -> bytes:
    """Linux cooked; 0: to us, 4: sent by us."""
    return struct.pack("!HHH8sH", direction, 1, 6, b"\x02\0\0\0\0\x01\0\0", kind_of(packet)) + packet


def sll2(packet: bytes, interface: int, direction: int = 0) -> bytes:
    """Linux cooked, version 2."""
    return struct.pack("!HHIHBB8s", kind_of(packet), 0, interface, 1, direction, 6, b"\x02\0\0\0\0\x01\0\0") + packet


def loopback(packet: bytes) -> bytes:
    """BSD's null link."""
    return struct.pack("=I", 2 if packet[0] >> 4 == 4 else 24) + packet


def pcap(packets: Iterable[Timed], link: int = ETHERNET, *, snaplen: int = 1 << 18, nano: bool = False) -> bytes:
    """A classic capture."""
    data = struct.pack("=IHHIIII", 0xA1B23C4D if nano else 0xA1B2C3D4, 2, 4, 0, 0, snaplen, link)
    parts = [data]
    for time, frame in packets:
        kept = frame[:snaplen]
        rest = round((time - int(time)) * (1e9 if nano else 1e6))
        parts.append(struct.pack("=IIII", int(time), rest, len(kept), len(frame)) + kept)
    return b"".join(parts)


def _block(kind: int, body: bytes) -> bytes:
    body += bytes(-len(body) % 4)
    return struct.pack("=II", kind, len(body) + 12) + body + struct.pack("=I", len(body) + 12)


def pcapng(packets: Iterable[Flagged], *links: int) -> bytes:
    """One interface of microseconds for each of *links* (Ethernet); the third of each packet is its epb_flags.

    The interface of a packet is in the upper 16 bits of its flags.
    """
    parts = [_block(0x0A0D0D0A, struct.pack("=IHHq", 0x1A2B3C4D, 1, 0, -1))]
    parts += [_block(1, struct.pack("=HHI", link, 0, 0)) for link in links or (ETHERNET,)]
    for time, frame, flags in packets:
        stamp = round(time * 1e6)
        body = struct.pack("=IIIII", flags >> 16, stamp >> 32, stamp & 0xFFFFFFFF, len(frame), len(frame))
        body += frame + bytes(-len(frame) % 4)
        if flags & 0xFFFF:
            body += struct.pack("=HHI", 2, 4, flags & 0xFFFF) + bytes(4)
        parts.append(_block(6, body))
    return b"".join(parts)
