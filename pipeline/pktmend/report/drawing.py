"""The drawing of a path, as data: stations and the links between them.  svg.py and mermaid.py write it."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum


class State(StrEnum):
    """What a station or a link does to checksums; the words are classes of the drawing's style."""

    PLAIN = "plain"
    FINE = "fine"
    UNSURE = "unsure"  # it may lose the metadata
    LOST = "lost"  # here it is lost, or what comes is wrong from here on


@dataclass(frozen=True)
class Station:
    """A box.

    key:     what links name it by.        title: its first line.      lines: what is said below.
    group:   what it lies in, a namespace; "" nothing.
    """

    key: str
    title: str
    lines: tuple[str, ...] = ()
    group: str = ""
    state: State = State.PLAIN


@dataclass(frozen=True)
class Link:
    """A line between two stations; in the drawing of a path frames go from *a* to *b*."""

    a: str
    b: str
    label: str = ""
    state: State = State.PLAIN


@dataclass(frozen=True)
class Drawing:
    """All of it.

    title:    for who cannot see it.    is_path: frames go one way; else links have no direction.
    Every link names stations that are there.
    """

    title: str
    stations: tuple[Station, ...]
    links: tuple[Link, ...] = ()
    is_path: bool = False

    def layers(self) -> list[list[Station]]:
        """Return the stations of each distance from the beginning, parts that are not linked one below the other.

        The beginning of a part is a station with one link or none, the farthest from any other: chains read as chains.
        """
        near = self._neighbours()
        stations = {station.key: station for station in self.stations}
        layers: defaultdict[int, list[Station]] = defaultdict(list)
        placed: set[str] = set()
        for station in self.stations:
            if station.key in placed:
                continue
            part = _distances(station.key, near)
            start = station.key if self.is_path else max(part, key=lambda key: part[key])
            for key, distance in _distances(start, near).items():
                layers[distance].append(stations[key])
                placed.add(key)
        return [layers[distance] for distance in sorted(layers)]

    def _neighbours(self) -> dict[str, list[str]]:
        near: dict[str, list[str]] = {station.key: [] for station in self.stations}
        for link in self.links:
            near[link.a].append(link.b)
            near[link.b].append(link.a)
        return near


def chain(title: str, stations: Sequence[Station], labels: Sequence[tuple[str, State]]) -> Drawing:
    """Return a path through *stations*; labels: (what is said of the link, its state) between each two."""
    links = [
        Link(a.key, b.key, label, state)
        for a, b, (label, state) in zip(stations[:-1], stations[1:], labels, strict=True)
    ]
    return Drawing(title, tuple(stations), tuple(links), is_path=True)


def _distances(start: str, near: dict[str, list[str]]) -> dict[str, int]:
    """Return how many links each station of a part is away, nearest first."""
    found = {start: 0}
    todo = [start]
    for key in todo:
        for other in near[key]:
            if other not in found:
                found[other] = found[key] + 1
                todo.append(other)
    return found
