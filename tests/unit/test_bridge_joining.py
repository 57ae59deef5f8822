"""When the bridge has GRO on: by what arrives, second by second."""

from __future__ import annotations

from typing import Any

import pytest

from pktmend.commands.bridge.joining import Joining
from pktmend.packetio.kernel_judge import Counts

NONE = Counts(0, 0, 0, 0, 0, {}, 0, 0, 0, 0)


class Switch:
    """Stands where the port keeper does, in another process; remembers what it was told."""

    def __init__(self) -> None:
        self.said: list[tuple[str, bool]] = []

    def switch_gro(self, name: str, *, on: bool) -> None:
        self.said.append((name, on))


def told(*seconds: tuple[int, int, int]) -> list[bool]:
    """What was switched when in each second so many frames, segments, and super-frames arrive, looked at ten times."""
    switch = Switch()
    joining = Joining("pa", switch)  # type: ignore[arg-type]
    counts, now = NONE, 100.0
    joining.look(now, counts)
    for arrived, segments, super_frames in seconds:
        for _ in range(10):
            now += 0.1
            add: dict[str, Any] = {
                "arrived": counts.arrived + arrived // 10,
                "segments": counts.segments + segments // 10,
                "super_frames": counts.super_frames + super_frames // 10,
            }
            counts = counts._replace(**add)
            joining.look(now, counts)
    assert {name for name, _ in switch.said} <= {"pa"}
    return [on for _, on in switch.said]


STREAM, IDLE = (100_000, 90_000, 0), (0, 0, 0)


@pytest.mark.parametrize(
    ("seconds", "switched"),
    [
        pytest.param([STREAM], [True], id="a stream of segments"),
        pytest.param([(20_000, 3_000, 17_000)] * 3, [], id="super-frames and their last pieces"),
        pytest.param([(40_000, 15_000, 10_000)] * 3, [], id="of both, not twice as many segments"),
        pytest.param([(500_000, 0, 0)] * 3, [], id="short frames, other protocols, suspects"),
        pytest.param([(5_000, 4_000, 0)] * 3, [], id="too few to be joined"),
        pytest.param([STREAM, IDLE, IDLE, IDLE], [True, False], id="quiet again"),
        pytest.param([STREAM, IDLE, STREAM, IDLE], [True], id="a pause"),
        pytest.param([STREAM, *[(1_000, 0, 900)] * 5], [True], id="never switched off under load"),
        pytest.param([STREAM, *[(30, 0, 0)] * 4, STREAM], [True, False, True], id="next to nothing, and again"),
        pytest.param([IDLE] * 5, [], id="nothing"),
    ],
)
def test_gro_is_switched_by_what_arrives(seconds: list[tuple[int, int, int]], switched: list[bool]) -> None:
    assert told(*seconds) == switched
