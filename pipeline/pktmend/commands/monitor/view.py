"""The live view as something rich can draw: made of a snapshot and a history, for a width and a height.

Nothing here knows of terminals or keys.  What matters is said by words, colour only helps: NO_COLOR loses nothing.
No cell is a str: rich would take the brackets of an address for markup.
"""

from __future__ import annotations

import textwrap
from typing import Final

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from pktmend.commands.monitor.bad_packets import explain
from pktmend.commands.monitor.state import Page, State
from pktmend.commands.monitor.view_pages import BAD_STYLE, cut, help_lines, key_line, packet_lines
from pktmend.console.history import ASCII_BARS, BARS, scaled, sparkline, totals
from pktmend.console.printable import printable
from pktmend.console.report import words
from pktmend.enums import Status

LATEST_LINES: Final = 3
NARROW: Final = 78  # columns below which the less important ones go
FINE: Final = tuple(str(s) for s in (Status.GOOD, Status.PENDING, Status.ABSENT, Status.UNCHECKED))
STYLES: Final = {"good": "green", "pending": "cyan", "absent": "blue", "unchecked": "yellow"}
ALARM: Final = "bold white on red"


def view(state: State, width: int, height: int, *, is_ascii: bool = False, fills: bool = False) -> RenderableType:
    """Return the whole view, no wider and no higher than given.     fills: as high, its last lines at the bottom."""
    title = _title(state, width, ASCII_BARS if is_ascii else BARS)
    lines = _footer(state, width) if state.page is Page.OVERVIEW else []
    if state.hint:
        lines.append((state.hint, "bold"))
    if state.is_typing:
        lines.append((_filter_box(state, is_ascii=is_ascii), "bold"))
    elif state.has_keys:
        lines.append((key_line(state, width, is_ascii=is_ascii), "dim"))
    foot = [Text(cut(line, width), style=style, no_wrap=True, overflow="ellipsis") for line, style in lines]
    room = height - 2 - len(foot)  # but for the title and an empty line
    body: list[RenderableType]
    if state.page is Page.HELP:
        body = [*help_lines(width, room)]
    elif state.page is Page.PACKET:
        body = [*packet_lines(state, width, room, is_ascii=is_ascii)]
    else:
        body = _overview(state, width, height, room, is_ascii=is_ascii)
    below = room - sum(part.row_count + 1 if isinstance(part, Table) else 1 for part in body)
    space = [Text("")] * (1 + max(0, below) * fills)
    return Group(title, *body, *space, *foot)


def _overview(state: State, width: int, height: int, room: int, *, is_ascii: bool) -> list[RenderableType]:
    interfaces = _interfaces(state, width, max(3, height // 2))
    left = room - interfaces.row_count - 1
    flows = len(state.flows()) or bool(state.filter)  # a row says that none fits
    kept = min(flows + 2, max(6, left * 2 // 3 if state.is_about_flows else left // 3)) if flows else 0
    body: list[RenderableType] = [interfaces]
    for part in (_outcomes(state, width, ASCII_BARS if is_ascii else BARS), _protocols(state, width)):
        if part.row_count and left - kept > 3:
            shown = _shortened(part, left - kept - 2)
            body += [Text(""), shown]
            left -= shown.row_count + 2
    if flows and left > 2:
        body += [Text(""), _flows(state, width, left - 2, is_ascii=is_ascii)]
    return body


def _filter_box(state: State, *, is_ascii: bool) -> str:
    cursor = "_" if is_ascii else "█"
    found, flows = len(state.flows()), len(state.snapshot.flows)
    return f"filter: {state.filter}{cursor}   {found} of {flows} flows   Enter keeps it, Esc does not"


def _shortened(table: Table, rows: int) -> Table:
    """Cut a table to so many rows."""
    for column in table.columns:
        del column._cells[max(0, rows) :]
    del table.rows[max(0, rows) :]
    return table


def _name(interface: str) -> Text:
    return Text(printable(interface))


def _name_and_owner(interface: str, state: State, width: int) -> Text:
    """`veth12ab  pod default/web-0`, at most half of the view."""
    owner = state.snapshot.owner(interface)
    return _name(cut(f"{interface}  {owner}", max(20, width // 2 - 8))) if owner else _name(interface)


def _clock(seconds: float) -> str:
    minutes, rest = divmod(int(seconds), 60)
    return f"{minutes // 60}:{minutes % 60:02d}:{rest:02d}"


def _title(state: State, width: int, bars: str) -> Text:
    title = Text("pktmend monitor", style="bold")
    title.append(f"  {_clock(state.seconds)}", style="not bold")
    total = sum(rate.packets for rate in state.history.rates.values())
    title.append(f"  {scaled(total)} packets/s ", style="not bold")
    if state.is_paused:
        title.append(" PAUSED ", style="reverse")
    room = width - len(title) - 1
    if room > 8:
        title.append(" " + sparkline(state.history.packets, min(60, room), bars), style="not bold")
    title.truncate(width)
    return title


def _table(*columns: str) -> Table:
    table = Table(box=None, padding=(0, 2, 0, 0), pad_edge=False, header_style="bold", show_edge=False)
    for number, name in enumerate(columns):
        table.add_column(name, justify="left" if number == 0 else "right", no_wrap=True, overflow="ellipsis")
    return table


def _interfaces(state: State, width: int, most: int) -> Table:
    """All of them, or *most* rows: those with most bad packets and drops, then the busiest."""
    is_narrow = width < NARROW
    names = ["interface", "packets/s", "Mbit/s", "bad/s", "drops"]
    table = _table(*names) if is_narrow else _table(*names[:4], "packets", "bad", "kernel drops")
    directions = list(state.snapshot.directions)
    if len(directions) > most:
        directions = sorted(directions, key=lambda d: (-d.status.get("bad", 0), -d.kernel_drops, -d.packets))
        directions = directions[: most - 1]
    for d in directions:
        rate = state.history.rates.get(d.from_)
        bad, drops = d.status.get("bad", 0), d.kernel_drops
        cells = [
            _name_and_owner(d.from_, state, width),
            Text(scaled(rate.packets) if rate else "-"),
            Text(f"{rate.bits / 1e6:.1f}" if rate else "-"),
            Text(scaled(rate.bad) if rate else "-", style=BAD_STYLE if rate and rate.bad else ""),
        ]
        if not is_narrow:
            cells += [Text(str(d.packets)), Text(str(bad), style=BAD_STYLE if bad else "")]
        cells.append(
            Text(
                str(drops) if not (rate and rate.drops) else f"{drops} +{scaled(rate.drops)}/s",
                style=ALARM if drops else "",
            )
        )
        table.add_row(*cells)
    if hidden := len(state.snapshot.directions) - len(directions):
        table.add_row(Text(f"and {hidden} more", style="dim"))
    return table


def _outcomes(state: State, width: int, bars: str) -> Table:
    """Statuses, then causes: total, rate, the last minute or two."""
    table = _table("checks", "total", "per s", "")
    table.columns[3].justify = "left"
    found = totals(state.snapshot)
    bad = sorted((name for name in found if name not in FINE), key=lambda name: -found[name])
    room = max(10, min(60, width - 40))
    for name in (*bad, *(name for name in FINE if name in found)):
        past = state.history.outcomes.get(name)
        style = STYLES.get(name, BAD_STYLE)
        table.add_row(
            Text(name, style=style),
            Text(str(found[name])),
            Text(scaled(past[-1]) if past else "-"),
            Text(sparkline(past or (), room, bars), style=style),
        )
    return table


def _protocols(state: State, width: int) -> Table:
    """By interface and protocol."""
    columns = ("good", "pending", "absent", "unchecked", "bad") if width >= NARROW else ("good", "pending", "bad")
    table = _table("interface", "protocol", *columns)
    table.columns[1].justify = "left"
    for d in state.snapshot.directions:
        for proto, found in d.checks.items():
            counts = {**found, "bad": sum(n for name, n in found.items() if name not in FINE)}
            table.add_row(_name(d.from_), Text(proto), *(_count(name, counts.get(name, 0)) for name in columns))
    return table


def _count(status: str, n: int) -> Text:
    return Text(str(n), style=STYLES.get(status, BAD_STYLE)) if n else Text("-", style="dim")


def _flows(state: State, width: int, most: int, *, is_ascii: bool) -> Table:
    """The flows with bad packets that pass the filter; of many those around the selected one."""
    flows = state.flows()
    place = state.place(flows)
    first = max(0, min((place or 0) - most // 2, len(flows) - most))
    shown = flows[first : first + most]
    name = "worst flows"
    if len(shown) < len(flows):
        name += f" {first + 1} to {first + len(shown)} of {len(flows)}"
    if state.filter:
        name += f" with {cut(repr(state.filter), width // 3)}"
    is_narrow = width < NARROW
    table = _table(name, "bad", "cause") if is_narrow else _table(name, "bad", "cause", "protocol", "interface")
    for column in table.columns[2:]:
        column.justify = "left"
    table.columns[0].ratio = 1
    mark = ("*" if is_ascii else "▌") if place is not None else ""
    for i, flow in enumerate(shown, first):
        ends = Text((mark if i == place else " " * len(mark)) + str(flow.flow))
        cells = [ends, Text(str(flow.packets), style=BAD_STYLE), Text(str(flow.cause))]
        more = [] if is_narrow else [Text(flow.flow.transport), _name(flow.interface)]
        table.add_row(*cells, *more, style="reverse" if i == place else "")
    if not shown:
        table.add_row(Text("none", style="dim"))
    return table


def _footer(state: State, width: int) -> list[tuple[str, str]]:
    """Return lines and their styles: the latest bad packet, the kernel's word, the file, the latest event."""
    lines: list[tuple[str, str]] = []
    if state.latest is not None:
        text = f"latest bad: {explain(state.latest)}"
        latest = [text] if state.is_about_flows else textwrap.wrap(text, max(10, width))[:LATEST_LINES]
        lines += [(line, BAD_STYLE) for line in latest]
    counted = {name: n for name, n in state.snapshot.kernel_errors.items() if n}
    if counted:
        lines.append((f"the kernel itself counted: {words(counted)}", "yellow"))
    if (file := state.snapshot.file) is not None:
        text = f"{file.path}: {file.written} packets written"
        if file.not_written:
            text += f", NOT WRITTEN {words(file.not_written)}"
        lines.append((text, ALARM if file.not_written else ""))
    if state.event:
        lines.append((state.event, ""))
    return lines
