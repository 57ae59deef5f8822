"""DHCP: clients on raw sockets that check sums themselves."""

from __future__ import annotations

import struct

from field_cases.captures import IN, NEEDS, OUT, Timed, eth, pcap, pcapng
from field_cases.case import case
from field_cases.packets import Sum, partial, right, udp, zero
from field_cases.talk import noise
from field_cases.wires import between, wire

SERVER, CLIENT = "10.11.50.150", "10.11.50.77"
LOST = "nothing-wrong corruption bit-errors nat-without-update offload-pending:certain,likely"


def message(op: int, kind: int, number: int, *, seconds: int = 0) -> bytes:
    """BOOTP with a DHCP message type; 300 bytes, as most send."""
    head = struct.pack("!BBBBIHH", op, 1, 6, 0, 0x3903F326 + number, seconds, 0)
    addresses = bytes(4) + (bytes([10, 11, 50, 77]) if op == 2 else bytes(4)) + bytes(8)
    body = head + addresses + b"\x02\0\0\0\0\x01" + bytes(10 + 192)
    return (body + b"\x63\x82\x53\x63\x35\x01" + bytes([kind]) + b"\x36\x04\x0a\x0b\x32\x96\xff").ljust(300, b"\0")


def client(kind: int, number: int, seconds: int = 0, *, sum_: Sum = right) -> bytes:
    """DISCOVER (1) or REQUEST (3)."""
    return udp("0.0.0.0", "255.255.255.255", (68, 67), message(1, kind, number, seconds=seconds), sum_=sum_)


def server(kind: int, number: int, sum_: Sum, *, to: str = CLIENT) -> bytes:
    """OFFER (2) or ACK (5)."""
    return udp(SERVER, to, (67, 68), message(2, kind, number), sum_=sum_, ident=number + 50)


def starving(sum_: Sum, times: int = 5, *, to: str = CLIENT) -> list[Timed]:
    """The client discovers again and again, though each time an offer comes."""
    packets: list[Timed] = []
    for n in range(times):
        packets += [(1 + 7.0 * n, client(1, 0, 7 * n)), (1.001 + 7 * n, server(2, 0, sum_, to=to))]
    return packets


def leases(sum_: Sum, times: int = 3) -> list[Timed]:
    """Discover, offer, request, acknowledge."""
    packets: list[Timed] = []
    for n in range(times):
        packets += [(1.0 + 9 * n, client(1, n)), (1.01 + 9 * n, server(2, n, sum_))]
        packets += [(1.02 + 9 * n, client(3, n)), (1.03 + 9 * n, server(5, n, sum_))]
    return packets


@case(
    "dhcp-raw-client metadata-lost",
    LOST,
    why="offers with a partial sum, and the client asks as if none had come",
    report="https://github.com/harvester/harvester/issues/5160",
    variants=("unicast", "broadcast", "vlan", "two"),
)
def offers_ignored(kind: str) -> bytes:
    packets = starving(partial, 2 if kind == "two" else 6, to="255.255.255.255" if kind == "broadcast" else CLIENT)
    if kind == "vlan":
        return pcap([(t, eth(p, p[15], p[19], tags=((0x8100, 30),))) for t, p in packets])
    return wire(packets)


@case(
    "dhcp-raw-client metadata-lost",
    LOST,
    why="the request is repeated, the acknowledgment with its partial sum ignored",
    report="https://github.com/blueboxgroup/ursula/pull/242",
)
def acknowledgments_ignored() -> bytes:
    packets = [(1.0, client(1, 0)), (1.01, server(2, 0, right))]
    for n in range(4):
        packets += [(1.1 + 4.0 * n, client(3, 0, 4 * n)), (1.11 + 4.0 * n, server(5, 0, partial))]
    return wire(packets)


@case(
    "dhcp-raw-client metadata-lost offload-pending",
    "nothing-wrong corruption bit-errors nat-without-update",
    also="offload-pending dhcp-raw-client",
    suffix=".pcapng",
    why="the kernel's mark is on the offers, and the client ignores them all the same",
    report="https://github.com/weaveworks/ignite/issues/870",
)
def marked_and_ignored() -> bytes:
    return pcapng([(t, between(p), OUT | NEEDS if p[12] else IN) for t, p in starving(partial)])


@case(
    "offload-pending",
    "dhcp-raw-client:certain,likely metadata-lost corruption bit-errors nat-without-update",
    why="offers and acknowledgments are partial, and the client goes on: healthy",
    report="https://github.com/bloomberg/chef-bcpc/pull/2054",
    variants=(1, 4),
)
def partial_and_taken(times: int) -> bytes:
    return wire(leases(partial, times))


@case(
    "nothing-wrong",
    "dhcp-raw-client metadata-lost corruption bit-errors nat-without-update offload-pending",
    why="good sums, or none, and a client that gets its lease",
    variants=("good", "absent"),
)
def healthy(kind: str) -> bytes:
    return wire(leases(right if kind == "good" else zero))


@case(
    "nothing-wrong",
    "dhcp-raw-client metadata-lost corruption bit-errors nat-without-update offload-pending",
    why="good offers that the client ignores for another reason",
)
def ignored_for_another_reason() -> bytes:
    return wire(starving(right))


@case(
    "",
    "dhcp-raw-client:certain,likely metadata-lost:certain,likely nothing-wrong:certain offload-pending:certain",
    why="a client's discovers, partial, and no server anywhere",
)
def no_server() -> bytes:
    return wire([(1 + 7.0 * n, client(1, 0, 7 * n, sum_=partial)) for n in range(4)])


@case(
    "metadata-lost dhcp-raw-client offload-pending",
    "nothing-wrong corruption bit-errors nat-without-update metadata-lost:certain",
    why="DHCPv6: solicits again and again, advertisements partial",
)
def dhcp6() -> bytes:
    packets: list[Timed] = []
    for n in range(5):
        packets.append((1.0 + 2**n, udp("fe80::1", "ff02::1:2", (546, 547), b"\1abc" + noise(60))))
        packets.append((1.001 + 2**n, udp("fe80::2", "fe80::1", (547, 546), b"\2abc" + noise(90), sum_=partial)))
    return wire(packets)


@case(
    "dhcp-raw-client metadata-lost",
    "nothing-wrong corruption bit-errors nat-without-update",
    why="TFTP boot works on (the kernel's socket takes partial sums), only the raw DHCP client starves",
    report="https://github.com/projectcalico/felix/issues/40",
)
def only_dhcp_starves() -> bytes:
    packets = starving(partial)
    for n in range(6):
        packets.append((2.0 + n, udp(SERVER, "10.11.50.80", (69, 2070), noise(516, n), sum_=partial, ident=n)))
        packets.append((2.001 + n, udp("10.11.50.80", SERVER, (2070, 69), struct.pack("!HH", 4, n), ident=n)))
    return wire(sorted(packets))
