"""pktmend's pipeline: read frames from a packet ring or a capture, judge their checksums, repair, send them on.

    from pipeline import Batch, Emit, Pipeline, Ring, Status, Verdict, verify

    def drop_bad(batch: Batch) -> None:
        \"\"\"Drop packets with a wrong checksum.  Reads: status.  Writes: verdict.\"\"\"
        batch.mark(Verdict.DROP, status=Status.BAD)

    Pipeline(Ring("veth-a", outgoing=False), [verify, drop_bad], Emit("veth-b")).run()
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

from pipeline.names import VERSION

if TYPE_CHECKING:
    from pipeline._core import Batch, Check, NativeStage, batch_of, checksum, crc32c, kernels, use_kernel
    from pipeline.afpacket import Emit, Ring
    from pipeline.counters import Direction
    from pipeline.errors import (
        CaptureError,
        ConfigError,
        FormatError,
        PipelineError,
        PrivilegeError,
        StageError,
        ViewError,
    )
    from pipeline.loop import Null, Pipeline
    from pipeline.names import Cause, CheckFlag, Drop, OnError, PacketFlag, Proto, Reason, RepairPolicy, Status, Verdict
    from pipeline.pcap import Capture, Copy, Writer
    from pipeline.stages import (
        build_native,
        classify,
        count,
        drop_corrupt,
        include_dir,
        native,
        repair,
        repair_with,
        verify,
        verify_with,
    )

__version__ = VERSION

# Where each public name comes from: imported when it is first used, so that `pktmend --version` starts at once.
_HOME = {
    "pipeline._core": "Batch Check NativeStage batch_of checksum crc32c kernels use_kernel",
    "pipeline.afpacket": "Emit Ring",
    "pipeline.counters": "Direction",
    "pipeline.errors": "CaptureError ConfigError FormatError PipelineError PrivilegeError StageError ViewError",
    "pipeline.loop": "Null Pipeline",
    "pipeline.names": "Cause CheckFlag Drop OnError PacketFlag Proto Reason RepairPolicy Status Verdict",
    "pipeline.pcap": "Capture Copy Writer",
    "pipeline.stages": (
        "build_native classify count drop_corrupt include_dir native repair repair_with verify verify_with"
    ),
}
_MODULE_OF = {name: module for module, names in _HOME.items() for name in names.split()}

__all__ = [
    "Batch",
    "Capture",
    "CaptureError",
    "Cause",
    "Check",
    "CheckFlag",
    "ConfigError",
    "Copy",
    "Direction",
    "Drop",
    "Emit",
    "FormatError",
    "NativeStage",
    "Null",
    "OnError",
    "PacketFlag",
    "Pipeline",
    "PipelineError",
    "PrivilegeError",
    "Proto",
    "Reason",
    "RepairPolicy",
    "Ring",
    "StageError",
    "Status",
    "Verdict",
    "ViewError",
    "Writer",
    "batch_of",
    "build_native",
    "checksum",
    "classify",
    "count",
    "crc32c",
    "drop_corrupt",
    "include_dir",
    "kernels",
    "native",
    "repair",
    "repair_with",
    "use_kernel",
    "verify",
    "verify_with",
]


def __getattr__(name: str) -> Any:
    if name not in _MODULE_OF:
        raise AttributeError(f"module 'pipeline' has no attribute {name!r}")
    value = getattr(importlib.import_module(_MODULE_OF[name]), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
