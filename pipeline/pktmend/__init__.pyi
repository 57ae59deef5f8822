"""The public names, for type checkers; at run time __init__.py imports each when it is first used (a test compares)."""
# isort: skip_file

from pktmend._core import (
    Batch as Batch,
    Check as Check,
    NativeStage as NativeStage,
    checksum as checksum,
    crc32c as crc32c,
    kernels as kernels,
    use_kernel as use_kernel,
)
from pktmend.commands.diagnose.api import (
    diagnose as diagnose,
)
from pktmend.commands.diagnose.finding import (
    Diagnosis as Diagnosis,
)
from pktmend.enums import (
    Cause as Cause,
    CheckFlag as CheckFlag,
    Drop as Drop,
    OnError as OnError,
    PacketFlag as PacketFlag,
    Proto as Proto,
    Reason as Reason,
    RepairPolicy as RepairPolicy,
    Status as Status,
    Unread as Unread,
    Verdict as Verdict,
)
from pktmend.errors import (
    ConfigError as ConfigError,
    FormatError as FormatError,
    OSFailure as OSFailure,
    PktmendError as PktmendError,
    PrivilegeError as PrivilegeError,
    StageError as StageError,
    ViewError as ViewError,
)
from pktmend.include import (
    include_dir as include_dir,
)
from pktmend.packetio.capture import (
    Capture as Capture,
)
from pktmend.packetio.capture_writer import (
    Copy as Copy,
    Writer as Writer,
)
from pktmend.packetio.emit import (
    Emit as Emit,
)
from pktmend.packetio.in_python import (
    Frames as Frames,
    Function as Function,
)
from pktmend.packetio.ring import (
    Ring as Ring,
)
from pktmend.reading import (
    Packet as Packet,
    Summary as Summary,
    check as check,
    read as read,
)
from pktmend.runtime.counters import (
    Counters as Counters,
    StageCount as StageCount,
)
from pktmend.runtime.native_stages import (
    build_native as build_native,
    wrap_native as wrap_native,
)
from pktmend.runtime.pipeline import (
    Null as Null,
    Pipeline as Pipeline,
    Sink as Sink,
    Source as Source,
    Stage as Stage,
)
from pktmend.runtime.stages import (
    Classify as Classify,
    Repair as Repair,
    Verify as Verify,
    classify as classify,
    count as count,
    drop_corrupt as drop_corrupt,
    repair as repair,
    verify as verify,
)
from pktmend.runtime.tunnels import (
    use_tunnel_ports as use_tunnel_ports,
)

__version__: str
