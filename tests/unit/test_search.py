"""Parts of bare `pktmend diagnose` that need no network: what the kernel tells, what narrows it, in which order."""

from __future__ import annotations

from array import array
from dataclasses import dataclass
from typing import Any, cast

import pytest

from pktmend.commands.diagnose.match import OUTGOING, Track
from pktmend.commands.diagnose.search.listen import Heard, expression_of
from pktmend.commands.diagnose.search.path import find_path
from pktmend.commands.diagnose.search.target import Target, parse_target, split_address
from pktmend.enums import Cause, Status
from pktmend.errors import ConfigError, OSFailure
from pktmend.host.drop_counters import risen
from pktmend.host.drop_events import Flow, checksum_reasons, flow_of
from pktmend.host.model import Machine
from pktmend.host.namespaces import Namespace
from pktmend.runtime.tunnels import learn_tunnel_ports
from tools import run_pktmend

PENDING, GOOD = int(Status.PENDING), int(Status.GOOD)
LEAKED = Status.BAD + Cause.LEAKED
BIT_FLIP = Status.BAD + Cause.BIT_FLIP
A = Flow("10.0.1.1", 4000, "10.0.1.2", 8080)


def test_reasons_are_known_by_name_whatever_their_numbers() -> None:
    """As Linux 6.1 and 6.18 have them."""
    old = '{ 2, "NOT_SPECIFIED" }, { 5, "TCP_CSUM" }, { 47, "SKB_CSUM" }, { 7, "UDP_CSUM" })'
    assert checksum_reasons(old) == {"5": "TCP_CSUM", "47": "SKB_CSUM", "7": "UDP_CSUM"}
    new = '{ 10, "TCP_CSUM" }, { 14, "IP_CSUM" }, { 15, "IP_INHDR" }, { 85, "ICMP_CSUM" }'
    assert checksum_reasons(new) == {"10": "TCP_CSUM", "14": "IP_CSUM", "85": "ICMP_CSUM"}
    assert checksum_reasons("skbaddr=%p protocol=%u location=%p") == {}


@pytest.mark.parametrize(
    ("text", "flow"),
    [
        ("src=10.0.1.1:4000 dest=10.0.1.2:8080", A),
        ("src=[fd00::1]:4000 dest=[fd00::2]:8080", Flow("fd00::1", 4000, "fd00::2", 8080)),
        ("src=(efault) dest=10.0.1.2:8080", None),
        ("", None),
    ],
)
def test_flow_of_a_bad_tcp_packet(text: str, flow: Flow | None) -> None:
    assert flow_of(text) == flow


@pytest.mark.parametrize(
    ("word", "found"),
    [
        ("10.0.1.2", ("10.0.1.2", 0)),
        ("10.0.1.2:8080", ("10.0.1.2", 8080)),
        ("fd00::2", ("fd00::2", 0)),
        ("[fd00:0::2]:8080", ("fd00::2", 8080)),
        ("web-0", ("", 0)),
        ("default/web-0", ("", 0)),
    ],
)
def test_an_address_is_told_from_a_name(word: str, found: tuple[str, int]) -> None:
    assert split_address(word) == found


@pytest.mark.parametrize("word", ["10.0.1.2:0", "10.0.1.2:65536", "[fd00::2]:http", "10.0.1.2:²"])
def test_a_port_that_is_none_is_refused(word: str) -> None:
    with pytest.raises(ConfigError, match="no port"):
        split_address(word)


def test_target_narrows_by_address_and_by_namespace() -> None:
    other = Flow("10.0.1.2", 80, "10.0.1.1", 8080)
    by_address = parse_target("10.0.1.2:8080", Machine("6.18.0", ()))
    assert by_address.admits(2, A) and by_address.admits(2, None) is None
    assert by_address.admits(2, other) is False  # the port is another end's
    by_name = Target(namespace=2, addresses=frozenset({"10.0.1.2"}))
    assert by_name.admits(2, None) is True and by_name.admits(2, A) is True
    assert by_name.admits(3, A) is None  # addresses may be equal: the way of the packets will tell
    assert by_name.admits(3, None) is None and by_name.admits(3, Flow("10.9.9.9", 1, "10.9.9.8", 2)) is False
    assert Target().admits(0, None) is True


def test_target_that_is_nowhere_is_told() -> None:
    with pytest.raises(OSFailure, match=r"no network namespace, container or pod 'no-such-pod'.*EXPRESSION"):
        parse_target("no-such-pod", Machine("6.18.0", ()))


@pytest.mark.parametrize(
    ("argv", "code", "words"),
    [
        (("10.0.1.2:99999",), 2, b"no port"),
        (("no-such-pod",), 4, b"no-such-pod"),
        (("-c", "3"), 2, b"-i IFACE or -r FILE is missing"),
        (("--netns", "a", "b"), 2, b"both narrow"),
        (("tcp",), 2, b"-r FILE or -i IFACE"),
    ],
)
def test_what_cannot_be_searched_for_is_told(argv: tuple[str, ...], code: int, words: bytes) -> None:
    done = run_pktmend("diagnose", *argv)
    assert done.returncode == code and words in done.stderr and done.stderr.count(b"\n") == 1 and not done.stdout


def test_counters_that_are_new_count_from_zero() -> None:
    assert risen({"TcpInCsumErrors": 2}, {"TcpInCsumErrors": 5, "UdpInCsumErrors": 1, "IcmpInCsumErrors": 0}) == {
        "TcpInCsumErrors": 3,
        "UdpInCsumErrors": 1,
    }


def test_filter_takes_what_nat_leaves_and_tunnels() -> None:
    words = expression_of(A, is_dhcp=False).split(" or ")
    assert words[:3] == ["host 10.0.1.1", "host 10.0.1.2", "tcp port 4000"] and "udp port 4789" in words
    learn_tunnel_ports(["vxlan=4790", "fou=5555"], is_live=False)
    try:
        words = expression_of(A, is_dhcp=False).split(" or ")
    finally:
        learn_tunnel_ports([], is_live=False)
    assert words.count("udp port 4790") == 1 and "udp port 5555" in words
    assert "udp port 5555" not in expression_of(A, is_dhcp=False)
    assert expression_of(None, is_dhcp=False) == "" and "68" in expression_of(None, is_dhcp=True)


@dataclass
class Place:
    """What find_path() needs of an interface."""

    key: tuple[int, int]
    namespace: Namespace


def heard(inode: int, *packets: tuple[int, int, int]) -> Heard:
    """What one interface saw: (fingerprint, time in us, outcome) of each packet."""
    track = Track()
    track.prints = array("Q", [fingerprint for fingerprint, _, _ in packets])
    track.times = array("Q", [time * 1000 for _, time, _ in packets])
    track.numbers = array("Q", range(1, len(packets) + 1))
    track.outcomes = array("B", [outcome for _, _, outcome in packets])
    place = Place((inode, 1), Namespace(inode, ""))
    return Heard(cast(Any, place), "", track, cast(Any, None))


def way(taps: list[Heard], receiver: int) -> tuple[list[tuple[int, str]], tuple[int, int] | None]:
    """Return (namespace, outcome) of each step, and the hop."""
    distance = {each.interface.key: abs(receiver - each.interface.namespace.inode) for each in taps}
    path = find_path(taps, receiver, distance)
    assert path is not None
    return [(step.heard.interface.namespace.inode, step.outcome) for step in path.steps], path.hop


def test_hop_is_where_packets_turn_bad() -> None:
    """The same packets at four taps, given in no order; SYNs that were sent twice; answers are no steps back."""
    taps = [
        heard(4, (7, 40, LEAKED), (7, 1000040, LEAKED), (9, 60, GOOD | OUTGOING)),
        heard(1, (7, 10, PENDING | OUTGOING), (7, 1000010, PENDING | OUTGOING), (9, 90, GOOD)),
        heard(3, (7, 30, LEAKED | OUTGOING), (7, 1000030, LEAKED | OUTGOING), (9, 70, GOOD)),
        heard(2, (7, 20, PENDING), (7, 1000020, PENDING), (9, 80, GOOD | OUTGOING)),
    ]
    assert way(taps, 4) == ([(1, "pending"), (2, "pending"), (3, "leaked"), (4, "leaked")], (1, 2))


def test_damaged_packets_are_followed_by_those_that_are_not() -> None:
    """A damaged packet has another fingerprint, so that it is not known again before the damage."""
    taps = [
        heard(1, (5, 10, GOOD | OUTGOING), (6, 11, GOOD | OUTGOING), (7, 12, GOOD | OUTGOING)),
        heard(2, (5, 20, GOOD), (6, 21, GOOD), (7, 22, GOOD)),
        heard(3, (5, 30, GOOD | OUTGOING), (6, 31, GOOD | OUTGOING), (99, 32, BIT_FLIP | OUTGOING)),
        heard(4, (5, 40, GOOD), (6, 41, GOOD), (99, 42, BIT_FLIP)),
    ]
    assert way(taps, 4) == ([(1, "good"), (2, "good"), (3, "bit-flip"), (4, "bit-flip")], (1, 2))


def test_packets_that_one_tap_alone_has_kept_say_nothing_of_the_way() -> None:
    """Each tap keeps so many packets, from another moment on."""
    taps = [
        heard(2, (5, 20, GOOD), (6, 21, GOOD)),
        heard(3, (5, 30, GOOD | OUTGOING), (6, 31, GOOD | OUTGOING), (98, 32, BIT_FLIP | OUTGOING)),
        heard(4, (5, 40, GOOD), (6, 41, GOOD), (20, 50, GOOD), (21, 51, GOOD), (22, 52, GOOD), (99, 53, BIT_FLIP)),
    ]
    assert way(taps, 4) == ([(2, "good"), (3, "bit-flip"), (4, "bit-flip")], (0, 1))


def test_wrong_from_the_first_has_no_hop() -> None:
    taps = [heard(4, (7, 40, LEAKED)), heard(3, (7, 30, LEAKED | OUTGOING))]
    assert way(taps, 4) == ([(3, "leaked"), (4, "leaked")], None)
    assert find_path([heard(4, (7, 40, GOOD))], 4, {}) is None
