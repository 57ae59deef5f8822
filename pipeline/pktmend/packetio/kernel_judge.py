"""The kernel's part of cut-through: load it, tell it where frames go, read what it counted.

Rules of this file:
1. A KernelJudge is one direction: its maps are its own.  Attaching its programs is the caller's.
2. Once it is loaded nothing here takes a system call: configuration, counters and order are memory that the kernel
   shares with us.
3. The layout is that of ext/bpf/cut_through.h; a test compares them.

Not here: who is healthy (ext/bpf/judge.h), attachment (pktmend.host), what becomes of suspects (the bridge).
"""

from __future__ import annotations

import ctypes
import enum
import mmap
from collections.abc import Iterable
from pathlib import Path
from types import TracebackType
from typing import Any, Final, NamedTuple, Self

from pktmend import _core
from pktmend.enums import Proto, Status
from pktmend.errors import OSFailure, PrivilegeError
from pktmend.packetio import libbpf

SLOTS: Final = 16384
PORTS: Final = 65536
LINE: Final = 64  # bytes of a cache line

# What is found healthy (enum pp_cut_kind), and the checks that each such frame has had.
KINDS: Final[tuple[tuple[tuple[Proto, Status], ...], ...]] = (
    (),  # what went up
    (),  # ARP
    ((Proto.IP, Status.GOOD), (Proto.TCP, Status.PENDING)),
    ((Proto.IP, Status.GOOD), (Proto.TCP, Status.GOOD)),
    ((Proto.IP, Status.GOOD), (Proto.UDP, Status.PENDING)),
    ((Proto.IP, Status.GOOD), (Proto.UDP, Status.GOOD)),
    ((Proto.IP, Status.GOOD), (Proto.ICMP, Status.GOOD)),
    ((Proto.TCP, Status.PENDING),),
    ((Proto.TCP, Status.GOOD),),
    ((Proto.UDP, Status.PENDING),),
    ((Proto.UDP, Status.GOOD),),
    ((Proto.ICMPV6, Status.GOOD),),
)
SUSPECT, ARP = 0, 1


class Way(enum.IntEnum):
    """How a frame leaves (enum pp_cut_way).

    OUT:  by the interface, its queue and its taps.    PEER: into the other end of that veth, past both.
    IN:   as if it had come in at that interface.
    """

    OUT = 0
    PEER = 1
    IN = 2


class _Config(ctypes.Structure):
    """struct pp_cut_config."""

    _fields_ = (
        ("enabled", ctypes.c_uint32),
        ("target", ctypes.c_uint32),
        ("internal", ctypes.c_uint32),
        ("healthy", ctypes.c_uint32),
        ("suspects", ctypes.c_uint32),
        ("mtu", ctypes.c_uint32),
        ("snap", ctypes.c_uint32),
        ("unused", ctypes.c_uint32),
        ("tunnel_ports", ctypes.c_uint8 * (PORTS // 8)),
    )


class _Counts(ctypes.Structure):
    """struct pp_cut_counts: one for each CPU."""

    _fields_ = (
        ("frames", ctypes.c_uint64 * len(KINDS)),
        ("bytes", ctypes.c_uint64),
        ("super_frames", ctypes.c_uint64),
        ("held", ctypes.c_uint64),
        ("multicasts", ctypes.c_uint64),
        ("segments", ctypes.c_uint64),
        ("unused", ctypes.c_uint64 * 7),
    )


class _Order(ctypes.Structure):
    """struct pp_cut_order, each part on a cache line of its own."""

    _fields_ = (
        ("issued", ctypes.c_uint64),
        ("_after_issued", ctypes.c_uint8 * (LINE - 8)),
        ("clear", ctypes.c_uint64),
        ("_after_clear", ctypes.c_uint8 * (LINE - 8)),
        ("slots", ctypes.c_uint64 * SLOTS),
    )


# The kernel's structs by the header's names.
LAYOUT: Final[dict[str, type[ctypes.Structure]]] = {
    "pp_cut_config": _Config,
    "pp_cut_counts": _Counts,
    "pp_cut_order": _Order,
}


class Counts(NamedTuple):
    """What the kernel's part has counted since it was loaded.

    arrived:      frames that it saw: frames + issued.
    frames:       healthy ones, which the kernel carried (of a monitor: that it kept back).
    bytes:        of these, from the Ethernet header on, a VLAN tag in the metadata counted.
    super_frames: of these, how many were longer than a segment.
    no_checksum:  of these, how many have no checksum at all (ARP).
    checks:       of these, by protocol and status.
    issued:       frames that went up to user space.
    multicasts:   of the healthy ones, those for many, broadcasts too.
    segments:     of the healthy ones, TCP segments of 1,000 bytes and more that came by themselves.
    held:         of the issued, those that were healthy, and went up to stay behind a suspect of their flow.
    """

    arrived: int
    frames: int
    bytes: int
    super_frames: int
    no_checksum: int
    checks: dict[Proto, dict[Status, int]]
    issued: int
    held: int
    multicasts: int
    segments: int


def obstacle() -> str:
    """Say why the kernel's part cannot be used here and what to do about it, in one line; "" if nothing is known.

    The program itself is not loaded.  The first call takes some 50 ms, later ones less than one.
    """
    return libbpf.obstacle()


class KernelJudge:
    """The programs and maps of one direction, loaded into the kernel; a context manager.

    cut:    descriptor of the program for tc ingress of a port.
    refuse: descriptor of the program for tc ingress of the internal port: drops all.
    look:   descriptor of the program for a packet socket (SO_ATTACH_BPF) that takes whole Ethernet frames.
    image:  other programs than those that came with this package (tests).
    Descriptors are close-on-exec and live until close(); what is attached stays attached beyond that.
    Needs CAP_BPF, CAP_PERFMON and CAP_NET_ADMIN (or CAP_SYS_ADMIN) to be made, nothing afterwards.
    Raises: PrivilegeError, OSFailure: with what to install or to change as the hint.
    """

    def __init__(self, *, image: bytes | None = None) -> None:
        reason = obstacle()
        if reason:
            raise (PrivilegeError if "CAP_" in reason else OSFailure)("cut-through cannot be used", reason)
        cpus = libbpf.possible_cpus()
        self._object = libbpf.Object(image or _object_file().read_bytes(), entries={"counts": cpus})
        try:
            self.cut = self._object.program("cut")
            self.refuse = self._object.program("refuse")
            self.look = self._object.program("look")
            self._memory: list[mmap.mmap] = []
            self._config: Any = self._map("config", _Config)
            self._order: Any = self._map("order", _Order)
            self._counts: Any = self._map("counts", _Counts * cpus)
        except BaseException:
            self.close()
            raise
        self.configure(suspects=Way.IN, tunnel_ports=())

    def _map(self, name: str, kind: type[ctypes.Structure] | type[ctypes.Array[_Counts]]) -> Any:
        """Return the map as an instance of *kind* that shares the kernel's memory."""
        size = ctypes.sizeof(kind)
        memory = mmap.mmap(self._object.map(name), size, mmap.MAP_SHARED, mmap.PROT_READ | mmap.PROT_WRITE)
        self._memory.append(memory)
        return kind.from_buffer(memory)

    def configure(
        self,
        *,
        enabled: bool | None = None,
        target: int | None = None,
        internal: int | None = None,
        healthy: Way | None = None,
        suspects: Way | None = None,
        mtu: int | None = None,
        snap: int | None = None,
        tunnel_ports: Iterable[int] | None = None,
    ) -> None:
        """Change what is named here and leave the rest.  Each takes effect with the next frame.

        enabled:  False at first: everything goes up (look: comes whole).
        target:   index of the interface that healthy frames leave by.    healthy: Way.OUT (at first) or Way.PEER.
        internal: index of the interface whose ring reads the rest.       suspects: Way.IN, PEER or OUT (at first).
                  0, as at first: `cut` leaves every frame alone and counts none.
        mtu:      of the target: longer frames go up, but for super-frames; 0, as at first: no limit.
        snap:     bytes that a socket with `look` gets of healthy pending TCP; 0, as at first: not even its being there.
        tunnel_ports: UDP ports that may carry a tunnel, beside those that the parser knows.
        """
        config = self._config
        if tunnel_ports is not None:
            told = bytearray(PORTS // 8)
            for port in {*tunnel_ports, *(p for p in range(PORTS) if _core.tunnel_of_port(p))}:
                told[port // 8] |= 1 << port % 8
            ctypes.memmove(config.tunnel_ports, bytes(told), len(told))
        values = {"target": target, "internal": internal, "healthy": healthy, "suspects": suspects, "mtu": mtu}
        for name, value in (*values.items(), ("snap", snap), ("enabled", enabled)):
            if value is not None:
                setattr(config, name, int(value))

    def counts(self) -> Counts:
        """Return the counters, summed over all CPUs.  No system call."""
        kinds = [sum(cpu.frames[kind] for cpu in self._counts) for kind in range(len(KINDS))]
        checks: dict[Proto, dict[Status, int]] = {}
        for frames, had in zip(kinds, KINDS, strict=True):
            for proto, status in had if frames else ():
                of = checks.setdefault(proto, {})
                of[status] = of.get(status, 0) + frames
        healthy = sum(kinds) - kinds[SUSPECT]
        return Counts(
            arrived=sum(kinds),
            frames=healthy,
            bytes=sum(cpu.bytes for cpu in self._counts),
            super_frames=sum(cpu.super_frames for cpu in self._counts),
            no_checksum=kinds[ARP],
            checks=checks,
            issued=kinds[SUSPECT],
            held=sum(cpu.held for cpu in self._counts),
            multicasts=sum(cpu.multicasts for cpu in self._counts),
            segments=sum(cpu.segments for cpu in self._counts),
        )

    @property
    def issued(self) -> int:
        """The number of the last frame that `cut` sent up; they are counted from 1."""
        return int(self._order.issued)

    @property
    def numbers(self) -> tuple[memoryview, int]:
        """The memory that begins with `issued`, and at which byte of it `clear` lies.  Release it before close()."""
        return memoryview(self._order).cast("B")[: 2 * LINE], LINE

    def set_clear(self, number: int) -> None:
        """Say that all frames up to this number have been sent or given up: their flows are free again."""
        self._order.clear = number

    def close(self) -> None:
        """Let go of programs and maps; what is attached stays.  May be called twice."""
        self._config = self._order = self._counts = None
        for memory in getattr(self, "_memory", []):
            memory.close()
        self._memory = []
        self._object.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


def _object_file() -> Path:
    """Return where the compiled programs lie: in the package, or in the tree of an editable install."""
    package = Path(__file__).parent.parent
    installed = package / "bpf" / "cut_through.bpf.o"
    return installed if installed.exists() else package.parent.parent / "ext" / "bpf" / installed.name


__all__ = ["Counts", "KernelJudge", "Way", "obstacle"]
