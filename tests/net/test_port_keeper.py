"""The port keeper, as a bridge asks it: programs that it holds first on a port, and offload features until the end."""

from __future__ import annotations

import os
import select
import signal
import socket
import struct
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import pytest

from line import Line
from pktmend._kernel import lib
from pktmend.commands.bridge import keeper as keepers
from pktmend.commands.bridge.keeper import PortKeeper
from pktmend.errors import OSFailure
from pktmend.host import clsact, ethtool, tcx
from pktmend.host.bpf_info import bpf as call
from pktmend.testbed import bpf
from tools import PATIENCE, until

UNSPEC = 0xFFFFFFFF  # TC_ACT_UNSPEC: whatever comes next decides


@pytest.fixture(params=["tcx", "clsact"])
def how(request: pytest.FixtureRequest, line: Line, monkeypatch: pytest.MonkeyPatch) -> str:
    """The mechanism; without tcx the keeper is told by the kernel's refusal, which is put between here."""
    if not line.node.call(lambda: tcx.is_supported(line.node.index("pa"))):
        pytest.skip("no tcx here: Linux 6.6")
    if request.param == "clsact":
        refuse = "from pktmend.host import tcx; tcx.is_supported = lambda index: False; "
        refuse += "from pktmend.commands.bridge import tc_ingress; tc_ingress.is_supported = tcx.is_supported; "
        main = "from pktmend.commands.bridge.keeper_process"
        monkeypatch.setattr(keepers, "START", keepers.START.replace(main, refuse + main))
    return str(request.param)


@pytest.fixture
def programs() -> Iterator[list[int]]:
    """One that drops ICMP and leaves the rest to others, twice."""
    code = [
        bpf.packet_byte(23),
        *bpf.unless(lib.BPF_JNE, bpf.R0, 1, bpf.leave(lib.TC_ACT_SHOT)),
        *bpf.leave(UNSPEC),
    ]
    loaded = [bpf.load(lib.BPF_PROG_TYPE_SCHED_CLS, code) for _ in range(2)]
    yield loaded
    for each in loaded:
        os.close(each)


@pytest.fixture
def keeper(line: Line, how: str) -> Iterator[PortKeeper]:
    """One in node's namespace, not sealed."""
    with line.node.call(PortKeeper) as made:
        yield made


def kernels(line: Line, name: str = "pa") -> list[int]:
    """The ids of the eBPF programs on its ingress, the first first, by both mechanisms."""
    index = line.node.index(name)
    first = [program for program, _ in line.node.call(lambda: tcx.query(index, "ingress"))]
    lines = line.node.run("tc", "filter", "show", "dev", name, "ingress").stdout.split()
    return first + [int(lines[at + 1]) for at, word in enumerate(lines) if word == "id"]


def identity(program: int) -> int:
    """The id of a loaded program."""
    import ctypes

    info = (ctypes.c_uint32 * 64)()
    call(lib.BPF_OBJ_GET_INFO_BY_FD, struct.pack("=IIQ", program, 256, ctypes.addressof(info)))
    return int(info[1])


@contextmanager
def put_first(line: Line, how: str, name: str) -> Iterator[int]:
    """Put another program, whose id is yielded, before all others on that ingress."""
    other = bpf.load(lib.BPF_PROG_TYPE_SCHED_CLS, bpf.leave(0))
    index = line.node.index(name)
    with ExitStack() as stack:
        stack.callback(os.close, other)
        if how == "tcx":
            stack.callback(line.node.call(lambda: tcx.Tcx(index, "ingress", other)).close)
        else:
            line.node.call(lambda: clsact.add_filter(index, other, preference=1, handle=7))
        yield identity(other)


def poll(keeper: PortKeeper, told: list[str]) -> Callable[[], bool]:
    def step() -> bool:
        keeper.poll(told.append)
        return bool(told)

    return step


def test_program_is_held_before_the_isolation(line: Line, keeper: PortKeeper, programs: list[int], how: str) -> None:
    """Both are there, in that order, and stay so when another is put before them; all goes with the keeper."""
    keeper.isolate("pa", "pb")
    keeper.hold("pa", *programs)
    keeper.seal()
    ours = {identity(each) for each in programs}
    assert kernels(line)[0] in ours
    assert [(each.purpose, each.mechanism, each.in_force) for each in keeper.states["pa"]] == [
        ("cut-through", how, True),
        ("isolation", how, True),
    ]
    told: list[str] = []
    with put_first(line, how, "pa") as other:
        until(poll(keeper, told))
        assert len(told) == 1, told
        assert told[0].endswith("was put before the cut-through and isolation; put first again"), told
        now = kernels(line)
        assert now[0] in ours and now[-1] == other
        assert all(each.in_force and each.overtaken == each.restored == 1 for each in keeper.states["pa"])
        keeper.close()
        assert kernels(line) == [other] and kernels(line, "pb") == []


def test_held_program_follows_an_interface_that_is_made_again(
    line: Line, keeper: PortKeeper, programs: list[int]
) -> None:
    keeper.hold("pb", *programs[:1])
    keeper.seal()
    line.node.run("ip", "link", "del", "dev", "pb")
    line.cross("pb")
    until(lambda: kernels(line, "pb") == [identity(programs[0])])
    told: list[str] = []
    keeper.poll(told.append)
    assert told == []
    keeper.close()
    assert kernels(line, "pb") == []


def test_filter_of_ours_that_is_replaced_is_not_ours(line: Line, keeper: PortKeeper, how: str) -> None:
    """Same preference, same handle, another program."""
    keeper.isolate("pa")
    keeper.seal()
    if how == "tcx":
        pytest.skip("a link is replaced by its owner")
    shown = line.node.run("tc", "filter", "show", "dev", "pa", "ingress").stdout.split()
    handle = shown[shown.index("handle") + 1]
    line.node.run(
        *("tc", "filter", "replace", "dev", "pa", "ingress", "pref", "1", "handle", handle),
        *("bpf", "da", "bytecode", "1,6 0 0 0"),
    )
    told: list[str] = []
    until(poll(keeper, told))
    assert told == ["pa: the isolation was removed from it; put back"]
    assert "1,6 0 0 0" not in line.node.run("tc", "filter", "show", "dev", "pa", "ingress").stdout


def test_hook_that_others_have_filled_is_no_obstacle(line: Line, keeper: PortKeeper, how: str) -> None:
    """The kernel takes 63 programs on a hook: ours gives its place up for a moment."""
    if how == "clsact":
        pytest.skip("clsact has no such limit")
    keeper.isolate("pa")
    keeper.seal()
    (ours,) = kernels(line)
    others = [bpf.load(lib.BPF_PROG_TYPE_SCHED_CLS, bpf.leave(0)) for _ in range(61)]
    index = line.node.index("pa")
    first = bpf.load(lib.BPF_PROG_TYPE_SCHED_CLS, bpf.leave(0))
    after = struct.pack("=8I", 0, index, lib.BPF_TCX_INGRESS, lib.BPF_F_AFTER, 0, 0, 0, 0)[4:]

    def attach_all() -> list[int]:
        return [call(lib.BPF_LINK_CREATE, struct.pack("=I", each) + after) for each in others]

    links = line.node.call(attach_all)
    assert kernels(line)[0] == ours and len(kernels(line)) == 62
    told: list[str] = []
    link = line.node.call(lambda: tcx.Tcx(index, "ingress", first))
    until(poll(keeper, told))
    assert told[0].endswith("put first again") and len(kernels(line)) == 63
    assert identity(first) == kernels(line)[1]
    link.close()
    for each in [*links, *others, first]:
        os.close(each)


def test_chain_that_nobody_is_sent_to_is_not_before_ours(line: Line, keeper: PortKeeper) -> None:
    line.node.run("tc", "qdisc", "add", "dev", "pa", "clsact")
    rule = ("pref", "1", "bpf", "da", "bytecode", "1,6 0 0 0")
    line.node.run("tc", "filter", "add", "dev", "pa", "ingress", "chain", "5", *rule)
    keeper.isolate("pa")
    keeper.seal()
    line.node.run("tc", "filter", "add", "dev", "pb", "ingress", *rule, check=False)  # an event
    keeper.poll(pytest.fail)
    assert keeper.states["pa"][0].in_force


@pytest.mark.parametrize("number", [signal.SIGTERM, 0])
def test_features_are_set_and_put_back(line: Line, keeper: PortKeeper, number: int) -> None:
    """Only those that can be changed, and were not so already; what somebody has changed since stays."""
    before = line.node.call(lambda: ethtool.features_of("pa"))
    wanted = {"rx-gro": not before["rx-gro"], "tx-checksum-ip-generic": False, "netns-local": True, "nonsense": True}
    changed = keeper.set_features("pa", wanted)
    assert changed == {"rx-gro": not before["rx-gro"], "tx-checksum-ip-generic": False}
    keeper.seal()
    during = line.node.call(lambda: ethtool.features_of("pa"))
    assert {name: during[name] for name in changed} == changed
    if number:
        os.kill(keeper.pid, number)  # it takes no notice
    keeper.close()
    assert line.node.call(lambda: ethtool.features_of("pa")) == before


def test_features_are_set_again_on_an_interface_that_is_made_again(line: Line, keeper: PortKeeper) -> None:
    line.node.offload("pb", tx=True)
    keeper.set_features("pb", {"tx-checksum-ip-generic": False})
    keeper.hold("pb", *(descriptor := bpf.load(lib.BPF_PROG_TYPE_SCHED_CLS, bpf.leave(0)),))
    os.close(descriptor)
    keeper.seal()
    line.node.run("ip", "link", "del", "dev", "pb")
    line.cross("pb")
    until(lambda: not line.node.call(lambda: ethtool.features_of("pb"))["tx-checksum-ip-generic"])
    keeper.close()
    assert line.node.call(lambda: ethtool.features_of("pb"))["tx-checksum-ip-generic"]


def test_what_cannot_be_done_is_an_error_that_says_so(line: Line, keeper: PortKeeper) -> None:
    with pytest.raises(OSFailure, match="nowhere"):
        keeper.isolate("nowhere")
    keeper.isolate("pa")  # it goes on
    keeper.seal()


def test_sealed_it_takes_no_requests(line: Line, keeper: PortKeeper) -> None:
    """Whoever takes the bridge over gets nothing from a process that has CAP_NET_ADMIN."""
    from pktmend.commands.bridge import keeper_messages

    keeper.isolate("pa")
    keeper.seal()
    before = line.node.call(lambda: ethtool.features_of("pb"))
    control = socket.socket(fileno=os.dup(keeper.fileno()))  # as one who has taken the bridge over
    for _ in range(100):
        keeper_messages.send(control, {"features": "pb", "wanted": {"rx-gro": not before["rx-gro"]}})
        keeper_messages.send(control, {"isolate": "pb"}, [control.fileno()])
    assert kernels(line, "pb") == [] and line.node.call(lambda: ethtool.features_of("pb")) == before
    until(lambda: len(list(Path(f"/proc/{keeper.pid}/fd").iterdir())) < 20)
    control.close()
    keeper.close()
    assert kernels(line) == []


def test_sealed_it_switches_gro_of_granted_ports_alone(line: Line, keeper: PortKeeper) -> None:
    """Of what is sent to it, two bytes for a port that was granted are heeded; all is put back at the end."""

    def gro(name: str) -> bool:
        return line.node.call(lambda: ethtool.features_of(name))["rx-gro"]

    line.node.offload("pb", gro=True)
    assert not keeper.grant_gro("pb")  # on already: it stays as it is
    assert keeper.grant_gro("pa")
    keeper.seal()
    control = socket.socket(fileno=os.dup(keeper.fileno()))
    for said in (b"\x01\x00", b"\xff\x01", b"\x00", b"\x00\x01\x01"):  # no such port; too short; cut to two bytes
        control.send(said)
    control.close()
    until(lambda: gro("pa"), "three bytes say what their first two say")
    assert gro("pb")
    keeper.switch_gro("pa", on=False)
    until(lambda: not gro("pa"))
    keeper.switch_gro("pa", on=True)
    until(lambda: gro("pa"))
    line.node.run("ip", "link", "del", "dev", "pa")
    line.testbed.veth(line.a, "eth0", line.node, "pa")
    until(lambda: gro("pa"), "as it was wished for")
    keeper.close()
    assert not gro("pa") and gro("pb")


def test_keeper_ends_with_its_bridge(line: Line, keeper: PortKeeper) -> None:
    keeper.isolate("pa")
    keeper.seal()
    pid = keeper.pid
    keeper.close()
    until(lambda: not Path(f"/proc/{pid}").exists(), "its end", PATIENCE)


def test_bridge_that_ends_without_having_listened_gets_its_ports_back(line: Line, keeper: PortKeeper, how: str) -> None:
    keeper.isolate("pa", "pb")
    keeper.seal()
    with put_first(line, how, "pb"):
        assert select.select([keeper], [], [], PATIENCE)[0]  # told, and not read
        keeper.close()
        assert not is_kept(line, how, "pa") and len(kernels(line, "pb")) == 1


def test_links_of_an_interface_that_is_made_again_are_the_bridges_too(line: Line, keeper: PortKeeper, how: str) -> None:
    """The keeper is killed, and what it attached to the new interface lasts."""
    keeper.isolate("pa", "pb")
    keeper.seal()
    for _ in range(3):
        line.node.run("ip", "link", "del", "dev", "pb")
        line.cross("pb")
        until(lambda: is_kept(line, how, "pb"))
    told: list[str] = []
    time.sleep(1)  # it has nothing to say of it, but has handed the links over
    keeper.poll(told.append)
    os.kill(keeper.pid, signal.SIGKILL)
    until(lambda: line.node.call(poll(keeper, told)))
    assert is_kept(line, how, "pa") and is_kept(line, how, "pb") and len(told) == 2, told


def is_kept(line: Line, how: str, name: str) -> bool:
    shown = line.node.run("tc", "filter", "show", "dev", name, "ingress").stdout
    return bool(kernels(line, name)) if how == "tcx" else "1,6 0 0 2" in shown or bool(kernels(line, name))
