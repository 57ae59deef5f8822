"""Batches of frames that no source read."""

from collections.abc import Sequence

from typing_extensions import Buffer

from pktmend._core.batch import Batch
from pktmend._core.views import Check
from pktmend.records import Inspected

def batch_of(
    frames: Sequence[Buffer],
    *,
    link: int = 1,
    flags: int = 0,
    vnet: Buffer | None = None,
    wirelen: int | None = None,
    tpid: int = 0,
    tci: int = 0,
) -> Batch: ...
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
