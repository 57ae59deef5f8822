"""A program that is attached to an interface, by tcx and by clsact: first, told when it is not, put back, taken out."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Callable, Iterator

import pytest

from line import Line
from pktmend._kernel import lib
from pktmend.host import tcx
from pktmend.testbed import bpf
from pktmend.testbed.netns import end
from tools import until

Attach = Callable[..., tcx.Attachment]
FOREIGN = ("bpf", "da", "bytecode", "1,6 0 0 0")


@pytest.fixture
def programs() -> Iterator[list[int]]:
    """Two programs that drop, the same twice, and one that lets pass."""
    loaded = [bpf.load(lib.BPF_PROG_TYPE_SCHED_CLS, bpf.leave(v)) for v in (lib.TC_ACT_SHOT, lib.TC_ACT_SHOT, 0)]
    yield loaded
    for each in loaded:
        os.close(each)


@pytest.fixture(params=["tcx", "clsact"])
def attach(request: pytest.FixtureRequest, line: Line) -> Attach:
    """attach(program, ...) to what arrives on pa, in node's namespace."""
    if request.param == "tcx" and not line.node.call(lambda: tcx.is_supported(line.node.index("pa"))):
        pytest.skip("no tcx here: Linux 6.6")

    def make(*programs: int) -> tcx.Attachment:
        index = line.node.index("pa")
        if request.param == "tcx":
            return line.node.call(lambda: tcx.Tcx(index, "ingress", *programs))
        return line.node.call(lambda: tcx.Clsact(index, "ingress", programs[0]))

    return make


def put_foreign_first(line: Line) -> None:
    line.node.run("tc", "filter", "add", "dev", "pa", "ingress", "pref", "1", *FOREIGN)


def filters(line: Line) -> str:
    return line.node.run("tc", "filter", "show", "dev", "pa", "ingress").stdout


def test_it_is_there_and_first_until_it_is_closed(line: Line, attach: Attach, programs: list[int]) -> None:
    before = line.node.run("tc", "qdisc", "show", "dev", "pa").stdout
    with attach(programs[0]) as it:
        assert line.node.call(it.is_in_force)
        assert line.a.run("ping", "-c1", "-W1", "10.7.0.2", check=False).returncode
        line.node.call(it.close)
        assert not line.node.call(it.is_in_force)
    assert line.node.run("tc", "qdisc", "show", "dev", "pa").stdout == before


@pytest.mark.parametrize("copies", [1, 2])
def test_tcx_program_before_it_is_seen_and_it_goes_before_that(
    line: Line, attach: Attach, programs: list[int], copies: int
) -> None:
    if not line.node.call(lambda: tcx.is_supported(line.node.index("pa"))):
        pytest.skip("no tcx here: Linux 6.6")
    it = attach(*programs[:copies])
    other = line.node.call(lambda: tcx.Tcx(line.node.index("pa"), "ingress", programs[2]))
    standing = line.node.call(it.standing)
    assert standing.is_attached and len(standing.before) == 1 and standing.before[0].startswith("tcx program ")
    line.node.call(it.put_back)
    assert line.node.call(it.is_in_force) == (it.mechanism == "tcx")
    line.node.call(other.close)
    assert line.node.call(it.is_in_force)
    line.node.call(it.close)


def test_filter_before_it_in_clsact_is_seen(line: Line, attach: Attach, programs: list[int]) -> None:
    """The newer of two with one preference is asked first; behind tcx it does not matter."""
    line.node.run("tc", "qdisc", "add", "dev", "pa", "clsact")
    it = attach(programs[0])
    put_foreign_first(line)
    standing = line.node.call(it.standing)
    assert standing.is_in_force == (it.mechanism == "tcx")
    if it.mechanism == "clsact":
        assert standing.before == ("tc filter pref 1 bpf handle 0x1",)
    line.node.call(it.put_back)
    assert line.node.call(it.is_in_force)
    line.node.call(it.close)
    assert "handle 0x1 " in filters(line) and filters(line).count("handle") == 1


def test_clsact_deleted_takes_the_filter_along_and_not_the_link(
    line: Line, attach: Attach, programs: list[int]
) -> None:
    it = attach(programs[0])
    line.node.run("tc", "qdisc", "del", "dev", "pa", "clsact", check=False)
    assert line.node.call(it.is_in_force) == (it.mechanism == "tcx")
    line.node.call(it.put_back)
    assert line.node.call(it.is_in_force)
    line.node.call(it.close)
    assert "clsact" not in line.node.run("tc", "qdisc", "show", "dev", "pa").stdout


def test_interface_gone_is_told_and_closing_is_harmless(line: Line, attach: Attach, programs: list[int]) -> None:
    it = attach(programs[0])
    line.node.run("ip", "link", "del", "dev", "pa")
    assert not line.node.call(it.standing).is_attached
    with pytest.raises(OSError):
        line.node.call(it.put_back)
    line.node.call(it.close)


def test_clsact_goes_behind_a_filter_of_another_kind_and_says_so(line: Line, programs: list[int]) -> None:
    """A preference has one kind: what else is at the first one stays before it."""
    line.node.run("tc", "qdisc", "add", "dev", "pa", "clsact")
    added = line.node.run(
        *("tc", "filter", "add", "dev", "pa", "ingress", "pref", "1", "protocol", "ip", *FOREIGN), check=False
    )
    assert added.returncode == 0, added.stderr
    it = line.node.call(lambda: tcx.Clsact(line.node.index("pa"), "ingress", programs[0]))
    assert line.node.call(it.standing).before == ("tc filter pref 1 bpf handle 0x1",)
    line.node.call(it.close)
    assert filters(line).count("handle") == 1


@pytest.mark.parametrize("gap", ["spare", "filler"])
def test_put_back_under_load_nothing_slips_through(line: Line, programs: list[int], gap: str) -> None:
    """Ours drops, the other one leaves every frame to the next: what the stack gets came while ours was not there.

    Detached and attached again it is away for as long as the kernel waits for its CPUs: frames get through each time.
    """
    if not line.node.call(lambda: tcx.is_supported(line.node.index("pa"))):
        pytest.skip("no tcx here: Linux 6.6")
    line.node.address("pa", "10.7.0.77/24")
    line.a.run("ip", "neigh", "replace", "10.7.0.77", "dev", "eth0", "lladdr", line.node.hardware_address("pa"))
    index = line.node.index("pa")
    nothing = [bpf.load(lib.BPF_PROG_TYPE_SCHED_CLS, bpf.leave(0xFFFFFFFF)) for _ in range(3)]
    more = {"spare": programs[1]} if gap == "spare" else {"filler": nothing[0]}
    it = line.node.call(lambda: tcx.Tcx(index, "ingress", programs[0], **more))
    other = line.node.call(lambda: tcx.Tcx(index, "ingress", nothing[1], spare=nothing[2]))
    flood = line.a.spawn("ping", "-f", "-W1", "-s", "8", "10.7.0.77", stdout=subprocess.DEVNULL)
    leaky = 0
    try:
        sent = line.a.kernel_counters()["IcmpOutEchos"]
        until(lambda: line.a.kernel_counters()["IcmpOutEchos"] > sent + 50)
        got = line.node.kernel_counters()["IcmpInEchos"]
        for _ in range(20):
            line.node.call(it.put_back)
            now = line.node.kernel_counters()["IcmpInEchos"]
            leaky, got = leaky + (now > got), now
            line.node.call(other.put_back)
    finally:
        end(flood)
    assert leaky < 5
    line.node.call(it.close)
    line.node.call(other.close)
    for each in nothing:
        os.close(each)
