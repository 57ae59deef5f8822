"""Pages and drawings: what is on them, and that nothing of other people's gets out of its place."""

from __future__ import annotations

import json
import os
import re
import stat
import subprocess
from html.parser import HTMLParser
from pathlib import Path
from xml.etree import ElementTree

import pytest

from pktmend.advice.finding import Finding, Remedy
from pktmend.report.drawing import Drawing, Link, State, Station, chain
from pktmend.report.mermaid import mermaid
from pktmend.report.packet import ShownPacket
from pktmend.report.page import Chapter, Report, Tone, render
from pktmend.report.svg import svg
from tools import PKTMEND, ROOT, need, run_pktmend

pytest.importorskip("jinja2")
LEAKED = ROOT / "examples" / "leaked.pcap"
HOSTILE = "<script>alert(1)</script>\"'`{{7*7}}\x1b[31m\u202e&amp;\n--></style>"
VOID = {"meta", "br", "link", "img", "input", "hr"}


class Page(HTMLParser):
    """The elements of a page, which have to be closed in the order they were opened, and its text."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.attributes: list[tuple[str, str]] = []
        self.text = ""
        self.marked: list[tuple[str, str]] = []
        self._open: list[str] = []
        self._class = ""
        self.feed(text)
        self.close()
        assert not self._open

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.attributes += [(name, value or "") for name, value in attrs]
        self._class = dict(attrs).get("class") or ""
        if tag not in VOID:
            self._open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self._open.pop() == tag

    def handle_data(self, data: str) -> None:
        if self._open[-1:] not in (["style"], ["script"]):
            self.text += data
        if self._open and self._open[-1] == "span":
            self.marked.append((self._class, data))


def require_harmless(page: Page, text: str) -> None:
    """No script, nothing that is loaded or runs, no control characters."""
    assert "script" not in page.tags and not {"iframe", "object", "img", "link", "form", "base"} & set(page.tags)
    assert not [name for name, _ in page.attributes if name.startswith("on") or name in ("src", "href", "action")]
    assert not re.search("[\x00-\x08\x0b-\x1f\x7f-\x9f\u202e]", text)
    assert "url(" not in text and "@import" not in text
    assert ("http-equiv", "Content-Security-Policy") in page.attributes


def hostile_packet() -> ShownPacket:
    return ShownPacket(
        number=1,
        time=HOSTILE,
        flow=HOSTILE,
        verdict=HOSTILE,
        offset=4,
        width=2,
        stored="0000",
        seed="0000",
        expected="ffff",
        start=0,
        length=1 << 30,
        version=4,
        source="1.2.3.4",
        target="5.6.7.8",
        frame=b"<script>alert(1)</script>",
        wirelen=25,
    )


def test_nothing_hostile_leaves_its_place() -> None:
    finding = Finding(
        name=HOSTILE,
        title=HOSTILE,
        meaning=HOSTILE,
        evidence=(HOSTILE,),
        remedies=(Remedy(HOSTILE, HOSTILE, HOSTILE),),
    )
    station = Station("a", HOSTILE, (HOSTILE,), HOSTILE, State.LOST)
    text = render(
        Report(
            title=HOSTILE,
            verdict=HOSTILE,
            tone=Tone.BAD,
            subject=HOSTILE,
            badge=HOSTILE,
            drawing=Drawing(HOSTILE, (station, Station("b", HOSTILE)), (Link("a", "b", HOSTILE),)),
            chapters=[
                Chapter(finding, Tone.BAD, HOSTILE, HOSTILE, HOSTILE, [hostile_packet()], 1, HOSTILE, HOSTILE, HOSTILE)
            ],
            counters={HOSTILE: {HOSTILE: 1}},
            facts=[(HOSTILE, HOSTILE)],
            unseen=[HOSTILE],
        )
    )
    page = Page(text)
    require_harmless(page, text)
    assert page.text.count("<script>alert(1)</script>") >= 20, "shown, as text"
    assert "{{7*7}}" in page.text and "\\x1b[31m\\u202e&amp;" in page.text
    assert page.tags.count("style") == 2, "the page's and the drawing's"


def test_hostile_file_name_and_options_are_text(tmp_path: Path) -> None:
    name = "<script>alert(1)<\x1b[31m>\u202e.pcap"
    (tmp_path / name).write_bytes(LEAKED.read_bytes())
    out = tmp_path / "out.html"
    for command in ("diagnose", "check"):
        done = run_pktmend(command, "-r", str(tmp_path / name), "--report", str(out), "tcp or icmp")
        assert done.returncode in (0, 1), done.stderr
        text = out.read_text()
        page = Page(text)
        require_harmless(page, text)
        assert "<script>alert(1)<\\x1b[31m>\\u202e.pcap" in page.text


def test_diagnosis_has_verdict_path_packets_and_cures(tmp_path: Path) -> None:
    out = tmp_path / "out.html"
    plain = run_pktmend("diagnose", "-r", str(LEAKED), "--at", "wire")
    done = run_pktmend("diagnose", "-r", str(LEAKED), "--at", "wire", "--report", str(out))
    assert (done.returncode, done.stdout) == (plain.returncode, plain.stdout) == (1, plain.stdout)
    assert stat.S_IMODE(out.stat().st_mode) == 0o600
    page = Page(out.read_text())
    assert "A hop lost the mark that checksums are partial" in page.text and "likely" in page.text
    for words in (
        "pktmend offload -i IFACE set tx off",
        "Side effect:",
        "pktmend bridge -i TO-HOP -I TO-RECEIVER --finish TO-HOP",
        "metadata-lost",
    ):
        assert words in page.text
    assert "What was not looked at" in page.text and "leaked" in page.text
    # by hand, of packet 7: 10.7.0.1 > 10.7.0.2 at bytes 26 to 33, protocol 6 at 23, total length at 16, field at 50
    assert [text for kind, text in page.marked if kind == "field"][:1] == ["14 3f"]
    assert ("addresses", "0a 07 00 01 0a 07") in page.marked and ("addresses", "00 02") in page.marked
    assert ("protocol", "06") in page.marked
    assert ("length", "00 3c") in page.marked, "20 bytes of IPv4 and 40 of TCP"


def test_check_shows_packets_of_each_cause(tmp_path: Path) -> None:
    out = tmp_path / "out.html"
    assert run_pktmend("check", "-r", str(LEAKED), "--at", "wire", "--report", str(out)).returncode == 1
    page = Page(out.read_text())
    assert "4 packets of 11 have a bad checksum" in page.text
    assert [text for kind, text in page.marked if kind == "field"][:-1] == ["14 3f"] * 3
    assert "1 more like these are not shown" in page.text
    assert run_pktmend("check", "-r", str(LEAKED), "--report", str(out)).returncode == 0
    assert "the file cannot say" in Page(out.read_text()).text


@pytest.mark.parametrize("command", ["diagnose", "check"])
def test_place_that_cannot_be_written_is_said_before_anything_is_read(tmp_path: Path, command: str) -> None:
    done = run_pktmend(command, "-r", str(tmp_path / "none.pcap"), "--report", str(tmp_path / "none" / "x.html"))
    assert done.returncode == 4 and b"x.html" in done.stderr


def test_ipv6_pseudo_header_is_marked() -> None:
    ends = bytes.fromhex("fd" + "00" * 14 + "01" + "fd" + "00" * 14 + "02")
    frame = bytes(12) + b"\x86\xdd" + b"\x60\0\0\0\0\x0c\x11\x40" + ends + b"\x9c\x40\x13\x88\0\x0c\xab\xcdabcd"
    packet = ShownPacket(
        1, "", "", "udp corrupt", 60, 2, "abcd", "1234", "5678", 54, 12, 6, "fd00::1", "fd00::2", frame, len(frame)
    )
    assert packet.places() == {
        "field": [(60, 62)],
        "summed": [(54, 66)],
        "addresses": [(22, 54)],
        "protocol": [(20, 21)],
        "length": [(18, 20)],
    }
    joined = " ".join(span.text for row in packet.rows() for span in row.spans)
    assert bytes.fromhex(joined) == frame


def path_drawing() -> Drawing:
    stations = [
        Station("a", "Sender", ("10.0.0.1",)),
        Station("h", "Hop", ("loses it",), "netns b", State.LOST),
        Station("c", 'Re"ceiver'),
    ]
    return chain("a path", stations, [("", State.PLAIN), ("wrong [here]", State.LOST)])


def test_svg_and_mermaid_draw_the_same() -> None:
    drawing = path_drawing()
    root = ElementTree.fromstring(svg(drawing))
    name = "{http://www.w3.org/2000/svg}"
    groups = [
        (g.get("class"), g.findtext(f"{name}title")) for g in root.iter(f"{name}g") if g.find(f"{name}rect") is not None
    ]
    assert groups == [("plain", "Sender; 10.0.0.1"), ("lost", "Hop; loses it; netns b"), ("plain", 'Re"ceiver')]
    lost = [g for g in root.iter(f"{name}g") if g.get("class") == "lost" and g.find(f"{name}path") is not None]
    assert len(lost) == 1
    tops = [float(r.get("y", "")) for r in root.iter(f"{name}rect")]
    assert tops == sorted(tops) and len(set(tops)) == 3, "a path goes down"
    assert mermaid(drawing) == (
        "flowchart TD\n"
        "  accTitle: a path\n"
        '  s0["Sender<br/>10.0.0.1"]\n'
        '  s2["Re#34;ceiver"]\n'
        '  subgraph g1["netns b"]\n'
        '    s1["Hop<br/>loses it"]\n'
        "  end\n"
        "  s0 --> s1\n"
        '  s1 -->|"wrong #91;here#93;"| s2\n'
        "  classDef lost fill:#fde8e8,stroke:#c81e1e,color:#771d1d\n"
        "  class s1 lost\n"
        "  linkStyle 1 stroke:#c81e1e\n"
    )


def test_boxes_do_not_overlap_whatever_is_linked() -> None:
    stations = tuple(Station(str(i), "x" * (i * 9 % 50 + 1), ("line",) * (i % 4)) for i in range(30))
    links = tuple(Link(str(i), str(i * 7 % 30)) for i in range(30) if i * 7 % 30 != i)
    for is_path in (True, False):
        root = ElementTree.fromstring(svg(Drawing("t", stations, links, is_path)))
        boxes = [
            tuple(float(r.get(k, "")) for k in ("x", "y", "width", "height"))
            for r in root.iter("{http://www.w3.org/2000/svg}rect")
        ]
        assert len(boxes) == 30
        for i, (x, y, w, h) in enumerate(boxes):
            for u, v, s, t in boxes[:i]:
                assert x + w <= u or u + s <= x or y + h <= v or v + t <= y


MEASURE = """<!DOCTYPE html><html><head><title></title></head><body><script>
for (const text of PAGES) {
  const frame = document.createElement("iframe");
  frame.style = "width:400px;height:900px;border:0";
  frame.onload = () => {
    const page = frame.contentDocument.documentElement, style = frame.contentWindow.getComputedStyle(page);
    document.title += page.scrollWidth + style.getPropertyValue("--bg").trim() + "/";
  };
  frame.srcdoc = text;
  document.body.append(frame);
}
</script></body></html>"""


def test_page_fits_a_telephone_and_follows_the_dark(tmp_path: Path) -> None:
    """In a browser: nothing makes 400 pixels scroll sideways, of a diagnosis and of a page with long words."""
    need("chromium")
    out = tmp_path / "out.html"
    run_pktmend("diagnose", "-r", str(LEAKED), "--at", "wire", "--report", str(out))
    name = "/a/long/path/" + "x" * 120
    stations = [Station("a", name), Station("b", name, (name,) * 3, name, State.LOST)]
    finding = Finding(name=name, title=name, meaning=name, evidence=(name,), remedies=(Remedy(name, name, name),))
    long = Report(
        title=name,
        verdict=name,
        tone=Tone.BAD,
        subject=name,
        badge="likely",
        drawing=chain(name, stations, [(name, State.LOST)]),
        chapters=[Chapter(finding, Tone.BAD, "likely", name, name, [hostile_packet()], 0, name, name, name)],
        counters={f"p{i}": {f"cause-{j}": 1 for j in range(16)} for i in range(3)},
        facts=[(name[:20], name)],
        unseen=[name],
    )
    wrapper = tmp_path / "wrapper.html"
    pages = json.dumps([out.read_text(), render(long)]).replace("</", "<\\/")
    wrapper.write_text(MEASURE.replace("PAGES", pages))
    dark = "--blink-settings=preferredColorScheme=0"
    said = browse(tmp_path, dark, "--virtual-time-budget=5000", "--dump-dom", wrapper.as_uri())
    assert re.findall("<title>([^<]*)</title>", said) == ["400#12181f/400#12181f/"]


def test_picture_of_the_documents_can_be_made(tmp_path: Path) -> None:
    """With PKTMEND_PICTURES set, docs/report.png is made anew by it."""
    need("chromium")
    out, shot = tmp_path / "diagnosis.html", tmp_path / "report.png"
    (tmp_path / "leaked.pcap").write_bytes(LEAKED.read_bytes())
    subprocess.run(
        [*PKTMEND, "diagnose", "-r", "leaked.pcap", "--at", "wire", "--report", out.name], cwd=tmp_path, check=False
    )
    said = browse(tmp_path, "--window-size=900,1240", f"--screenshot={shot}", out.as_uri())
    assert shot.read_bytes()[:4] == b"\x89PNG" and shot.stat().st_size > 20_000
    assert "CONSOLE" not in said, "neither errors nor what the policy refused"
    if os.environ.get("PKTMEND_PICTURES"):
        (ROOT / "docs" / "report.png").write_bytes(shot.read_bytes())


def browse(folder: Path, *argv: str) -> str:
    """Run chromium without a window; return what it says."""
    words = [
        "--headless",
        "--no-sandbox",
        "--disable-gpu",
        "--hide-scrollbars",
        "--no-first-run",
        "--disable-dev-shm-usage",
    ]
    command = ["chromium", *words, f"--user-data-dir={folder / 'browser'}", *argv]
    done = subprocess.run(command, capture_output=True, text=True, errors="replace", timeout=120, check=False)
    assert done.returncode == 0, done.stderr[-2000:]
    return done.stdout + done.stderr
