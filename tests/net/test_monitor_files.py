"""`monitor -w`: files that tshark and capinfos read, turned over as tcpdump does it; nothing stops the watching."""

from __future__ import annotations

import signal
import socket
import struct
import subprocess
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest

from pktmend.testbed.netns import Testbed
from tools import PATIENCE, PKTMEND, need, read_up_to, until
from watching import Monitor, Pair, account, corrupt, good, leaked, run


@pytest.fixture(scope="module")
def pair() -> Iterator[Pair]:
    need("tshark", "capinfos")
    with Testbed() as testbed:
        yield Pair(testbed)


def packets_of(path: Path) -> int:
    """Return what capinfos counts; it fails on a file that is cut short."""
    return int(run("capinfos", "-Mc", "-T", "-r", str(path)).split()[-1])


def blocks(path: Path) -> Iterator[tuple[int, bytes]]:
    """Yield (type, body) of each block of a pcapng file of this machine's byte order."""
    data, at = path.read_bytes(), 0
    while at < len(data):
        kind, length = struct.unpack_from("=II", data, at)
        assert struct.unpack_from("=I", data, at + length - 4)[0] == length
        yield kind, data[at + 8 : at + length - 4]
        at += length


def options(data: bytes) -> dict[int, bytes]:
    """Return the options of a block, by their code."""
    found, at = {}, 0
    while at + 4 <= len(data):
        code, length = struct.unpack_from("=HH", data, at)
        found[code] = data[at + 4 : at + 4 + length]
        at += 4 + (length + 3) // 4 * 4
    return found


def test_file_keeps_offload_bits_directions_and_interfaces(pair: Pair, tmp_path: Path) -> None:
    path = tmp_path / "x.pcapng"
    monitor = Monitor(pair.node, "-i", "pa", "-i", "lo", "-w", str(path), "udp")

    def send() -> None:
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as s:
            s.sendto(b"out of pa, partial", ("10.7.0.1", 5000))
            s.sendto(b"over lo, partial", ("127.0.0.1", 5000))

    pair.node.call(send)
    pair.send([good(), leaked()])
    last = monitor.end()
    assert last["file"]["written"] == packets_of(path) == 4 and last["file"]["octets"] == path.stat().st_size
    rows = run(
        "tshark",
        "-r",
        str(path),
        "-T",
        "fields",
        "-e",
        "frame.interface_name",
        "-e",
        "frame.packet_flags",
        "-e",
        "udp.length",
    ).splitlines()
    not_ready, inbound, outbound = 1 << 9, 1, 2
    found = [(name, int(flags, 16) & (not_ready | 3), int(size)) for name, flags, size in map(str.split, rows)]
    assert sorted(found) == [
        ("lo", not_ready | inbound, 8 + len(b"over lo, partial")),
        ("pa", inbound, 109),
        ("pa", inbound, 109),
        ("pa", not_ready | outbound, 8 + len(b"out of pa, partial")),
    ]


def test_comments_say_what_is_wrong_and_how_the_interface_is_set(pair: Pair, tmp_path: Path) -> None:
    """Against tshark, which computes the sums anew, and ethtool."""
    path = tmp_path / "x.pcapng"
    monitor = Monitor(pair.node, "-i", "pa", "-w", str(path), "udp or tcp")
    pair.send([good(), leaked(), corrupt(), good()])
    until(lambda: len(monitor.bad) == 2, "two bad packets")
    pair.node.run("ethtool", "-K", "pa", "gro", "on")  # a later change is not of when the capture began
    assert monitor.end()["file"]["written"] == 4
    check = ("-o", "udp.check_checksum:TRUE", "-o", "tcp.check_checksum:TRUE")
    values = ("udp.checksum", "tcp.checksum", "udp.checksum_calculated", "tcp.checksum_calculated", "frame.comment")
    rows = [
        line.split("\t")
        for line in run(
            "tshark", "-n", "-r", str(path), *check, "-T", "fields", *(w for v in values for w in ("-e", v))
        ).splitlines()
    ]
    said = [row[4] for row in rows]
    assert said[0] == said[3] == ""
    for row, proto, cause in ((rows[1], "udp", "leaked"), (rows[2], "tcp", "corrupt")):
        stored, right = (value.removeprefix("0x") for value in (row[0] or row[1], row[2] or row[3]))
        assert row[4].startswith(f"pktmend: {proto} {cause}: field {stored}, right {right}, byte "), row
    assert run("tshark", "-n", "-r", str(path), "-Y", 'frame.comment contains "leaked"').count("\n") == 1
    (interface,) = [options(body[8:]) for kind, body in blocks(path) if kind == 1]
    words = interface[1].decode().removeprefix("pktmend: offload settings when the capture began: ").split(", ")
    listed = pair.node.run("ethtool", "-k", "pa").stdout
    names = {"rx": "rx-checksumming", "tx": "tx-checksumming", "tso": "tcp-segmentation-offload"}
    names |= {"gso": "generic-segmentation-offload", "lro": "large-receive-offload"}
    told = dict(word.split() for word in words)
    assert told.pop("gro") == "off" and {word: name for word, name in names.items() if word in told} == names
    for word, state in told.items():
        assert f"\n{names[word]}: {state}" in listed, (word, state, listed)


def test_statistics_hold_what_the_kernel_saw_and_dropped(pair: Pair, tmp_path: Path) -> None:
    path = tmp_path / "x.pcapng"
    monitor = Monitor(pair.node, "-i", "pa", "-B", "512", "-w", str(path), "udp")
    monitor.pause()
    pair.send([good(1200)] * 2000)
    monitor.process.send_signal(signal.SIGCONT)
    (d,) = (last := monitor.end())["directions"]
    (statistics,) = [options(body[12:]) for kind, body in blocks(path) if kind == 5]
    assert d["kernel_drops"] > 0
    assert [struct.unpack("=Q", statistics[code])[0] for code in (4, 5)] == [d["kernel_seen"], d["kernel_drops"]]
    assert last["file"]["written"] == packets_of(path) == d["packets"]


def test_bad_only_and_snaplen(pair: Pair, tmp_path: Path) -> None:
    path = tmp_path / "x.pcapng"
    monitor = Monitor(pair.node, "-i", "pa", "-w", str(path), "--bad-only", "-s", "60", "ip")
    pair.send([good(), leaked(), good(), corrupt()] * 25)
    last = monitor.end()
    assert last["bad"]["packets"] == last["file"]["written"] == packets_of(path) == 50
    rows = run("tshark", "-r", str(path), "-T", "fields", "-e", "frame.cap_len", "-e", "frame.len").splitlines()
    assert Counter(rows) == {"60\t143": 25, "60\t167": 25}


def test_ring_of_files_has_the_names_and_sizes_of_tcpdump(pair: Pair, tmp_path: Path) -> None:
    need("tcpdump")
    ours, theirs = tmp_path / "ours", tmp_path / "theirs"
    for folder in (ours, theirs):
        folder.mkdir(mode=0o777)
    words = ["-i", "pa", "-C", "1", "-W", "12"]
    tcpdump = pair.node.spawn(
        "tcpdump", *words, "-U", "-Z", "root", "-B", "16384", "-w", str(theirs / "x"), "udp", stderr=subprocess.PIPE
    )
    assert tcpdump.stderr is not None
    read_up_to(b"listening", tcpdump.stderr)
    monitor = Monitor(pair.node, *words, "-w", str(ours / "x"), "udp")
    pair.send([good(1400)] * 3000)
    last = monitor.end()
    names = {path.name for path in ours.iterdir()}
    assert names >= {"x00", "x01", "x04"}
    until(lambda: names <= {path.name for path in theirs.iterdir()}, "writing")
    tcpdump.send_signal(signal.SIGTERM)
    tcpdump.wait(PATIENCE)
    assert names == {path.name for path in theirs.iterdir()}
    assert sum(packets_of(path) for path in ours.iterdir()) == last["file"]["written"] == 3000
    *full, _ = sorted(path.stat().st_size for path in ours.iterdir())[::-1]
    one_packet = 28 + 1442 + 2 + 12 + 4
    assert all(1_000_000 < size <= 1_000_000 + one_packet + 200 for size in full)


def test_ring_begins_again_with_the_first_file(pair: Pair, tmp_path: Path) -> None:
    monitor = Monitor(pair.node, "-i", "pa", "-C", "1", "-W", "2", "-w", str(tmp_path / "x"), "udp")
    pair.send([good(1400)] * 3000)
    last = monitor.end()
    assert {path.name for path in tmp_path.iterdir()} == {"x0", "x1"}
    assert last["file"]["files"] == 5 and last["file"]["written"] == 3000
    assert sum(packets_of(path) for path in tmp_path.iterdir()) < 1500


def test_files_by_time_end_it_after_so_many(pair: Pair, tmp_path: Path) -> None:
    monitor = Monitor(pair.node, "-i", "pa", "-G", "1", "-W", "2", "-w", str(tmp_path / "%s.pcapng"), "udp")
    began = time.time()
    while monitor.process.poll() is None and time.time() < began + PATIENCE:
        pair.send([good()])
        time.sleep(0.02)
    last = monitor.last()
    files = sorted(tmp_path.iterdir())
    assert len(files) == 2 and all(began - 2 <= int(path.stem) <= time.time() for path in files)
    assert sum(packets_of(path) for path in files) == last["file"]["written"]
    assert account(last) == last["directions"][0]["packets"]


def test_hangup_opens_the_name_again(pair: Pair, tmp_path: Path) -> None:
    """As logrotate does it: move, signal.  Without the moving nothing is lost either: a second section follows."""
    path, moved = tmp_path / "x.pcapng", tmp_path / "x.pcapng.1"
    monitor = Monitor(pair.node, "-i", "pa", "-w", str(path), "udp")
    for round_ in (1, 2, 3):
        pair.send([good()] * 10 * round_)
        until(lambda n=round_: path.exists() and packets_of(path) >= 10 * n, "writing")
        if round_ == 1:
            path.rename(moved)
        if round_ < 3:
            monitor.process.send_signal(signal.SIGHUP)
            until(lambda n=round_: len(monitor.told("writer")) == n, "opening again")
    assert monitor.end()["file"]["written"] == 60
    assert (packets_of(moved), packets_of(path)) == (10, 50)
    assert sum(kind == 0x0A0D0D0A for kind, _ in blocks(path)) == 2


def test_full_disk_stops_the_writer_only(pair: Pair, tmp_path: Path) -> None:
    disk = tmp_path / "disk"
    disk.mkdir()
    run("mount", "-t", "tmpfs", "-o", "size=256k", "tmpfs", str(disk))
    try:
        path = disk / "x.pcapng"
        monitor = Monitor(pair.node, "-i", "pa", "-w", str(path), "udp")
        pair.send([good(1400)] * 500)
        monitor.wait_for("writer", "No space left on device; writing stopped, watching goes on")
        in_file = packets_of(path)  # whole blocks, or capinfos would fail
        run("mount", "-o", "remount,size=8m", str(disk))
        pair.send([good(1400)] * 100)
        monitor.await_read(600)
        monitor.process.send_signal(signal.SIGHUP)
        monitor.wait_for("writer", "opened again")
        pair.send([good(1400)] * 50)
        last = monitor.end()
        assert 100 < in_file < 200
        assert last["directions"][0]["packets"] == account(last) == 650
        assert last["file"]["written"] == packets_of(path) == in_file + 50
        assert last["file"]["not_written"] == {"ENOSPC": 650 - in_file - 50}
        assert last["file"]["is_writing"] and last["file"]["buffered"] == 0
    finally:
        run("umount", str(disk))


def test_folder_that_cannot_be_written_is_exit_4(pair: Pair) -> None:
    done = pair.node.run(*PKTMEND, "monitor", "-i", "pa", "-w", "/nonexistent/x", check=False)
    assert done.returncode == 4 and "/nonexistent/x" in done.stderr and done.stderr.count("\n") == 1
