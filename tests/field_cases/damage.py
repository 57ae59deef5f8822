"""Contents that were damaged: single bits, bursts, memory."""

from __future__ import annotations

from field_cases.captures import IN, VALID, Timed, pcapng
from field_cases.case import case
from field_cases.packets import ACK, PSH, flip, put, put16, sctp, udp
from field_cases.talk import A6, B6, A, B, Talk, merged, noise, questions, whole
from field_cases.wires import between, wire

DAMAGE = "nat-without-update nothing-wrong metadata-lost offload-pending wrong-arithmetic:certain"


def stream(times: int, seed: int = 1, size: int = 900) -> list[Timed]:
    """Data from A to B, acknowledged at times."""
    talk = Talk(seed=seed).open()
    for number in range(times):
        talk.send(True, PSH | ACK, noise(size + number % 50, number))
        if number % 3 == 2:
            talk.send(False, ACK)
    return talk.packets


@case(
    "bit-errors",
    DAMAGE,
    why="one bit here and there, other places each time, sent again whole",
    variants=("tcp", "udp", "ipv6"),
)
def single_bits(kind: str) -> bytes:
    if kind == "tcp":
        packets = stream(120)
    else:
        ends = (A6, B6) if kind == "ipv6" else (A, B)
        packets = [(1 + n / 50, udp(*ends, (5000, 5001), noise(300 + n, n), ident=n)) for n in range(120)]
    out = []
    for n, (time, packet) in enumerate(packets):
        if n % 23 == 11 and len(packet) > 200:
            out.append((time, flip(packet, 80 + n * 7 % 180, 1 << n % 8)))
            time += 0.05
        out.append((time, packet))
    return wire(sorted(out))


@case(
    "bit-errors",
    DAMAGE,
    why="a stuck bit: one bit at one place of the frame; packets that hold it already are good",
    variants=("tcp", "udp", "two-flows"),
)
def stuck_bit(kind: str) -> bytes:
    packets = stream(60)
    if kind == "udp":
        packets = [(1 + n / 50, udp(A, B, (5000, 5001), noise(300 + n, n), ident=n)) for n in range(60)]
    if kind == "two-flows":
        packets = merged(stream(40), whole(Talk("10.7.0.4", "10.7.0.5", (44, 55), seed=9), 15).packets)
    return wire([(t, put(p, 120, bytes([p[120] | 0x10])) if len(p) > 121 else p) for t, p in packets])


@case(
    "bit-errors",
    DAMAGE,
    why="one pattern of payload always loses the same bit: each copy of this segment is bad alike, all others are good",
)
def same_bit_in_every_copy() -> bytes:
    talk = Talk().open().ask(300)
    for n in range(20):
        talk.send(True, ACK, noise(1000, n))
    hole = talk.seq_a
    bad = flip(talk.send(True, ACK, noise(1000, 33)), 400, 0x04)
    talk.packets[-1] = (talk.time, bad)
    for n in range(5):
        talk.pause(0.2 * 2**n)
        again = talk.send(True, ACK, noise(1000, 33), seq=hole)
        talk.packets[-1] = (talk.time, flip(again, 400, 0x04))
    return wire(talk.packets)


@case(
    "corruption", DAMAGE + " bit-errors:certain", why="64 bytes zeroed in some of the packets", variants=("tcp", "udp")
)
def bursts(kind: str) -> bytes:
    packets = (
        stream(80)
        if kind == "tcp"
        else [(1 + n / 50, udp(A, B, (5000, 5001), noise(700, n), ident=n)) for n in range(80)]
    )
    return wire(
        [(t, put(p, 200 + n, bytes(64)) if n % 17 == 5 and len(p) > 600 else p) for n, (t, p) in enumerate(packets)]
    )


@case(
    "corruption",
    DAMAGE + " bit-errors:certain",
    why="a filter that XORs the payload and leaves the sums",
    report="https://github.com/faicker/ipt_xor/issues/1",
    variants=("udp", "tcp"),
)
def xored(kind: str) -> bytes:
    head = 52 if kind == "tcp" else 28
    packets = [p for p in stream(20) if p[1][15] == 1][2:] if kind == "tcp" else questions(times=12, sum_b=None)
    return wire(
        [
            (t, p[:head] + bytes(b ^ k for b, k in zip(p[head:], b"\x5a\x17\xc3" * 999, strict=False)))
            for t, p in packets
        ]
    )


@case(
    "vouched-for-bad corruption bit-errors",
    "nothing-wrong metadata-lost offload-pending nat-without-update",
    also="vouched-for-bad bit-errors corruption",
    why="damaged segments that the receiving kernel calls verified",
    report="https://github.com/kubernetes/kubernetes/issues/18898",
    suffix=".pcapng",
)
def verified_and_damaged() -> bytes:
    frames = [
        (t, flip(p, 300, 1 << n % 8) if n % 9 == 4 and len(p) > 400 else p) for n, (t, p) in enumerate(stream(60))
    ]
    return pcapng([(t, between(p), IN | VALID) for t, p in frames])


@case(
    "corruption bit-errors",
    "nat-without-update:certain,likely nothing-wrong metadata-lost offload-pending",
    why="one bad packet among three hundred",
    variants=("payload", "port", "header"),
)
def one_of_many(kind: str) -> bytes:
    packets = stream(200)
    index = next(n for n, (_, p) in enumerate(packets) if n > 90 and len(p) > 800)
    time, packet = packets[index]
    at = {"payload": 500, "port": 23, "header": 14}[kind]
    packets[index] = (time, flip(packet, at, 0x20))
    packets.append((packets[-1][0] + 0.3, packet))
    return wire(packets)


@case(
    "corruption bit-errors",
    "nat-without-update:certain,likely nothing-wrong metadata-lost offload-pending",
    why="IPv4 headers with a flipped bit now and then, other places",
)
def header_bits() -> bytes:
    return wire(
        [
            (t, flip(p, (1, 4, 5, 8, 13, 18)[n // 19 % 6], 1 << n % 8) if n % 19 == 7 else p)
            for n, (t, p) in enumerate(stream(120))
        ]
    )


@case(
    "corruption bit-errors",
    "nat-without-update sctp-wrong-sum:certain nothing-wrong metadata-lost",
    why="SCTP with a flipped bit in some packets, the others good",
)
def sctp_bits() -> bytes:
    packets = [(1 + n / 10, sctp(A, B, (36412, 36412), 77, b"\0\3\0\x50" + noise(76, n))) for n in range(60)]
    return wire([(t, flip(p, 60 + n % 20, 1 << n % 8) if n % 13 == 6 else p) for n, (t, p) in enumerate(packets)])


@case(
    "corruption bit-errors wrong-arithmetic",
    "nat-without-update nothing-wrong metadata-lost offload-pending",
    why="random values in the field of some packets: a card's memory, sent again good",
)
def random_fields() -> bytes:
    out: list[Timed] = []
    for n, (time, packet) in enumerate(stream(100)):
        if n % 19 == 4 and len(packet) > 400:
            out.append((time, put16(packet, 36, int.from_bytes(noise(2, n), "big"))))
            time += 0.21
        out.append((time, packet))
    return wire(sorted(out))
