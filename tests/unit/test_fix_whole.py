"""pktmend fix loses no byte: whatever comes in whatever pieces leaves again, but for checksum fields.

Where packets lie is found here, by a walk of its own; which fields may change tshark's verdicts beside the public
captures say.
"""

from __future__ import annotations

import fcntl
import gzip
import itertools
import json
import lzma
import os
import random
import struct
import subprocess
import sys
import termios
import threading
import time
from pathlib import Path
from typing import Any

import pytest

import frames as f
from pktmend import Capture, Copy, Pipeline, classify
from pktmend.enums import RepairPolicy
from pktmend.errors import FormatError
from pktmend.runtime.stages import Repair, Verify
from tapes import File
from tools import PATIENCE, run_pktmend

GOOD = f.raw(f.ether / f.ip4 / f.tcp / f.PAYLOAD)
LEAKED = f.leaked(f.ether / f.ip4 / f.tcp / f.PAYLOAD)
SEED = 20261128


def pieces(data: bytes, dice: random.Random, count: int) -> list[bytes]:
    """Cut *data* at random places, half of them among its first 200 bytes, where headers are."""
    near = min(200, len(data))
    cuts = {dice.randrange(near + 1) for _ in range(count)} | {dice.randrange(len(data) + 1) for _ in range(count)}
    edges = [0, *sorted(cuts), len(data)]
    return [data[a:b] for a, b in itertools.pairwise(edges) if a < b]


def feed(fd: int, parts: list[bytes]) -> None:
    """Write each part once the one before it has been read: a pause, however short, between any two."""
    try:
        for part in parts:
            view = memoryview(part)
            while view:
                view = view[os.write(fd, view) :]
            give_up = time.monotonic() + PATIENCE
            while struct.unpack("i", fcntl.ioctl(fd, termios.FIONREAD, bytes(4)))[0] and time.monotonic() < give_up:
                time.sleep(0)
    finally:
        os.close(fd)


def copied(parts: list[bytes], out: Path) -> tuple[bytes, FormatError | None]:
    """Return what `fix` makes of a capture that comes through a pipe in these parts, and the fault that ended it."""
    receive, send = os.pipe()
    fault: FormatError | None = None
    writer = threading.Thread(target=feed, args=(send, parts))
    try:
        with Capture(f"/proc/self/fd/{receive}") as source:
            os.close(receive)
            writer.start()
            assert source.recognise()
            with Copy(out, source) as sink:
                try:
                    Pipeline(source, [Verify(expected=True), classify, Repair(RepairPolicy.UNFINISHED)], sink).run()
                except FormatError as error:
                    fault = error
    finally:
        writer.join(PATIENCE)
    return out.read_bytes(), fault


def packets_of(data: bytes) -> list[tuple[int, int, int]]:
    """Return (where it begins, captured bytes, where its block ends) of each packet of a capture."""
    found = []
    if data[:4] != b"\x0a\x0d\x0d\x0a":
        order = "<" if data[:4] in (b"\xd4\xc3\xb2\xa1", b"\x4d\x3c\xb2\xa1", b"\x34\xcd\xb2\xa1") else ">"
        header, at = 24 if b"\xcd" in data[:4] and b"\x34" in data[:4] else 16, 24
        while at + header <= len(data):
            (caplen,) = struct.unpack_from(f"{order}I", data, at + 8)
            found.append((at + header, caplen, at + header + caplen))
            at += header + caplen
        return found
    order, at = "<", 0
    while at + 12 <= len(data):
        if data[at : at + 4] == b"\x0a\x0d\x0d\x0a":
            order = "<" if data[at + 8 : at + 12] == b"\x4d\x3c\x2b\x1a" else ">"
        kind, length = struct.unpack_from(f"{order}II", data, at)
        if kind in (2, 6):
            found.append((at + 28, *struct.unpack_from(f"{order}I", data, at + 20), at + length))
        elif kind == 3:
            found.append((at + 12, length - 16, at + length))
        at += length
    return found


def changes(before: bytes, after: bytes) -> list[int]:
    """Return where two files of one length differ."""
    assert len(before) == len(after)
    if before == after:
        return []
    return [at for at, (a, b) in enumerate(zip(before, after, strict=True)) if a != b]


def test_public_captures_come_out_whole_whatever_the_pauses(captures: Path, tmp_path: Path) -> None:
    dice = random.Random(SEED)
    files: dict[str, dict[int, dict[str, Any]]] = {}
    with lzma.open(captures / "verdicts.jsonl.xz", "rt") as lines:
        for line in lines:
            one = json.loads(line)
            if one["enc"] != -1:  # a block that is no packet
                files.setdefault(one["f"], {})[one["n"]] = one
    for path in sorted(x for x in captures.rglob("*") if x.suffix in (".pcap", ".pcapng", ".cap")):
        files.setdefault(str(path.relative_to(captures)), {})
    completed = 0
    for name, packets in files.items():
        data = (captures / name).read_bytes()
        if data[:4] == b"\x1f\x8b\x08\x00" or name.endswith(".gz"):
            data = gzip.decompress(data)
        try:
            out, fault = copied(pieces(data, dice, 4), tmp_path / "out")
        except FormatError:
            assert not packets, name
            continue
        if fault is not None:
            assert data.startswith(out[:24]) and fault.offset >= len(out), name
            data = data[: len(out)]
        allowed = {
            begin + k["o"] + byte
            for (begin, _, _), (_, packet) in zip(packets_of(data), sorted(packets.items()), strict=bool(packets))
            for k in packet["c"]
            if k["s"] == "bad"
            for byte in (0, 1)
        }
        found = changes(data, out)
        assert set(found) <= allowed, name
        completed += len(found)
    assert len(files) > 300 and completed > 0


def blocks() -> bytes:
    """Return a pcapng of all kinds of blocks, several sections and both byte orders."""
    data = b""
    for order in "<>":
        file = File(order).section(File(order).option(4, b"other")).block(0xBAD, b"custom" * 40)
        file.interface(1, 0, file.option(2, b"eth0")).block(4, bytes(64)).packet(GOOD)
        file.packet(LEAKED, file.option(2, file.pack("I", 1 << 9))).block(5, bytes(12)).block(0x80000001, b"x" * 5000)
        data += file.data
    return data


def classic(packets: list[bytes], magic: int = 0xA1B2C3D4) -> bytes:
    data = struct.pack("=IHHIIII", magic, 2, 4, 0, 0, 0, 1)
    return data + b"".join(struct.pack("=IIII", 1, n, len(x), len(x)) + x for n, x in enumerate(packets))


OWN = {
    "classic": classic([GOOD, LEAKED, GOOD]),
    "nanoseconds": classic([LEAKED] * 3, 0xA1B23C4D),
    "nothing but a header": classic([]),
    "blocks": blocks(),
    "nothing but a section": File().section().data,
    "a block at the end": File().section().interface().packet(GOOD).data + File().block(0xABCD, bytes(3 << 20)).data,
    "empty packets": classic([b""] * 5),
}


@pytest.mark.parametrize("name", OWN)
def test_own_captures_come_out_whole_cut_at_every_byte(tmp_path: Path, name: str) -> None:
    data, dice = OWN[name], random.Random(SEED)
    whole, fault = copied([data], tmp_path / "whole")
    assert fault is None and len(whole) == len(data)
    if LEAKED not in data:
        assert whole == data
    assert whole == data.replace(LEAKED, GOOD).replace(
        File("<").option(2, struct.pack("<I", 1 << 9)), File("<").option(2, bytes(4))
    ).replace(File(">").option(2, struct.pack(">I", 1 << 9)), File(">").option(2, bytes(4)))
    for cut in range(0, min(len(data), 600), 7):
        assert copied([x for x in (data[:cut], data[cut:]) if x], tmp_path / "out")[0] == whole, cut
    for _ in range(20):
        assert copied(pieces(data, dice, 6), tmp_path / "out")[0] == whole
    if len(data) < 600:
        assert copied([bytes([x]) for x in data], tmp_path / "out")[0] == whole


def test_command_writes_what_came_before_a_pause(tmp_path: Path) -> None:
    """As behind `tcpdump -U -w -`: the file header first, packets later."""
    data = OWN["classic"]
    out = tmp_path / "out.pcap"
    command = [str(Path(sys.executable).with_name("pktmend")), "fix", "-r", "-", "-w", str(out)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.DEVNULL) as process:
        assert process.stdin
        for part in (data[:24], data[24:50], data[50:]):
            process.stdin.write(part)
            process.stdin.flush()
            time.sleep(0.3)
        process.stdin.close()
        assert process.wait(PATIENCE) == 0
    assert out.read_bytes() == data.replace(LEAKED, GOOD)


@pytest.mark.parametrize("name", OWN)
def test_compressed_captures_come_out_whole(tmp_path: Path, name: str) -> None:
    data = OWN[name]
    half = len(data) // 2
    (tmp_path / "a.gz").write_bytes(gzip.compress(data[:half]) + gzip.compress(b"") + gzip.compress(data[half:]))
    want, _ = copied([data], tmp_path / "plain")
    out = tmp_path / ("out.pcapng" if data[:4] == b"\x0a\x0d\x0d\x0a" else "out.pcap")
    assert run_pktmend("fix", "-r", str(tmp_path / "a.gz"), "-w", str(out)).returncode == 0
    assert out.read_bytes() == want


@pytest.mark.parametrize("behind", [b"garbage", b"\x1f", b"PK\x03\x04" * 100, b"\0\0\0\0", b"\0\0\0x"])
def test_bytes_behind_the_last_gzip_member_are_ignored_and_said(tmp_path: Path, behind: bytes) -> None:
    path, out = tmp_path / "a.pcap.gz", tmp_path / "b.pcap"
    path.write_bytes(gzip.compress(OWN["classic"]) + behind)
    done = run_pktmend("fix", "-r", str(path), "-w", str(out))
    assert done.returncode == 0 and out.read_bytes() == OWN["classic"].replace(LEAKED, GOOD)
    is_padding = not behind.strip(b"\0")  # tapes and disks pad with zeros, which gzip is silent about
    assert done.stderr.count(b"\n") == (0 if is_padding else 1), done.stderr
    assert is_padding or b"a.pcap.gz" in done.stderr
    done = run_pktmend("check", "-r", str(path))
    assert done.returncode == 0 and done.stdout.startswith(b"3 packets")
    assert (b"gzip" in done.stderr) != is_padding


def test_broken_second_member_is_an_error(tmp_path: Path) -> None:
    path = tmp_path / "a.pcap.gz"
    second = bytearray(gzip.compress(b"more"))
    second[-8] ^= 1
    path.write_bytes(gzip.compress(OWN["classic"]) + second)
    assert run_pktmend("check", "-r", str(path)).returncode == 5
