"""What a tunnel carries and nobody looks into is said, never passed over."""

from __future__ import annotations

from typing import Any

import pytest
from scapy.all import GRE, UDP, VXLAN, Ether, Raw
from scapy.contrib.mpls import MPLS

import frames as f
from carriers import nested
from judging import FIRST, judged, verdicts
from pktmend import Unread
from tunnel_carriers import TUNNELS, capwap, inner, over4, udp

LLDP = Ether(src="46:00:00:40:11:22", dst="44:55:02:00:00:01", type=0x88CC) / Raw(b"\2\7\4" + FIRST)
# 802.11: data from an access point, LLC/SNAP, IPv4 (IEEE 802.11-2020 section 9.3.2)
WIFI = b"\x08\x02\0\0" + bytes(18) + b"\0\0" + b"\xaa\xaa\3\0\0\0\x08\0"


def unread(packet: Any) -> Unread:
    return Unread(int(judged(f.raw(packet)).unread[0]))


@pytest.mark.parametrize("name", TUNNELS)
def test_all_of_a_known_tunnel_is_looked_into(name: str) -> None:
    assert unread(TUNNELS[name][1](FIRST)) == Unread.NONE


@pytest.mark.parametrize(
    ("packet", "reason"),
    [
        pytest.param(over4 / UDP(sport=40000, dport=4789) / Raw(FIRST), Unread.TUNNEL, id="no VXLAN behind its port"),
        pytest.param(over4 / UDP(sport=53, dport=4789) / Raw(FIRST), Unread.NONE, id="an answer to that port"),
        pytest.param(over4 / UDP(sport=2152, dport=2152) / Raw(b"\x32\1\0\4" + bytes(8)), Unread.NONE, id="GTP-U echo"),
        pytest.param(over4 / UDP(sport=2152, dport=2152) / Raw(b"\x30\xff\0\4" + bytes(12)), Unread.TUNNEL, id="GTP-U"),
        pytest.param(over4 / UDP(sport=9, dport=4789) / VXLAN(flags=8) / LLDP, Unread.NONE, id="LLDP in VXLAN"),
        pytest.param(f.ether / MPLS(label=16, s=1) / Raw(f.raw(LLDP)), Unread.PSEUDOWIRE, id="pseudowire of LLDP"),
        pytest.param(over4 / GRE(version=5) / Raw(FIRST), Unread.TUNNEL, id="GRE of version 5"),
        pytest.param(over4 / UDP(sport=40000, dport=51820) / Raw(b"\4\0\0\0" + FIRST), Unread.NONE, id="WireGuard"),
        pytest.param(udp(5247, capwap(0x03)[:3] + b"\x08" + bytes(20), b""), Unread.NONE, id="CAPWAP keep-alive"),
        pytest.param(udp(5247, b"\1\0\0\0\x17\xfe\xfd" + bytes(10), b""), Unread.ENCRYPTED, id="CAPWAP in DTLS"),
        pytest.param(udp(5247, b"\0\x10\3\x80\0\7\0\x80", FIRST), Unread.ENCAPSULATION, id="rest of a CAPWAP frame"),
        pytest.param(udp(5247, b"\0\x10\5\0" + bytes(4), FIRST), Unread.TUNNEL, id="CAPWAP of another binding"),
        pytest.param(udp(5247, b"", FIRST[32:]), Unread.TUNNEL, id="no CAPWAP behind its port"),
        pytest.param(nested(9, FIRST), Unread.DEPTH, id="nine headers"),
    ],
)
def test_reason_is_the_right_one(packet: Any, reason: Unread) -> None:
    assert unread(packet) == reason


@pytest.mark.parametrize("kind", [0x8200, 0x9000, 0x9110])
def test_80211_in_arubas_gre_is_read(kind: int) -> None:
    frame = f.raw(over4 / GRE(proto=kind) / Raw(WIFI + f.raw(inner.payload / FIRST)))
    assert verdicts(judged(frame).checks_of(0)) == ["ip good", "gre absent", "ip1 good", "tcp1 good"]
