"""The extension modules: they own memory and lifetimes, and turn the engine's return codes into exceptions.

Each part is a Cython module with a .pxd and a .pyi of its own.  All are linked to one libpktmend.so, which holds the
engine and the only copy of its globals.  All are loaded at once (2 ms): later the process may have dropped the
privilege to read them.

`sums` goes first: it chooses the SIMD kernel and compares it with portable before anything is summed.
"""

from pktmend._core.sums import checksum, crc32c, kernel_address, kernels, self_test, use_kernel  # isort: split

from pktmend._core.batch import Batch, batch_layout
from pktmend._core.bridge_loop import BridgeLoop
from pktmend._core.clearing import Clearing
from pktmend._core.conversations import DIRECTION_FIELDS, DIRECTION_KINDS, Conversations
from pktmend._core.engine import ABI, clear_tunnel_ports, set_tunnel_port, tunnel_kinds, tunnel_of_port, words
from pktmend._core.frames import FramesSource, inspect
from pktmend._core.loop import Loop, run_together
from pktmend._core.pool import Pool
from pktmend._core.results import (
    FLOWS_MOST,
    NEWS_BAD,
    NEWS_FIRST,
    NEWS_UNREAD,
    FlowCounts,
    News,
    RowChunk,
    RowFiller,
)
from pktmend._core.samples import LastPackets, Sampler, Spool
from pktmend._core.sinks import CopySink, EmitSink, NullSink, PythonSink, Sink, WriterSink, comment_option
from pktmend._core.sources import CaptureSource, PacketFilter, RingSource, Source, link_of
from pktmend._core.stages import (
    CAPSULE,
    NativeStage,
    capsule_stage,
    classify_stage,
    count_left_stage,
    count_stage,
    drop_corrupt_stage,
    native_stage,
    repair_option,
    repair_stage,
    time_stage,
    verify_stage,
)
from pktmend._core.views import CHECK_FORMAT, Check

__all__ = [
    "ABI",
    "CAPSULE",
    "CHECK_FORMAT",
    "DIRECTION_FIELDS",
    "DIRECTION_KINDS",
    "FLOWS_MOST",
    "NEWS_BAD",
    "NEWS_FIRST",
    "NEWS_UNREAD",
    "Batch",
    "BridgeLoop",
    "CaptureSource",
    "Check",
    "Clearing",
    "Conversations",
    "CopySink",
    "EmitSink",
    "FlowCounts",
    "FramesSource",
    "LastPackets",
    "Loop",
    "NativeStage",
    "News",
    "NullSink",
    "PacketFilter",
    "Pool",
    "PythonSink",
    "RingSource",
    "RowChunk",
    "RowFiller",
    "Sampler",
    "Sink",
    "Source",
    "Spool",
    "WriterSink",
    "batch_layout",
    "capsule_stage",
    "checksum",
    "classify_stage",
    "clear_tunnel_ports",
    "comment_option",
    "count_left_stage",
    "count_stage",
    "crc32c",
    "drop_corrupt_stage",
    "inspect",
    "kernel_address",
    "kernels",
    "link_of",
    "native_stage",
    "repair_option",
    "repair_stage",
    "run_together",
    "self_test",
    "set_tunnel_port",
    "time_stage",
    "tunnel_kinds",
    "tunnel_of_port",
    "use_kernel",
    "verify_stage",
    "words",
]
