"""What the machine around a tap adds to a decision: senders, hops, counters; on machines made by hand.

a(eth0) -- (pa) node (pb) -- (eth0)b, tapped in b, which is our own namespace.
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from scapy.all import UDP, VXLAN, Ether

import frames as f
import tapes as t
from diagnosing import A, B, decide, decided, only, tap_of
from pktmend.advice.userspace_hops import find_userspace_hops
from pktmend.commands.diagnose.case import Case
from pktmend.commands.diagnose.causes import RootCause
from pktmend.commands.diagnose.decision import Confidence, Decision
from pktmend.commands.diagnose.facts.limits import Limit
from pktmend.commands.diagnose.facts.partial import HopKind, LossyHop, Partial, PortOf, SenderLeaves
from pktmend.commands.diagnose.facts.tap import Rising
from pktmend.commands.diagnose.host_context import HostContext
from pktmend.commands.diagnose.loss import decide_lost
from pktmend.host.model import Interface, Machine, NamespaceFacts, Reader, Tun
from pktmend.host.namespaces import Namespace

OURS, NODE, THEIRS = Namespace(1, "", is_own=True), Namespace(2, "", "node"), Namespace(3, "", "a")
TX_ON, TX_OFF = {"tx-checksum-ip-generic": True}, {"tx-checksum-ip-generic": False}
HOP = Reader("packet", 7, 4711, "relay", False, 3, False, False)


NOBODY = 1 << 22 | 1  # above the largest process id


def interface(namespace: Namespace, index: int, name: str, peer: tuple[Namespace, int], **more: Any) -> Interface:
    more.setdefault("features", TX_OFF)
    mac = f"02:00:00:00:{namespace.inode:02x}:{index:02x}"  # none of a frame's
    return Interface(namespace, index, name, "veth", True, 1500, mac, peer=peer, **more)


def machine(*, sender: dict[str, Any] | None = None, port: dict[str, Any] | None = None, errors: int = 0) -> Machine:
    """The machine; more facts of a's interface and of both ports, and b's counter."""
    eth0 = interface(OURS, 2, "eth0", (NODE, 3), addresses=(f"{B}/24",))
    pa = interface(NODE, 2, "pa", (THEIRS, 2), **(port or {}))
    pb = interface(NODE, 3, "pb", (OURS, 2), **(port or {}))
    far = interface(THEIRS, 2, "eth0", (NODE, 2), addresses=(f"{A}/24",), **({"features": TX_ON} | (sender or {})))
    return Machine(
        "6.18.0",
        (
            NamespaceFacts(OURS, (eth0,), {"TcpInCsumErrors": errors, "TcpInSegs": 100}, {}),
            NamespaceFacts(NODE, (pa, pb), {}, {}),
            NamespaceFacts(THEIRS, (far,), {}, {}),
        ),
    )


def leak(tmp_path: Path, after: Machine, before: Machine | None = None) -> Decision:
    """The decision on four leaked segments from a, seen live at b's interface."""
    path = t.pcap(tmp_path / "x", t.syns(A, B, 1, 4))
    [found] = decide(path, at_wire=True, live="eth0", host=HostContext(before or after, after, "eth0"))
    return found


def test_relay_between_the_sender_and_the_tap(tmp_path: Path) -> None:
    after = machine(port={"readers": (HOP,)}, errors=5)
    found = leak(tmp_path, after, machine(errors=2))
    assert decided([found]) == [("metadata-lost", "certain")] and found.limits == ()
    pa, pb = after.namespaces[1].interfaces
    assert only(found, SenderLeaves, Rising, LossyHop) == [
        SenderLeaves(after.namespaces[2].interfaces[0]),
        Rising({"TcpInCsumErrors": 3}, OURS),
        LossyHop(HopKind.PACKET, (pa, pb), "relay", 4711),
    ]
    assert [remedy.command for remedy in found.remedies] == ["pktmend offload -i eth0 --netns a set tx off"]
    assert found.bridge == "ip netns exec node pktmend bridge -i TO-HOP -I pb --finish TO-HOP"


def test_what_is_no_hop(tmp_path: Path) -> None:
    """Who watches, who keeps the mark, who reads a single interface, who has both."""
    for reader in (
        replace(HOP, program="tcpdump"),
        replace(HOP, keeps_metadata=True),
        replace(HOP, any_interface=True),
        replace(HOP, protocol=0),
        replace(HOP, protocol=0x888E),  # EAPOL alone, as wpa_supplicant
    ):
        assert only(leak(tmp_path, machine(port={"readers": (reader,)})), LossyHop) == [], reader
    one = replace(machine().namespaces[1].interfaces[0], readers=(HOP,))
    assert find_userspace_hops([one]) == ()
    [known] = find_userspace_hops([replace(one, readers=(replace(HOP, program="ovs-vswitchd"),))])
    assert known.is_switch and known.forwards and known.is_sure
    [xdp] = find_userspace_hops([replace(one, readers=(replace(HOP, kind="xdp"),))])
    assert (xdp.kind, xdp.forwards) == ("xdp", False)  # it may be a receiver


@pytest.mark.parametrize(
    ("program", "database"), [("relay", ""), ("ovs-vswitchd", "unix:/var/run/openvswitch/db.sock")]
)
def test_database_of_a_hop_that_cannot_be_asked(program: str, database: str) -> None:
    reader = replace(HOP, program=program, pid=1 << 30)  # no such process
    [hop] = find_userspace_hops(machine(port={"readers": (reader,)}).interfaces())
    assert hop.database == database


def test_open_vswitch_is_offered_its_option(tmp_path: Path) -> None:
    reader = replace(HOP, program="ovs-vswitchd", pid=1 << 30)
    found = leak(tmp_path, machine(port={"readers": (reader,), "master": "ovs-system", "master_kind": "openvswitch"}))
    assert [fact.interface.name for fact in found.facts if isinstance(fact, PortOf)] == ["pb", "pa"]
    assert found.remedies[-1].command == "ovs-vsctl set Open_vSwitch . other_config:userspace-tso-enable=true"


def test_xdp_program_of_which_nothing_is_known(tmp_path: Path) -> None:
    found = leak(tmp_path, machine(port={"xdp": "native"}))
    assert decided([found]) == [("xdp-hop", "likely")] and found.limits == (Limit.XDP_MAY_PASS,)
    assert [remedy.command for remedy in found.remedies][1:] == [
        f"ip netns exec node ip link set dev {name} xdp off" for name in ("pb", "pa")
    ]


def test_sender_that_completes_its_checksums(tmp_path: Path) -> None:
    found = leak(tmp_path, machine(sender={"features": TX_OFF}, port={"readers": (HOP,)}))
    assert decided([found]) == [("double-completion", "likely")] and found.limits == (Limit.TAP_BEFORE_TOO,)
    assert found.facts[-1] is Partial.SENDERS_COMPLETE and found.remedies == ()


def test_sender_is_a_tap_that_cannot_tell_its_program(tmp_path: Path) -> None:
    after = machine(sender={"tun": Tun(True, False, False, (NOBODY,))})
    found = leak(tmp_path, after)
    assert decided([found]) == [("tap-without-vnet-header", "certain")]
    assert only(found, LossyHop) == [LossyHop(HopKind.TAP, (after.namespaces[2].interfaces[0],), "", NOBODY)]


def test_sender_is_not_on_this_machine(tmp_path: Path) -> None:
    after = machine()
    other = replace(after, namespaces=after.namespaces[:2])
    found = leak(tmp_path, other)
    assert decided([found]) == [("metadata-lost", "likely")] and found.limits == (Limit.COMPLETED_TWICE,)
    assert only(found, SenderLeaves) == [] and found.remedies[0].command == "pktmend offload -i IFACE set tx off"


def test_counters_that_did_not_rise_are_no_evidence(tmp_path: Path) -> None:
    assert only(leak(tmp_path, machine(errors=5)), Rising) == []


def test_counters_of_a_namespace_that_is_not_near_are_no_evidence(tmp_path: Path) -> None:
    far = NamespaceFacts(Namespace(9, "", "far"), (), {"TcpInCsumErrors": 7}, {})
    after = machine(errors=5)
    after = replace(after, namespaces=(*after.namespaces, far))
    before = replace(after, namespaces=(*machine(errors=4).namespaces, replace(far, counters={})))
    assert only(leak(tmp_path, after, before), Rising) == [Rising({"TcpInCsumErrors": 1}, OURS)]


def test_what_was_pending_before_the_hop_was_not_completed_twice(tmp_path: Path) -> None:
    """Two taps have seen it; the sender's settings may have been changed since."""
    tap = tap_of(t.pcap(tmp_path / "x", t.syns(A, B, 1, 4)), at_wire=True, live="eth0")
    after = machine(sender={"features": TX_OFF})
    for was_pending, cause in ((True, "metadata-lost"), (False, "double-completion")):
        found = decide_lost(
            Case(tap, HostContext(after, after, "eth0")),
            tap.samples(),
            counts={},
            seen=(),
            confidence=Confidence.LIKELY,
            was_pending=was_pending,
        )
        assert found.cause == cause


def test_unanswered_at_the_sender_is_a_loss_only_if_there_is_a_hop(tmp_path: Path) -> None:
    """Seen live with the mark: partial checksums are healthy here; what happens further on is another question."""
    path = t.pcapng(
        tmp_path / "x",
        [(time, frame, 0) for time, frame in t.echo(A, B, 1)]
        + [(time, frame, t.PARTIAL) for time, frame in t.syns(A, B, 2, 4)],
    )
    for port, expected in (({}, ("offload-pending", "likely")), ({"readers": (HOP,)}, ("metadata-lost", "likely"))):
        after = machine(port=port)
        [found] = decide(path, live="eth0", host=HostContext(after, after, "eth0"))
        assert decided([found]) == [expected]
        assert (Partial.PERHAPS_FURTHER_ON in found.facts) is (not port)


def tunnelled(n: int) -> bytes:
    """Return a leaked SYN a > b in a VXLAN between two other hosts, whose UDP has no sum."""
    inner = Ether() / t.tcp(A, B, 4000, 80, n, 0, "S")["IP"]
    packet = t.ip("192.0.2.1", "192.0.2.2") / UDP(sport=9, dport=4789, chksum=0) / VXLAN(vni=7) / inner
    return f.put16(f.raw(packet), 14 + 20 + 16 + 50, f.seed(inner))


def test_sender_of_what_is_inside_a_tunnel(tmp_path: Path) -> None:
    """The owner of the inner source is asked, whoever wraps; Open vSwitch's TSO is no cure for what it has to wrap."""
    reader = replace(HOP, program="ovs-vswitchd", pid=1 << 30)
    after = machine(port={"readers": (reader,)})
    path = t.pcap(tmp_path / "x", [(n, tunnelled(n)) for n in range(3)])
    [found] = decide(path, at_wire=True, live="eth0", host=HostContext(after, after, "eth0"))
    assert decided([found]) == [("metadata-lost", "certain")]
    assert [remedy.command for remedy in found.remedies] == ["pktmend offload -i eth0 --netns a set tx off"]
    [offline] = decide(path, at_wire=True)
    assert decided([offline]) == [("tunnel-inner-unfinished", "likely")]
    assert A in offline.remedies[0].effect and "192.0.2.1" not in offline.remedies[0].effect


def test_tunnel_address_that_a_stranger_has_too(tmp_path: Path) -> None:
    """The sender is the tunnel's end where our neighbour's interface is; of two such nobody knows."""
    mine = replace(
        interface(THEIRS, 9, "vx", (NODE, 0), features=TX_ON, addresses=(f"{A}/24",)), kind="vxlan", peer=None
    )
    far = replace(interface(THEIRS, 2, "eth0", (NODE, 2), features=TX_ON, addresses=("192.0.2.1/24",)))
    other = Namespace(8, "", "other")
    stranger = replace(mine, namespace=other, mac="02:00:00:00:08:09")
    base = machine(port={"readers": (HOP,)})
    path = t.pcap(tmp_path / "x", [(n, tunnelled(n)) for n in range(3)])
    twin = replace(mine, index=10, name="vy", mac="02:00:00:00:03:10")
    for devices, known in (((mine,), True), ((mine, twin), False)):
        namespaces = (NamespaceFacts(THEIRS, (far, *devices), {}, {}), NamespaceFacts(other, (stranger,), {}, {}))
        after = replace(base, namespaces=(*base.namespaces[:2], *namespaces))
        [found] = decide(path, at_wire=True, live="eth0", host=HostContext(after, after, "eth0"))
        assert (found.remedies[0].command == "pktmend offload -i vx --netns a set tx off") is known, found.remedies


def test_program_that_writes_into_a_tap(tmp_path: Path) -> None:
    """Its guest is named, and no command that cannot run: a bridge needs a second interface."""
    after = machine()
    tap = replace(after.namespaces[0].interfaces[0], tun=Tun(True, False, False, (NOBODY,)), peer=None)
    alone = replace(after, namespaces=(replace(after.namespaces[0], interfaces=(tap,)),))
    found = leak(tmp_path, alone)
    assert found.cause is RootCause.METADATA_LOST and found.bridge is None
    assert only(found, LossyHop) == [LossyHop(HopKind.WRITER, (tap,), "", NOBODY)]
    assert [remedy.command for remedy in found.remedies] == [""] and "guest" in found.remedies[0].effect


def test_no_bridge_for_a_tun(tmp_path: Path) -> None:
    after = machine()
    tun = replace(after.namespaces[0].interfaces[0], tun=Tun(False, True, False, ()), peer=None)
    alone = replace(after, namespaces=(replace(after.namespaces[0], interfaces=(tun,)), *after.namespaces[1:]))
    assert leak(tmp_path, alone).bridge is None
    raw = t.pcap(tmp_path / "raw", [(n, frame[14:]) for n, frame in t.syns(A, B, 1, 4)], link=101)
    assert decide(raw, at_wire=True)[0].bridge is None
