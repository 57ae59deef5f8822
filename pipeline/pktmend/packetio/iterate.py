"""Batches one after another, without a pipeline: what `for batch in source.batches(...)` steps through."""

from __future__ import annotations

import contextlib
import select
from collections.abc import Callable, Iterator, Sequence
from typing import Any

from pktmend import _core


def batches_of(
    source: _core.Source, stages: Sequence[Callable[[_core.Batch], Any]], fd: int, timeout: float | None = None
) -> Iterator[_core.Batch]:
    """Yield each batch of *source* after *stages* ran; it is released when the next is asked for.

    fd:      to wait for input on; -1 if the source never has to be waited for.
    timeout: seconds of silence after which it ends; None waits for ever.
    Raises:  BufferError at the next step if a view of the batch is still alive; what a stage raises, as it is.
    """
    batch = _core.Batch(source.capacity)
    chain = [stage.with_memory() if isinstance(stage, _core.NativeStage) else stage for stage in stages]
    poll = select.poll()
    if fd >= 0:
        poll.register(fd, select.POLLIN)
    while (count := source.next(batch)) is not None:
        if count:
            try:
                for stage in chain:
                    stage(batch)
                yield batch
            except BaseException:
                with contextlib.suppress(BufferError):  # a view is alive: close() says so if it stays
                    source.release(batch)
                raise
            source.release(batch)
        elif fd >= 0 and not poll.poll(None if timeout is None else timeout * 1000):
            return
