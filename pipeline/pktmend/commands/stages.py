"""`pktmend stages`: the engine's own stages, with what each costs on this machine, and those of installed packages."""

from __future__ import annotations

import struct

from pktmend import _core
from pktmend.console.report import print_json
from pktmend.packetio.in_python import Frames
from pktmend.runtime.stage_loader import entry_points
from pktmend.runtime.stages import BUILTIN, verify

SIZES = (64, 1500)
PACKETS = 128
CALLS, TRIALS = 50, 5


def frame_of(size: int) -> bytes:
    """Return an Ethernet frame of *size* bytes: TCP over IPv4, both sums right."""
    addresses = bytes([10, 7, 0, 1, 10, 7, 0, 2])
    total = size - 14
    ip = struct.pack("!BBHHHBB", 0x45, 0, total, 7, 0x4000, 64, 6)
    ip += struct.pack("!H", _core.checksum(ip + addresses)) + addresses
    tcp = struct.pack("!HHIIBBH", 40000, 80, 1, 1, 0x50, 0x10, 500)
    payload = bytes(i % 251 for i in range(total - 40))
    check = _core.checksum(addresses + struct.pack("!HH", 6, total - 20) + tcp + bytes(4) + payload)
    return bytes.fromhex("0200000000020200000000010800") + ip + tcp + struct.pack("!HH", check, 0) + payload


def ns_per_packet(stage: _core.NativeStage, size: int) -> float:
    """Return what *stage* takes for a good packet of *size* bytes, in cache."""
    batch = Frames([frame_of(size)] * PACKETS).batch()
    verify(batch)
    return min(_core.time_stage(stage, batch, CALLS) for _ in range(TRIALS)) / CALLS / PACKETS


def run_stages(*, json: bool) -> None:
    """Print them."""
    rows = []
    for stage, (reads, writes, grows_with) in BUILTIN.items():
        cost = {str(size): round(ns_per_packet(stage, size), 2) for size in SIZES}
        if json:
            print_json(
                {
                    "stage": stage.name,
                    "reads": reads,
                    "writes": writes,
                    "grows_with": grows_with,
                    "ns_per_packet": cost,
                },
                kind="stage",
            )
        rows.append((stage.name, reads, writes, *(f"{ns:.1f}" for ns in cost.values()), grows_with))
    if not json:
        titles = ("stage", "reads", "writes", *(f"ns at {size}" for size in SIZES), "grows with")
        widths = [max(map(len, column)) for column in zip(titles, *rows, strict=True)]
        for row in (titles, *rows):
            print("  ".join(f"{text:{width}}" for text, width in zip(row, widths, strict=True)).rstrip())
    for each in entry_points():
        package = f"{each.dist.name} {each.dist.version}" if each.dist else ""
        if json:
            print_json({"stage": each.name, "loads": each.value, "from": package}, kind="stage")
        else:
            print(f"{each.name}  {each.value}  (installed by {package or 'unknown'})")
