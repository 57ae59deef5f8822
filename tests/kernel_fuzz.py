"""Frames that nearly are healthy, and sums that are right all the same: for the kernel's part and verify to agree on.

A frame is made whole, something in its headers is changed, and then its sums are made right for whoever takes the
headers at their word, or its field is made the seed of such a sum: a judge that overlooks the change will carry it.

    PYTHONPATH=tests:tests/net python tests/kernel_fuzz.py SECONDS [SEED]      (root)
"""

from __future__ import annotations

import random
import struct
import sys
import time

import frames as f
from carriers import CARRIERS
from damage import rfc1071
from kernel_judging import Bench, dry_bench, sealed, wire_bench
from pktmend.testbed.netns import Testbed

KINDS = ("tcp4", "udp4", "icmp4", "tcp6", "udp6", "icmp6")
WORDS = (0, 1, 5, 6, 8, 0x7F, 0x80, 0xFF, 0x45, 0x46, 0x3FFF, 0x4000, 0x2000, 0x1FFF, 0xFFFF)
FIELD = {6: 16, 17: 6, 1: 2, 58: 2}
TYPES = (b"\x08\x00", b"\x86\xdd", b"\x81\x00", b"\x08\x06", b"\x88\xa8", b"\x88\x47")
TUNNEL_PORTS = (4789, 8472, 6081, 2152, 4754, 6635, 9899, 1701, 5247, 3544)
INSIDE = [bytes(build(bytes(60)))[42:] for _, layout, build in CARRIERS.values() if layout.startswith("ip udp ")]


def reseal(frame: bytearray, how: str) -> tuple[int, int] | None:
    """Make the sums right ("good"), or the transport's the seed ("seed"), as the headers' own lengths have them.

    Returns where the transport begins and its field lies; None for a frame that has no such headers.
    """
    is_v4 = frame[12:14] == b"\x08\x00"
    l4 = 34 if is_v4 else 54
    if len(frame) < l4 + 8 or (not is_v4 and frame[12:14] != b"\x86\xdd"):
        return None
    if is_v4:
        frame[24:26] = bytes(2)
        frame[24:26] = rfc1071(frame[14:34]).to_bytes(2, "big")
        protocol, length, addresses = frame[23], int.from_bytes(frame[16:18], "big") - 20, frame[26:34]
    else:
        protocol, length, addresses = frame[20], int.from_bytes(frame[18:20], "big"), frame[22:54]
    if protocol not in FIELD or length < 8:
        return None
    at = l4 + FIELD[protocol]
    if at + 2 > len(frame):
        return None
    pseudo = b"" if protocol == 1 else addresses + struct.pack("!IHH", length & 0xFFFFFFFF, 0, protocol)
    frame[at : at + 2] = bytes(2)
    if how == "seed":
        frame[at : at + 2] = (rfc1071(pseudo) ^ 0xFFFF).to_bytes(2, "big")
    else:
        body = frame[l4 : l4 + length]
        frame[at : at + 2] = (rfc1071(pseudo + body) or 0xFFFF).to_bytes(2, "big")
    return l4, FIELD[protocol]


def change(rng: random.Random, frame: bytearray) -> None:
    """Change something that a judge has to look at."""
    is_v4 = frame[12:14] == b"\x08\x00"
    l4 = 34 if is_v4 else 54
    what = rng.randrange(9)
    if len(frame) < l4 + 8:
        return
    if what == 0:
        at = rng.randrange(12, min(len(frame), l4 + 20))
        frame[at] ^= 1 << rng.randrange(8)
    elif what == 1:
        at = rng.randrange(14, min(len(frame) - 1, l4 + 20))
        frame[at : at + 2] = rng.choice(WORDS).to_bytes(2, "big")
    elif what == 2:  # a length that is not the frame's
        at = rng.choice((16, 18, l4 + 4))
        value = (int.from_bytes(frame[at : at + 2], "big") + rng.choice((-40, -9, -8, -4, -1, 1, 2, 8))) & 0xFFFF
        frame[at : at + 2] = value.to_bytes(2, "big")
    elif what == 3:
        del frame[max(14, len(frame) - rng.choice((1, 2, 3, 8, 30))) :]
    elif what == 4:
        frame += rng.choice((bytes, rng.randbytes))(rng.choice((1, 2, 3, 6, 18)))
    elif what == 5:
        frame[12:14] = rng.choice(TYPES)
    elif what == 6:
        frame[23 if is_v4 else 20] = rng.choice((0, 1, 4, 6, 17, 41, 43, 44, 47, 50, 58, 60, 132, 136))
    elif what == 7 and len(frame) > l4 + 12:  # header lengths, types of messages
        frame[l4 + rng.choice((0, 12))] = rng.choice(
            (0, 3, 5, 8, 0x40, 0x50, 0x60, 0xF0, 128, 133, 137, 143, rng.randrange(256))
        )
    elif what == 8:  # something to be found inside
        inside = rng.choice(INSIDE)
        frame[l4 + 8 :] = inside
        frame[16:18] = (len(frame) - 14).to_bytes(2, "big") if is_v4 else frame[16:18]
        if not is_v4:
            frame[18:20] = (len(frame) - 54).to_bytes(2, "big")
        frame[l4 + 4 : l4 + 6] = (len(frame) - l4).to_bytes(2, "big")
        if rng.random() < 0.3:
            frame[l4 + 2 : l4 + 4] = rng.choice(TUNNEL_PORTS).to_bytes(2, "big")


def draw(rng: random.Random) -> tuple[bytearray, tuple[int, int] | None, str]:
    """Return a frame, where its transport and its field are, and whether that is the right sum or the seed."""
    frame = sealed(rng, rng.choice(KINDS), rng.choice((0, 1, 2, 3, 18, 26, 27, 40, 41, 42, 43, 44, 60, 200, 501, 1400)))
    for _ in range(rng.choice((0, 1, 1, 2, 3))):
        change(rng, frame)
    how = rng.choice(("good", "seed"))
    where = reseal(frame, how) if rng.random() < 0.9 else None
    if rng.random() < 0.1:
        frame[rng.randrange(len(frame))] ^= 1 << rng.randrange(8)
    return frame, where, how


def vnet_of(rng: random.Random, frame: bytes, where: tuple[int, int] | None, how: str) -> bytes | None:
    """Return a virtio-net header that mostly suits, or none."""
    if rng.random() < (0.9 if how == "good" else 0.1):
        return None
    start, offset = where or (34, 16)
    if rng.random() < 0.15:
        start, offset = rng.choice(
            ((start + 2, offset), (start, offset + 2), (start - 2, offset + 2), (14, 10), (34, 6))
        )
    gso, size = rng.choice(((0, 0), (0, 0), (1, 100), (4, 100), (5, 100), (3, 100), (0x81, 30)))
    flags = rng.choice((1, 1, 1, 0, 2, 3))
    if not flags & f.NEEDS_CSUM:
        gso = size = 0  # the sender's kernel would split it before anybody sees it
    return struct.pack("=BBHHHH", flags, gso, min(len(frame), start + 20), size, start, offset)


def run(bench: Bench, rng: random.Random, seconds: float, *, vnet: bool) -> tuple[int, int]:
    """Compare for so long; return how many frames, and how many of these the kernel carried."""
    end = time.monotonic() + seconds
    frames = carried = 0
    while time.monotonic() < end:
        for _ in range(100):
            frame, where, how = draw(rng)
            carried += bench.compare(bytes(frame), vnet_of(rng, frame, where, how) if vnet else None)
            frames += 1
    return frames, carried


def main(seconds: float, seed: int) -> None:
    """Run both ways in, half of the time each."""
    rng = random.Random(seed)
    with dry_bench() as dry, Testbed() as testbed, wire_bench(testbed) as wire:
        for bench, vnet in ((dry, False), (wire, True)):
            frames, carried = run(bench, rng, seconds / 2, vnet=vnet)
            print(f"{'with' if vnet else 'without'} metadata: {frames} frames, {carried} of them carried")


if __name__ == "__main__":
    main(float(sys.argv[1]), int(sys.argv[2]) if len(sys.argv) > 2 else 1)
