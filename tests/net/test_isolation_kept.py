"""Isolation that other programs take away, or put theirs before: noticed, put back, told, counted."""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from line import ADDRESSES, Line
from pktmend._kernel import lib
from pktmend.host import tcx
from pktmend.testbed import bpf
from running import RunningBridge
from test_isolation import OWN, answers, holder_of, hooks, how, is_isolated, isolated
from tools import PKTMEND, until

__all__ = ["how"]
SECOND = 1.0  # within which it has to be noticed
LET_PASS = ("bpf", "da", "bytecode", "1,6 0 0 0")


@pytest.fixture
def reachable(line: Line) -> Line:
    """A line whose node has an address on pa, so that its stack answers what it gets."""
    line.node.address("pa", f"{OWN}/24")
    until(lambda: answers(line), "an answer")
    return line


@contextmanager
def tcx_before(line: Line, name: str = "pa") -> Iterator[tcx.Attachment]:
    """Another program's, which lets everything pass to the host, first by tcx."""
    program = bpf.load(lib.BPF_PROG_TYPE_SCHED_CLS, bpf.leave(0))
    try:
        with line.node.call(lambda: tcx.Tcx(line.node.index(name), "ingress", program)) as other:
            yield other
    finally:
        os.close(program)


def state(bridge: RunningBridge, name: str = "pa") -> dict[str, Any]:
    """What the last snapshot says of the isolation of that port."""
    until(lambda: bool(bridge.snapshots), "a snapshot")
    found = [each for each in bridge.snapshots[-1].get("attachments", ()) if each["interface"] == name]
    assert len(found) == 1 and found[0]["purpose"] == "isolation", bridge.snapshots[-1]
    return dict(found[0])


def await_silence(line: Line) -> None:
    """Wait until the node's stack gets nothing any more, for a second at most and what a loaded machine adds."""
    deadline = time.monotonic() + SECOND
    while answers(line):
        assert time.monotonic() < deadline + SECOND, "the host still answers"


def test_filter_put_before_it_is_overtaken(reachable: Line, how: str) -> None:
    """Behind tcx it does not matter; in clsact the newer of two with one preference is asked first."""
    line = reachable
    with isolated(line, how) as bridge:
        if how == "tcx":
            line.node.run("tc", "qdisc", "add", "dev", "pa", "clsact")
        line.node.run("tc", "filter", "add", "dev", "pa", "ingress", "pref", "1", *LET_PASS)
        await_silence(line)
        line.a.run("ping", "-c3", "-i0.2", "-W1", ADDRESSES["b"][0])
        told = bridge.told(how == "clsact")
        assert told[1:] == (
            []
            if how == "tcx"
            else ["pa: tc filter pref 1 bpf handle 0x1 was put before the isolation; put first again"]
        )
        kept = state(bridge)
        assert kept["mechanism"] == how and kept["overtaken"] == kept["restored"] == (how == "clsact")
    assert hooks(line).count("handle 0x1 ") == 1 and not is_isolated(line, how)


def test_clsact_deleted_is_made_again(reachable: Line, how: str) -> None:
    line = reachable
    clean = hooks(line)
    with isolated(line, how) as bridge:
        if how == "tcx":
            line.node.run("tc", "qdisc", "add", "dev", "pa", "clsact")
        line.node.run("tc", "qdisc", "del", "dev", "pa", "clsact")
        await_silence(line)
        told = bridge.told(1 + (how == "clsact"))
        assert told[1:] == ([] if how == "tcx" else ["pa: the isolation was removed from it; put back"])
        kept = state(bridge)
        assert kept["removed"] == kept["restored"] == (how == "clsact") and kept["in_force"]
        assert state(bridge, "pb")["removed"] == 0
    assert hooks(line) == clean


def test_its_filter_deleted_is_put_there_again(reachable: Line) -> None:
    line = reachable
    clean = hooks(line)
    with isolated(line, "clsact") as bridge:
        line.node.run("tc", "filter", "del", "dev", "pa", "ingress")
        await_silence(line)
        assert bridge.told(2)[1:] == ["pa: the isolation was removed from it; put back"]
    assert hooks(line) == clean


def test_tcx_program_before_it_is_overtaken_or_told_of(reachable: Line, how: str) -> None:
    """What is in clsact cannot go before tcx: that is said, and that it is over."""
    line = reachable
    with isolated(line, how) as bridge, tcx_before(line) as other:
        if how == "tcx":
            await_silence(line)
            until(lambda: state(bridge)["restored"] == 1)
            told = bridge.told()[1:]
            assert len(told) == 1 and told[0].startswith("pa: tcx program ")
            assert told[0].endswith("was put before the isolation; put first again")
            return
        bridge.await_told(2)
        assert "is behind tcx program" in bridge.said[1] and "the host's stack may get frames" in bridge.said[1]
        until(lambda: not state(bridge)["in_force"] and state(bridge)["overtaken"] == 1)
        line.node.call(other.close)
        bridge.await_told(3)
        assert bridge.said[2] == "pa: the isolation is in force again"
        assert not answers(line)
        bridge.told()


def test_link_that_is_detached_is_made_again(reachable: Line) -> None:
    """As `bpftool link detach` does it."""
    line = reachable
    with isolated(line, "tcx") as bridge:
        links = [link for link in Path(f"/proc/{holder_of(bridge)}/fdinfo").iterdir() if "tcx" in link.read_text()]
        assert len(links) == 2
        ((_, link),) = line.node.call(lambda: tcx.query(line.node.index("pa"), "ingress"))
        detach(link)
        await_silence(line)
        assert bridge.told(2)[1:] == ["pa: the isolation was removed from it; put back"]
    assert not is_isolated(line, "tcx")


def detach(link: int) -> None:
    """Detach the link of that id."""
    import struct

    from pktmend.host.bpf_info import bpf as call

    get_by_id = 30  # BPF_LINK_GET_FD_BY_ID
    descriptor = call(get_by_id, struct.pack("=4I", link, 0, 0, 0))
    call(lib.BPF_LINK_DETACH, struct.pack("=I", descriptor))
    os.close(descriptor)


def test_bridge_does_not_begin_behind_another(line: Line) -> None:
    """Isolation that would not isolate is refused, with the name of who is in the way."""
    with tcx_before(line):
        argv = ("--duration", "1", "--isolate")
        prefix = ("setpriv", "--bounding-set=-all,+net_raw,+net_admin", "--inh-caps=-all,+net_raw,+net_admin")
        bridge = RunningBridge(line.node, "-i", "pa", "-I", "pb", *argv, prefix=prefix)
        bridge.ended(4)
        assert "is asked before the isolation" in bridge.first_line and "tc filter show dev pa" in bridge.first_line
    assert "clsact" not in hooks(line)


def test_fight_for_the_first_place_is_given_up(reachable: Line) -> None:
    """The other one puts itself first again as often as it can: no CPU is fought for, and little is said."""
    line = reachable
    programs = [bpf.load(lib.BPF_PROG_TYPE_SCHED_CLS, bpf.leave(0)) for _ in range(2)]
    over = threading.Event()

    def insist() -> None:
        with tcx.Tcx(line.node.index("pa"), "ingress", *programs) as other:
            while not over.is_set():
                if not other.is_in_force():
                    other.put_back()
                time.sleep(0.001)

    with isolated(line, "tcx") as bridge:
        rival = threading.Thread(target=lambda: line.node.call(insist))
        rival.start()
        try:
            keeper = Path(f"/proc/{holder_of(bridge)}/stat")
            bridge.listen()
            until(lambda: any("gave up" in each or "stays first" in each for each in bridge.said))
            before = cpu_seconds(keeper)
            time.sleep(4)
            assert cpu_seconds(keeper) - before < 1
            assert state(bridge)["restored"] <= 13
            assert len(list(Path(f"/proc/{bridge.process.pid}/fd").iterdir())) < 40
        finally:
            over.set()
            rival.join()
        until(lambda: state(bridge)["in_force"])
        assert not answers(line)
        told = bridge.told()
    assert len(told) <= 14 and sum("gave up" in each or "stays first" in each for each in told) <= 2, told
    for each in programs:
        os.close(each)


def cpu_seconds(stat: Path) -> float:
    fields = stat.read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def test_summary_says_what_happened_to_the_ports(line: Line) -> None:
    done = line.node.run(*PKTMEND, "bridge", "-i", "pa", "-I", "pb", "--isolate", "--duration", "0.3")
    for name in ("pa", "pb"):
        assert f"{name}: isolation in force by " in done.stdout
    assert "removed 0, overtaken 0, put back 0 times" in done.stdout
