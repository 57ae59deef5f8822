"""What a batch shows beside the engine's columns: endpoints, as scapy reads them; its checks and itself in words."""

from __future__ import annotations

from ipaddress import ip_address

import numpy
import pytest
from scapy.all import ARP, GRE, ICMP, IP, SCTP, TCP, UDP, VXLAN, Dot1Q, Ether, IPv6, Packet, SCTPChunkInit, fragment
from scapy.contrib.gtp import GTP_U_Header

import frames as f
from pktmend import Batch, Capture, Cause, CheckFlag, Frames, Pipeline, Proto, Reason, Status, classify, verify
from pktmend.records import Kernel, Layer

PACKETS: dict[str, Packet] = {
    "tcp": f.ether / f.ip4 / TCP(sport=1, dport=65535),
    "udp": f.ether / f.ip4 / UDP(sport=256, dport=1) / f.PAYLOAD,
    "udp6": f.ether / f.ip6 / UDP(sport=5000, dport=53) / f.PAYLOAD,
    "tcp6": f.ether / IPv6(src="fd00:1:2:3:4:5:6:7", dst="ff02::fb") / TCP(sport=443, dport=50000),
    "vlan": Ether() / Dot1Q(vlan=7) / f.ip4 / UDP(sport=9, dport=10) / f.PAYLOAD,
    "sctp": f.ether / f.ip4 / SCTP(sport=3868, dport=3869) / SCTPChunkInit(),
    "ping": f.ether / f.ip4 / ICMP() / f.PAYLOAD,
    "arp": f.ether / ARP(),
    "options": f.ether / IP(src="10.0.0.1", dst="10.0.0.2", options=b"\x94\x04\x00\x00") / TCP(sport=22, dport=23),
    "tunnel": f.ether / f.ip4 / UDP(sport=49152, dport=4789) / VXLAN() / f.ether / f.ip6 / f.tcp,
    "gre": f.ether / f.ip4 / GRE() / IP(src="1.2.3.4", dst="5.6.7.8") / UDP(sport=1, dport=2),
    "gtp": f.ether / f.ip4 / UDP(sport=2152, dport=2152) / GTP_U_Header() / IP(src="1.2.3.4") / f.tcp,
}


def endpoints_of(packet: Packet) -> tuple[bytes, bytes, int, int]:
    """As scapy reads the frame: the outermost IP header, and the header right behind it."""
    packet = Ether(f.raw(packet))
    outer = next((packet[kind] for kind in (IP, IPv6) if kind in packet), None)
    if outer is None:
        return bytes(16), bytes(16), 0, 0
    src, dst = (ip_address(text).packed.ljust(16, b"\0") for text in (outer.src, outer.dst))
    behind = outer.payload
    return src, dst, behind.fields.get("sport", 0), behind.fields.get("dport", 0)


def test_endpoints_are_those_of_the_outermost_headers() -> None:
    batch = Frames([f.raw(packet) for packet in PACKETS.values()]).batch()
    verify(batch)
    src, dst = numpy.asarray(batch.src), numpy.asarray(batch.dst)
    assert src.shape == dst.shape == (len(PACKETS), 16) and src.dtype == numpy.uint8
    found = {
        name: (src[i].tobytes(), dst[i].tobytes(), batch.sport[i], batch.dport[i]) for i, name in enumerate(PACKETS)
    }
    assert found == {name: endpoints_of(packet) for name, packet in PACKETS.items()}


@pytest.mark.parametrize("name", ["udp", "tcp6"])
def test_endpoints_of_a_cut_packet_are_zero_where_they_were_not_captured(name: str) -> None:
    whole = f.raw(PACKETS[name])
    src, dst, sport, dport = endpoints_of(PACKETS[name])
    header = 14 + (20 if name == "udp" else 40)
    batch = Frames([whole[:cut] for cut in range(header + 8)], wirelen=len(whole)).batch()
    verify(batch)
    for cut in range(len(batch)):
        seen = bytes(numpy.asarray(batch.src)[cut]), bytes(numpy.asarray(batch.dst)[cut])
        assert seen == ((src, dst) if cut >= header else (bytes(16), bytes(16)))
        assert (batch.sport[cut], batch.dport[cut]) in ((sport, dport), (0, 0))
        assert batch.sport[cut] == 0 or cut >= header + 4


def test_later_fragment_has_addresses_and_no_ports() -> None:
    fragments = fragment(f.ip4 / UDP(sport=7, dport=8) / (b"x" * 100), fragsize=48)
    batch = Frames([f.raw(f.ether / each) for each in fragments]).batch()
    verify(batch)
    assert len(batch) == 3
    assert all(bytes(row[:4]) == ip_address(f.ip4.src).packed for row in numpy.asarray(batch.src))
    assert list(batch.sport)[1:] == list(batch.dport)[1:] == [0, 0]


def test_endpoints_follow_the_batch(tmp_path_factory: pytest.TempPathFactory) -> None:
    """They are worked out anew for each batch, each stage's call, and once verify has looked."""
    from scapy.all import wrpcap

    path = tmp_path_factory.mktemp("capture") / "x.pcap"
    wrpcap(str(path), [f.raw(f.ether / f.ip4 / UDP(sport=n, dport=9) / b"x") for n in range(1, 3001)])
    seen: list[int] = []

    def first(batch: Batch) -> None:
        seen.extend(batch.sport)
        batch.frame(0)[34:36] = b"\0\0"

    def second(batch: Batch) -> None:
        assert batch.sport[0] == 0 and (len(batch) == 1 or batch.sport[1] != 0)

    with Capture(str(path)) as source:
        Pipeline(source, [verify, first, second]).run()
    assert seen == list(range(1, 3001))
    batch = Frames([f.raw(PACKETS["udp"])]).batch()
    assert batch.sport[0] == 0
    verify(batch)
    assert batch.sport[0] == 256


def test_view_of_endpoints_that_is_kept_is_refused_like_any_other(tmp_path_factory: pytest.TempPathFactory) -> None:
    from scapy.all import wrpcap

    path = tmp_path_factory.mktemp("capture") / "x.pcap"
    wrpcap(str(path), [f.raw(PACKETS["udp"])])
    kept = []
    with Capture(str(path)) as source:
        with pytest.raises(BufferError, match="still alive"):
            Pipeline(source, [verify, lambda batch: kept.append(batch.src)]).run()
        kept.clear()


def test_column_is_not_replaced() -> None:
    batch = Frames([f.raw(PACKETS["udp"])]).batch()
    with pytest.raises(AttributeError, match=r"write to elements of batch\.verdict"):
        batch.verdict = [1]  # type: ignore[misc, assignment]
    with pytest.raises(TypeError):
        batch.status[0] = 1


def test_check_speaks_in_words() -> None:
    batch = Frames([f.leaked(f.ether / f.ip4 / f.udp / f.PAYLOAD)], flags=1).batch()  # PacketFlag.METADATA
    verify(batch)
    classify(batch)
    ip, udp = batch.checks_of(0)
    assert (type(udp.proto), type(udp.status), type(udp.cause), type(udp.reason), type(udp.flags)) == (
        Proto,
        Status,
        Cause,
        Reason,
        CheckFlag,
    )
    right = f.raw(f.ether / f.ip4 / f.udp / f.PAYLOAD)[40:42].hex()
    stored = f.leaked(f.ether / f.ip4 / f.udp / f.PAYLOAD)[40:42].hex()
    assert repr(udp) == f"<Check udp at 40: bad, leaked, stored {stored}, expected {right}>"
    assert repr(ip).startswith("<Check ip at 24: good, stored ") and ip.depth == 0
    assert (
        repr(batch) == "<Batch of 1 packet, capacity 1>"
        and repr(Frames([]).batch()) == "<Batch of 0 packets, capacity 1>"
    )


def test_records_have_names() -> None:
    import pktmend

    kernels = pktmend.kernels()
    assert all(isinstance(each, Kernel) for each in kernels) and sum(each.active for each in kernels) == 1
    batch = Frames([f.raw(PACKETS["tcp"])]).batch()
    verify(batch)
    assert batch.layers_of(0) == [Layer(l3=14, l4=34, version=4, protocol=6)]
