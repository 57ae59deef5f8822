"""The live view without a terminal: what is drawn, and what each key does."""

from __future__ import annotations

import io
from collections.abc import Sequence
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st
from scapy.all import IP, UDP, VXLAN, Ether, IPv6
from test_monitor_parts import NOTHING

import frames as f
from judging import LIVE
from pktmend import Frames, Pipeline, _core
from pktmend.commands.monitor.flow_packets import FlowPacket, flow_packets
from pktmend.commands.monitor.snapshot import BadFlow, FileCounts, Snapshot
from pktmend.commands.monitor.state import Page, State
from pktmend.console.history import History
from pktmend.enums import Cause, Proto
from pktmend.host.workloads import Workload
from pktmend.records import Flow
from pktmend.runtime.counters import OUTCOMES, Counters
from pktmend.runtime.pipeline import Null
from pktmend.runtime.stages import classify, verify

HOSTILE = Workload("docker", "1f", "a name \x1b[2J that is longer than any column", "", "")
POD = Workload("containerd", "1f", "nginx", "web-0", "default")


def flow(port: int, protocol: int = 17) -> Flow:
    """Return a flow from 10.7.0.1:port to 10.7.0.2:5000."""
    return Flow(4, protocol, bytes([10, 7, 0, 1]), bytes([10, 7, 0, 2]), port, 5000)


A = BadFlow("eth0", flow(1001), 30, 0, 1, Cause.LEAKED)
B = BadFlow("eth0", flow(1002, 6), 20, 0, 3, Cause.CORRUPT)
C = BadFlow("eth1", flow(1003), 10, 0, 2, Cause.LEAKED)
SEEN = Snapshot(1, (NOTHING._replace(from_="eth0"),), (A, B, C), owners={"eth1": POD})


def kept(frames: Sequence[bytes], asked: Flow) -> tuple[FlowPacket, ...]:
    """Judge *frames*; return what is to be seen of the last bad packets of a flow."""
    last = _core.LastPackets()
    sampler = _core.Sampler(last, 7)
    with Pipeline(Frames(frames, flags=LIVE), [verify, classify, sampler.stage], Null()) as pipeline:
        pipeline.run()
    assert last.find(8, asked) == []
    return flow_packets(asked, last.find(7, asked))


def drawn(state: State, width: int = 80, height: int = 24, **options: bool) -> str:
    """Return the view as text."""
    pytest.importorskip("rich")
    from rich.console import Console

    from pktmend.commands.monitor.view import view

    out = io.StringIO()
    Console(file=out, width=width, height=height, color_system=None).print(view(state, width, height, **options))
    return out.getvalue()


def pressed(state: State, *keys: str) -> State:
    """Press keys, of which none ends it."""
    for key in keys:
        assert state.press(key)
    return state


# --- what keys do ----------------------------------------------------------------------------


def test_selection_stays_with_its_flow_whatever_the_order() -> None:
    state = pressed(State(SEEN), "down")
    assert state.selected == ("eth0", A.flow)
    pressed(state, "j", "j", "j")
    assert state.selected == ("eth1", C.flow)
    pressed(state, "s")  # by latest
    assert [each.flow for each in state.flows()] == [B.flow, C.flow, A.flow]
    pressed(state, "k")
    assert state.selected == ("eth0", B.flow)
    state.snapshot = replace(SEEN, flows=(A, C))
    assert state.place(state.flows()) is None
    assert pressed(state, "G").selected == ("eth0", A.flow)
    assert pressed(state, "g").selected == ("eth1", C.flow)
    assert pressed(state, "escape").selected is None


@pytest.mark.parametrize(
    ("words", "found"),
    [
        ("", [A, B, C]),
        ("leaked", [A, C]),
        ("LEAKED eth0", [A]),
        (":1002", [B]),
        ("tcp", [B]),
        ("web-0", [C]),
        ("10.7.0.1 udp 1001", [A]),
        ("zebra", []),
    ],
)
def test_filter_looks_at_all_that_is_known_of_a_flow(words: str, found: list[BadFlow]) -> None:
    assert pressed(State(SEEN), "/", *words, "enter").flows() == found


def test_filter_box_takes_letters_that_are_keys_elsewhere() -> None:
    state = pressed(State(SEEN), "/", "q", "p", "?", "j")
    assert (state.filter, state.is_paused, state.page) == ("qp?j", False, Page.OVERVIEW)
    assert "filter: qp?j" in drawn(state) and "0 of 3 flows" in drawn(state)
    pressed(state, "backspace", "backspace")
    assert state.filter == "qp"
    pressed(state, "enter", "p", "down")
    assert (state.filter, state.is_paused, state.hint) == ("qp", True, "no flow with 'qp'")
    assert "no flow with 'qp'" in drawn(state)
    pressed(state, "escape")
    assert (state.filter, state.hint, len(state.flows())) == ("", "", 3)
    pressed(state, "/", "x", "escape", "/", *"y" * 100, "clear", *"z" * 100, "enter")
    assert state.filter == "z" * 60
    assert not state.press("q")


def test_no_flow_to_select_is_said() -> None:
    state = pressed(State(replace(SEEN, flows=())), "enter")
    assert state.page is Page.OVERVIEW and "no flow has bad packets" in drawn(state)


def test_opened_packets_stay_as_they_are_until_they_are_asked_for_again() -> None:
    first = kept([f.leaked(f.ether / f.ip4 / f.udp / f.PAYLOAD)] * 3, flow(40000))
    answers: list[Sequence[FlowPacket]] = [(), first, first[:1]]
    asked: list[tuple[str, Flow]] = []

    def packets_of(interface: str, which: Flow) -> Sequence[FlowPacket]:
        asked.append((interface, which))
        return answers[len(asked) - 1]

    state = pressed(State(SEEN, packets_of=packets_of), "down", "down", "enter")
    assert asked == [("eth0", B.flow)] and "None of its packets is kept" in " ".join(drawn(state).split())
    state.look_again()
    state.look_again()
    assert len(asked) == 2 and "packet 1 of 3 kept, the latest" in drawn(state)
    pressed(state, "left", "left", "left")
    assert "packet 3 of 3 kept, 2 before the latest" in drawn(state)
    pressed(state, "right")
    assert "packet 2 of 3" in drawn(state)
    pressed(state, "down")
    assert asked[-1] == ("eth1", C.flow) and "packet 1 of 1" in drawn(state)
    assert "eth1 (pod default/web-0): 10 bad packets" in drawn(state)
    assert pressed(state, "escape").page is Page.OVERVIEW


# --- what is drawn ---------------------------------------------------------------------------


def opened(packets: Sequence[FlowPacket]) -> State:
    """Return a view of packets of flow A."""
    return pressed(State(SEEN, packets_of=lambda *_: packets), "down", "enter")


def marked(state: State, style: str) -> str:
    """Return the hexadecimal digits that are drawn in a style: `reverse`, `underline`."""
    from rich.console import Console

    from pktmend.commands.monitor.view import view

    console = Console(width=60, height=40, color_system="standard", force_terminal=True, no_color=True)
    rows = console.render_lines(view(state, 60, 40))
    dump = [row for row in rows if "".join(each.text for each in row)[:4].strip().isalnum() and row[0].text[:2] == "00"]
    return " ".join(each.text for row in dump for each in row if each.style and getattr(each.style, style))


def test_packet_has_field_and_pseudo_header_marked_without_colours() -> None:
    packet = f.ether / f.ip4 / f.udp / f.PAYLOAD
    frame = f.leaked(packet)
    state = opened(kept([frame], flow(40000)))
    text = drawn(state)
    field, right = frame[40:42], f.raw(packet)[40:42]
    assert f"[{field.hex(' ')}]" in text  # the field of UDP, behind 14 bytes of Ethernet, 20 of IP, 6 of UDP
    assert f"udp checksum at byte 40: {field.hex()}, right is {right.hex()}" in text
    assert "leaked: partial" in text and "summed: bytes 34 to 142" in text  # 8 of UDP and 101
    assert marked(state, "reverse") == field.hex(" ")
    pseudo = frame[16:18], frame[23:24], frame[26:32], frame[32:34]  # length, protocol, addresses over two rows
    assert marked(state, "underline") == " ".join(each.hex(" ") for each in pseudo)
    assert "................" not in drawn(state, 60) and '!"#$%' in text


def test_inner_packet_has_the_inner_pseudo_header_marked() -> None:
    inner = Ether(src="02:00:00:00:00:03", dst="02:00:00:00:00:04") / IPv6(src="fd00::1", dst="fd00::2")
    inner = inner / UDP(sport=1, dport=2) / f.PAYLOAD
    outer = f.ether / IP(src="10.7.0.1", dst="10.7.0.2") / UDP(sport=40000, dport=4789, chksum=0) / VXLAN(vni=5)
    frame = f.raw(outer / f.leaked(inner))
    asked = flow(40000)._replace(target_port=4789)
    at = 14 + 20 + 8 + 8 + 14  # of the inner IPv6 header
    state = opened(kept([frame], asked))
    assert f"inner udp checksum at byte {at + 46}: " in drawn(state)
    assert marked(state, "reverse") == frame[at + 46 : at + 48].hex(" ")
    assert marked(state, "underline").replace(" ", "") == (frame[at + 4 : at + 7] + frame[at + 8 : at + 40]).hex()


def test_field_stays_in_sight_where_there_is_little_room() -> None:
    frame = f.leaked(f.ether / f.ip4 / f.udp / f.PAYLOAD)
    state = opened(kept([frame], flow(40000)))
    assert f"[{frame[40:42].hex(' ')}]" in drawn(state, 60, 13)


def test_no_keyboard_no_keys() -> None:
    assert "q quit" in drawn(State(SEEN)) and "q quit" not in drawn(State(SEEN, has_keys=False))


def test_help_fits_a_small_terminal() -> None:
    text = drawn(pressed(State(SEEN), "?"), 80, 24)
    assert "…" not in text and "pktmend help verdicts" in text and "Ctrl-Z" in text
    assert pressed(State(SEEN), "?", "j", "escape").page is Page.OVERVIEW


def test_selected_flow_is_in_sight_among_many() -> None:
    many = tuple(replace(A, flow=flow(2000 + n), packets=100 - n) for n in range(50))
    state = pressed(State(replace(SEEN, flows=many)), *["down"] * 31)
    text = drawn(state)
    assert "▌10.7.0.1:2030 " in text and "10.7.0.1:2000 " not in text and "of 50" in text
    assert "*10.7.0.1:2030 " in drawn(state, is_ascii=True) and drawn(state, is_ascii=True).isascii()


def test_view_shows_whose_an_interface_is() -> None:
    snapshot = Snapshot(1, (NOTHING._replace(from_="veth1"),), owners={"veth1": POD})
    assert "veth1  pod default/web-0 " in drawn(State(snapshot), 100, 20)
    assert snapshot.as_json()["directions"][0]["pod"] == "web-0"


counts = st.integers(0, 10**12)
directions = st.builds(
    lambda name, packets, drops, checks: NOTHING._replace(
        from_=name, packets=packets, kernel_drops=drops, checks=checks
    ),
    st.text("abcdefgh[]0123.", min_size=1, max_size=15),
    counts,
    counts,
    st.dictionaries(
        st.sampled_from([str(p) for p in Proto]),
        st.dictionaries(st.sampled_from([o for o in OUTCOMES if o != "none"]), counts, max_size=8),
        max_size=6,
    ),
)
V6 = Flow(6, 6, bytes(15) + b"\x01", bytes(15) + b"\x02", 1234, 80)
flows = st.builds(
    BadFlow, st.just("eth0"), st.sampled_from([A.flow, V6]), counts, counts, counts, st.sampled_from(list(Cause))
)
keys = st.lists(st.sampled_from(["down", "up", "enter", "escape", "?", "/", "[", "e", "s", "p", "left"]), max_size=8)


@given(
    st.lists(directions, max_size=40),
    st.lists(flows, max_size=12),
    st.integers(20, 200),
    st.integers(12, 60),
    keys,
    st.booleans(),
)
def test_view_is_never_wider_or_higher_than_the_terminal(
    seen: list[Counters], bad: list[BadFlow], width: int, height: int, typed: list[str], fills: bool
) -> None:
    owners = {d.from_: HOSTILE for d in seen[::2]} | {"eth0": HOSTILE}
    file = FileCounts("x", False, 1, 2, 1, 0, {"ENOSPC": 5})
    snapshot = Snapshot(1, tuple(seen), tuple(bad), file=file, owners=owners)
    history = History()
    history.add(Snapshot(0, ()), snapshot)
    packets = kept([f.leaked(f.ether / f.ip4 / f.udp / f.PAYLOAD)], flow(40000)) if "?" not in typed else ()
    state = pressed(State(snapshot, history, event="event", packets_of=lambda *_: packets), *typed)
    text = drawn(state, width, height, fills=fills)
    lines = text.splitlines()
    assert len(lines) <= height and all(len(line) <= width for line in lines)
    assert not fills or state.is_typing or len(lines) == height, text
    assert "\x1b" not in text
