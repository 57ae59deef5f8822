"""Ends of a pipeline that are Python: Frames, a source of frames that a program has; Function, a sink that it is."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import TYPE_CHECKING, Any, TypeAlias

from pktmend import _core
from pktmend.errors import ConfigError
from pktmend.packetio.iterate import batches_of

if TYPE_CHECKING:
    from typing_extensions import Buffer

Frame: TypeAlias = "Buffer | tuple[int, Buffer]"


class Frames:
    """A source: frames that the program has, or makes while the pipeline runs.

    frames:     an iterable of frames (bytes, bytearray, memoryview, ...) or of (time_ns, frame), each beginning with
                the header that *link* says.  It is gone through on the pipeline's thread, and each frame is copied.
    link:       LINKTYPE_* of the frames: 1 Ethernet, 101 raw IP.
    flags:      PacketFlag bits that a source would set: METADATA makes a partial checksum without NOT_READY `leaked`.
    vnet:       ten bytes of virtio-net header before each frame, or None.
    wirelen:    bytes that each frame had before it was cut; None: all are here.
    tpid, tci:  the VLAN tag that was stripped (with PacketFlag.VLAN).
    batch_size: frames of a batch at most.  A batch waits until it is full or the iterable ends: 1 for a live source.

    A list can be gone through again and again, a generator once.  What the iterable raises ends the pipeline with
    StageError, after the frames before it.
    """

    def __init__(
        self,
        frames: Iterable[Frame],
        *,
        link: int = 1,
        flags: int = 0,
        vnet: Buffer | None = None,
        wirelen: int | None = None,
        tpid: int = 0,
        tci: int = 0,
        batch_size: int = 256,
    ) -> None:
        if isinstance(frames, (bytes, bytearray, memoryview)):
            raise ConfigError("frames is an iterable of frames, not one", "Frames([frame])")
        self._frames = frames
        self._batch_size = batch_size
        self._options: dict[str, Any] = {
            "link": link,
            "flags": flags,
            "vnet": vnet,
            "wirelen": wirelen,
            "tpid": tpid,
            "tci": tci,
        }

    def open(self) -> _core.Source:
        """Return the engine's side: one more passage through the iterable."""
        return _core.FramesSource(self._frames, capacity=self._batch_size, **self._options)

    def batch(self) -> _core.Batch:
        """Return all frames as one batch, to try a stage on.  It owns them; views of it may be kept as long as it."""
        frames: Sequence[Frame] = list(self._frames)
        source = _core.FramesSource(frames, capacity=max(1, len(frames)), **self._options)
        batch = _core.Batch(source.capacity)
        source.next(batch)
        return batch

    def batches(self, *stages: Callable[[_core.Batch], Any]) -> Iterator[_core.Batch]:
        """Yield batches to the end, each after *stages* ran; one is released when the next is asked for.

        Raises: BufferError at the next step if a view of the batch is still alive.
        """
        return batches_of(self.open(), stages, -1)


class Function:
    """A sink: call *function* with each batch, on the pipeline's thread.

    `batch.where()` gives the packets that still pass.  What passes counts as sent, whatever the function does with it;
    what it raises ends the pipeline with StageError, and a view that it keeps with ViewError.
    """

    def __init__(self, function: Callable[[_core.Batch], object]) -> None:
        if not callable(function):
            raise ConfigError(f"{function!r} cannot be called with a batch")
        self._function = function

    def open(self, capacity: int) -> _core.Sink:
        """Return the engine's side."""
        return _core.PythonSink(self._function)
