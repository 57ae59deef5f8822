"""The public names, for type checkers; at run time __init__.py imports each when it is first used (a test compares)."""

from pktmend._core import (
    Batch as Batch,
)
from pktmend._core import (
    Check as Check,
)
from pktmend._core import (
    NativeStage as NativeStage,
)
from pktmend._core import (
    checksum as checksum,
)
from pktmend._core import (
    crc32c as crc32c,
)
from pktmend._core import (
    kernels as kernels,
)
from pktmend._core import (
    use_kernel as use_kernel,
)
from pktmend.enums import (
    Cause as Cause,
)
from pktmend.enums import (
    CheckFlag as CheckFlag,
)
from pktmend.enums import (
    Drop as Drop,
)
from pktmend.enums import (
    OnError as OnError,
)
from pktmend.enums import (
    PacketFlag as PacketFlag,
)
from pktmend.enums import (
    Proto as Proto,
)
from pktmend.enums import (
    Reason as Reason,
)
from pktmend.enums import (
    RepairPolicy as RepairPolicy,
)
from pktmend.enums import (
    Status as Status,
)
from pktmend.enums import (
    Verdict as Verdict,
)
from pktmend.errors import (
    ConfigError as ConfigError,
)
from pktmend.errors import (
    FormatError as FormatError,
)
from pktmend.errors import (
    OSFailure as OSFailure,
)
from pktmend.errors import (
    PktmendError as PktmendError,
)
from pktmend.errors import (
    PrivilegeError as PrivilegeError,
)
from pktmend.errors import (
    StageError as StageError,
)
from pktmend.errors import (
    ViewError as ViewError,
)
from pktmend.include import (
    include_dir as include_dir,
)
from pktmend.packetio.afpacket import (
    Emit as Emit,
)
from pktmend.packetio.afpacket import (
    Ring as Ring,
)
from pktmend.packetio.capture import (
    Capture as Capture,
)
from pktmend.packetio.capture import (
    Copy as Copy,
)
from pktmend.packetio.capture import (
    Writer as Writer,
)
from pktmend.packetio.in_python import (
    Frames as Frames,
)
from pktmend.packetio.in_python import (
    Function as Function,
)
from pktmend.reading import (
    Packet as Packet,
)
from pktmend.reading import (
    Summary as Summary,
)
from pktmend.reading import (
    check as check,
)
from pktmend.reading import (
    read as read,
)
from pktmend.runtime.counters import (
    Counters as Counters,
)
from pktmend.runtime.counters import (
    StageCount as StageCount,
)
from pktmend.runtime.pipeline import (
    Null as Null,
)
from pktmend.runtime.pipeline import (
    Pipeline as Pipeline,
)
from pktmend.runtime.pipeline import (
    Sink as Sink,
)
from pktmend.runtime.pipeline import (
    Source as Source,
)
from pktmend.runtime.pipeline import (
    Stage as Stage,
)
from pktmend.runtime.stages import (
    Classify as Classify,
)
from pktmend.runtime.stages import (
    Repair as Repair,
)
from pktmend.runtime.stages import (
    Verify as Verify,
)
from pktmend.runtime.stages import (
    build_native as build_native,
)
from pktmend.runtime.stages import (
    classify as classify,
)
from pktmend.runtime.stages import (
    count as count,
)
from pktmend.runtime.stages import (
    drop_corrupt as drop_corrupt,
)
from pktmend.runtime.stages import (
    repair as repair,
)
from pktmend.runtime.stages import (
    verify as verify,
)
from pktmend.runtime.stages import (
    wrap_native as wrap_native,
)

__version__: str
