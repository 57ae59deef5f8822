"""Single captures of damaged packets, and the command.  Every checksum is scapy's, or damaged by hand from scapy's."""

from __future__ import annotations

import json
import random
import re
from pathlib import Path

import pytest
from scapy.all import IP, TCP, UDP, VXLAN, Ether, IPv6, Raw, in4_chksum

import frames as f
import tapes as t
from diagnosing import SERVER, A, B, diagnose, evidence, named, run
from pktmend.commands.diagnose.causes import CAUSES
from tools import ROOT

# --- wrong --------------------------------------------------------------------------------------------------------


def test_ip_header_never_filled(tmp_path: Path) -> None:
    frames = [(n, f.put16(f.raw(t.udp(A, B, 4000, 9, bytes([n]))), 24, 0)) for n in range(3)]
    found = diagnose(t.pcap(tmp_path / "x", frames))
    assert named(found) == [("ip-header-never-filled", "possible")] and "network card" in found[0]["limits"]
    assert named(diagnose(tmp_path / "x", at_wire=True)) == [("ip-header-never-filled", "likely")]


def test_never_filled(tmp_path: Path) -> None:
    frames = [(n, f.put16(f.raw(t.udp("fd07::1", "fd07::2", 4000, 9, bytes([n]))), 60, 0)) for n in range(3)]
    found = diagnose(t.pcap(tmp_path / "x", frames))
    assert named(found) == [("never-filled", "possible")] and "RFC 8200" in evidence(found[0])


def test_nat_without_update_with_a_witness(tmp_path: Path) -> None:
    frames: list[t.Timed] = []
    for n in range(3):
        before = t.tcp(A, SERVER, 4000, 443, 1000 + n, 2000, "PA", bytes([n]) * 40)
        behind = t.tcp("203.0.113.9", SERVER, 4000, 443, 1000 + n, 2000, "PA", bytes([n]) * 40)
        frames += [(n, f.raw(before)), (n + 0.1, f.put16(f.raw(behind), 50, f.get16(f.raw(before), 50)))]
    assert named(diagnose(t.pcap(tmp_path / "x", frames))) == [("nat-without-update", "certain")]


def test_nat_without_update_by_repetition_alone(tmp_path: Path) -> None:
    """No witness: but the difference is the same in each packet, and turned round on the way back."""
    frames: list[t.Timed] = []
    for n in range(4):
        rest = (4000, 443, 1000 + n, 2000, "PA", random.Random(n).randbytes(60))
        old, new = t.tcp(A, SERVER, *rest), t.tcp("203.0.113.9", SERVER, *rest)
        frames.append((n, f.put16(f.raw(new), 50, f.get16(f.raw(old), 50))))
        rest = (443, 4000, 9000 + n, 70000, "PA", random.Random(-n - 1).randbytes(60))
        old, new = t.tcp(SERVER, "203.0.113.9", *rest), t.tcp(SERVER, A, *rest)
        frames.append((n + 0.5, f.put16(f.raw(new), 50, f.get16(f.raw(old), 50))))
    found = diagnose(t.pcap(tmp_path / "x", frames))
    assert named(found) == [("nat-without-update", "likely")]
    assert "same difference in every packet" in evidence(found[0])


def test_nat_without_update_of_the_ttl(tmp_path: Path) -> None:
    before, behind = ([f.raw(t.ip(A, B, ttl=ttl, id=n) / f.udp) for n in range(3)] for ttl in (64, 63))
    frames = [(n, f.put16(behind[n], 24, f.get16(before[n], 24))) for n in range(3)]
    found = diagnose(t.pcap(tmp_path / "x", frames))
    assert named(found) == [("nat-without-update", "likely")] and "TTL" in evidence(found[0])


def test_nat_on_zero_published(tmp_path: Path) -> None:
    """The SYNs of the Kubernetes VXLAN bug, all with ffff, which a sum over what is summed already makes as well."""
    frames = []
    for n in range(3):
        inner = Ether() / IP(src="10.42.1.2", dst="10.42.2.3") / TCP(sport=33000, dport=80, seq=n << 20) / Raw(bytes(n))
        frames.append((n, f.put16(f.raw(t.ip(A, B) / UDP(sport=35133, dport=4789) / VXLAN(vni=1) / inner), 40, 0xFFFF)))
    found = diagnose(t.pcap(tmp_path / "x", frames))
    assert named(found) == [("nat-on-zero", "likely")]
    assert any("5.7" in each["effect"] for each in found[0]["remedy"])


def test_wrong_arithmetic(tmp_path: Path) -> None:
    frames = []
    for n in range(3):
        frame = f.raw(t.udp(A, B, 4000, 9, random.Random(n).randbytes(30)))
        frames.append((n, frame[:40] + frame[41:39:-1] + frame[42:]))
    found = diagnose(t.pcap(tmp_path / "x", frames))
    assert named(found) == [("wrong-arithmetic", "certain")] and "bytes swapped" in evidence(found[0])


def test_length_fault(tmp_path: Path) -> None:
    frames = []
    for n in range(3):
        packet = t.udp(A, B, 4000, 9, b"ping")
        padded = f.raw(packet) + random.Random(n).randbytes(14)
        frames.append((n, f.put16(padded, 40, in4_chksum(17, packet[IP], f.put16(padded, 40, 0)[34:]))))
    found = diagnose(t.pcap(tmp_path / "x", frames))
    assert named(found) == [("length-fault", "certain")] and "padding" in evidence(found[0])


def many(kind: str) -> list[t.Timed]:
    """300 segments of ten connections; of every tenth one bit is wrong, or 30 bytes."""
    noise = random.Random(7)
    frames = []
    for n in range(300):
        frame = f.raw(t.tcp(A, B, 4000 + n % 10, 80, n * 400, 1, "A", noise.randbytes(400)))
        if n % 9 == 0:
            at = noise.randrange(60, 400)
            frame = (
                t.damaged(frame, at, 1 << noise.randrange(8))
                if kind == "bits"
                else (frame[:at] + noise.randbytes(30) + frame[at + 30 :])
            )
        frames.append((n / 100, frame))
    return frames


def test_bit_errors(tmp_path: Path) -> None:
    found = diagnose(t.pcap(tmp_path / "x", many("bits")))
    assert named(found) == [("bit-errors", "likely")]
    assert found[0]["bridge"] is None and "spread over 10 conversations" in evidence(found[0])
    assert "about one bit in" in evidence(found[0])


def test_corruption(tmp_path: Path) -> None:
    found = diagnose(t.pcap(tmp_path / "x", many("bytes")))
    assert named(found) == [("corruption", "likely")] and found[0]["bridge"] is None


def test_most_important_finding_comes_first(tmp_path: Path) -> None:
    packets = t.conversation(A, SERVER, 1) + [(2 + time, frame) for time, frame in many("bytes")]
    assert [name for name, _ in named(diagnose(t.pcap(tmp_path / "x", packets)))] == ["corruption", "offload-pending"]


# --- the command --------------------------------------------------------------------------------------------------


def test_text_reads_as_the_issue_says(tmp_path: Path) -> None:
    done = run("-r", str(t.pcap(tmp_path / "x", t.echo(A, B, 1) + t.syns(A, B, 2, 4))))
    syn = t.tcp(A, B, 40000, 80, 1000, 0, "S")
    assert done.returncode == 1 and done.stdout.startswith("A hop lost the mark that checksums are partial.")
    assert "The receiver drops these packets" in done.stdout
    assert f"{f.seed(syn):04x}      {f.seed(syn):04x}      {f.get16(f.raw(syn), 50):04x}" in done.stdout
    assert (
        "$ pktmend offload -i IFACE set tx off\n" in done.stdout
        and "$ ethtool -K IFACE tx off\n" in done.stdout
        and "side effect: " in done.stdout
    )
    done = run("-r", str(t.pcap(tmp_path / "y", t.conversation(A, SERVER, 1))))
    assert done.returncode == 0
    assert done.stdout.startswith("Nothing is wrong: these checksums are pending, not bad.")


def test_json_finding_has_the_agreed_keys(tmp_path: Path) -> None:
    (finding,) = diagnose(t.pcap(tmp_path / "x", t.syns(A, B, 2, 4)))
    assert {
        "cause",
        "title",
        "healthy",
        "confidence",
        "meaning",
        "evidence",
        "packets",
        "remedy",
        "bridge",
        "counts",
    } <= set(finding)
    assert set(finding["remedy"][0]) == {"command", "effect", "side_effect", "plain", "undo"}
    assert set(finding["packets"][0]) == {"n", "proto", "offset", "stored", "seed", "expected", "flow"}


def test_broken_file_reports_what_came_before(tmp_path: Path) -> None:
    path = t.pcap(tmp_path / "x", t.conversation(A, SERVER, 1))
    path.write_bytes(path.read_bytes()[:-3])
    done = run("-r", str(path))
    assert done.returncode == 5 and "byte" in done.stderr and done.stderr.count("\n") == 1
    assert "pending, not bad" in done.stdout


@pytest.mark.parametrize(
    ("argv", "code", "words"),
    [
        (("-r", "x", "-i", "lo"), 2, "not both"),
        (("-r", "x", "-I", "lo"), 2, "second tap"),
        (("-i", "lo", "-R", "x"), 2, "second tap"),
        (("-i", "lo", "-I", "lo"), 2, "both taps"),
        (("-i", "lo", "--duration", "-1"), 2, "duration"),
        (("-r", "x", "--duration", "3"), 2, "duration"),
        (("-r", "-", "-R", "x"), 2, "twice"),
        (("-r", "/nonexistent"), 4, "/nonexistent"),
        (("-i", "nosuch0"), 4, "nosuch0"),
        (("-r", str(ROOT / "README.md")), 5, "byte 0"),
    ],
)
def test_misuse(argv: tuple[str, ...], code: int, words: str) -> None:
    done = run(*argv)
    assert done.returncode == code and words in done.stderr and "Traceback" not in done.stderr


def test_filter_and_count(tmp_path: Path) -> None:
    path = t.pcap(tmp_path / "x", many("bits"))
    done = run("-r", str(path), "--json", "tcp", "port", "4003")
    assert json.loads(done.stdout.splitlines()[-1])["summary"]["packets"] == 30
    done = run("-r", str(path), "--json", "-c", "1")
    assert json.loads(done.stdout.splitlines()[-1])["summary"]["packets"] == 1


def test_every_root_cause_is_named_in_a_test() -> None:
    """xdp-hop and tap-without-vnet-header need a machine: tests/net/test_diagnose_live.py."""
    here = "".join(path.read_text() for path in (ROOT / "tests").glob("*/test_diagnose*.py"))
    for name in CAUSES:
        assert f'"{name}"' in here, name
    document = (ROOT / "docs" / "diagnosis.md").read_text()
    for name in CAUSES:
        assert f"`{name}`" in document, name


def test_document_shows_what_the_command_prints() -> None:
    document = (ROOT / "docs" / "diagnosis.md").read_text()
    shown = re.findall(r"<!-- output of: pktmend diagnose (.*?) -->\n```\n(.*?)```", document, re.DOTALL)
    assert shown
    for words, text in shown:
        assert run(*words.split()).stdout == text


def test_ipv6_flows_are_written_with_brackets(tmp_path: Path) -> None:
    frames = [
        (n, f.leaked(f.ether / IPv6(src="fd07::1", dst="fd07::2") / TCP(sport=4000 + n, dport=80, flags="S")))
        for n in range(3)
    ]
    found = diagnose(t.pcap(tmp_path / "x", frames), at_wire=True)
    assert found[0]["packets"][0]["flow"] == "[fd07::1]:4000 > [fd07::2]:80"


def test_what_is_only_possible_does_not_read_as_a_fact(tmp_path: Path) -> None:
    path = t.pcap(tmp_path / "x", t.syns(A, B, 1, 4))
    first = run("-r", str(path)).stdout.splitlines()[0]
    assert first == "Perhaps: a hop lost the mark that checksums are partial.  [metadata-lost, possible]"
    path = t.pcap(tmp_path / "y", [(1, f.put16(f.raw(t.tcp(A, B, 1, 2, 3, 4, "A")), 24, 0))])
    assert run("-r", str(path)).stdout.startswith("Perhaps: IPv4 headers were sent without a checksum.  [")


def test_readme_counts_the_root_causes() -> None:
    [count] = re.findall(r"one of (\d+) root causes", (ROOT / "README.md").read_text())
    assert int(count) == len(CAUSES)
