"""Partial sums inside tunnels, and tunnels in which nothing is wrong."""

from __future__ import annotations

from field_cases.captures import Timed, eth, mac, pcap
from field_cases.case import INNOCENT, case
from field_cases.packets import ACK, SYN, Sum, echo, get16, ip6, partial, put, right, total, udp
from field_cases.talk import A6, B6, MSS, A, B, Talk, framed, merged, noise, pings, questions, whole
from field_cases.tunnelled import geneve, gre, gtp, ipip, mpls, vxlan
from field_cases.wires import wire

NODE1, NODE2 = "192.0.2.11", "192.0.2.12"
NODES6 = ("2001:db8:0:1::11", "2001:db8:0:1::12")
HIDDEN = "nothing-wrong corruption bit-errors nat-without-update offload-pending:certain"
HEALTHY = f"{INNOCENT} never-filled nat-on-zero length-fault"


def carried(packet: bytes, kind: str, a: str = NODE1, b: str = NODE2) -> bytes:
    """Put an inner packet into a tunnel between two nodes; answers go the other way."""
    back = packet[23] == 2 if packet[0] >> 4 == 6 else packet[15] == 2
    src, dst = (b, a) if back else (a, b)
    if kind.startswith("vxlan"):
        return vxlan(src, dst, packet, port=int(kind.partition("-")[2] or 4789))
    if kind.startswith("geneve"):
        return geneve(src, dst, packet, options=b"\1\2\0\1abcd" if kind.endswith("options") else b"")
    makers = {"gre": gre, "ipip": ipip, "gtp": gtp}
    if kind == "gre-key":
        return gre(src, dst, packet, key=0xBEEF)
    return makers[kind](src, dst, packet)


def lost(a: str = A, b: str = B) -> list[Timed]:
    """Inner SYNs that stay partial, sent again, and pings that pass."""
    return merged(Talk(a, b, sum_a=partial).syns(5).packets, pings(a, b, 5))


@case(
    "tunnel-inner-unfinished metadata-lost",
    HIDDEN,
    why="inner SYNs partial, sent again in vain; inner pings pass",
    report="https://github.com/mitchross/talos-argocd-proxmox/pull/1953",
    variants=("vxlan-4789", "vxlan-8472", "geneve", "geneve-options", "gre", "gre-key", "ipip", "gtp"),
)
def inner_never_finished(kind: str) -> bytes:
    return wire(framed(lost(), lambda packet: carried(packet, kind)))


@case(
    "tunnel-inner-unfinished metadata-lost",
    HIDDEN,
    why="the same with IPv6 inside, or outside",
    variants=("inside", "outside"),
)
def inner_never_finished_ipv6(kind: str) -> bytes:
    if kind == "inside":
        return wire(framed(lost(A6, B6), lambda packet: carried(packet, "vxlan-8472")))
    return wire(framed(lost(), lambda packet: carried(packet, "geneve", *NODES6)))


@case(
    "",
    f"nothing-wrong:certain {INNOCENT.replace('metadata-lost tunnel-inner-unfinished ', '')}",
    why="the same on a port that names no tunnel: recognised, or not understood, never surely healthy",
    report="https://github.com/weaveworks/weave/issues/2354",
    variants=("vxlan-5555", "vxlan-6784"),
)
def inner_never_finished_on_a_port_of_ones_own(kind: str) -> bytes:
    return wire(framed(lost(), lambda packet: carried(packet, kind)))


@case(
    "offload-pending",
    INNOCENT,
    why="taken at the node that sends: the inner sums are partial, the peer's good, all acknowledged",
    variants=("vxlan-8472", "geneve", "gre", "ipip", "gtp"),
)
def inner_pending_at_the_sender(kind: str) -> bytes:
    return wire(framed(whole(Talk(sum_a=partial)).packets, lambda packet: carried(packet, kind)))


@case(
    "offload-pending",
    INNOCENT,
    why="tunl0: raw IP of a Calico node, SYNs partial, SYN/ACKs come",
    report="https://github.com/projectcalico/calico/issues/4511",
)
def on_the_tunnel_device() -> bytes:
    return pcap(Talk("192.168.14.0", "192.168.5.137", (51708, 80), sum_a=partial).open().ask().packets, 101)


@case(
    "tunnel-inner-unfinished metadata-lost offload-pending",
    "nothing-wrong corruption bit-errors nat-without-update offload-pending:certain,likely",
    why="IPIP: a card finishes nothing inside; DNS asked again and again, inner pings pass",
    report="https://github.com/cloudnativelabs/kube-router/issues/1436",
)
def dns_in_ipip() -> bytes:
    asked = [
        (1000.1 + 5 * n, udp("10.230.68.8", "10.230.14.151", (51072, 53), noise(52), sum_=partial, ident=n))
        for n in range(4)
    ]
    inner = merged(asked, pings("10.230.68.8", "10.230.14.151", 9, every=2))
    return wire([(t, ipip(*((NODE1, NODE2) if p[15] == 8 else (NODE2, NODE1)), p)) for t, p in inner])


def as_if_finished(inner: bytes, a: str, b: str, options: bytes = b"") -> bytes:
    """Geneve whose outer sum was written as if the inner one were finished already (local checksum offload)."""
    at = 20 + 16
    done = put(inner, at, (total(inner[20:]) ^ 0xFFFF).to_bytes(2, "big"))
    value = get16(geneve(a, b, done, sum_=right, options=options), 26)
    return geneve(a, b, inner, sum_=lambda pseudo, segment: value, options=options)


@case(
    "tunnel-inner-unfinished metadata-lost",
    "nothing-wrong corruption bit-errors nat-without-update offload-pending:certain",
    why="outer sum written for a finished inner one, inner one never finished: both are wrong",
    report="https://github.com/antrea-io/antrea/pull/4250",
    variants=("plain", "options"),
)
def outer_written_ahead(kind: str) -> bytes:
    options = b"\1\2\0\1abcd" if kind == "options" else b""
    frames = [(t, as_if_finished(p, NODE1, NODE2, options)) for t, p in Talk(sum_a=partial).syns(5).packets]
    return wire(merged(frames, framed(pings(times=4), lambda packet: carried(packet, "geneve"))))


@case(
    "metadata-lost",
    "nothing-wrong corruption bit-errors nat-without-update offload-pending:certain",
    also="tunnel-inner-unfinished",
    why="the outer sum of VXLAN is the seed, always; what is inside is good; nobody answers, nodes ping each other",
    report="https://github.com/flannel-io/flannel/issues/1863",
    at_wire=True,
)
def outer_leaked() -> bytes:
    frames = [(t, vxlan(NODE1, NODE2, p, port=8472, sum_=partial)) for t, p in Talk().syns(5).packets]
    return wire(merged(frames, pings(NODE1, NODE2, 4)))


@case(
    "nothing-wrong",
    HEALTHY,
    why="tunnels in which all is good",
    report="https://github.com/freifunk-gluon/gluon/issues/3783",
    variants=("vxlan-4789", "geneve-options", "gre-key", "ipip", "gtp", "vxlan-over-ipv6"),
)
def healthy(kind: str) -> bytes:
    nodes = NODES6 if kind.endswith("ipv6") else (NODE1, NODE2)
    kind = "vxlan-4789" if kind.endswith("ipv6") else kind
    return wire(framed(whole(Talk()).packets, lambda packet: carried(packet, kind, *nodes)))


@case(
    "nothing-wrong",
    HEALTHY,
    why="outer sums that are right, over good inner packets",
    variants=("vxlan", "geneve"),
)
def healthy_with_outer_sum(kind: str) -> bytes:
    make = vxlan if kind == "vxlan" else geneve
    return wire([(t, make(NODE1, NODE2, p, sum_=right)) for t, p in whole(Talk()).packets])


@case(
    "nothing-wrong",
    HEALTHY,
    why="MPLS: IP under one and two labels, and Ethernet without a control word whose MAC begins with 4 or 6",
    variants=("ip", "two-labels", "mac-4", "mac-6"),
)
def mpls_healthy(kind: str) -> bytes:
    packets = whole(Talk()).packets
    if kind in ("ip", "two-labels"):
        labels = (16, 17) if kind == "two-labels" else (16,)
        return pcap(framed(packets, lambda packet: mpls(packet, *labels)))
    first = b"\x45" if kind == "mac-4" else b"\x60"
    return pcap(framed(packets, lambda p: mpls(first + mac(7)[1:] + mac(8) + b"\x08\x00" + p, 299)))


@case(
    "corruption bit-errors",
    "nat-without-update:certain nothing-wrong metadata-lost tunnel-inner-unfinished offload-pending",
    why="inner payload damaged in a few packets, outer sums absent",
    variants=("vxlan-4789", "gtp", "gre"),
)
def inner_damage(kind: str) -> bytes:
    frames = []
    for n, (time, packet) in enumerate(whole(Talk(), 14).packets):
        whole_frame = carried(packet, kind)
        if n % 13 == 5 and len(packet) > 150:
            whole_frame = put(whole_frame, len(whole_frame) - 20, bytes([whole_frame[-20] ^ 1 << n % 8]))
        frames.append((time, whole_frame))
    return wire(frames)


@case(
    "nothing-wrong not-understood",
    HEALTHY,
    why="what is encrypted inside UDP with a good sum, and ESP",
    variants=("wireguard", "esp"),
)
def opaque(kind: str) -> bytes:
    if kind == "wireguard":
        return wire(
            [(1 + n / 9, udp(A, B, (51820, 51820), b"\4\0\0\0" + noise(92 + n, n), ident=n)) for n in range(20)]
        )
    return wire([(1 + n / 9, ip6(A6, B6, 50, noise(96, n))) for n in range(20)])


@case(
    "nat-without-update",
    "nothing-wrong corruption bit-errors metadata-lost offload-pending tunnel-inner-unfinished",
    why="GTP-U whose outer source was rewritten without an update; what is inside is good",
    report="https://github.com/edgecomllc/eupf/issues/343",
    variants=(4, 40),
)
def gtp_outer_stale(times: int) -> bytes:
    def stale(src: str) -> Sum:
        return lambda pseudo, segment: right(bytes(map(int, src.split("."))) + pseudo[4:], segment)

    inner = whole(Talk("10.45.0.2", "1.1.1.1", (40000, 443)), times // 4).packets[:times]
    return wire([(t, gtp("10.233.78.174", "10.233.78.148", p, sum_=stale("10.233.78.9"))) for t, p in inner])


@case(
    "offload-pending",
    INNOCENT,
    why="inside a tunnel both directions progress though one host's sums are partial; the nodes differ from the hosts",
)
def inner_one_way() -> bytes:
    talk = Talk(sum_a=partial).open()
    for n in range(12):
        talk.ask(400 + n).answer(300)
    return wire([(t, vxlan(NODE1, NODE2, p, port=8472)) for t, p in talk.packets if p[15] == 1])


@case(
    "tunnel-inner-unfinished metadata-lost",
    "nothing-wrong corruption bit-errors nat-without-update offload-pending:certain,likely",
    why="only the answers of one pod are unfinished: SYN/ACKs again and again; the asking pod's sums are good",
)
def inner_synacks() -> bytes:
    talk = Talk(sum_b=partial)
    start = talk.seq_a, talk.seq_b
    for n in range(5):
        talk.send(True, SYN, options=MSS, seq=start[0])
        talk.send(False, SYN | ACK, options=MSS, seq=start[1], ack=start[0] + 1)
        talk.pause(2.0**n)
    return wire(framed(merged(talk.packets, pings(times=5)), lambda packet: carried(packet, "vxlan-8472")))


@case(
    "tunnel-inner-unfinished metadata-lost offload-pending",
    "nothing-wrong metadata-lost:certain offload-pending:certain corruption bit-errors nat-without-update",
    why="one inner SYN, partial: nobody can say",
)
def one_packet() -> bytes:
    return wire(framed(Talk(sum_a=partial).syns(1).packets, lambda packet: carried(packet, "vxlan-4789")))


@case(
    "nothing-wrong",
    HEALTHY,
    why="QinQ and VLAN inside VXLAN's Ethernet, ICMPv6 and fragments' first parts around",
)
def mixed() -> bytes:
    tagged = [(t, eth(p, tags=((0x88A8, 5), (0x8100, 6)))) for t, p in questions()]
    tagged += [(1010.0 + n, eth(echo(A6, B6, "request", 1, n, noise(30, n)))) for n in range(3)]
    return pcap(tagged)
