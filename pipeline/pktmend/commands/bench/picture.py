"""Bars as SVG: no library, no font, readable on light and dark pages."""

from __future__ import annotations

from collections.abc import Sequence
from xml.sax.saxutils import escape

from pktmend.commands.bench.figures import Line
from pktmend.commands.bench.line import SCENARIOS, UNITS

WIDTH, LABEL, ROW, TEXT, OURS, OTHERS = 780, 190, 21, 120, "#2e8b57", "#8899aa"
STYLE = (
    "text{font:12px system-ui,sans-serif;fill:#444}.t{font-weight:bold}.f{fill:#999;font-style:italic}"
    "line{stroke:#444;stroke-width:1.5}"
    "@media(prefers-color-scheme:dark){text{fill:#ccc}.f{fill:#888}line{stroke:#ccc}}"
)


def draw(lines: Sequence[Line]) -> str:
    """Return an SVG of the bridges among *lines*, a group for each scenario: ours green, the spread as a stroke."""
    parts: list[str] = []
    y = 6
    bridges = [line for line in lines if line["bench"] == "bridge"]
    for scenario in dict.fromkeys(line["scenario"] for line in bridges):
        bars = [line for line in bridges if line["scenario"] == scenario]
        top = max((line["high"] for line in bars if not line["fails"]), default=0.0) or 1.0
        y += 20
        parts.append(f'<text class="t" x="10" y="{y}">{escape(f"{SCENARIOS[scenario]}, {UNITS[scenario]}")}</text>')
        for line in bars:
            y += ROW
            parts += _row(line, y, (WIDTH - LABEL - TEXT) / top)
        y += 14
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {y + 8}" width="{WIDTH}">'
        f"<style>{STYLE}</style>{''.join(parts)}</svg>\n"
    )


def _row(line: Line, y: int, scale: float) -> list[str]:
    parts = [f'<text x="{LABEL - 8}" y="{y + 4}" text-anchor="end">{escape(line["forwarder"])}</text>']
    if line["fails"]:
        why = str(line["fails"])
        why = why if len(why) <= 70 else why[:69] + "…"
        return [*parts, f'<text class="f" x="{LABEL}" y="{y + 4}">fails: {escape(why)}</text>']
    width, low, high = (line[key] * scale for key in ("rate", "low", "high"))
    colour = OURS if line["forwarder"].startswith("pktmend") else OTHERS
    ratio = f" ({line['ratio']:.2f} x)" if line["ratio"] is not None else ""
    return [
        *parts,
        f'<rect x="{LABEL}" y="{y - 7}" width="{width:.1f}" height="14" rx="2" fill="{colour}"/>',
        f'<line x1="{LABEL + low:.1f}" x2="{LABEL + high:.1f}" y1="{y}" y2="{y}"/>',
        f'<text x="{LABEL + high + 6:.1f}" y="{y + 4}">{line["rate"]:.2f}{ratio}</text>',
    ]
