"""The monitor's parts that need no packets: names, addresses, words, sizes."""

from __future__ import annotations

import http.client
import json
import re
import subprocess
import time

import pytest

from pktmend import ConfigError
from pktmend.commands.monitor.bad_packets import EXPLAINED, Picker
from pktmend.commands.monitor.metrics import Collector
from pktmend.commands.monitor.options import MonitorOptions, WriteOptions
from pktmend.commands.monitor.ring_budget import Budget, Size, larger, size_of
from pktmend.commands.monitor.served import trouble_of
from pktmend.commands.monitor.snapshot import SCHEMA, BadPacket, Snapshot
from pktmend.commands.monitor.text_lines import rate_line
from pktmend.commands.monitor.turnover import name_of
from pktmend.commands.schema import names, text_of
from pktmend.console.history import ASCII_BARS, sparkline
from pktmend.console.report import rfc3339
from pktmend.enums import Cause, Proto, Reason, Status
from pktmend.records import Flow
from pktmend.runtime.counters import OUTCOMES, Counters, CutThroughCount, StageCount
from pktmend.serving.server import Server, Site, parse_address
from tools import PKTMEND

EMPTY: dict[object, object] = {
    int: 0,
    str: "eth0",
    str | None: None,
    tuple[StageCount, ...]: (),
    CutThroughCount | None: None,
}
NOTHING = Counters(**{name: EMPTY.get(kind, {}) for name, kind in Counters.__annotations__.items()})
V4 = Flow(4, 17, bytes([10, 0, 0, 1]), bytes([10, 0, 0, 2]), 1234, 53)
V6 = Flow(6, 6, bytes(15) + b"\x01", bytes(15) + b"\x02", 1234, 80)


@pytest.mark.parametrize(
    ("flow", "words"),
    [
        (V4, "10.0.0.1:1234 > 10.0.0.2:53"),
        (V6, "[::1]:1234 > [::2]:80"),
        (Flow(4, 1, V4.source, V4.target, 0, 0), "10.0.0.1 > 10.0.0.2"),
        (Flow(6, 58, V6.source, V6.target, 0, 0), "::1 > ::2"),
        (Flow(0, 0, bytes(4), bytes(4), 0, 0), "not IP"),
    ],
)
def test_flow_is_written_as_people_write_it(flow: Flow, words: str) -> None:
    assert str(flow) == words


@pytest.mark.parametrize(
    ("text", "address"),
    [
        (":9477", ("127.0.0.1", 9477)),
        ("0.0.0.0:80", ("0.0.0.0", 80)),
        ("[::1]:9477", ("::1", 9477)),
        ("localhost:1", ("localhost", 1)),
    ],
)
def test_listen_address(text: str, address: tuple[str, int]) -> None:
    assert parse_address(text) == address


@pytest.mark.parametrize("text", ["", "host:", "host:x", ":70000", "::1:9477", ":-1", ":٣"])
def test_listen_address_that_is_none(text: str) -> None:
    with pytest.raises(ConfigError):
        parse_address(text)


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        (WriteOptions("x"), ["x", "x"]),
        (WriteOptions("x%Y"), ["x%Y"]),
        (WriteOptions("x", megabytes=1), ["x", "x1", "x2"]),
        (WriteOptions("x", megabytes=1, files=1), ["x", "x1"]),
        (WriteOptions("x", megabytes=1, files=10), ["x0", "x1", "x2"]),
        (WriteOptions("x", megabytes=1, files=11), ["x00", "x01", "x02"]),
        (WriteOptions("x-%Y", seconds=5), ["x-1970"]),
        (WriteOptions("x-%Y", seconds=5, megabytes=1), ["x-1970", "x-19701"]),
    ],
)
def test_files_are_named_as_tcpdump_names_them(options: WriteOptions, expected: list[str]) -> None:
    """From MakeFilename() of tcpdump 4.99; a test in tests/net compares with the program itself."""
    assert [name_of(options, 86400.0 * 3, number) for number in range(len(expected))] == expected


@pytest.mark.parametrize(
    "options",
    [
        MonitorOptions(("a", "a")),
        MonitorOptions(("a",), duration=0),
        MonitorOptions(("a", "b"), packets=5),
        MonitorOptions(("a",), packets=5, workers=2),
        MonitorOptions(("a*",), packets=5),
        MonitorOptions(("a",), json=True, write=WriteOptions("-")),
        MonitorOptions(("a",), write=WriteOptions("x", files=2)),
        MonitorOptions(("a",), write=WriteOptions("-", megabytes=2)),
    ],
)
def test_options_that_cannot_work(options: MonitorOptions) -> None:
    with pytest.raises(ConfigError):
        options.validate()


@pytest.mark.parametrize("may_grow", [False, True])
@pytest.mark.parametrize("rings", [1, 2, 7, 8, 64, 200, 1000, 1024])
def test_rings_share_a_bounded_amount_of_memory(rings: int, may_grow: bool) -> None:
    budget = Budget(0, may_grow=may_grow)
    size = budget.first(rings)
    assert all(budget.take(size) for _ in range(rings))
    assert size.blocks >= 4 and size.block in (1 << n for n in range(15, 21)) and size.kib <= 32768
    newcomers = 0
    while budget.take(budget.newcomer()):
        newcomers += 1
    assert rings * size.kib + newcomers * 128 <= 256 << 10, "128 KiB each, at least"
    if may_grow:
        assert rings + newcomers >= 1024, "however few there were at first"


def test_few_rings_are_large_and_what_was_asked_for_is_given() -> None:
    assert [Budget(0, may_grow=False).first(n).kib for n in (1, 8, 64)] == [32768, 32768, 4096]
    asked = Budget(700, may_grow=True)
    assert asked.first(64) == asked.newcomer() == Size(128 << 10, 5)
    assert all(asked.take(Size(1 << 20, 64)) for _ in range(100)), "no bound but the user's"


def test_ring_that_went_is_memory_for_another() -> None:
    budget = Budget(0, may_grow=True)
    largest = size_of(32 << 10)
    taken = [largest for _ in range(9) if budget.take(largest)]
    assert len(taken) == 8
    budget.give_back(largest)
    assert budget.take(largest) and not budget.take(largest)


def test_growth_leaves_room_for_interfaces_that_come() -> None:
    budget = Budget(0, may_grow=True)
    size = size_of(32 << 10)
    while budget.can_grow(size):
        assert budget.take(size)
    newcomers = 0
    while budget.take(budget.newcomer()):
        newcomers += 1
    assert newcomers >= 300


def test_ring_grows_before_it_drops_and_when_it_does() -> None:
    small = size_of(128)
    assert larger(small, 0, is_lossy=False) is None
    assert larger(small, 100e6, is_lossy=False) == larger(small, 0, is_lossy=True) == size_of(2048)
    assert larger(size_of(32 << 10), 1e12, is_lossy=True) is None


def test_time_is_rfc_3339() -> None:
    assert rfc3339(1_700_000_000_000_000_001) == "2023-11-14T22:13:20.000000001Z"  # date -u -d @1700000000


def test_sparkline() -> None:
    assert sparkline([0, 1, 2, 4, 8], 10) == " ▂▃▅█"
    assert sparkline([1, 2, 3], 2, ASCII_BARS) == "+#"
    assert sparkline([], 5) == "" and sparkline([0, 0], 5) == "  "


def test_every_cause_is_explained() -> None:
    assert set(EXPLAINED) == set(Cause) and all(EXPLAINED.values())


def packet(cause: Cause, interface: str = "eth0", time_ns: int = 0) -> BadPacket:
    """Return a bad packet without checks."""
    return BadPacket(interface, V4, time_ns, 60, 60, cause, ())


def test_picker_limits_by_second_interface_and_cause() -> None:
    picker = Picker(2)
    flood = [packet(Cause.LEAKED, time_ns=n) for n in (5, 3, 4, 1)]
    assert [p.time_ns for p in picker.pick(flood, 10.1)] == [1, 3]
    assert picker.pick(flood, 10.9) == []
    assert len(picker.pick([packet(Cause.CORRUPT), packet(Cause.LEAKED, "eth1")], 10.9)) == 2
    assert len(picker.pick(flood, 11.0)) == 2 and picker.shown == 6


def test_rate_line_of_an_interface_that_is_new() -> None:
    now = Counters.sum([NOTHING])
    assert rate_line(None, now, 1.0) == "eth0  0 packets/s  0.00 Mbit/s  -"


# --- the schema -------------------------------------------------------------------------------


def test_schema_has_the_words_of_the_program() -> None:
    schema = json.loads(text_of("monitor"))
    definitions = schema["$defs"]
    check = definitions["check"]["properties"]
    assert schema["$id"] == SCHEMA == definitions["event"]["properties"]["schema"]["const"]
    assert check["proto"]["enum"] == [str(p) for p in Proto]
    assert check["status"]["enum"] == [str(s) for s in list(Status)[1:]]
    assert check["cause"]["enum"] == [str(c) for c in list(Cause)[1:]]
    assert check["reason"]["enum"] == [str(r) for r in list(Reason)[1:]]
    outcomes = definitions["direction"]["properties"]["checks"]["additionalProperties"]["propertyNames"]["enum"]
    assert set(outcomes) == set(OUTCOMES) - {"none"}


def test_schema_command_prints_it() -> None:
    done = subprocess.run([*PKTMEND, "schema", "monitor"], capture_output=True, text=True, check=True)
    assert json.loads(done.stdout)["$schema"] == "https://json-schema.org/draft/2020-12/schema"
    assert "monitor" in names()
    with pytest.raises(ConfigError, match="monitor"):
        text_of("../monitor")


# --- health ------------------------------------------------------------------------------------


def site_of(snapshot: Snapshot) -> Site:
    """Return what serves one snapshot for ever."""
    return Site("x", lambda: Collector(lambda: snapshot), lambda: trouble_of(snapshot), lambda is_private: "")


@pytest.mark.parametrize(
    ("age", "is_running", "status", "words"),
    [
        (0, True, 200, "ok"),
        (60, True, 503, r"no news for 6\d s"),
        (0, False, 503, "a worker has ended"),
    ],
)
def test_health_tells_of_an_ended_worker_and_a_hanging_loop(
    age: float, is_running: bool, status: int, words: str
) -> None:
    snapshot = Snapshot(0, (), is_running=is_running, taken=time.monotonic() - age)
    server = Server("127.0.0.1:0", site_of(snapshot))
    server.start()
    port = int(server.address.rpartition(":")[2].split("/")[0])
    try:
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=30)
        connection.request("GET", "/healthz")
        answer = connection.getresponse()
        assert answer.status == status and re.fullmatch(words, answer.read().decode().strip())
        connection.close()
    finally:
        server.close()


def test_wide_bind_is_said() -> None:
    for listen, is_wide in ((":0", False), ("0.0.0.0:0", True)):
        server = Server(listen, site_of(Snapshot(0, ())))
        assert ("not only from this host" in server.address) == is_wide
        server.close()
