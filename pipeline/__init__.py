"""pktmend's pipeline: read frames from a packet ring or a capture, judge their checksums, repair, send them on.

    from pipeline import Batch, Emit, Pipeline, Ring, Status, Verdict, verify

    def drop_bad(batch: Batch) -> None:
        \"\"\"Drop packets with a wrong checksum.  Reads: status.  Writes: verdict.\"\"\"
        batch.mark(Verdict.DROP, status=Status.BAD)

    Pipeline(Ring("veth-a", outgoing=False), [verify, drop_bad], Emit("veth-b")).run()
"""

from __future__ import annotations

import os

from pipeline import _core
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
)
from pipeline.loop import Null, Pipeline
from pipeline.names import (
    VERSION,
    Cause,
    CheckFlag,
    Drop,
    PacketFlag,
    Proto,
    Reason,
    RepairPolicy,
    Status,
    Verdict,
)
from pipeline.pcap import Capture
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

__all__ = [
    "Batch",
    "Capture",
    "CaptureError",
    "Cause",
    "Check",
    "CheckFlag",
    "ConfigError",
    "Direction",
    "Drop",
    "Emit",
    "FormatError",
    "NativeStage",
    "Null",
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

if os.environ.get("PKTMEND_KERNEL"):
    use_kernel(os.environ["PKTMEND_KERNEL"])
_core.self_test()
