"""Partial checksums that nobody completed: switches, relays and NATs that lose what the kernel noted."""

from __future__ import annotations

from field_cases.captures import RAW, SLL, SLL2, Timed, eth, pcap, pcapng, sll, sll2
from field_cases.case import case
from field_cases.packets import ACK, PSH, SYN, Sum, address, flip, fold, partial, put16, seed_of, total, udp, zero
from field_cases.talk import A6, B6, MSS, A, B, Talk, framed, merged, noise, pings, questions, whole
from field_cases.wires import wire

NO_DAMAGE = "corruption bit-errors nat-without-update double-completion"
NOT_SURELY_HEALTHY = "offload-pending:certain nothing-wrong"


def unanswered(six: bool = False, times: int = 5) -> list[Timed]:
    a, b = (A6, B6) if six else (A, B)
    return merged(Talk(a, b, sum_a=partial).syns(times).packets, pings(a, b, 4))


@case(
    "metadata-lost offload-pending",
    f"{NOT_SURELY_HEALTHY} metadata-lost:certain {NO_DAMAGE}",
    why="SYNs with a partial sum, sent again in vain while ping passes; a firewall looks the same: nothing is certain",
    report="https://github.com/esnet/iperf/issues/882",
    variants=("ethernet", "vlan", "qinq", "sll", "raw", "sll2"),
)
def ovs_dpdk_syns(link: str) -> bytes:
    packets = unanswered()
    if link == "sll":
        return pcap(framed(packets, sll), SLL)
    if link == "raw":
        return pcap(packets, RAW)
    if link == "sll2":
        return pcap(framed(packets, lambda packet: sll2(packet, 3)), SLL2)
    tags = {"ethernet": (), "vlan": ((0x8100, 12),), "qinq": ((0x88A8, 100), (0x8100, 12))}[link]
    return pcap(framed(packets, lambda packet: eth(packet, packet[15], packet[19], tags=tags)))


@case(
    "metadata-lost offload-pending",
    f"{NOT_SURELY_HEALTHY} metadata-lost:certain {NO_DAMAGE}",
    why="XDP redirects between veths: IPv6 pings pass, iperf's SYNs stay partial",
    report="https://github.com/xdp-project/xdp-tutorial/issues/357",
)
def xdp_redirect_ipv6() -> bytes:
    return wire(unanswered(six=True))


@case(
    "metadata-lost",
    f"offload-pending nothing-wrong {NO_DAMAGE}",
    why="the same packets, taken beyond the sender as --at wire says",
    report="https://github.com/luigirizzo/netmap/issues/195",
    at_wire=True,
    variants=("tcp", "udp", "ipv6"),
)
def netmap_bridge_at_wire(kind: str) -> bytes:
    if kind == "udp":
        return wire(merged(questions(sum_=partial, sum_b=None), pings()))
    return wire(unanswered(six=kind == "ipv6", times=2))


@case(
    "metadata-lost",
    f"offload-pending:certain,likely nothing-wrong {NO_DAMAGE}",
    why="the server's SYN/ACKs hold the seed and the client, whose own sums are good, repeats its SYN; pings pass",
    report="https://github.com/p4lang/behavioral-model/issues/1280",
    variants=(3, 12),
)
def bmv2_synacks(times: int) -> bytes:
    talk = Talk(sum_b=partial)
    start = talk.seq_a, talk.seq_b
    for number in range(times):
        talk.send(True, SYN, options=MSS, seq=start[0])
        talk.send(False, SYN | ACK, options=MSS, seq=start[1], ack=start[0] + 1)
        talk.pause(min(2.0**number, 16))
    return wire(merged(talk.packets, pings(times=4)))


@case(
    "metadata-lost",
    f"offload-pending:certain nothing-wrong {NO_DAMAGE}",
    why="three pods behind the switch lose the note, a fourth (tx off) connects through the same switch",
    report="https://github.com/contiv/vpp/pull/297",
)
def three_pods_and_one_that_works() -> bytes:
    parts = [Talk(f"10.7.0.{n}", B, (40000 + n, 443), sum_a=partial, seed=n).syns(5).packets for n in (11, 12, 13)]
    parts += [pings(f"10.7.0.{n}", B, 3, time=1000.3 + n / 100) for n in (11, 12, 13)]
    good = whole(Talk("10.7.0.14", B, (40014, 443), seed=14))
    return wire(merged(*parts, good.packets))


@case(
    "metadata-lost",
    f"offload-pending:certain,likely nothing-wrong {NO_DAMAGE}",
    why="handshake good, answers of one server unfinished and sent again in vain, the client's good; other server good",
    variants=(1, 3),
)
def segments_stuck(stuck: int) -> bytes:
    talk = Talk().open()
    talk.ask(200)
    first = talk.seq_b
    for number in range(stuck):
        talk.send(False, PSH | ACK, noise(700 + number, number), sum_=partial)
    for again in range(5):
        talk.pause(0.2 * 2**again)
        talk.send(False, PSH | ACK, noise(700, 0), seq=first, sum_=partial)
    return wire(merged(talk.packets, pings(), whole(Talk(A, "10.7.0.3", (40100, 80), seed=5)).packets))


def updated(field: int, old: bytes, new: bytes) -> int:
    """RFC 1624, equation 3: the update of a finished sum."""
    return fold((field ^ 0xFFFF) + (total(old) ^ 0xFFFF) + total(new)) ^ 0xFFFF


def translated_seed(old_src: str, old_ports: bytes, new_ports: bytes) -> Sum:
    """A partial sum that a NAT updated as if it were finished."""

    def field(pseudo: bytes, segment: bytes) -> int:
        before = fold(total(pseudo) + (total(pseudo[:4]) ^ 0xFFFF) + total(address(old_src)))
        return updated(before, address(old_src) + old_ports, pseudo[:4] + new_ports)

    return field


@case(
    "metadata-lost",
    "corruption bit-errors nothing-wrong offload-pending",
    why="a Windows container's seed, un-DNATed by the switch as if it were a finished sum: one value, other contents",
    report="https://github.com/openvswitch/ovs-issues/issues/265",
    variants=(4, 9),
)
def seed_updated_as_finished(times: int) -> bytes:
    talk = Talk("192.168.240.220", "192.168.240.203", (40000, 30008))
    talk.sum_b = translated_seed("10.10.3.10", b"\0\x50", (30008).to_bytes(2, "big"))
    start = talk.seq_a, talk.seq_b
    for number in range(times):
        talk.send(True, SYN, options=MSS, seq=start[0])
        talk.send(False, SYN | ACK, options=MSS, seq=start[1], ack=start[0] + 1)
        talk.pause(2.0 ** min(number, 4))
    return wire(talk.packets)


@case(
    "metadata-lost",
    "corruption bit-errors nothing-wrong nat-without-update:certain",
    why="the field is the seed of the addresses before the translation, untouched: one value over different contents",
    variants=("tcp", "ipv6"),
)
def seed_of_untranslated(kind: str) -> bytes:
    a, b, old = (A6, B6, "fd99::9") if kind == "ipv6" else ("203.0.113.5", "203.0.113.80", "10.0.2.15")
    talk = Talk(a, b, sum_a=seed_of(old, b))
    talk.syns(6)
    return wire(merged(talk.packets, pings(a, b)))


@case(
    "nat-on-zero never-filled",
    "corruption bit-errors nothing-wrong",
    harmful=("VXLAN", "flannel"),
    why="a field of 0 got the incremental update of a NAT: one value over all contents of the flow",
    report="https://github.com/google/gvisor/issues/11960",
)
def zeroed_then_updated() -> bytes:
    value = updated(0, address("192.168.65.1") + b"\x4a\x88", address("172.17.0.2") + b"\x4a\x88")
    talk = Talk("192.168.65.1", "172.17.0.2", (61000, 19080), sum_a=lambda pseudo, segment: value)
    talk.open().ask(310)
    talk.send(True, PSH | ACK, noise(90))
    return wire(talk.packets)


@case(
    "metadata-lost",
    "nothing-wrong corruption bit-errors",
    also="offload-pending",
    why="the kernel noted the mark at the sender's port; at the receiver's the mark is gone and the field is the seed",
    report="https://github.com/bisdn/xdpd/issues/41",
    suffix=".pcapng",
    variants=("tcp", "udp"),
)
def two_interfaces_in_one_capture(kind: str) -> bytes:
    packets = merged(questions(sum_=partial, sum_b=None), pings()) if kind == "udp" else unanswered()
    out = []
    for time, packet in packets:
        proto, ping = packet[9], packet[9] == 1
        reply = ping and packet[15] == 2
        out.append((time, eth(packet, packet[15], packet[19]), 2 if ping or proto == 1 else 2 | 1 << 9))
        out.append((time + 2e-5, eth(packet, packet[15], packet[19]), 1 << 16 | (2 if not reply else 1)))
    return pcapng(sorted(out), 1, 1)


@case(
    "",
    "metadata-lost:certain offload-pending:certain nothing-wrong corruption bit-errors nat-without-update",
    why="one datagram with a partial sum, and nothing else: nobody can say",
    variants=("udp", "tcp-syn", "tcp-data"),
)
def one_packet(kind: str) -> bytes:
    talk = Talk(sum_a=partial)
    if kind == "udp":
        return wire([(1.0, udp(A, B, (5000, 5001), noise(99), sum_=partial))])
    talk.send(True, SYN if kind == "tcp-syn" else PSH | ACK, b"" if kind == "tcp-syn" else noise(512))
    return wire(talk.packets)


@case(
    "metadata-lost",
    "offload-pending:certain nothing-wrong",
    why="leaked SYNs beside a few damaged packets of another flow: both are said, neither hides the other",
    also="bit-errors corruption",
)
def leaked_beside_noise() -> bytes:
    other = whole(Talk("10.7.0.5", "10.7.0.6", (41000, 22), seed=8), 12)
    damaged = [
        (t, flip(p, -9, 1 << n % 8) if n % 17 == 9 and len(p) > 200 else p) for n, (t, p) in enumerate(other.packets)
    ]
    return wire(merged(unanswered(), damaged))


@case(
    "sctp-wrong-sum never-filled metadata-lost",
    "nothing-wrong corruption bit-errors",
    why="0 in TCP's field of every packet, sent again in vain while ping passes",
    also="never-filled",
)
def zero_tcp_in_vain() -> bytes:
    talk = Talk(sum_a=zero).syns(5)
    return wire(merged(talk.packets, pings()))


def clobbered(packet: bytes) -> bytes:
    """The completion of UDP's sum written where TCP's would be: 16 bytes behind the start."""
    return put16(packet, 20 + 16, total(packet[20:]) ^ 0xFFFF)


@case(
    "metadata-lost misplaced-completion offload-pending corruption",
    "nothing-wrong offload-pending:certain metadata-lost:certain nat-without-update bit-errors",
    why="an old hypervisor completes at TCP's offset: UDP keeps the seed, payload bytes 8 and 9 are overwritten",
    report="https://github.com/sh0rch/packetveil/issues/17",
)
def completion_into_payload() -> bytes:
    packets = [
        (
            1 + n / 10,
            clobbered(udp(A, B, (51820, 51820), b"\4\0\0\0" + bytes(6) + noise(90 + n, n), sum_=partial, ident=n)),
        )
        for n in range(12)
    ]
    return wire(packets)
