"""Unfinished sums: DHCP, tunnels, and the sender's own side."""

from __future__ import annotations

import struct

from field_cases.captures import NEEDS, NULL, OUT, SLL, SLL2, eth, loopback, pcap, pcapng, sll, sll2
from field_cases.case import INNOCENT, case
from field_cases.packets import (
    ACK,
    RST,
    Sum,
    constant,
    ip4,
    partial,
    put16,
    right,
    tcp,
    total,
    udp,
)
from field_cases.talk import A6, B6, Talk, framed, merged, noise, pings, questions, whole
from field_cases.tunnelled import geneve, ipip, vxlan
from field_cases.variants_leaked import updated
from field_cases.wires import wire


def dhcp(kind: int, xid: int, six: bytes = b"") -> bytes:
    """BOOTP with a message type."""
    head = struct.pack("!BBBBIHH", 1 if kind in (1, 3) else 2, 1, 6, 0, xid, 0, 0) + bytes(4)
    head += bytes(4) if kind in (1, 3) else bytes([192, 168, 122, 50])
    head += bytes(8) + b"\x52\x54\x00\x12\x34\x56" + bytes(10) + bytes(192) + b"\x63\x82\x53\x63"
    return head + bytes([53, 1, kind, 54, 4, 192, 168, 122, 1, 255]) + six + bytes(32)


def client_asks(kind: int, xid: int, at: float) -> tuple[float, bytes]:
    """From 0.0.0.0, finished by the client itself."""
    return at, udp("0.0.0.0", "255.255.255.255", (68, 67), dhcp(kind, xid), ident=int(at) & 0xFF)


@case("dhcp-raw-client metadata-lost", "nothing-wrong offload-pending:certain,likely",
      why="offers unfinished; asked on",
      report="virtio-win/kvm-guest-drivers-windows#1630")  # fmt: skip
def dhcp_offers_broadcast() -> bytes:
    out = []
    for number in range(4):
        at = 1000 + 2.0**number
        out.append(client_asks(1, 0x5151, at))
        answer = udp("192.168.122.1", "255.255.255.255", (67, 68), dhcp(2, 0x5151), sum_=partial, ident=number + 7)
        out.append((at + 0.001, answer))
    return pcap([(t, eth(p, 5 if p[12] == 0 else 1, 0xFFFFFFFFFF)) for t, p in out])


@case("dhcp-raw-client metadata-lost", "nothing-wrong offload-pending:certain,likely",
      why="offer taken, ACKs unfinished, in a VLAN", report="virtio-win/kvm-guest-drivers-windows#1630")  # fmt: skip
def dhcp_acks_vlan() -> bytes:
    server, client = "192.168.122.1", "192.168.122.50"
    out = [client_asks(1, 7, 1000), (1000.01, udp(server, client, (67, 68), dhcp(2, 7), ident=3))]
    for number in range(3):
        at = 1001 + 3.0 * number
        out.append(client_asks(3, 7, at))
        out.append((at + 0.01, udp(server, client, (67, 68), dhcp(5, 7), sum_=partial, ident=4 + number)))
    return pcap([(t, eth(p, 5 if p[12] == 0 else 1, 2, tags=((0x8100, 30),))) for t, p in out])


@case("offload-pending", INNOCENT, why="the capturing server's are unfinished, all answered; UDP, any")
def server_side_udp_any() -> bytes:
    packets = questions("10.2.0.9", "10.2.0.1", 8, sum_b=partial)
    more = questions("10.2.0.12", "10.2.0.1", 5, sum_b=partial, time=1000.7)
    return pcap([(t, sll(p, 4 if p[15] == 1 else 0)) for t, p in merged(packets, more)], SLL)


@case("offload-pending", INNOCENT, why="client's side, IPv6, with a good ping", report="subutai-io/p2p#1107")
def client_side_ipv6() -> bytes:
    talk = whole(Talk(A6, B6, (45678, 443), sum_a=partial, seed=8), 5)
    return wire(merged(talk.packets, pings(A6, B6)))


@case("offload-pending", INNOCENT, why="full segments sent again and again: path MTU; what is small is acknowledged",
      report="moby/moby#12565")  # fmt: skip
def pmtu_ipv6() -> bytes:
    talk = Talk("fd00::2", "2001:db8::80", (40222, 443), sum_a=partial, seed=12).open().ask(200)
    at = talk.seq_a
    for number in range(5):
        talk.send(True, ACK, noise(1428, 3), seq=at)
        talk.pause(0.3 * 2**number)
    talk.seq_a = at
    return wire(talk.packets)


@case("offload-pending", INNOCENT, why="one query on three interfaces of one host, then finished, answered",
      report="kubeovn/kube-ovn#2659")  # fmt: skip
def any_three_interfaces_udp() -> bytes:
    out = []
    for number in range(4):
        ports, data, at = (50100 + number, 53), noise(40, number), 1000.0 + number
        for step, (iface, sum_, direction) in enumerate(((5, partial, 0), (4, partial, 4), (2, right, 4))):
            out.append(
                (at + step * 4e-5, sll2(udp("10.16.0.9", "10.96.0.10", ports, data, sum_=sum_), iface, direction))
            )
        reply = udp("10.96.0.10", "10.16.0.9", ports[::-1], noise(90, number))
        for step, (iface, direction) in enumerate(((2, 0), (4, 0), (5, 4))):
            out.append((at + 0.002 + step * 4e-5, sll2(reply, iface, direction)))
    return pcap(out, SLL2)


@case("offload-pending", "metadata-lost corruption bit-errors", why="SYN and retransmissions, each thrice; IPv6",
      report="kubeovn/kube-ovn#2659")  # fmt: skip
def any_three_interfaces_syn6() -> bytes:
    out = []
    for time, packet in Talk("fd00:16::9", "fd00:16::a", (40001, 80), sum_a=partial, seed=4).syns(1).packets:
        for step, (iface, direction) in enumerate(((5, 0), (4, 4), (3, 4))):
            out.append((time + step * 3e-5, sll2(packet, iface, direction)))
    return pcap(out, SLL2)


def silent(sum_: Sum = partial, v6: bool = False) -> list:
    """SYNs that nobody answers, and pings that are answered."""
    ends = ("fd00:244::3", "fd00:244::4") if v6 else ("10.244.1.3", "10.244.2.4")
    out = []
    for flow in range(2):
        out += Talk(*ends, (43000 + flow, 80), sum_a=sum_, seed=flow + 61, time=1000 + flow * 0.2).syns(4).packets
    return merged(out, pings(*ends))


TUNNELS = {
    "vxlan-8472": lambda a, b, p: vxlan(a, b, p, port=8472),
    "vxlan-v6": lambda a, b, p: vxlan("2001:db8::" + a[-1], "2001:db8::" + b[-1], p),
    "vxlan-outer-good": lambda a, b, p: vxlan(a, b, p, sum_=right),
    "geneve": lambda a, b, p: geneve(a, b, p, sum_=right),
    "vxlan-12345": lambda a, b, p: vxlan(a, b, p, port=12345),
    "ipip": ipip,
}


@case("tunnel-inner-unfinished", "nothing-wrong corruption bit-errors", why="inner SYNs unfinished and unanswered",
      report="swarmpit/swarmpit#688 projectcalico/calico#4511", variants=TUNNELS)  # fmt: skip
def inner_unfinished(kind: str) -> bytes:
    out = []
    for time, packet in silent():
        ends = ("192.0.2.1", "192.0.2.2") if packet[15] == 3 else ("192.0.2.2", "192.0.2.1")
        out.append((time, TUNNELS[kind](*ends, packet)))
    return wire(out)


@case("tunnel-inner-unfinished", "nothing-wrong corruption bit-errors", why="inner DNS over IPv6 unfinished",
      report="kubeovn/kube-ovn#3045")  # fmt: skip
def inner_unfinished_udp6() -> bytes:
    inner = questions("fd00:10::3", "fd00:10::a", 5, sum_=partial, sum_b=None, again=5.0)
    return pcap(
        [(t, eth(geneve("192.0.2.1", "192.0.2.2", p))) for t, p in merged(inner, pings("fd00:10::3", "fd00:10::a"))]
    )


@case("metadata-lost tunnel-inner-unfinished", "nothing-wrong corruption bit-errors nat-without-update:certain",
      why="the outer sum is the seed, the inner is right", at_wire=True)  # fmt: skip
def outer_unfinished() -> bytes:
    inner = whole(Talk("10.9.0.1", "10.9.0.2", seed=6)).packets
    return pcap([(t, eth(vxlan("192.0.2.1", "192.0.2.2", p, sum_=partial))) for t, p in inner])


@case("bad-seed", "bit-errors corruption offload-pending:certain", why="flagged, but not the seed: DNAT's update, IPv6",
      report="cilium/cilium#28768")  # fmt: skip
def bad_seed_ipv6() -> bytes:
    sum_ = updated(partial, ("fd00::1", "fd00:f::1"), ("fd00::1", "fd00:2::8"))
    packets = Talk("fd00::1", "fd00:2::8", (40100, 80), seed=14, sum_a=sum_).syns(5).packets
    return pcapng([(t, eth(p), OUT | NEEDS) for t, p in packets])


@case("bad-seed", "bit-errors corruption", why="flagged datagrams whose seed lacks the length")
def bad_seed_no_length() -> bytes:
    packets = questions(sum_=lambda pseudo, segment: total(pseudo[:-2]), sum_b=None, times=5, again=2.0)
    return pcapng([(t, eth(p), OUT | NEEDS) for t, p in packets])


@case("metadata-lost misplaced-completion", "offload-pending:certain,likely nothing-wrong",
      why="completion written 4 bytes early: over the port to", report="microsoft/WSL#41137")  # fmt: skip
def completion_over_udp_port() -> bytes:
    out = []
    for number in range(6):
        packet = udp(
            "172.30.0.2",
            "10.0.0.53",
            (50777 + number * 31, 53),
            noise(44 + number, number),
            sum_=partial,
            ident=number + 1,
        )
        out.append((1000.0 + number * 2, put16(packet, 22, total(packet[16:]) ^ 0xFFFF)))
    return wire(merged(out, pings("172.30.0.2", "10.0.0.53")))


@case("metadata-lost", "bit-errors corruption nothing-wrong", why="userspace bridge: ping and ARP work, TCP does not",
      report="DPDK/grout#724", at_wire=True)  # fmt: skip
def userspace_bridge_tcp() -> bytes:
    return wire(silent())


@case("metadata-lost", "bit-errors corruption nothing-wrong", why="PPPoE behind a guest's router",
      report="opnsense/core#544", at_wire=True)  # fmt: skip
def pppoe_leaked() -> bytes:
    def wrap(packet: bytes) -> bytes:
        return eth(struct.pack("!BBHHH", 0x11, 0, 1, len(packet) + 2, 0x21) + packet, kind=0x8864)

    return pcap(framed(silent(), wrap))


@case("offload-pending ip-header-never-filled", "corruption bit-errors metadata-lost:certain,likely",
      why="loopback of Npcap: header sums 0, TCP's seed; it is answered", report="nmap/npcap#715")  # fmt: skip
def npcap_loopback_tcp() -> bytes:
    talk = whole(Talk("127.0.0.1", "127.0.0.1", (50001, 8000), sum_a=partial, sum_b=partial, seed=2))
    return pcap([(t, loopback(put16(p, 10, 0))) for t, p in talk.packets], NULL)


@case("offload-pending", "ip-header-never-filled:likely,certain corruption", why="UDP on loopback, header sums 0",
      report="nmap/npcap#715")  # fmt: skip
def npcap_loopback_udp() -> bytes:
    packets = questions("127.0.0.1", "127.0.0.1", 5)
    return pcap([(t, loopback(put16(p, 10, 0))) for t, p in packets], NULL)


@case("ip-header-never-filled offload-pending", "corruption bit-errors nothing-wrong",
      why="one way RTP: header sum 0, UDP right; others' good", report="forum.netgate.com/topic/20013")  # fmt: skip
def header_zero_rtp_among_good() -> bytes:
    out = []
    for number in range(30):
        segment = udp("10.6.0.1", "10.6.0.2", (16384, 16386), noise(172, number))[20:]
        packet = ip4("10.6.0.1", "10.6.0.2", 17, segment, ident=number, sum_=constant(0))
        out.append((1000 + number * 0.02, packet))
    return wire(merged(out, whole(Talk("10.6.0.3", "10.6.0.2", seed=4)).packets))


@case("offload-pending", "metadata-lost corruption bit-errors ip-header-never-filled:certain",
      why="sender's: header sum 0 and TCP's seed together, acknowledged")  # fmt: skip
def header_zero_and_seed() -> bytes:
    talk = whole(Talk(sum_a=partial, seed=77), 4)
    return wire([(t, put16(p, 10, 0) if p[15] == 1 else p) for t, p in talk.packets])


@case("metadata-lost offload-pending", "nothing-wrong corruption bit-errors offload-pending:certain",
      why="RSTs without an answer: nothing tells where this was taken")  # fmt: skip
def resets_only() -> bytes:
    out = [
        (1000.0 + n, tcp("10.3.0.1", "10.3.0.2", (80, 40000 + n), 0, 7 + n, RST | ACK, sum_=partial)) for n in range(6)
    ]
    return wire(out)
