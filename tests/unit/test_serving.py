"""What bridge and monitor serve, in parts: health, markup, runbook, pace, labels.  The network is in tests/net."""

from __future__ import annotations

import base64
import hashlib
import io
import json
import re
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from html.parser import HTMLParser

import pytest
import yaml
from test_monitor_parts import NOTHING, V4, packet

from pktmend.commands.monitor.bad_packets import Picker
from pktmend.commands.monitor.events import Events
from pktmend.commands.monitor.pace import Pace
from pktmend.commands.monitor.snapshot import BadFlow, Snapshot
from pktmend.enums import Cause
from pktmend.host.workloads import Workload
from pktmend.runtime.counters import Counters
from pktmend.serving import page, runbook
from pktmend.serving.health import STALE_SECONDS, Health, Workers, trouble
from pktmend.serving.server import is_own_name
from pktmend.serving.survey import Labels, Survey, labels_of
from tools import ROOT

HOSTILE = ["<script>a", '"><b>', "'onload=x", "&lt;x", "</table>", "a\x1b[31m", "x\u202ey", "b\udcff"]


class Worker:
    """One that is told what to say."""

    def __init__(self) -> None:
        self.number, self.has_ended = 0, False

    def is_done(self) -> bool:
        return self.has_ended

    def beats(self) -> int:
        return self.number


def test_worker_hangs_once_its_beats_stand_still_and_runs_again_when_they_rise() -> None:
    now = [100.0]
    health, first, second = Health(lambda: now[0]), Worker(), Worker()
    both = [first, second]
    assert health.look(both) == Workers(2)
    for _ in range(3):
        now[0] += STALE_SECONDS / 2
        first.number += 1
        seen = health.look(both)
    assert seen == Workers(1, 0, 1) and not seen.are_well
    assert trouble(seen, 1e18).startswith("a worker hangs")
    second.number += 1
    assert health.look(both) == Workers(2)
    second.has_ended = True
    assert health.look(both) == Workers(1, 1, 0)
    assert trouble(Workers(1, 1), 1e18) == "a worker has ended" and trouble(Workers(2), 1e18) == ""
    assert re.fullmatch(r"no news for \d+ s", trouble(Workers(2), 0.0))


class Elements(HTMLParser):
    """All tags and texts of a document."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.texts: list[str] = []
        self.sources: dict[str, list[str]] = {"script": [], "style": []}
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        assert not any(name.startswith("on") or name == "style" for name, _ in attrs), attrs

    def handle_data(self, data: str) -> None:
        self.texts.append(data)
        if self.cdata_elem in self.sources:
            self.sources[self.cdata_elem].append(data)


@pytest.mark.parametrize("name", HOSTILE)
def test_name_is_text_wherever_it_stands(name: str) -> None:
    """Beside the same page with a harmless name no tag is more, and the text is the name."""

    def made(word: str) -> Elements:
        table = page.table(word, [(word, "n"), word], [[word, (word, "bad")]])
        return Elements(page.document(word, page.heading(word, word) + table + page.paragraph(word, "bad")))

    hostile, harmless = made(name), made("eth0")
    assert hostile.tags == harmless.tags
    shown = [text for text, plain in zip(hostile.texts, harmless.texts, strict=True) if plain == "eth0"]
    assert len(shown) == 9 and set(shown) == {page.printable(name)}


def test_policy_allows_the_style_and_the_script_of_the_page_and_nothing_else() -> None:
    elements = Elements(page.document("x", page.paragraph("y")))
    policy = dict(page.HEADERS)["Content-Security-Policy"]
    rules = dict(rule.strip().split(" ", 1) for rule in policy.split(";"))
    for kind in ("script", "style"):
        (source,) = elements.sources[kind]
        digest = base64.b64encode(hashlib.sha256(source.encode()).digest()).decode()
        assert rules.pop(f"{kind}-src") == f"'sha256-{digest}'"
    nobody = ("default-src", "base-uri", "form-action", "frame-ancestors")
    assert rules == {**dict.fromkeys(nobody, "'none'"), "connect-src": "'self'", "img-src": "data:"}
    assert not re.search(r"https?:|//|@import|url\(", page.document("x", "y"))


@pytest.mark.parametrize(
    ("host", "is_own"),
    [
        ("127.0.0.1:9477", True),
        ("localhost", True),
        ("localhost:9477", True),
        ("[::1]:9477", True),
        ("", True),
        ("evil.example:9477", False),
        ("localhost.evil.example", False),
        ("127.0.0.1.evil.example:9477", False),
        ("127.1", False),
    ],
)
def test_page_of_loopback_is_asked_for_by_an_address(host: str, is_own: bool) -> None:
    assert is_own_name(host) == is_own


def test_runbook_has_an_entry_for_each_alert_and_each_alert_leads_to_its_own() -> None:
    rules = yaml.safe_load((ROOT / "deploy" / "prometheus" / "pktmend.rules.yml").read_text())
    alerts = [rule for group in rules["groups"] for rule in group["rules"]]
    assert {alert["alert"] for alert in alerts} == set(runbook.ENTRIES)
    text = runbook.content()
    for alert in alerts:
        place, anchor = alert["annotations"]["runbook_url"].split("#")
        assert place == "http://{{ $labels.instance }}/runbook" and f'id="{anchor}"' in text
        assert anchor == alert["alert"]


def test_pace_lets_through_what_is_due_and_keeps_its_step() -> None:
    now = [0.0]
    pace = Pace(10, lambda: now[0])
    due = []
    for second in range(45):
        now[0] = second + (0.2 if second % 2 else -0.2)  # as a busy machine calls it
        due += [second] if pace.is_due() else []
    assert due == [0, 10, 20, 30, 40]
    now[0] = 200.0
    assert pace.is_due() and not pace.is_due()  # what was missed is not made up for


@contextmanager
def printed(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[dict[str, object]]]:
    """The snapshots that were printed within."""
    out = io.StringIO()
    monkeypatch.setattr(sys, "stdout", out)
    found: list[dict[str, object]] = []
    yield found
    found += [json.loads(line)["snapshot"] for line in out.getvalue().splitlines()]


def direction(name: str, packets: int) -> Counters:
    return NOTHING._replace(from_=name, packets=packets)


def names(snapshot: dict[str, object]) -> list[str]:
    return [d["from"] for d in snapshot["directions"]]  # type: ignore[index, attr-defined]


def test_with_an_interval_what_did_not_change_is_not_printed_again(monkeypatch: pytest.MonkeyPatch) -> None:
    now = [1000.0]
    idle, flow = direction("idle", 7), BadFlow("busy", V4, 3, 0, 5, Cause.LEAKED)
    with printed(monkeypatch) as found:
        events = Events(10, lambda: now[0])
        last = Snapshot(0, (idle, direction("busy", 0)), (flow,))
        for second in range(90):
            now[0] += 1
            busy = direction("busy", 5 if second >= 25 else 0)
            last, before = Snapshot(second, (idle, busy), (flow,)), last
            events.second(before, last)
        events.end(last)
    assert [(s["complete"], names(s)) for s in found] == [
        (True, ["idle", "busy"]),  # at once
        (False, ["busy"]),  # at 30 s: at 10, 20, 40 and 50 nothing had changed
        (True, ["idle", "busy"]),  # after a minute
        (True, ["idle", "busy"]),  # at the end
    ]
    assert [len(s["flows"]) for s in found] == [1, 0, 1, 1]  # type: ignore[arg-type]


def test_without_an_interval_every_snapshot_is_complete(monkeypatch: pytest.MonkeyPatch) -> None:
    same = Snapshot(0, (direction("idle", 7),))
    with printed(monkeypatch) as found:
        events = Events()
        for _ in range(5):
            events.second(same, same)
    assert [(s["complete"], names(s)) for s in found] == [(True, ["idle"])] * 5


def test_bad_packets_are_limited_by_interval() -> None:
    picker = Picker(1, 10)
    assert [len(picker.pick([packet(Cause.LEAKED)] * 3, now)) for now in (30.5, 31.5, 39.9, 40.1)] == [1, 0, 0, 1]


def workload(container: str, pod: str = "web-1", identity: str = "0123456789abcdef") -> Workload:
    return Workload("containerd", identity, container, pod, "shop" if pod else "")


@pytest.mark.parametrize(
    ("found", "labels"),
    [
        ([], ("", "", "")),
        ([workload("nginx")], ("shop", "web-1", "nginx")),
        ([workload(""), workload("nginx")], ("shop", "web-1", "nginx")),  # the first only holds the namespaces
        ([workload("nginx"), workload("sidecar")], ("shop", "web-1", "")),
        ([workload("a", "web-1"), workload("a", "web-2")], ("shop", "", "a")),  # they share the host's network
        ([workload("db", "")], ("", "", "db")),
        ([workload("", "")], ("", "", "0123456789ab")),
    ],
)
def test_labels_are_what_all_in_a_namespace_share(found: list[Workload], labels: tuple[str, str, str]) -> None:
    assert labels_of(found) == Labels(*labels)


def test_survey_says_whose_an_interface_is() -> None:
    found = {"4711": {"labels": ["shop", "web-1", "nginx"], "errors": {"TcpInCsumErrors": 3}}}
    survey = Survey.from_json({"namespaces": found, "interfaces": {"veth1": "4711", "veth2": "8"}, "left_out": 0})
    assert str(survey.of("veth1")) == "shop/web-1 (nginx)"
    assert str(survey.of("veth2")) == str(survey.of("eth0")) == ""
    assert {name: each.label for name, each in survey.owners(["eth0", "veth1", "veth2"]).items()} == {
        "veth1": "pod shop/web-1 (nginx)"
    }
