"""pktmend: read frames from a packet ring or a capture, judge their checksums, repair, send them on.

from pktmend import Batch, Emit, Pipeline, Ring, Status, Verdict, verify

def drop_bad(batch: Batch) -> None:
    \"\"\"Drop packets with a wrong checksum.  Reads: status.  Writes: verdict.\"\"\"
    batch.mark(Verdict.DROP, status=Status.BAD)

Pipeline(Ring("veth-a", outgoing=False), [verify, drop_bad], Emit("veth-b")).run()
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

from pktmend._version import VERSION

if TYPE_CHECKING:
    from pktmend._core import Batch, Check, NativeStage, batch_of, checksum, crc32c, kernels, use_kernel
    from pktmend.enums import Cause, CheckFlag, Drop, OnError, PacketFlag, Proto, Reason, RepairPolicy, Status, Verdict
    from pktmend.errors import (
        ConfigError,
        FormatError,
        OSFailure,
        PktmendError,
        PrivilegeError,
        StageError,
        ViewError,
    )
    from pktmend.include import include_dir
    from pktmend.packetio.afpacket import Emit, Ring
    from pktmend.packetio.capture import Capture, Copy, Writer
    from pktmend.runtime.counters import Counters
    from pktmend.runtime.pipeline import Null, Pipeline
    from pktmend.runtime.stages import (
        build_native,
        classify,
        count,
        drop_corrupt,
        native,
        repair,
        repair_with,
        verify,
        verify_with,
    )

__version__ = VERSION

# Where each public name comes from: imported when it is first used, so that `pktmend --version` starts at once.
_HOME = {
    "pktmend._core": "Batch Check NativeStage batch_of checksum crc32c kernels use_kernel",
    "pktmend.include": "include_dir",
    "pktmend.packetio.afpacket": "Emit Ring",
    "pktmend.runtime.counters": "Counters",
    "pktmend.errors": "OSFailure ConfigError FormatError PktmendError PrivilegeError StageError ViewError",
    "pktmend.runtime.pipeline": "Null Pipeline",
    "pktmend.enums": "Cause CheckFlag Drop OnError PacketFlag Proto Reason RepairPolicy Status Verdict",
    "pktmend.packetio.capture": "Capture Copy Writer",
    "pktmend.runtime.stages": ("build_native classify count drop_corrupt native repair repair_with verify verify_with"),
}
_MODULE_OF = {name: module for module, names in _HOME.items() for name in names.split()}

__all__ = [
    "Batch",
    "Capture",
    "Cause",
    "Check",
    "CheckFlag",
    "ConfigError",
    "Copy",
    "Counters",
    "Drop",
    "Emit",
    "FormatError",
    "NativeStage",
    "Null",
    "OSFailure",
    "OnError",
    "PacketFlag",
    "Pipeline",
    "PktmendError",
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
        raise AttributeError(f"module 'pktmend' has no attribute {name!r}")
    value = getattr(importlib.import_module(_MODULE_OF[name]), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
