"""A drawing as Mermaid, which GitHub, GitLab and many wikis draw.

Rules of this file:
1. Text of others is between quotes, and every letter that could end them or mean something is a number (`#60;`).

Source: mermaid.js.org, "Flowcharts", entity codes.
"""

from __future__ import annotations

import re
from typing import Final

from pktmend.console.printable import printable
from pktmend.report.drawing import Drawing, State, Station

_SPECIAL: Final = re.compile(r"[^\w .,:()/@>+=-]")
STYLES: Final = {  # fill, border, text
    State.LOST: "fill:#fde8e8,stroke:#c81e1e,color:#771d1d",
    State.UNSURE: "fill:#fdf6d8,stroke:#a16207,color:#713f12",
    State.FINE: "fill:#e3f6e8,stroke:#15803d,color:#14532d",
}
LINE: Final = {State.LOST: "stroke:#c81e1e", State.UNSURE: "stroke:#a16207", State.FINE: "stroke:#15803d"}


def mermaid(drawing: Drawing) -> str:
    """Return the text, whole lines."""
    names = {station.key: f"s{i}" for i, station in enumerate(drawing.stations)}
    lines = [f"flowchart {'TD' if drawing.is_path else 'LR'}", f"  accTitle: {_one_line(drawing.title)}"]
    groups: dict[str, list[Station]] = {}
    for station in drawing.stations:
        groups.setdefault(station.group, []).append(station)
    for number, (group, stations) in enumerate(groups.items()):
        indent = "    " if group else "  "
        if group:
            lines.append(f'  subgraph g{number}["{_text(group)}"]')
        lines += [f'{indent}{names[s.key]}["{"<br/>".join(map(_text, (s.title, *s.lines)))}"]' for s in stations]
        if group:
            lines.append("  end")
    arrow = "-->" if drawing.is_path else "---"
    for link in drawing.links:
        label = f'|"{_text(link.label)}"|' if link.label else ""
        lines.append(f"  {names[link.a]} {arrow}{label} {names[link.b]}")
    for state, style in STYLES.items():
        if marked := [names[s.key] for s in drawing.stations if s.state is state]:
            lines += [f"  classDef {state} {style}", f"  class {','.join(marked)} {state}"]
    lines += [f"  linkStyle {i} {LINE[k.state]}" for i, k in enumerate(drawing.links) if k.state in LINE]
    return "\n".join(lines) + "\n"


def _one_line(text: str) -> str:
    return _SPECIAL.sub("", printable(text))


def _text(text: str) -> str:
    return _SPECIAL.sub(lambda match: f"#{ord(match[0])};", printable(text))
