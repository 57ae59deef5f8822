"""What a case of the lab is."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from pktmend.testbed.netns import Testbed
from pktmend.testbed.transcript import Transcript


@dataclass(frozen=True)
class LabCase:
    """One reproduction: its name, what it is, the cause that `diagnose` shall name, the programs it needs."""

    name: str
    title: str
    cause: str
    run: Callable[[Testbed, Transcript], None]
    needs: tuple[str, ...] = ()
