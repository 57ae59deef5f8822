"""What no parser looked into is never called healthy, nor a problem."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from scapy.all import IP, Raw

import frames as f
import tapes
from diagnosing import decide, decided, named
from diagnosing import diagnose as findings
from judging import judge
from links import aggregate, dot11
from pktmend import Proto, Unread
from pktmend.commands.diagnose.facts.limits import NotLookedInto
from tools import run_pktmend

GOOD = f.raw(f.ether / f.ip4 / f.tcp / f.PAYLOAD)
ESP = f.raw(f.ether / IP(src="10.7.0.1", dst="10.7.0.2", proto=50) / Raw(bytes(64)))
EXPERIMENT = f.raw(f.ether)[:12] + b"\x88\xb5" + bytes(range(48))  # IEEE's EtherType for local experiments


def test_diagnosis_of_what_nobody_understands_is_no_conclusion(tmp_path: Path) -> None:
    path = tapes.pcap(tmp_path / "user.pcap", [(float(i), GOOD) for i in range(3)], link=147)
    (found,) = findings(path)
    assert named([found]) == [("not-understood", "certain")] and not found["healthy"]
    assert found["title"] == "3 packets were not looked into: 3 link type 147 (USER0)"
    done = run_pktmend("diagnose", "-r", str(path))
    assert done.returncode == 0 and b"Nothing is wrong" not in done.stdout


def test_diagnosis_with_a_share_unread_is_not_certain(tmp_path: Path) -> None:
    path = tapes.pcap(tmp_path / "x.pcap", [*((float(i), GOOD) for i in range(9)), (9.0, EXPERIMENT)])
    (one,) = decide(path)
    assert decided([one]) == [("nothing-wrong", "likely")]
    assert NotLookedInto({(Unread.ETHER_TYPE, 0x88B5): 1}) in one.limits


def test_half_unread_comes_first_and_what_is_bad_before_it(tmp_path: Path) -> None:
    unread = [(float(i), EXPERIMENT) for i in range(6)]
    good = tapes.pcap(tmp_path / "good.pcap", [*unread, *((float(i), GOOD) for i in range(5))])
    assert decided(decide(good)) == [("not-understood", "certain")]
    bad = f.put16(GOOD, 24, 0)
    path = tapes.pcap(tmp_path / "bad.pcap", [*unread, *((float(i), bad) for i in range(3))])
    assert decided(decide(path)) == [("ip-header-never-filled", "possible"), ("not-understood", "certain")]


def test_encrypted_payload_of_good_headers_is_a_limit(tmp_path: Path) -> None:
    path = tapes.pcap(tmp_path / "esp.pcap", [(float(i), ESP) for i in range(4)])
    (one,) = decide(path)
    assert decided([one]) == [("nothing-wrong", "likely")]
    assert one.limits == (NotLookedInto({(Unread.ENCRYPTED, 50): 4}),)


def test_first_of_two_taps_that_nobody_understands_is_said(tmp_path: Path) -> None:
    before = tapes.pcap(tmp_path / "before.pcap", [(float(i), GOOD) for i in range(3)], link=147)
    behind = tapes.pcap(tmp_path / "behind.pcap", [(float(i), GOOD) for i in range(3)])
    done = run_pktmend("diagnose", "-r", str(before), "-R", str(behind), "--json")
    rows = [json.loads(line) for line in done.stdout.splitlines()]
    assert rows[0]["diagnosis"]["cause"] == "not-understood" and done.returncode == 0


def test_frames_side_by_side_are_no_tunnel(tmp_path: Path) -> None:
    """Two TCP segments of one 802.11 frame, both never completed: nothing is said of a tunnel."""
    right = dot11(aggregate(bytes(32)), qos=b"\x80\0", FCfield=2)
    checks = [k for k in judge(right, link=105) if k.proto == Proto.TCP]
    assert len(checks) == 2
    leaked = right
    for k in checks:
        leaked = f.put16(leaked, k.offset, k.seed)
    path = tapes.pcap(tmp_path / "x.pcap", [(float(i), leaked) for i in range(4)], link=105)
    assert [one["cause"] for one in findings(path, at_wire=True)] == ["metadata-lost"]


if __name__ == "__main__":
    pytest.main([__file__])
