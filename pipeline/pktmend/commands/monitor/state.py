"""What the live view is made of, and what each key does to it.  Nothing here knows of terminals."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from enum import Enum
from typing import Final

from pktmend.commands.monitor.flow_packets import FlowPacket
from pktmend.commands.monitor.snapshot import BadFlow, BadPacket, Snapshot
from pktmend.console.history import History
from pktmend.records import Flow

PAGE_ROWS: Final = 10  # that the selection goes by Page Up and Page Down
MOST_LETTERS: Final = 60  # of a filter
ORDERS: Final[dict[str, Callable[[BadFlow], tuple[str, int]]]] = {
    "packets": lambda flow: ("", -flow.packets),
    "latest": lambda flow: ("", -flow.last_ns),
    "cause": lambda flow: (str(flow.cause), -flow.packets),
}
STEPS: Final = {"up": -1, "k": -1, "down": 1, "j": 1, "page up": -PAGE_ROWS, "page down": PAGE_ROWS}
FAR: Final = 1 << 30
STEPS_TO_ENDS: Final = {"home": -FAR, "g": -FAR, "end": FAR, "G": FAR}


class Page(Enum):
    """What the view shows."""

    OVERVIEW = "overview"
    PACKET = "packet"
    HELP = "help"


def _nothing(interface: str, flow: Flow) -> Sequence[FlowPacket]:
    return ()


@dataclass
class State:
    """What is to be seen.

    packets_of: asked for the last bad packets of an interface's flow, the latest first.
    has_keys:   is there a keyboard?          hint: an answer to the last key, "" none.
    selected:   (interface, flow), whatever its place in the list.
    packets:    of that flow, as they were when it was opened: what changes twice a second cannot be read.
    """

    snapshot: Snapshot
    history: History = field(default_factory=History)
    latest: BadPacket | None = None
    event: str = ""
    order: str = "packets"
    is_paused: bool = False
    seconds: float = 0.0
    packets_of: Callable[[str, Flow], Sequence[FlowPacket]] = _nothing
    has_keys: bool = True
    page: Page = Page.OVERVIEW
    selected: tuple[str, Flow] | None = None
    packets: Sequence[FlowPacket] = ()
    which: int = 0
    filter: str = ""
    is_typing: bool = False
    hint: str = ""

    def flows(self) -> list[BadFlow]:
        """Return the flows that pass the filter, in order."""
        words = self.filter.lower().split()
        found = [flow for flow in self.snapshot.flows if all(word in self._text(flow) for word in words)]
        return sorted(found, key=ORDERS[self.order])

    def _text(self, flow: BadFlow) -> str:
        owner = self.snapshot.owner(flow.interface)
        return f"{flow.flow} {flow.flow.transport} {flow.cause} {flow.interface} {owner}".lower()

    def place(self, flows: Sequence[BadFlow]) -> int | None:
        """Return which of *flows* is selected."""
        places = (i for i, flow in enumerate(flows) if (flow.interface, flow.flow) == self.selected)
        return next(places, None)

    @property
    def is_about_flows(self) -> bool:
        """Does somebody look for a flow?"""
        return self.selected is not None or self.is_typing or bool(self.filter)

    def press(self, key: str) -> bool:
        """Do what *key* asks for; False: quit."""
        self.hint = ""
        if self.is_typing:
            self._type(key)
            return True
        known = key if key in STEPS_TO_ENDS else key.lower()
        if known == "q":
            return False
        if known == "p":
            self.is_paused = not self.is_paused
        elif known == "?":
            self.page = Page.OVERVIEW if self.page is Page.HELP else Page.HELP
        elif self.page is Page.HELP:
            if known in ("escape", "enter"):
                self.page = Page.OVERVIEW
        elif self.page is Page.PACKET:
            self._press_at_packet(known)
        else:
            self._press_at_overview(known)
        return True

    def _press_at_overview(self, key: str) -> None:
        if self._step(key):
            pass
        elif key == "s":
            names = list(ORDERS)
            self.order = names[(names.index(self.order) + 1) % len(names)]
        elif key == "/":
            self.is_typing = True
        elif key == "enter":
            if self.place(self.flows()) is None:
                self._select(0)
            self._open()
        elif key == "escape":
            if self.filter:
                self.filter = ""
            else:
                self.selected = None

    def _press_at_packet(self, key: str) -> None:
        if self._step(key) or key == "enter":
            self._open()
        elif key in ("left", "h"):
            self.which = min(self.which + 1, max(0, len(self.packets) - 1))
        elif key in ("right", "l"):
            self.which = max(0, self.which - 1)
        elif key in ("escape", "backspace"):
            self.page = Page.OVERVIEW

    def _step(self, key: str) -> bool:
        """Select another flow, if *key* asks for one."""
        step = STEPS.get(key) or STEPS_TO_ENDS.get(key)
        if step is not None:
            self._select(step)
        return step is not None

    def _select(self, step: int) -> None:
        """Go so many flows down, or up; to the first one if none is selected."""
        flows = self.flows()
        if not flows:
            self.hint = f"no flow with {self.filter!r}" if self.snapshot.flows else "no flow has bad packets"
            return
        at = self.place(flows)
        at = (len(flows) - 1 if step == FAR else 0) if at is None else min(max(0, at + step), len(flows) - 1)
        self.selected = flows[at].interface, flows[at].flow

    def _open(self) -> None:
        if self.selected is not None:
            self.page, self.which = Page.PACKET, 0
            self.packets = self.packets_of(*self.selected)

    def look_again(self) -> None:
        """Ask once more for the packets of the opened flow, if there were none."""
        if self.page is Page.PACKET and not self.packets:
            self._open()

    def _type(self, key: str) -> None:
        if key == "enter":
            self.is_typing = False
        elif key == "escape":
            self.is_typing, self.filter = False, ""
        elif key == "backspace":
            self.filter = self.filter[:-1]
        elif key == "clear":
            self.filter = ""
        elif key in ("up", "down"):
            self._step(key)
        elif len(key) == 1:
            self.filter = (self.filter + key)[:MOST_LETTERS]
