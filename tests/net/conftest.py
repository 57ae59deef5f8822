"""Fixtures of the network tests.  Root is needed; without it every test in this folder is skipped."""

from __future__ import annotations

import fcntl
import os
import shutil
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from line import Line
from pktmend.testbed.netns import Host, Testbed
from sanitizing import Build
from terminal import Terminal

HERE = Path(__file__).parent


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark and, without root, skip what lies in this folder."""
    for item in items:
        if HERE in item.path.parents:
            item.add_marker(pytest.mark.net)
            if os.geteuid() != 0:
                item.add_marker(pytest.mark.skip(reason="network namespaces need root"))


@pytest.fixture(autouse=True)
def turn(request: pytest.FixtureRequest) -> Iterator[None]:
    """Run beside the tests of other processes; one that is marked `alone` waits until none runs, and they for it.

    Whoever waits holds the door: one that wants to be alone is not overtaken for ever by others.
    """
    alone = request.node.get_closest_marker("alone") is not None
    place = Path(tempfile.gettempdir())
    with (place / "pktmend-tests.door").open("w") as door, (place / "pktmend-tests.room").open("w") as room:
        fcntl.flock(door, fcntl.LOCK_EX)
        fcntl.flock(room, fcntl.LOCK_EX if alone else fcntl.LOCK_SH)
        fcntl.flock(door, fcntl.LOCK_UN)
        yield


@pytest.fixture
def testbed() -> Iterator[Testbed]:
    with Testbed() as testbed:
        yield testbed


@pytest.fixture
def line() -> Iterator[Line]:
    with Testbed() as testbed:
        yield Line(testbed)


@pytest.fixture
def make_line() -> Iterator[Callable[[int], Line]]:
    """Make lines of a chosen MTU."""
    with Testbed() as testbed:
        yield lambda mtu: Line(testbed, mtu)


@pytest.fixture
def ends() -> Iterator[tuple[Host, Host]]:
    """Two hosts on one veth pair, eth0 each."""
    with Testbed() as testbed:
        a, b = testbed.host("a"), testbed.host("b")
        testbed.veth(a, "eth0", b, "eth0")
        yield a, b


@pytest.fixture(scope="session", autouse=True)
def sanitized_build(request: pytest.FixtureRequest) -> Iterator[Build | None]:
    """Begin it with the first test of this folder, if any test wants it: until that one's turn there is time enough."""
    wanted = any("sanitized" in getattr(item, "fixturenames", ()) for item in request.session.items)
    if not wanted or os.geteuid() != 0 or shutil.which("gcc") is None:
        yield None
        return
    build = Build()
    yield build
    build.close()


@pytest.fixture
def terminal() -> Iterator[type[Terminal]]:
    """Terminals that are closed at the end."""
    made: list[Terminal] = []

    class Closed(Terminal):
        def __init__(self, *argv: object, **options: object) -> None:
            super().__init__(*argv, **options)  # type: ignore[arg-type]
            made.append(self)

    yield Closed
    for each in made:
        each.close()
