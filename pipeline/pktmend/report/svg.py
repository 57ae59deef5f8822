"""A drawing as SVG: of itself, or within a page.  No script, no font, nothing from elsewhere.

Rules of this file:
1. All text is escaped here; what is too long is cut, and whole in the box's <title>.
2. Colours follow the reader's (prefers-color-scheme); what they say is in the words as well.

Source: SVG 2 (w3.org/TR/SVG2).
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final
from xml.sax.saxutils import escape

from pktmend.console.printable import printable
from pktmend.report.drawing import Drawing, Link, State, Station

LETTER: Final = 6.6  # pixels of a letter of 12 pixels, about
LETTERS: Final = 38  # of a line
LINE: Final = 16
PAD: Final = 10
ACROSS: Final = 16  # between boxes side by side
DOWN: Final = 46  # between boxes below each other, where a link has its label
BESIDE: Final = 8  # between an arrow and its label
ALONG: Final = 60  # between columns
STYLE: Final = """
.pm{font:12px system-ui,sans-serif}
.pm text{fill:#1f2933}.pm .t{font-weight:600}.pm .g{fill:#52606d;font-size:11px}
.pm rect{fill:#f5f7fa;stroke:#7b8794;stroke-width:1.5}.pm path{stroke:#7b8794;stroke-width:1.5;fill:none}
.pm .fine rect{fill:#e3f6e8;stroke:#15803d}.pm .fine path{stroke:#15803d}
.pm .unsure rect{fill:#fdf6d8;stroke:#a16207;stroke-dasharray:5 3}
.pm .unsure path{stroke:#a16207;stroke-dasharray:5 3}
.pm .lost rect{fill:#fde8e8;stroke:#c81e1e;stroke-width:2.5}.pm .lost path{stroke:#c81e1e;stroke-width:2.5}
@media(prefers-color-scheme:dark){
.pm text{fill:#e4e7eb}.pm .g{fill:#9aa5b1}.pm rect{fill:#1f2933;stroke:#7b8794}
.pm .fine rect{fill:#12341f;stroke:#4ade80}.pm .fine path{stroke:#4ade80}
.pm .unsure rect{fill:#3a2f10;stroke:#facc15}.pm .unsure path{stroke:#facc15}
.pm .lost rect{fill:#471515;stroke:#f87171}.pm .lost path{stroke:#f87171}}
@media print{.pm text{fill:#000}.pm rect{fill:#fff}.pm .lost rect{stroke-width:4}}
"""


@dataclass(frozen=True)
class Box:
    """Where a station is, in pixels."""

    station: Station
    x: float
    y: float
    width: float
    height: float

    @property
    def lines(self) -> list[str]:
        """What is written in it."""
        return [self.station.title, *self.station.lines]


def svg(drawing: Drawing) -> str:
    """Return an <svg> element."""
    boxes = _placed(drawing)
    ends = [box.x + box.width for box in boxes.values()]
    if drawing.is_path:  # labels stand beside the arrows
        ends += [_middle(boxes[k.a], boxes[k.b]) + BESIDE + min(LETTERS, len(k.label)) * LETTER for k in drawing.links]
    width = max(ends, default=0) + PAD
    height = max((box.y + box.height for box in boxes.values()), default=0) + PAD
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" class="pm" role="img" viewBox="0 0 {width:.0f} {height:.0f}" '
        f'width="{width:.0f}" height="{height:.0f}">',
        f"<title>{_text(drawing.title)}</title><style>{STYLE}</style>",
        *(_link(link, boxes[link.a], boxes[link.b], drawing.is_path) for link in drawing.links),
        *(_box(box) for box in boxes.values()),
        "</svg>",
    ]
    return "\n".join(parts) + "\n"


def _text(text: str) -> str:
    return escape(printable(text).replace("\n", " "), {'"': "&quot;"})


def _cut(text: str) -> str:
    shown = printable(text).replace("\n", " ")
    return escape(shown if len(shown) <= LETTERS else shown[: LETTERS - 1] + "…")


def _size(station: Station) -> tuple[float, float]:
    lines = [station.title, *station.lines, station.group]
    letters = min(LETTERS, max(len(printable(line)) for line in lines))
    return max(90.0, letters * LETTER + 2 * PAD), (len(lines) - (not station.group)) * LINE + 2 * PAD - 4


def _placed(drawing: Drawing) -> dict[str, Box]:
    """Return the box of each station: layers of a path go down, others to the right."""
    layers = [[(station, *_size(station)) for station in layer] for layer in drawing.layers()]
    boxes: dict[str, Box] = {}
    along = float(PAD)
    widest = max((sum(w + ACROSS for _, w, _ in layer) for layer in layers), default=0.0)
    for layer in layers:
        if drawing.is_path:
            across = PAD + (widest - sum(w + ACROSS for _, w, _ in layer)) / 2
            for station, w, h in layer:
                boxes[station.key] = Box(station, across, along, w, h)
                across += w + ACROSS
            along += max(h for _, _, h in layer) + DOWN
        else:
            column = max(w for _, w, _ in layer)
            across = float(PAD)
            for station, _, h in layer:
                boxes[station.key] = Box(station, along, across, column, h)
                across += h + ACROSS
            along += column + ALONG
    return boxes


def _middle(a: Box, b: Box) -> float:
    return (a.x + a.width / 2 + b.x + b.width / 2) / 2


def _box(box: Box) -> str:
    station = box.station
    rows = [f'<text class="t" x="{box.x + PAD:.0f}" y="{box.y + PAD + 11:.0f}">{_cut(station.title)}</text>']
    for i, line in enumerate(station.lines, 1):
        rows.append(f'<text x="{box.x + PAD:.0f}" y="{box.y + PAD + 11 + i * LINE:.0f}">{_cut(line)}</text>')
    if station.group:
        y = box.y + PAD + 11 + len(box.lines) * LINE
        rows.append(f'<text class="g" x="{box.x + PAD:.0f}" y="{y:.0f}">{_cut(station.group)}</text>')
    whole = _text("; ".join([*box.lines, station.group] if station.group else box.lines))
    return (
        f'<g class="{station.state}"><title>{whole}</title><rect x="{box.x:.0f}" y="{box.y:.0f}" '
        f'width="{box.width:.0f}" height="{box.height:.0f}" rx="6"/>{"".join(rows)}</g>'
    )


def _link(link: Link, a: Box, b: Box, is_path: bool) -> str:
    if is_path:
        x1, y1, x2, y2 = a.x + a.width / 2, a.y + a.height, b.x + b.width / 2, b.y
        head = "".join(_arrow(x2, y2))
        label = f'<text x="{_middle(a, b) + BESIDE:.0f}" y="{(y1 + y2) / 2 + 4:.0f}">{_cut(link.label)}</text>'
        return f'<g class="{link.state}"><path d="M{x1:.0f} {y1:.0f}L{x2:.0f} {y2:.0f}{head}"/>{label}</g>'
    if b.x < a.x:
        a, b = b, a
    if a.x == b.x:  # of one layer: around the right side
        x1, y1, y2 = a.x + a.width, a.y + a.height / 2, b.y + b.height / 2
        path = f"M{x1:.0f} {y1:.0f}C{x1 + 40:.0f} {y1:.0f} {x1 + 40:.0f} {y2:.0f} {x1:.0f} {y2:.0f}"
        middle = x1 + 30, (y1 + y2) / 2
    else:
        x1, y1, x2, y2 = a.x + a.width, a.y + a.height / 2, b.x, b.y + b.height / 2
        bend = (x1 + x2) / 2
        path = f"M{x1:.0f} {y1:.0f}C{bend:.0f} {y1:.0f} {bend:.0f} {y2:.0f} {x2:.0f} {y2:.0f}"
        middle = bend, (y1 + y2) / 2 - 4
    label = f'<text class="g" text-anchor="middle" x="{middle[0]:.0f}" y="{middle[1]:.0f}">{_cut(link.label)}</text>'
    return f'<g class="{link.state}"><path d="{path}"/>{label if link.label else ""}</g>'


def _arrow(x: float, y: float) -> Iterator[str]:
    yield f"M{x - 5:.0f} {y - 9:.0f}L{x:.0f} {y:.0f}L{x + 5:.0f} {y - 9:.0f}"


__all__ = ["State", "svg"]
