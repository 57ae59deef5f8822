"""Batches of frames that the program has."""

from collections.abc import Iterable

from typing_extensions import Buffer

from pktmend._core.sources import Source
from pktmend._core.views import Check
from pktmend.records import Inspected

class FramesSource(Source):
    def __new__(
        cls,
        frames: Iterable[Buffer | tuple[int, Buffer]],
        *,
        capacity: int = 256,
        link: int = 1,
        flags: int = 0,
        vnet: Buffer | None = None,
        wirelen: int | None = None,
        tpid: int = 0,
        tci: int = 0,
    ) -> FramesSource: ...
    def close(self) -> None: ...

def inspect(
    frame: Buffer,
    *,
    link: int = 1,
    flags: int = 0,
    vnet: Buffer | None = None,
    wirelen: int | None = None,
    expected: bool = True,
    at_wire: bool = False,
) -> Inspected[Check]: ...
