"""How sure a diagnosis of a file may be: what was cut off, not checked, or has another explanation."""

from __future__ import annotations

import json
import struct
from pathlib import Path

from scapy.all import ICMP, UDP, Raw
from test_diagnose import SERVER, A, B, diagnose, evidence, named, run

import frames as f
import tapes as t


def test_a_capture_that_is_cut_off_is_never_certain(tmp_path: Path) -> None:
    path = t.pcap(tmp_path / "x", [(n, f.raw(t.udp(A, B, 4000, 9, bytes([n])))) for n in range(2)])
    path.write_bytes(path.read_bytes()[:-5])
    done = run("-r", str(path), "--json")
    found = [json.loads(line)["diagnosis"] for line in done.stdout.splitlines()[:-1]]
    assert done.returncode == 5 and named(found) == [("nothing-wrong", "possible")]
    assert "cut off or broken after 1 packet" in found[0]["limits"]


def test_nothing_wrong_is_as_sure_as_what_could_be_checked(tmp_path: Path) -> None:
    whole = [f.raw(t.udp(A, B, 4000, 9, bytes([n]) * 50)) for n in range(4)]
    later = [f.put16(f.raw(t.ip(A, B, flags="MF") / UDP(sport=1, dport=9) / Raw(bytes(64))), 40, 0x1234)]
    assert named(diagnose(t.pcap(tmp_path / "x", enumerate(whole)))) == [("nothing-wrong", "certain")]
    assert named(diagnose(t.pcap(tmp_path / "y", enumerate(whole + later)))) == [("nothing-wrong", "likely")]
    cut = t.pcap(tmp_path / "z", [])
    for frame in whole:
        cut.write_bytes(cut.read_bytes() + struct.pack("=IIII", 1, 0, 60, len(frame)) + frame[:60])
    found = diagnose(cut)
    assert named(found) == [("nothing-wrong", "possible")] and "4 checksums cannot be checked" in found[0]["limits"]


def test_loopback_packets_are_at_their_sender(tmp_path: Path) -> None:
    packets = [(1, f.leaked(t.tcp("127.0.0.1", "127.0.0.1", 40000, 80, 1, 0, "S")))]
    found = diagnose(t.pcap(tmp_path / "x", packets))
    assert named(found) == [("offload-pending", "certain")] and "never leave their host" in evidence(found[0])


def test_a_header_left_to_the_card_with_what_it_carries(tmp_path: Path) -> None:
    """As Windows hands it over: IPv4 header 0, TCP field S; the other side's are finished."""
    packets = [(n, f.put16(f.leaked(t.tcp(A, SERVER, 40000, 80, n, 1, "PA", bytes(9))), 24, 0)) for n in range(20)]
    packets.append((30, f.raw(t.udp(SERVER, A, 53, 5000, b"another conversation"))))
    [found] = diagnose(t.pcap(tmp_path / "x", packets))
    assert (found["cause"], found["confidence"]) == ("offload-pending", "likely")
    assert "kernel's mark" not in evidence(found) and "20 ip checksums are 0" in evidence(found)


def test_a_translated_address_shows_in_both_sums(tmp_path: Path) -> None:
    """One packet, no witness: header and transport are off by the same.  One flipped bit of an address is damage."""
    frame = f.raw(t.tcp(A, SERVER, 4000, 443, 1000, 2000, "PA", bytes(40)))
    translated = frame[:26] + bytes([203, 0, 113, 9]) + frame[30:]
    found = diagnose(t.pcap(tmp_path / "x", [(1, translated)]))
    assert named(found) == [("nat-without-update", "possible"), ("rewritten-capture", "possible")]
    assert "in 1 packet the checksums" in evidence(found[0]) and "damaged on the way" in found[0]["limits"]
    assert named(diagnose(t.pcap(tmp_path / "y", [(1, t.damaged(frame, 27, 0x01))])))[0][0] == "bit-errors"


def test_a_damaged_length_is_no_mistake_of_the_checksum_that_trusts_it(tmp_path: Path) -> None:
    frame = f.raw(t.ip(A, B) / ICMP() / Raw(bytes(range(72))))
    found = diagnose(t.pcap(tmp_path / "x", [(1, t.damaged(frame, 17, 0x20))]))  # 100 becomes 68
    assert f.get16(frame, 16) == 100 and [name for name, _ in named(found)] == ["bit-errors"]
    assert "its length was damaged" in evidence(found[0])
    assert "second tap" in found[0]["limits"]


def test_a_right_sum_of_0_whose_contents_lost_a_bit_was_filled_in(tmp_path: Path) -> None:
    frames = []
    for n in range(20):
        packet = t.tcp(A, B, 4000, 80, 1000 + n, 1, "PA", bytes([n]) * 40 + bytes(2))
        frame = f.raw(packet)
        if n % 10 == 0:  # what is added to the contents is taken off the field (RFC 1071): it becomes 0
            tail = f.get16(frame, 50)
            frame = f.raw(t.tcp(A, B, 4000, 80, 1000 + n, 1, "PA", bytes([n]) * 40 + tail.to_bytes(2, "big")))
            assert f.get16(frame, 50) == 0
            frame = t.damaged(frame, 60 + n, 0x10 >> n // 5)
        frames.append((n, frame))
    found = diagnose(t.pcap(tmp_path / "x", frames))
    assert [name for name, _ in named(found)] == ["bit-errors"], found
