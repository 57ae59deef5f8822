"""The causes that need a witness, nat-delta and nat-on-zero: another packet shows what was translated.

Frames and sums come from scapy, an RFC or a public bug report, never from the code under test.
"""

from __future__ import annotations

import struct
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from scapy.all import ICMP, IP, TCP, UDP, VXLAN, Ether, IPv6, Raw, wrpcap

import frames as f
from carriers import over4
from judging import FIRST, LIVE, SECOND, verdicts
from pktmend import Batch, Capture, Cause, Frames, Pipeline, classify, verify

A, B, D = "10.7.0.1", "203.0.113.9", "198.51.100.7"
A6, B6, D6 = "fd07::1", "2001:db8::9", "2001:db8:1::7"


def flow(*frames: bytes, flags: int = LIVE, link: int = 1) -> list[str]:
    """Return the verdict on the last check of each packet of one batch."""
    batch = Frames(frames, flags=flags, link=link).batch()
    verify(batch)
    classify(batch)
    return [verdicts(batch.checks_of(i))[-1] for i in range(len(batch))]


def segment(
    source: str,
    target: str,
    sport: int,
    dport: int,
    seq: int = 1000,
    ack: int = 2000,
    payload: bytes = FIRST,
    flags: str = "PA",
) -> Any:
    ip = IPv6 if ":" in source else IP
    return f.ether / ip(src=source, dst=target) / TCP(sport=sport, dport=dport, seq=seq, ack=ack, flags=flags) / payload


def datagram(source: str, target: str, sport: int, dport: int, payload: bytes = FIRST) -> Any:
    ip = IPv6 if ":" in source else IP
    return f.ether / ip(src=source, dst=target) / UDP(sport=sport, dport=dport) / payload


def field(packet: Any) -> int:
    """Return what scapy writes into the checksum field."""
    return f.get16(f.raw(packet), f.field_offset(packet))


def with_field(packet: Any, value: int) -> bytes:
    """Return the frame with another checksum."""
    return f.put16(f.raw(packet), f.field_offset(packet), value)


def update(value: int, *changes: tuple[bytes, bytes]) -> int:
    """RFC 1624 equation 3 over 16-bit words, as Linux does it for a NAT: a result of 0 is written as ffff."""
    for before, now in changes:
        for i in range(0, len(before), 2):
            total = (~value & 0xFFFF) + (~f.get16(before, i) & 0xFFFF) + f.get16(now, i)
            while total >> 16:
                total = (total & 0xFFFF) + (total >> 16)
            value = ~total & 0xFFFF
    return value or 0xFFFF


def octets(address: str) -> bytes:
    return f.raw(IP(src=address))[12:16]


def port(number: int) -> bytes:
    return struct.pack("!H", number)


def test_update_is_rfc1624s() -> None:
    """Section 4: the header's sum DD2F, a field that changes from 5555 to 3285; here as for UDP, where 0000 is ffff."""
    assert update(0xDD2F, (b"\x55\x55", b"\x32\x85")) == 0xFFFF


@pytest.mark.parametrize("make", [segment, datagram])
@pytest.mark.parametrize(("source", "outside", "target"), [(A, B, D), (A6, B6, D6)], ids=["IPv4", "IPv6"])
@pytest.mark.parametrize("sport", [40000, 61234], ids=["address", "address-and-port"])
@pytest.mark.parametrize("is_late", [False, True], ids=["before", "after"])
def test_nat_delta_checksum_not_updated(
    make: Any, source: str, outside: str, target: str, sport: int, is_late: bool
) -> None:
    """A source NAT seen from both sides: the sum behind it is still scapy's sum before it."""
    before, behind = make(source, target, 40000, 443), make(outside, target, sport, 443)
    name = "tcp" if make is segment else "udp"
    frames = [f.raw(before), with_field(behind, field(before))]
    found = flow(*(reversed(frames) if is_late else frames))
    assert sorted(found) == [f"{name} bad nat-delta", f"{name} good"]
    assert flow(f.raw(before), f.raw(behind)) == [f"{name} good"] * 2
    alone = flow(with_field(behind, field(before)))  # the same wrong value, but nobody saw an address change
    assert alone in ([f"{name} bad corrupt"], [f"{name} bad bit-flip"])


@pytest.mark.parametrize("make", [segment, datagram])
def test_nat_delta_only_half_of_it_updated(make: Any) -> None:
    before, behind = make(A, D, 40000, 443), make(B, D, 61234, 443)
    address_only = field(make(B, D, 40000, 443))
    port_only = field(make(A, D, 61234, 443))
    twice = update(field(behind), (octets(A), octets(B)), (port(40000), port(61234)))
    for value in (address_only, port_only, twice):
        assert flow(f.raw(before), with_field(behind, value))[1].endswith("bad nat-delta")


def test_nat_delta_destination_and_both() -> None:
    """A service address becomes a pod's, and its port too; then with masquerading on top."""
    before = segment(A, "10.96.0.10", 40000, 80)
    assert flow(f.raw(before), with_field(segment(A, "10.7.3.4", 40000, 8080), field(before)))[1] == "tcp bad nat-delta"
    assert flow(f.raw(before), with_field(segment(B, "10.7.3.4", 5555, 8080), field(before)))[1] == "tcp bad nat-delta"


def test_nat_delta_pending_witness() -> None:
    """Before the NAT a container's segment has the seed only; behind it a device completed it over the old address."""
    before, behind = segment(A, D, 40000, 443), segment(B, D, 40000, 443)
    batch_frames = [f.leaked(before), with_field(behind, field(before))]
    assert flow(*batch_frames, flags=0) == ["tcp pending no-metadata", "tcp bad nat-delta"]


def test_nat_delta_inside_a_tunnel() -> None:
    """Seen on the pod's veth in the clear, and translated inside VXLAN: the outer sum is right over what is there."""
    before = segment(A, D, 40000, 443)
    behind = with_field(segment(B, D, 61234, 443), field(before))
    outer = f.raw(over4 / UDP(sport=9, dport=4789) / VXLAN(vni=5) / Raw(behind))
    assert flow(f.raw(before), outer) == ["tcp good", "tcp1 bad nat-delta"]


@pytest.mark.parametrize("is_reply_seen", [True, False])
def test_nat_delta_answer_from_another_address(is_reply_seen: bool) -> None:
    """A asked V; the answer comes from R with the sum that it had for V.  The question is the witness."""
    question = segment(A, D, 40000, 443, seq=1000, ack=2000)
    answer = segment(B, A, 443, 40000, seq=2000, ack=1064, payload=SECOND)
    as_asked = segment(D, A, 443, 40000, seq=2000, ack=1064, payload=SECOND)
    frames = [f.raw(question), with_field(answer, field(as_asked))]
    assert flow(*frames[not is_reply_seen :])[-1] == f"tcp bad {'nat-delta' if is_reply_seen else 'corrupt'}"
    stranger = segment(A, D, 40000, 443, seq=0x70000000, ack=0x60000000)  # the same ports, another connection
    assert flow(f.raw(stranger), frames[1])[-1] == "tcp bad corrupt"


def test_corrupt_although_an_address_would_explain_it() -> None:
    """Any difference is explained by some address; only one that was seen counts."""
    before, behind = segment(A, D, 40000, 443), segment(B, D, 61234, 443)
    would = field(segment("10.7.0.77", D, 50000, 443))
    assert flow(f.raw(before), with_field(behind, would))[1] == "tcp bad corrupt"
    others = [f.raw(segment(f"10.7.0.{i}", D, 40000 + i, 443, seq=i << 24)) for i in range(2, 200)]
    assert flow(*others, with_field(behind, would))[-1] == "tcp bad corrupt"


def test_corrupt_neighbours_of_equal_ports_are_no_witnesses() -> None:
    """NTP, IKE and DNS servers: hosts whose addresses differ by one bit talk to one server from one port."""
    neighbour = datagram("10.7.0.3", D, 123, 123, SECOND)
    mine = datagram("10.7.0.2", D, 123, 123, FIRST)
    frame = bytearray(f.raw(mine))
    frame[-1] ^= 1
    assert flow(f.raw(neighbour), bytes(frame))[1] == "udp bad bit-flip"


def test_repaired_twin_of_one_flow_is_not_nat() -> None:
    """A retransmission damaged in its payload has a twin, but of its own addresses."""
    good = f.raw(segment(A, D, 40000, 443))
    damaged = f.put16(good, 80, 0x5A5A)
    assert flow(good, damaged)[1] == "tcp bad corrupt"


def encapsulated(source: str, sport: int, *, n: int, payload: bytes = FIRST, size: int | None = None) -> Any:
    """The nth datagram of a VXLAN flow."""
    body = (payload * 3)[: size or len(payload)]
    inside = f.raw(Ether() / IP(src="10.42.1.2", dst="10.42.2.3") / TCP(sport=33000, dport=80, seq=n << 20) / body)
    return f.ether / IP(src=source, dst=D, id=n) / UDP(sport=sport, dport=4789) / Raw(b"\x08\0\0\0\0\0\1\0" + inside)


def outer(batch: Batch) -> list[str]:
    return [verdicts(batch.checks_of(i))[1] for i in range(len(batch))]


def outer_of(*frames: bytes) -> list[str]:
    batch = Frames(frames, flags=LIVE).batch()
    verify(batch)
    classify(batch)
    return outer(batch)


@pytest.mark.parametrize("rounds", [1, 2])
def test_nat_on_zero_with_the_zero_seen_before_the_nat(rounds: int) -> None:
    """The tunnel sends no sum; NAT updates the 0, once or in two hooks (Linux before ea64d8d6c675)."""
    before, behind = encapsulated(A, 50000, n=1), encapsulated(B, 61234, n=1)
    value = 0
    for _ in range(rounds):
        value = update(value, (octets(A), octets(B)), (port(50000), port(61234)))
    frames = [with_field(before, 0), with_field(behind, value)]
    assert outer_of(*frames) == ["udp absent", "udp bad nat-on-zero"]
    assert outer_of(*reversed(frames)) == ["udp bad nat-on-zero", "udp absent"]
    assert outer_of(frames[1])[0] in ("udp bad corrupt", "udp bad bit-flip")


def wanting(right: int) -> Any:
    """A VXLAN datagram whose right outer sum is *right*: the last word of its payload makes it so."""
    packet = encapsulated(A, 35133, n=1, payload=bytes(64))
    body = f.raw(packet[UDP].payload)
    word = (field(packet) - right) % 0xFFFF  # a larger word makes a smaller checksum
    return f.ether / IP(src=A, dst=D, id=1) / UDP(sport=35133, dport=4789) / Raw(f.put16(body, len(body) - 2, word))


def test_nat_on_zero_published_value_ffff_for_76dc() -> None:
    """The Kubernetes VXLAN bug: SYNs sent again, all with ffff, where the first wants 76dc.  The third proves it.

    Their right sums may be equal: where the inner sum is right, the payload cancels out of the outer one.
    """
    first = wanting(0x76DC)
    assert field(first) == 0x76DC
    frames = [with_field(packet, 0xFFFF) for packet in (first, *(encapsulated(A, 35133, n=n) for n in range(2, 5)))]
    assert [x.split()[-1] for x in outer_of(*frames[:1])] == ["corrupt"]
    assert [x.split()[-1] for x in outer_of(*frames[:2])] == ["corrupt"] * 2
    assert [x.split()[-1] for x in outer_of(*frames[:3])] == ["nat-on-zero"] * 3  # within a batch the first ones too


def test_nat_on_zero_one_value_over_payloads_and_lengths() -> None:
    value = update(0, (octets(A), octets(B)), (port(50000), port(61234)))
    packets = [encapsulated(B, 61234, n=n, size=64 + 7 * n) for n in range(1, 5)]
    assert len({field(p) for p in packets}) == 4  # their right sums differ
    assert outer_of(*(with_field(p, value) for p in packets)) == ["udp bad nat-on-zero"] * 4
    same = [encapsulated(B, 61234, n=n) for n in range(1, 5)]  # of one length it may be a translated seed
    assert {x.split()[-1] for x in outer_of(*(with_field(p, value) for p in same))} <= {"corrupt", "bit-flip"}


def test_nat_on_zero_where_the_tunnel_otherwise_carries_zero() -> None:
    value = update(0, (octets(A), octets(B)))
    zero = with_field(encapsulated(B, 50001, n=9), 0)  # another flow of the same pair of tunnel ends
    wrong = [with_field(encapsulated(B, 50000, n=n), value) for n in (1, 2)]
    assert outer_of(zero, *wrong) == ["udp absent"] + ["udp bad nat-on-zero"] * 2
    assert outer_of(zero, wrong[0], wrong[0])[1] in ("udp bad corrupt", "udp bad bit-flip")  # the same one again
    assert {x.split()[-1] for x in outer_of(*wrong)} <= {"corrupt", "bit-flip"}


def test_leaked_comes_before_any_translation() -> None:
    """A seed repeats over payloads of one length as well, and is what it is: leaked."""
    packets = [encapsulated(A, 50000, n=n) for n in range(1, 6)]
    assert set(outer_of(*(f.leaked(p) for p in packets))) == {"udp bad leaked"}


# --- the table belongs to the pipeline ------------------------------------------------------------


def named(path: Path) -> list[Cause]:
    """Return the cause of each packet of a capture."""
    found: list[Cause] = []

    def collect(batch: Batch) -> None:
        found.extend(map(Cause, batch.cause))

    with Capture(path) as source:
        Pipeline(source, [verify, classify, collect]).run()
    return found


def test_witness_is_remembered_from_batch_to_batch_but_not_by_another_pipeline(tmp_path: Path) -> None:
    def write(name: str, frames: list[bytes]) -> Path:
        path = tmp_path / name
        wrpcap(str(path), frames, linktype=1)
        return path

    before = segment(A, D, 40000, 443, seq=77, ack=0, flags="S")
    behind = with_field(segment(B, D, 61234, 443, seq=77, ack=0, flags="S"), field(before))
    filler = [f.raw(over4 / ICMP() / FIRST)] * 3000  # more than one batch
    together = write("together.pcap", [f.raw(before), *filler, behind])
    assert named(together)[-1] == Cause.NAT_DELTA
    alone = write("alone.pcap", [*filler, behind])
    assert named(alone)[-1] == Cause.CORRUPT
    with Capture(together) as one, Capture(alone) as other:  # the module's one stage object in two pipelines at once
        causes: dict[str, list[int]] = {"one": [], "other": []}

        def collect(name: str) -> Callable[[Batch], None]:
            return lambda batch: causes[name].extend(batch.cause)

        pipelines = [
            Pipeline(source, [verify, classify, collect(name)]) for name, source in (("one", one), ("other", other))
        ]
        for p in pipelines:
            p.start()
        for p in pipelines:
            p.wait()
    assert (causes["one"][-1], causes["other"][-1]) == (Cause.NAT_DELTA, Cause.CORRUPT)
