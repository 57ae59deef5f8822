"""Draw docs/demo.svg, the moving picture of `make demo`, from docs/demo.cast, the recording of a run.

    python docs/animate.py                               draw it anew
    python docs/animate.py --record .venv/bin/python examples/demo.py      record a run first (root)

The recording is an asciicast of version 2, so that other players show it too.  The picture is text that a style sheet
uncovers line by line at the times of the run, again and again; pauses are cut to PAUSE seconds.  It has no script and
nothing from elsewhere; who wants no motion (prefers-reduced-motion) sees its end.
"""

from __future__ import annotations

import json
import re
import subprocess
import sys
import time
from pathlib import Path
from xml.sax.saxutils import escape

CAST = Path(__file__).with_name("demo.cast")
PICTURE = CAST.with_suffix(".svg")
PAUSE, REST = 1.2, 6.0  # seconds: the longest between two lines, and at the end before it begins again
ROWS, ROW, LETTER, LEFT, TOP = 27, 17, 7.3, 16, 36  # a window of so many rows; pixels
KINDS = (
    (r"  \w+\$ ", "c"),
    (r"Step", "h"),
    (r"  yes ", "y"),
    (r".*(timed out|InCsumErrors \d|  NO )", "n"),
    (r".*(repaired leaked|bytes in)", "y"),
)
STYLE = (
    "text{font:12px ui-monospace,SFMono-Regular,Menlo,Consolas,monospace;fill:#c8ced6;white-space:pre}"
    ".c{fill:#7fb8ff}.h{fill:#fff;font-weight:bold}.y{fill:#7ed47e}.n{fill:#ff8f85}.b{fill:#15191e}.t{fill:#8b949e}"
)
Line = tuple[float, str]


def record(argv: list[str]) -> None:
    """Run the command and write what it says, and when."""
    began = time.time()
    with subprocess.Popen(argv, stdout=subprocess.PIPE, text=True) as program, CAST.open("w") as cast:
        assert program.stdout is not None
        head = {"version": 2, "width": 100, "height": ROWS, "timestamp": int(began), "title": "make demo"}
        cast.write(json.dumps(head) + "\n")
        for text in program.stdout:
            cast.write(json.dumps([round(time.time() - began, 3), "o", text.replace("\n", "\r\n")]) + "\n")
    if program.returncode:
        sys.exit(f"{' '.join(argv)} ended with {program.returncode}")


def lines_of(cast: str) -> list[Line]:
    """Return when each line is shown, pauses cut, and the line."""
    found: list[Line] = []
    shown = before = 0.0
    for row in cast.splitlines()[1:]:
        when, _, text = json.loads(row)
        shown += min(when - before, PAUSE)
        before = when
        found += [(shown, line) for line in text.rstrip("\r\n").split("\r\n")]
    return found


def steps(name: str, moves: list[tuple[float, int]], seconds: float) -> str:
    """Return keyframes that move something down by so many pixels from each time on."""
    frames = {round(100 * when / seconds, 2): down for when, down in moves}  # of one moment the last
    return (
        f"@keyframes {name}{{{''.join(f'{at:g}%{{transform:translateY({down}px)}}' for at, down in frames.items())}}}"
    )


def kind(line: str) -> str:
    """Return the class of a line, as an attribute."""
    found = next((name for pattern, name in KINDS if re.match(pattern, line)), "")
    return f' class="{found}"' if found else ""


def draw(cast: str) -> str:
    """Return the picture of a recording."""
    lines = lines_of(cast)
    seconds = lines[-1][0] + REST
    uncovered = [(0.0, 0), *((when, n * ROW) for n, (when, _) in enumerate(lines, 1))]
    scrolled = [(when, -max(0, down - ROWS * ROW)) for when, down in uncovered]
    height = TOP + ROWS * ROW + 12
    width = round(max(len(line) for _, line in lines) * LETTER) + 2 * LEFT
    motion = (
        f".k{{transform:translateY({uncovered[-1][1]}px)}}.s{{transform:translateY({scrolled[-1][1]}px)}}"
        f"{steps('k', uncovered, seconds)}{steps('s', scrolled, seconds)}"
        f"@media(prefers-reduced-motion:no-preference){{.k{{animation:k {seconds:.1f}s step-end infinite}}"
        f".s{{animation:s {seconds:.1f}s step-end infinite}}}}"
    )
    rows = [
        f'<text{kind(line)} x="{LEFT}" y="{n * ROW - 4}" xml:space="preserve">{escape(line)}</text>'
        for n, (_, line) in enumerate(lines, 1)
        if line
    ]
    return "\n".join(
        [
            f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" width="{width}" role="img">',
            "<title>make demo: ping works and TCP dies behind a userspace switch; with pktmend bridge it works</title>",
            f"<style>{STYLE}{motion}</style>",
            f'<clipPath id="w"><rect y="{TOP}" width="{width}" height="{ROWS * ROW}"/></clipPath>',
            f'<rect class="b" width="{width}" height="{height}" rx="8"/>',
            f'<text class="t" x="{LEFT}" y="22">node# make demo</text>',
            f'<g clip-path="url(#w)"><g transform="translate(0 {TOP})"><g class="s">',
            *rows,
            f'<rect class="b k" width="{width}" height="{len(lines) * ROW + ROWS * ROW}"/>',
            "</g></g></g>",
            "</svg>\n",
        ]
    )


def main(argv: list[str]) -> None:
    """Record if asked to, then draw."""
    if argv[:1] == ["--record"]:
        record(argv[1:])
    PICTURE.write_text(draw(CAST.read_text()))
    print(f"{PICTURE} written", file=sys.stderr)


if __name__ == "__main__":
    main(sys.argv[1:])
