"""pktmend: read frames from a packet ring or a capture, judge their checksums, repair, send them on.

from pktmend import Batch, Emit, Pipeline, Ring, Status, Verdict, verify

def drop_bad(batch: Batch) -> None:
    \"\"\"Drop packets with a wrong checksum.  Reads: status.  Writes: verdict.\"\"\"
    batch.mark(Verdict.DROP, status=Status.BAD)

with Ring("veth-a", outgoing=False) as ring, Emit("veth-b") as out:
    Pipeline(ring, [verify, drop_bad], out).run()

Plain calls: check(path), read(path), diagnose(path).  A name with a capital is a class, one without is a stage or a
function.  `pktmend help python` is the guide; __init__.pyi is what type checkers read.
"""

from pktmend._version import VERSION

__version__ = VERSION

# Where each public name comes from: imported when it is first used, so that `pktmend --version` starts at once.
_HOME = {
    "pktmend._core": "Batch Check NativeStage checksum crc32c kernels use_kernel",
    "pktmend.commands.diagnose.api": "diagnose",
    "pktmend.commands.diagnose.finding": "Diagnosis",
    "pktmend.enums": "Cause CheckFlag Drop OnError PacketFlag Proto Reason RepairPolicy Status Unread Verdict",
    "pktmend.errors": "ConfigError FormatError OSFailure PktmendError PrivilegeError StageError ViewError",
    "pktmend.include": "include_dir",
    "pktmend.packetio.capture": "Capture",
    "pktmend.packetio.capture_writer": "Copy Writer",
    "pktmend.packetio.emit": "Emit",
    "pktmend.packetio.in_python": "Frames Function",
    "pktmend.packetio.ring": "Ring",
    "pktmend.reading": "Packet Summary check read",
    "pktmend.runtime.counters": "Counters StageCount",
    "pktmend.runtime.native_stages": "build_native wrap_native",
    "pktmend.runtime.pipeline": "Null Pipeline Sink Source Stage",
    "pktmend.runtime.stages": ("Classify Repair Verify classify count drop_corrupt repair verify"),
    "pktmend.runtime.tunnels": "use_tunnel_ports",
}
_MODULE_OF = {name: module for module, names in _HOME.items() for name in names.split()}

__all__ = sorted(_MODULE_OF)


def __getattr__(name: str) -> object:
    if name not in _MODULE_OF:
        raise AttributeError(f"module 'pktmend' has no attribute {name!r}")
    from importlib import import_module  # here, like all else that `import pktmend` need not wait for

    value = getattr(import_module(_MODULE_OF[name]), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*__all__, *(name for name in globals() if name.startswith("__"))})
