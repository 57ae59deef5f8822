"""Bars as SVG: no library, no font, readable on light and dark pages."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Protocol
from xml.sax.saxutils import escape

WIDTH, LABEL, ROW, OURS, OTHERS = 760, 210, 22, "#2e8b57", "#8899aa"


class Bar(Protocol):
    """What is drawn: Result of the bridge bench."""

    forwarder: str
    rate: float


def draw(groups: Mapping[str, Sequence[Bar]]) -> str:
    """Return an SVG with one group of bars for each title; ours in green."""
    parts: list[str] = []
    y = 10
    for title, bars in groups.items():
        if not bars:
            continue
        y += 20
        parts.append(f'<text x="10" y="{y}" font-weight="bold">{escape(title)}</text>')
        top = max(bar.rate for bar in bars) or 1.0
        for bar in bars:
            y += ROW
            width = (WIDTH - LABEL - 80) * bar.rate / top
            colour = OURS if bar.forwarder.startswith("pktmend") else OTHERS
            parts.append(f'<text x="{LABEL - 8}" y="{y + 4}" text-anchor="end">{escape(bar.forwarder)}</text>')
            parts.append(f'<rect x="{LABEL}" y="{y - 8}" width="{width:.1f}" height="15" rx="2" fill="{colour}"/>')
            parts.append(f'<text x="{LABEL + width + 6:.1f}" y="{y + 4}">{bar.rate:.2f}</text>')
        y += 16
    style = "text{font:12px system-ui,sans-serif;fill:#555}@media(prefers-color-scheme:dark){text{fill:#bbb}}"
    return (f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {y + 10}" width="{WIDTH}">'
            f"<style>{style}</style>{''.join(parts)}</svg>\n")
