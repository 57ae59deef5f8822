"""pktmend fix from one format to another, and what a capture file says of lengths and times."""

from __future__ import annotations

import json
import struct
from pathlib import Path

import pytest
from scapy.all import wrpcap

import frames as f
from pktmend import Capture, Copy, Writer
from pktmend.errors import ConfigError, OSFailure
from tapes import File, read
from tools import run_pktmend

GOOD = f.raw(f.ether / f.ip4 / f.tcp / f.PAYLOAD)
LEAKED = f.leaked(f.ether / f.ip4 / f.tcp / f.PAYLOAD)

# --- several link types into a format that holds one ------------------------------------------------------------------


def two_links() -> File:
    """Return a pcapng of Ethernet and raw IP."""
    file = File().section().interface(1).interface(101)
    return file.packet(GOOD).packet(GOOD[14:], interface=1)


def test_second_link_type_is_one_clear_line_and_leaves_no_file(tmp_path: Path) -> None:
    path, new, old = tmp_path / "a.pcapng", tmp_path / "new.pcap", tmp_path / "old.pcap"
    path.write_bytes(two_links().data)
    old.write_bytes(b"precious")
    for out in (new, old):
        done = run_pktmend("fix", "-r", str(path), "-w", str(out))
        assert done.returncode == 4 and done.stderr.count(b"\n") == 1, done
        assert b"link type" in done.stderr and out.name.encode() in done.stderr and b".pcapng" in done.stderr
    assert sorted(x.name for x in tmp_path.iterdir()) == ["a.pcapng", "old.pcap"] and old.read_bytes() == b"precious"
    assert run_pktmend("fix", "-r", str(path), "-w", str(tmp_path / "b.pcapng")).returncode == 0
    assert (tmp_path / "b.pcapng").read_bytes() == path.read_bytes()


def test_writer_says_so_too(tmp_path: Path) -> None:
    (tmp_path / "a.pcapng").write_bytes(two_links().data)
    out = tmp_path / "b.pcap"
    with (
        Capture(tmp_path / "a.pcapng") as source,
        Writer(out, file_format="pcap") as writer,
        pytest.raises(OSFailure, match="link type"),
    ):
        for batch in source.batches():
            writer.write(batch)


def test_many_interfaces_of_one_link_type_fit_into_a_classic_capture(tmp_path: Path) -> None:
    file = File().section()
    for _ in range(300):
        file.interface(1)
    for n in range(300):
        file.packet(GOOD, interface=n)
    (tmp_path / "a.pcapng").write_bytes(file.data)
    assert run_pktmend("fix", "-r", str(tmp_path / "a.pcapng"), "-w", str(tmp_path / "b.pcap")).returncode == 0
    assert [x for *_, x in read(tmp_path / "b.pcap")] == [GOOD] * 300


def test_capture_without_packets_keeps_its_link_type(tmp_path: Path) -> None:
    (tmp_path / "a.pcap").write_bytes(struct.pack("=IHHIIII", 0xA1B2C3D4, 2, 4, 0, 0, 0, 113))
    assert run_pktmend("fix", "-r", str(tmp_path / "a.pcap"), "-w", str(tmp_path / "b.pcapng")).returncode == 0
    with Capture(tmp_path / "b.pcapng") as source:
        assert list(source.batches()) == [] and [link for link, _ in source.interfaces] == [113]


def test_conversion_keeps_permissions_and_follows_links(tmp_path: Path) -> None:
    (tmp_path / "a.pcapng").write_bytes(File().section().interface().packet(LEAKED).data)
    real, link = tmp_path / "real.pcap", tmp_path / "link.pcap"
    real.write_bytes(b"old")
    real.chmod(0o640)
    link.symlink_to(real)
    assert run_pktmend("fix", "-r", str(tmp_path / "a.pcapng"), "-w", str(link)).returncode == 0
    assert link.is_symlink() and real.stat().st_mode & 0o777 == 0o640
    assert [x for *_, x in read(real)] == [GOOD]


def test_copy_of_a_capture_that_has_been_read_from_is_refused(tmp_path: Path) -> None:
    wrpcap(str(tmp_path / "a.pcap"), [GOOD] * 20000, linktype=1)
    with Capture(tmp_path / "a.pcap") as source:
        for _ in source.batches():
            pass
        with pytest.raises(ConfigError, match="copy"):
            Copy(tmp_path / "b.pcap", source)


# --- lengths and times ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("value", [4, 32])
def test_fcs_length_is_told_in_bits_and_in_bytes(tmp_path: Path, value: int) -> None:
    """draft-ietf-opsawg-pcapng: bits.  A UDP length beyond the frame shows whether the four bytes are cut off."""
    file = File().section()
    file.interface(1, 0, file.option(13, bytes([value]))).packet(GOOD + b"\xde\xad\xbe\xef")
    (tmp_path / "a.pcapng").write_bytes(file.data)
    assert [x for *_, x in read(tmp_path / "a.pcapng")] == [GOOD]


def test_times_have_nine_digits(tmp_path: Path) -> None:
    file = File().section()
    file.interface(1, 0, file.option(9, b"\x09"), file.option(14, struct.pack("<q", 3600)))
    file.packet(GOOD, time=1_700_000_000_123_456_789)
    (tmp_path / "a.pcapng").write_bytes(file.data)
    done = run_pktmend("check", "-r", str(tmp_path / "a.pcapng"), "--all", "--json")
    assert json.loads(done.stdout.splitlines()[0])["time"] == "2023-11-14T23:13:20.123456789Z"  # date -u -d @1700003600
    done = run_pktmend("check", "-r", str(tmp_path / "a.pcapng"), "--all")
    assert done.stdout.startswith(b"2023-11-14T23:13:20.123456789Z packet 1: ip")
