"""pktmend fix: what it changes in a capture, and what it leaves; scapy and tcprewrite say what is right."""

from __future__ import annotations

import gzip
import subprocess
from pathlib import Path

import pytest
from scapy.all import wrpcap

import frames as f
from tapes import File, read
from tools import frames_in, need, run_pktmend

GOOD = f.raw(f.ether / f.ip4 / f.tcp / f.PAYLOAD)
LEAKED = f.leaked(f.ether / f.ip6 / f.udp / f.PAYLOAD)


def test_fix_changes_checksum_fields_only_and_clears_not_ready(tmp_path: Path) -> None:
    file = File(">").section(File(">").option(4, b"other")).interface(1, 0, File(">").option(2, b"eth0"))
    file.packet(GOOD).packet(LEAKED, file.option(1, b"note"), file.option(2, file.pack("I", 1 << 9 | 2)))
    file.block(0xABCD, b"unknown")
    source, target = tmp_path / "a.pcapng", tmp_path / "b.pcapng"
    source.write_bytes(file.data)
    assert run_pktmend("fix", "-r", str(source), "-w", str(target)).returncode == 0
    right = f.raw(f.ether / f.ip6 / f.udp / f.PAYLOAD)
    want = file.data.replace(LEAKED, right).replace(
        file.option(2, file.pack("I", 1 << 9 | 2)), file.option(2, file.pack("I", 2))
    )
    assert target.read_bytes() == want
    assert source.read_bytes() == file.data  # the original is never touched


def test_fix_all_equals_tcprewrite_packet_for_packet(tmp_path: Path) -> None:
    need("tcprewrite")
    damaged = []
    for packet in (
        f.ether / f.ip4 / f.tcp / f.PAYLOAD,
        f.ether / f.ip4 / f.udp / f.PAYLOAD,
        f.ether / f.ip6 / f.tcp / f.PAYLOAD,
        f.ether / f.ip6 / f.udp / f.PAYLOAD,
    ):
        for value in (0x1234, 0xFFFF, f.seed(packet)):
            damaged.append(f.put16(f.raw(packet), f.field_offset(packet), value))
            damaged.append(f.put16(damaged[-1], 24, 0xABCD) if packet[0].type == 0x800 else damaged[-1])
    path = tmp_path / "a.pcap"
    wrpcap(str(path), damaged, linktype=1)
    assert run_pktmend("fix", "-r", str(path), "-w", str(tmp_path / "b.pcap"), "--repair", "all").returncode == 0
    subprocess.run(
        ["tcprewrite", "--fixcsum", "-i", str(path), "-o", str(tmp_path / "c.pcap")], check=True, capture_output=True
    )
    ours = frames_in(tmp_path / "b.pcap")
    theirs = frames_in(tmp_path / "c.pcap")
    # tcprewrite 4.4 also gives IPv6 frames other Ethernet addresses, which nobody asked for
    assert [x[12:] for x in ours] == [x[12:] for x in theirs]
    assert ours != damaged


def test_fix_twice_is_fix_once(tmp_path: Path) -> None:
    wrpcap(str(tmp_path / "a.pcap"), [GOOD, LEAKED, f.put16(GOOD, 80, 1)], linktype=1)
    for one, two in (("a", "b"), ("b", "c")):
        run_pktmend("fix", "-r", str(tmp_path / f"{one}.pcap"), "-w", str(tmp_path / f"{two}.pcap"))
    assert (tmp_path / "b.pcap").read_bytes() == (tmp_path / "c.pcap").read_bytes()
    assert (tmp_path / "b.pcap").read_bytes() != (tmp_path / "a.pcap").read_bytes()


def test_fix_refuses_to_write_over_its_input(tmp_path: Path) -> None:
    path = tmp_path / "a.pcap"
    wrpcap(str(path), [GOOD], linktype=1)
    before = path.read_bytes()
    done = run_pktmend("fix", "-r", str(path), "-w", str(path))
    assert done.returncode == 2 and path.read_bytes() == before


def test_fix_through_pipes(tmp_path: Path) -> None:
    wrpcap(str(tmp_path / "a.pcap"), [LEAKED] * 3000, linktype=1)
    done = run_pktmend("fix", "-r", "-", "-w", "-", stdin=(tmp_path / "a.pcap").read_bytes())
    assert done.returncode == 0 and b"pending 3000" in done.stderr
    (tmp_path / "b.pcap").write_bytes(done.stdout)
    assert [x for *_, x in read(tmp_path / "b.pcap")] == [f.raw(f.ether / f.ip6 / f.udp / f.PAYLOAD)] * 3000


def test_full_disk_is_one_clear_line(tmp_path: Path) -> None:
    wrpcap(str(tmp_path / "a.pcap"), [GOOD] * 2000, linktype=1)
    done = run_pktmend("fix", "-r", str(tmp_path / "a.pcap"), "-w", "/dev/full")
    assert done.returncode == 4 and b"No space left" in done.stderr and b"Traceback" not in done.stderr


NO_CAPTURE = {
    "text": b"hello world, this is not a capture",
    "empty": b"",
    "short": b"\xd4\xc3",
    "half a header": b"\xd4\xc3\xb2\xa1\x02\x00",
    "section alone": b"\x0a\x0d\x0d\x0a\x1c\0\0\0",
    "broken gzip": b"\x1f\x8bnot really",
    "no byte order mark": b"\x0a\x0d\x0d\x0a" + bytes(24),
}


@pytest.mark.parametrize("through_pipe", [False, True], ids=["file", "pipe"])
@pytest.mark.parametrize("suffix", ["pcap", "pcapng", "out"])
@pytest.mark.parametrize("name", NO_CAPTURE)
def test_what_is_no_capture_leaves_nothing_and_destroys_nothing(
    tmp_path: Path, name: str, suffix: str, through_pipe: bool
) -> None:
    source, new, old = tmp_path / "x", tmp_path / f"new.{suffix}", tmp_path / f"old.{suffix}"
    source.write_bytes(NO_CAPTURE[name])
    old.write_bytes(b"precious")
    for target in (new, old):
        done = run_pktmend(
            "fix",
            "-r",
            "-" if through_pipe else str(source),
            "-w",
            str(target),
            stdin=NO_CAPTURE[name] if through_pipe else None,
        )
        assert done.returncode == 5 and done.stderr.count(b"\n") == 1, done
    assert not new.exists() and old.read_bytes() == b"precious"


def test_name_converts_what_comes_through_a_pipe_or_compressed(tmp_path: Path) -> None:
    wrpcap(str(tmp_path / "a.pcap"), [GOOD, LEAKED], linktype=1)
    data = (tmp_path / "a.pcap").read_bytes()
    (tmp_path / "a.pcap.gz").write_bytes(gzip.compress(data))
    for argv, stdin in ((("-r", "-"), data), (("-r", str(tmp_path / "a.pcap.gz")), None)):
        assert run_pktmend("fix", *argv, "-w", str(tmp_path / "b.pcapng"), stdin=stdin).returncode == 0
        assert (tmp_path / "b.pcapng").read_bytes()[:4] == b"\x0a\x0d\x0d\x0a"
        assert [x for *_, x in read(tmp_path / "b.pcapng")] == [GOOD, f.raw(f.ether / f.ip6 / f.udp / f.PAYLOAD)]


def test_packets_before_the_fault_are_kept(tmp_path: Path) -> None:
    file = File().section().interface().packet(GOOD).packet(GOOD)
    path = tmp_path / "x.pcapng"
    path.write_bytes(file.data + b"\x06\0\0\0\x01\0\0\0garbage!")
    done = run_pktmend("fix", "-r", str(path), "-w", str(tmp_path / "y.pcapng"))
    assert done.returncode == 5 and b"2 packets" in done.stdout
    assert (tmp_path / "y.pcapng").read_bytes() == file.data


@pytest.mark.parametrize("packets", [0, 1, 1023, 1024, 2048])
def test_blocks_without_packets_are_copied_wherever_they_stand(tmp_path: Path, packets: int) -> None:
    """A batch has 1024 packets; what stands behind a full one, and more than one read of it, is written too."""
    file = File().section().interface()
    for _ in range(packets):
        file.packet(GOOD)
    for n in range(5):
        file.block(0x80000001, bytes([n]) * (700 << 10))  # of somebody else's
    file.packet(GOOD).block(5, bytes(12))
    path, out = tmp_path / "x.pcapng", tmp_path / "y.pcapng"
    path.write_bytes(file.data)
    assert run_pktmend("fix", "-r", str(path), "-w", str(out)).returncode == 0
    assert out.read_bytes() == file.data
