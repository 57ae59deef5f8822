"""The pages of the live view beside the overview: help, and the bytes of a flow's last bad packets.

What is marked is reversed and underlined, and said in words: colour only helps.
"""

from __future__ import annotations

import textwrap
from collections.abc import Iterable
from typing import Final

from rich.text import Text

from pktmend.commands.monitor.flow_packets import FlowPacket
from pktmend.commands.monitor.state import Page, State
from pktmend.console.plural import quantity
from pktmend.console.printable import on_one_line
from pktmend.report.packet import ADDRESSES, FIELD, LENGTH, PROTOCOL, ROW, SUMMED, ShownPacket

BAD_STYLE: Final = "red"
PSEUDO_STYLE: Final = "cyan underline"
MARKS: Final = {
    FIELD: "bold reverse red",
    ADDRESSES: PSEUDO_STYLE,
    PROTOCOL: PSEUDO_STYLE,
    LENGTH: PSEUDO_STYLE,
    SUMMED: "",
}
NOT_MARKED: Final = "dim"
BEFORE_LETTERS: Final = 6 + 3 * ROW + 1
WITH_LETTERS: Final = BEFORE_LETTERS + ROW  # columns from which bytes are shown as letters too
HELP: Final = (
    ("up down, j k", "select a flow; also Page Up, Page Down, Home, End"),
    ("Enter", "its last bad packets, byte by byte; again: what came since"),
    ("left right, h l", "there: the packet before, the one after"),
    ("/", "show flows with these words: of addresses, port, protocol,"),
    ("", "cause, interface or pod; Enter keeps them, Esc does not"),
    ("Esc", "back; then all flows; then none selected"),
    ("s", "sort the flows by packets, latest or cause"),
    ("p", "pause: the view stands still, the watching does not"),
    ("q", "quit, with a summary; Ctrl-Z suspends"),
)
WORDS: Final = (
    ("good", "the checksum is right"),
    ("pending", "partial, and the kernel's mark says so: healthy at the sender"),
    ("absent", "UDP over IPv4 without a checksum, which is allowed"),
    ("unchecked", "nobody can tell: a fragment, cut off, quoted by ICMP"),
    ("bad", "wrong; the other words, such as leaked and corrupt, say why"),
    ("drops", "packets that the kernel had no room for: not seen, see -B"),
)


def cut(text: str, width: int) -> str:
    """Return *text* on one line that is no longer than *width* and commands no terminal."""
    text = on_one_line(text)
    return text if len(text) <= width else text[: max(0, width - 1)] + "…"


def key_line(state: State, width: int, *, is_ascii: bool) -> str:
    """Return which keys do something now, as many as there is room for."""
    back = "Esc back"
    if state.page is Page.HELP:
        keys = [back, "q quit"]
    elif state.page is Page.PACKET:
        arrows = ("up/down other flow", "left/right older, newer") if is_ascii else ("↑↓ other flow", "←→ older, newer")
        keys = ["? help", "q quit", back, *arrows, "Enter latest", "p go on" if state.is_paused else "p pause"]
    else:
        flows = ["j k flow" if is_ascii else "↑↓ flow", "Enter bytes", "/ filter"]
        pause = "p go on" if state.is_paused else "p pause"
        shown = ["Esc all flows"] if state.filter else []
        keys = ["? help", "q quit", *shown, *flows, pause, f"s sort (by {state.order})"]
    while len(keys) > 1 and len("  ".join(keys)) > width:
        keys.pop()
    return "  ".join(keys)


def help_lines(width: int, room: int) -> list[Text]:
    """Return the page of keys and words."""
    lines: list[Text] = []
    for head, rows in (("keys", HELP), ("words", WORDS)):
        lines += [Text(""), Text(head, style="bold")]
        lines += [Text(f"  {name:<15}  {text}") for name, text in rows]
    lines.append(Text("  more with: pktmend help monitor, pktmend help verdicts", style="dim"))
    return _fitting(lines, width, room)


def packet_lines(state: State, width: int, room: int, *, is_ascii: bool) -> list[Text]:
    """Return the page of the selected flow: what is known of it, and the bytes of one of its packets."""
    if state.selected is None:
        return []
    interface, flow = state.selected
    counted = next((each for each in state.snapshot.flows if (each.interface, each.flow) == state.selected), None)
    owner = state.snapshot.owner(interface)
    head = [
        Text(""),
        Text(f"{flow}  {flow.transport}", style="bold"),
        Text(cut(f"{interface}{f' ({owner})' if owner else ''}", width)),
    ]
    if counted is not None:
        head[-1].append(": ").append(quantity(counted.packets, "bad packet"), style=BAD_STYLE)
    if not state.packets:
        text = "None of its packets is kept: those of 1,024 flows are, and this one was silent for longest."
        return _fitting([*head, Text(""), *map(Text, textwrap.wrap(text, max(10, width)))], width, room)
    packet = state.packets[min(state.which, len(state.packets) - 1)]
    head += [Text(line) for line in _about(packet, len(state.packets), width)]
    foot = _legend(packet.shown)
    rows = _rows(packet.shown, width)
    space = room - len(head) - len(foot)
    if len(rows) + 2 <= space:
        return _fitting([*head, Text(""), *rows, Text(""), *foot], width, room)
    return _fitting([*head, *_around_field(packet.shown, rows, space), *foot], width, room)


def _fitting(lines: Iterable[Text], width: int, room: int) -> list[Text]:
    found = list(lines)[: max(0, room)]
    for line in found:
        line.truncate(width, overflow="ellipsis")
        line.no_wrap = True
    return found


def _about(packet: FlowPacket, kept: int, width: int) -> list[str]:
    p = packet.shown
    which = "the latest" if p.number == 1 else f"{p.number - 1} before the latest"
    right = f", right is {p.expected}" if p.expected else ""
    pseudo = f"; the pseudo header sums to {p.seed}" if p.seed else ""
    text = (
        f"packet {p.number} of {kept} kept, {which}: {p.time}, {p.wirelen} bytes\n"
        f"{p.verdict} at byte {p.offset}: {p.stored}{right}{pseudo}\n"
        f"{packet.why}"
    )
    return [line for part in text.split("\n") for line in textwrap.wrap(part, max(10, width))]


def _rows(p: ShownPacket, width: int) -> list[Text]:
    """The bytes in hexadecimal, and as letters where there is room."""
    rows = []
    at = 0
    for row in p.rows():
        line = Text(no_wrap=True).append(f"{row.offset}  ", style=NOT_MARKED)
        letters = Text()
        for span in row.spans:
            style = MARKS.get(span.kind, NOT_MARKED)
            size = (len(span.text) + 1) // 3
            if span.kind == FIELD:
                line.right_crop(1)
                line.append("[").append(span.text, style=style).append("]")
            else:
                line.append(span.text, style=style).append(" ")
            letters.append(_letters(p.frame[at : at + size]), style=style)
            at += size
        if width >= WITH_LETTERS:
            line.pad_right(BEFORE_LETTERS - len(line))
            line.append_text(letters)
        rows.append(line)
    return rows


def _letters(data: bytes) -> str:
    return "".join(chr(c) if 0x20 <= c < 0x7F else "." for c in data)


def _around_field(p: ShownPacket, rows: list[Text], space: int) -> list[Text]:
    """Return as many rows as there is room for, the one with the field among them."""
    first = max(0, min(p.offset // ROW - space // 2, len(rows) - space))
    return rows[first : first + max(0, space)]


def _legend(p: ShownPacket) -> list[Text]:
    """What is marked, and where it lies."""
    line = Text("[").append("checksum", style=MARKS[FIELD]).append("]  ")
    if ADDRESSES in p.places():
        line.append("pseudo header", style=PSEUDO_STYLE).append("  ")
    line.append(f"summed: bytes {p.start} to {p.start + p.length - 1}")
    if p.shown < p.wirelen:
        line.append(f"  {p.shown} of {p.wirelen} bytes are shown", style=NOT_MARKED)
    return [line]
