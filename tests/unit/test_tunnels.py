"""What UDP, GRE and MPLS carry: recognised where it cannot be a coincidence, and left alone where it can.

Frames come from scapy, headers are written after their documents (tunnel_carriers.py); tshark is told what a port
carries.
"""

from __future__ import annotations

import random
import struct
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from scapy.all import IP, UDP, VXLAN, Ether, IPv6, Raw, wrpcap
from scapy.contrib.mpls import MPLS

import frames as f
import pktmend
from judging import FIRST, LIVE, SECOND, judge, judged, verdicts
from pktmend import ConfigError, Frames, PacketFlag, Status, Verify, _core, use_tunnel_ports
from tools import need
from tunnel_carriers import TUNNELS, inner, over4, over6, pseudowire, tcp4, tcp6, udp

SWARM = f.raw(over4 / UDP(sport=9, dport=7789) / VXLAN(flags=8, vni=4097) / inner / FIRST)
OUTER, PAYLOAD = 40, 42  # the outer UDP's sum; what it carries


@pytest.fixture(autouse=True)
def no_ports() -> Iterator[None]:
    yield
    use_tunnel_ports(None)


def only_the_outer(frame: bytes, **options: Any) -> bool:
    """Is nothing read behind the outer UDP header, and nothing called malformed?"""
    flags, _, checks = _core.inspect(frame, flags=LIVE, **options)
    return not flags & PacketFlag.MALFORMED and all(k.depth == 0 for k in checks)


def dns(port: int, payload: bytes = b"\x1f\x2e\x81\x80\0\1\0\1\0\0\0\0\3www\7example\3com\0\0\1\0\1") -> Any:
    """An answer to a client that happened to choose this port."""
    return over4 / UDP(sport=53, dport=port) / Raw(payload)


# --- recognition ------------------------------------------------------------------------------------

DECODE = {"7789": "vxlan", "6784": "vxlan", "16081": "geneve", "12152": "gtp", "30001": "gtp", "50007": "gtp"}
SEEN_BY_TSHARK = [  # the others are behind ports or versions that tshark 4.0 takes for something else
    "VXLAN on Swarm's port",
    "VXLAN on any port over IPv6",
    "Geneve on any port",
    "Geneve of IPv6 with options",
    "GTP-U on any port",
    "GTP-U with extensions to a port",
    "GRE in UDP",
    "MPLS in UDP",
    "L2TP",
    "L2TP with a length",
    "AYIYA",
    "CAPWAP, swapped",  # which is what tshark looks for unless told otherwise
    "CAPWAP of 802.3",
    "NSH",
    "NSH twice",
    "NSH in GRE",
    "ERSPAN II with its version",
    "ERSPAN III with its version",
    "ERSPAN III of a platform",
    "WCCP 2",
    "explicit null",
]


@pytest.mark.parametrize("name", SEEN_BY_TSHARK)
def test_tshark_finds_the_same_inner_sum(name: str, tmp_path: Path) -> None:
    need("tshark")
    build = TUNNELS[name][1]
    right, other = f.raw(build(FIRST)), f.raw(build(SECOND))
    k = judge(right)[-1]
    damaged = other[: k.offset] + right[k.offset : k.offset + 2] + other[k.offset + 2 :]
    wrpcap(str(tmp_path / "both.pcap"), [right, damaged], linktype=1)
    told = [x for port, kind in DECODE.items() if port != "50007" for x in ("-d", f"udp.port=={port},{kind}")]
    words = ["-o", "tcp.check_checksum:TRUE", "-T", "fields", "-e", "tcp.checksum.status", "-e", "tcp.checksum"]
    out = subprocess.run(
        ["tshark", "-r", str(tmp_path / "both.pcap"), *told, *words],
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
    ).stdout.splitlines()
    assert [line.split("\t")[0] for line in out] == ["1", "0"], out
    assert int(out[0].split("\t")[1], 16) == k.stored


@pytest.mark.parametrize(
    ("at", "value"),
    [
        pytest.param(PAYLOAD, 0x0801, id="reserved byte behind the flags"),
        pytest.param(PAYLOAD, 0x8800, id="a group policy"),
        pytest.param(PAYLOAD + 6, 0x0101, id="reserved byte behind the VNI"),
        pytest.param(PAYLOAD + 8 + 12, 0x88CC, id="inner type"),
        pytest.param(PAYLOAD + 22, 0x4400, id="inner header's length"),
        pytest.param(PAYLOAD + 22, 0x6500, id="inner version"),
        pytest.param(PAYLOAD + 24, 0x0075, id="inner length"),
        pytest.param(PAYLOAD + 32, 0x1234, id="inner header's sum"),
    ],
)
def test_on_a_port_nobody_knows_everything_has_to_agree(at: int, value: int) -> None:
    assert "tcp1 good" in verdicts(judge(SWARM))
    wrong = f.put16(SWARM, at, value)
    assert f.get16(SWARM, at) != value
    assert only_the_outer(wrong)
    assert verdicts(judge(wrong))[1].startswith("udp bad")


@pytest.mark.parametrize("more", [1, -1, 100])
def test_inner_length_has_to_be_the_rest_even_with_a_right_header_sum(more: int) -> None:
    length, total = PAYLOAD + 24, f.get16(SWARM, PAYLOAD + 24) + more
    wrong = f.put16(f.put16(SWARM, length, total), PAYLOAD + 32, 0)
    wrong = f.put16(wrong, PAYLOAD + 32, 0xFFFF - f.total(wrong[PAYLOAD + 22 : PAYLOAD + 42]))
    assert only_the_outer(wrong)


def test_inner_packet_of_an_unknown_port_leaks_like_any() -> None:
    k = judge(SWARM)[-1]
    leaked = f.put16(SWARM, k.offset, k.seed)
    assert verdicts(judge(f.put16(leaked, OUTER, 0)))[1:] == ["udp absent", "ip1 good", "tcp1 bad leaked"]
    batch = judged(f.put16(leaked, OUTER, 0), expected=True)
    pktmend.repair(batch)
    assert bytes(batch.frame(0)) == f.put16(SWARM, OUTER, 0)


def test_zero_over_ipv6_is_legal_in_a_tunnel_on_any_port() -> None:
    """RFC 6935: tunnels may send it; whatever else UDP carries must not."""
    tunnelled = f.raw(over6 / UDP(sport=9, dport=7789, chksum=0) / VXLAN(flags=8) / inner / FIRST)
    assert verdicts(judge(tunnelled))[0] == "udp absent"
    assert verdicts(judge(f.raw(over6 / UDP(sport=9, dport=7789, chksum=0) / Raw(FIRST)))) == ["udp bad illegal-zero"]


def test_fou_of_ipv6_needs_a_sum_that_is_right_or_partial() -> None:
    right = f.raw(udp(5555, b"", tcp6 / FIRST))
    k = judge(right)[-1]
    assert (k.depth, k.status) == (1, Status.GOOD)
    assert "tcp1 bad leaked" in verdicts(judge(f.put16(right, k.offset, k.seed)))
    assert only_the_outer(f.put16(right, k.offset, k.stored ^ 0x55))
    use_tunnel_ports({"fou": [5555]})
    assert "tcp1 bad" in verdicts(judge(f.put16(right, k.offset, k.stored ^ 0x55)))[-1]


def test_no_random_datagram_is_a_tunnel() -> None:
    """Payloads that begin as tunnels do, or anyhow; the seed is fixed: the same answer in any run."""
    dice = random.Random(13)
    heads = [
        b"",
        b"\x08\0\0\0\0\0\7\0",
        b"\0\0\x65\x58\0\0\7\0",
        b"\0\4\0\0",
        b"\x45\0",
        b"\x60",
        b"\x0c\0\0\1\0\0\7\0",
    ]
    for _ in range(20000):
        payload = dice.choice(heads) + dice.randbytes(dice.randrange(0, 120))
        ip = struct.pack("!BBHHHBBH4s4s", 0x45, 0, 28 + len(payload), 7, 0, 64, 17, 0, b"\n\7\0\1", b"\n\7\0\2")
        head = struct.pack("!HHHH", 9, dice.randrange(10000, 60000), 8 + len(payload), 0)
        frame = f.raw(f.ether)[:12] + b"\x08\0" + ip + head + payload
        assert only_the_outer(frame), frame.hex()


def test_answer_does_not_depend_on_the_batch() -> None:
    frames = [f.raw(build(payload)) for _, build in TUNNELS.values() for payload in (FIRST, SECOND)]
    frames += [f.raw(dns(port)) for port in (4789, 8472, 6081, 2152)]
    alone = [verdicts(judge(frame)) for frame in frames]
    for order in (frames, frames[::-1]):
        batch = Frames(order, link=1, flags=LIVE).batch()
        Verify()(batch)
        pktmend.classify(batch)
        found = [verdicts(batch.checks_of(i)) for i in range(len(batch))]
        assert (found if order is frames else found[::-1]) == alone


# --- a port is no proof -----------------------------------------------------------------------------

PORTS = [4789, 8472, 4790, 6081, 2152, 3544, 6080, 4754, 6635, 9899, 1701, 5072]
INVERSE = b"\0\0\x08\0\0\1" + bytes(range(2, 60))


@pytest.mark.parametrize("payload", [b"\x1f\x2e\x81\x80\0\1\0\1", INVERSE, b"\x34\xff\0\4\1\2\3\4\5", FIRST])
@pytest.mark.parametrize("port", PORTS)
def test_datagram_that_is_no_tunnel_is_judged_and_completed(port: int, payload: bytes) -> None:
    packet = dns(port, payload)
    assert only_the_outer(f.raw(packet))
    batch = judged(f.leaked(packet))
    assert verdicts(batch.checks_of(0)) == ["ip good", "udp bad leaked"]
    pktmend.repair(batch)
    assert bytes(batch.frame(0)) == f.raw(packet)


def test_damaged_inner_header_behind_a_known_port_is_still_read() -> None:
    right = f.raw(over4 / UDP(sport=9, dport=4789) / VXLAN(flags=8) / inner / FIRST)
    assert verdicts(judge(f.put16(right, PAYLOAD + 32, 0x1234)))[2].startswith("ip1 bad")


@pytest.mark.parametrize(
    "payload",
    [
        pytest.param(b"\x32\x01\0\x04" + bytes(8), id="GTP-U echo"),
        pytest.param(b"\xc8\x02\0\x0c" + bytes(8), id="L2TP control"),
        pytest.param(b"\0\0\0\1\0\0\0\2" + FIRST, id="ESP in UDP"),
        pytest.param(b"\4\0\0\0" + bytes(12) + FIRST, id="WireGuard"),
    ],
)
@pytest.mark.parametrize("port", [2152, 1701, 4500, 51820])
def test_signalling_and_ciphertext_have_no_checks(payload: bytes, port: int) -> None:
    frame = f.raw(over4 / UDP(sport=40000, dport=port) / Raw(payload))
    assert only_the_outer(frame) and verdicts(judge(frame)) == ["ip good", "udp good"]


# --- told -------------------------------------------------------------------------------------------


def test_told_port_is_read_where_nothing_else_would_be() -> None:
    damaged = f.put16(SWARM, PAYLOAD + 32, 0x1234)
    assert only_the_outer(damaged)
    use_tunnel_ports({"vxlan": [7789]})
    assert "ip1 bad" in " ".join(verdicts(judge(damaged)))
    use_tunnel_ports({"none": [7789]})
    assert only_the_outer(SWARM)
    use_tunnel_ports()
    assert not only_the_outer(SWARM)


@pytest.mark.parametrize("ports", [{"vxlan": [0]}, {"vxlan": [65536]}, {"vxlna": [5555]}, {"": [5555]}])
def test_port_or_kind_that_is_none_is_refused_and_changes_nothing(ports: dict[str, list[int]]) -> None:
    use_tunnel_ports({"none": [7789]})
    with pytest.raises(ConfigError):
        use_tunnel_ports({"vxlan": [7789]} | ports)
    assert only_the_outer(SWARM)


# --- pseudowires ------------------------------------------------------------------------------------


@pytest.mark.parametrize("mac", ["44:55:02:00:00:01", "45:00:00:50:12:34", "60:00:00:00:00:33", "6c:00:00:00:06:40"])
@pytest.mark.parametrize("word", [b"", bytes(4)], ids=["bare", "control word"])
def test_nothing_is_ever_written_into_an_address(mac: str, word: bytes) -> None:
    right = f.raw(pseudowire(FIRST, mac, word))
    k = judge(right)[-1]
    wrong = f.put16(right, k.offset, k.stored ^ 0x1101)
    batch = judged(wrong, expected=True)
    pktmend.Repair("all")(batch)
    assert bytes(batch.frame(0)) == right


@pytest.mark.parametrize("mac", ["45:00:00:50:12:34", "46:00:00:30:12:34", "60:00:00:00:00:33", "00:00:5e:00:53:01"])
def test_pseudowire_of_what_is_not_known_is_not_guessed(mac: str) -> None:
    lldp = Ether(src="46:00:00:40:11:22", dst=mac, type=0x88CC) / Raw(b"\2\7\4" + FIRST)
    frame = f.raw(f.ether / MPLS(label=16, s=1) / Raw(f.raw(lldp)))
    flags, _, checks = _core.inspect(frame, flags=LIVE)
    assert not checks and not flags & PacketFlag.MALFORMED


@pytest.mark.parametrize(("field", "value"), [(2, 0x0111), (10, 0x1234)])
def test_damaged_header_behind_mpls_is_found(field: int, value: int) -> None:
    right = f.raw(f.ether / MPLS(label=16, s=1) / tcp4 / FIRST)
    assert verdicts(judge(right)) == ["ip good", "tcp good"]
    assert verdicts(judge(f.put16(right, 18 + field, value)))[0].startswith("ip bad")


def test_inner_ipv6_of_a_pseudowire_is_no_ip_header_of_its_own() -> None:
    frame = Ether(src="02:00:00:00:01:01", dst="60:00:00:00:00:33") / IPv6(src="fd09::1", dst="fd09::2") / f.udp / FIRST
    checks = judge(f.raw(f.ether / MPLS(label=16, s=1) / Raw(f.raw(frame))))
    assert verdicts(checks) == ["udp good"]


def test_padded_packet_behind_mpls_is_found() -> None:
    frame = f.raw(f.ether / MPLS(label=16, s=1) / IP(src="10.9.0.1", dst="10.9.0.2") / f.udp)
    assert verdicts(judge(frame.ljust(60, b"\0"))) == ["ip good", "udp good"]


def test_frame_without_ip_in_a_tunnel_is_no_defect() -> None:
    """LLDP between switches that VXLAN joins: nothing to check inside, and the outer sum may be missing over IPv6."""
    lldp = Ether(src="02:00:00:00:01:01", dst="01:80:c2:00:00:0e", type=0x88CC) / Raw(b"\2\7\4" + FIRST)
    frame = f.raw(over6 / UDP(sport=9, dport=4789, chksum=0) / VXLAN(flags=8) / lldp)
    assert verdicts(judge(frame)) == ["udp absent"]


@pytest.mark.parametrize("port", [2152, 6080])
def test_inner_ipv6_of_any_protocol_is_the_tunnels_packet(port: int) -> None:
    """An experiment (RFC 3692) has nothing that could be compared; version and length have."""
    inner = IPv6(src="fd09::1", dst="fd09::2", nh=253) / Raw(b"\3\1\0\x40" + FIRST[4:])
    head = struct.pack("!BBHI", 0x30, 255, len(f.raw(inner)), 7) if port == 2152 else b"\0\x29\0\0"
    frame = f.raw(udp(port, head, inner, below=f.ether / IPv6(src="fd07::1", dst="fd07::2")))
    assert verdicts(judge(frame)) == ["udp good"]
    assert verdicts(judge(f.put16(frame, 14 + 40 + 6, 0))) == ["udp absent"]
