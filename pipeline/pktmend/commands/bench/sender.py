"""Numbered frames, right or damaged in chosen ways, out of one interface as fast as wanted.

Templates are made here once; numbers, ports and checksums are put in by C (ext/bench), and many frames leave with
one sendmmsg, without the GIL.
"""

from __future__ import annotations

import fcntl
import math
import os
import socket
import struct
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from pktmend._kernel import lib as kernel
from pktmend.commands.bench._traffic import ffi, lib
from pktmend.commands.bench.frames import IMIX, MARK_BYTES, TCP, UDP, V4, V6, Shape, words_of
from pktmend.errors import ConfigError, OSFailure, PrivilegeError
from pktmend.host.interfaces import mtu_of, require_interface

PROTOS = ("ip", "tcp", "udp")
OUTCOMES = [ffi.string(lib.traffic_outcome_name(i)).decode() for i in range(lib.TRAFFIC_OUTCOMES)]
DAMAGES = [ffi.string(lib.traffic_damage_name(i)).decode() for i in range(lib.TRAFFIC_DAMAGES)]


@dataclass(frozen=True)
class GenerateOptions:
    """The options of `pktmend bench gen`.

    mix:     bytes of a frame, several of them with commas, or imix.     rate: frames a second; 0 for as many as go.
    count:   frames in all; 0 for no bound.                               duration: seconds.
    damage:  {kind: share of the frames}.
    offload: what is not damaged leaves with a partial checksum, marked NEEDS_CSUM.
    """

    mix: str = "64"
    versions: tuple[int, ...] = (4,)
    protocols: tuple[int, ...] = (UDP,)
    flows: int = 16
    rate: float = 0
    count: int = 0
    duration: float = 10
    vlan: int | None = None
    damage: Mapping[str, float] = field(default_factory=dict)
    offload: bool = False
    target_mac: bytes = bytes.fromhex("020000000002")
    v4: tuple[str, str] = V4
    v6: tuple[str, str] = V6

    def validate(self) -> None:
        """Raise ConfigError for what cannot work."""
        if self.duration <= 0 or not math.isfinite(self.duration):
            raise ConfigError(f"--duration {self.duration}", "seconds above 0")
        if not 1 <= self.flows <= 20000:
            raise ConfigError(f"--flows {self.flows}", "1 to 20000")
        if self.rate < 0 or not math.isfinite(self.rate):
            raise ConfigError(f"--rate {self.rate}", "frames a second above 0, or max")
        if unknown := set(self.damage) - set(DAMAGES):
            raise ConfigError(f"damage {', '.join(sorted(unknown))}", f"one of {', '.join(DAMAGES)}")
        if any(not 0 < share <= 1 for share in self.damage.values()) or sum(self.damage.values()) > 1:
            raise ConfigError(f"damage of {self.damage}", "shares above 0, together 1 at most")

    def shapes(self, mac: bytes, mtu: int) -> list[Shape]:
        """Return the shapes that follow each other."""
        sizes = _sizes(self.mix)
        kinds = [(version, protocol) for version in self.versions for protocol in self.protocols]
        rounds = math.lcm(len(sizes), len(kinds))
        if math.gcd(len(sizes), len(kinds)) > 1:  # every size in every kind
            rounds = len(sizes) * len(kinds)
        made = []
        for i in range(rounds):
            version, protocol = kinds[(i // len(sizes) + i) % len(kinds)]
            shape = Shape(
                version,
                protocol,
                sizes[i % len(sizes)],
                self.vlan,
                (mac, self.target_mac),
                self.v4 if version == 4 else self.v6,
            )
            if self.mix == "imix" and shape.size < shape.payload_at + MARK_BYTES:
                shape = Shape(**{**shape.__dict__, "size": shape.payload_at + MARK_BYTES})
            shape.require_room(MARK_BYTES)
            if shape.size > mtu + shape.l3 and not (self.offload and protocol == TCP):
                raise ConfigError(
                    f"frames of {shape.size} bytes",
                    f"the interface takes {mtu + shape.l3}; super-frames are TCP with --offload",
                )
            made.append(shape)
        return made


def _sizes(mix: str) -> tuple[int, ...]:
    if mix == "imix":
        return IMIX
    try:
        return tuple(int(part) for part in mix.split(","))
    except ValueError:
        raise ConfigError(f"mix {mix!r}", "bytes of a frame, several with commas, or imix") from None


class Sender:
    """A packet socket on *interface* of the calling thread's namespace, and the frames that go out of it; close it."""

    def __init__(self, interface: str, options: GenerateOptions) -> None:
        options.validate()
        require_interface(interface)
        self.interface, self.options = interface, options
        self.run_id = int.from_bytes(os.urandom(2), "big")
        self.sent = 0
        self._socket = _open(interface)
        try:
            mtu = mtu_of(interface)
            shapes = options.shapes(_mac_of(interface), mtu)
            distinct = list(dict.fromkeys(shapes))
            self._frames = [ffi.from_buffer("uint8_t[]", _frame(shape, self.run_id)) for shape in distinct]
            self._templates = ffi.new(
                "traffic_template[]",
                [_template(shape, frame, mtu) for shape, frame in zip(distinct, self._frames, strict=True)],
            )
            self._order = ffi.new("uint32_t[]", [distinct.index(shape) for shape in shapes])
            share = [math.ceil(options.damage.get(name, 0) * 2**32) for name in DAMAGES]  # 0.1 % of 1000 is 1
            made = lib.traffic_new(
                self._templates,
                self._order,
                len(shapes),
                options.flows,
                20000,
                options.rate,
                ffi.new("uint64_t[]", share),
                options.offload,
            )
            if made == ffi.NULL:
                raise MemoryError
            self._traffic = ffi.gc(made, lib.traffic_free)
        except BaseException:
            self._socket.close()
            raise

    def send(self, frames: int, milliseconds: int) -> int:
        """Send up to so many frames, no longer than that; return how many.  Without the GIL."""
        done = int(lib.traffic_send(self._traffic, self._socket.fileno(), frames, milliseconds))
        if done < 0:
            raise OSFailure(f"sending on {self.interface!r}: {os.strerror(-done)}", "", -done, self.interface)
        self.sent += done
        return done

    @property
    def sent_bytes(self) -> int:
        """How many bytes have been sent so far."""
        return int(lib.traffic_bytes(self._traffic))

    @property
    def retries(self) -> int:
        """Sends tried again because the interface had no room."""
        return int(lib.traffic_retries(self._traffic))

    def checks(self) -> dict[str, dict[str, int]]:
        """Return how many checksums left in which state, by protocol, as a monitor counts them."""
        found = {
            proto: {name: n for i, name in enumerate(OUTCOMES) if (n := lib.traffic_count(self._traffic, p, i))}
            for p, proto in enumerate(PROTOS)
        }
        return {proto: outcomes for proto, outcomes in found.items() if outcomes}

    def close(self) -> None:
        """Give the socket back."""
        self._socket.close()

    def __enter__(self) -> Sender:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def _open(interface: str) -> socket.socket:
    try:
        s = socket.socket(socket.AF_PACKET, socket.SOCK_RAW | socket.SOCK_CLOEXEC, 0)
    except PermissionError as error:
        raise PrivilegeError(
            f"sending on {interface!r} needs CAP_NET_RAW", "run as root", error.errno or 0, interface
        ) from error
    s.setsockopt(kernel.SOL_PACKET, kernel.PACKET_VNET_HDR, 1)
    s.bind((interface, 0))
    return s


def _mac_of(interface: str) -> bytes:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as s:
        answer = fcntl.ioctl(s, kernel.SIOCGIFHWADDR, struct.pack("16s16x", interface.encode()))
    kind, mac = struct.unpack_from("H6s", answer, 16)
    if kind not in (kernel.ARPHRD_ETHER, kernel.ARPHRD_LOOPBACK):
        raise ConfigError(f"interface {interface!r} carries no Ethernet frames (ARPHRD {kind})")
    return bytes(mac)


def _frame(shape: Shape, run: int) -> bytes:
    """Return the frame whose number, port and sequence number are 0."""
    noise = bytes((i * 151 + shape.size) & 255 for i in range(shape.size - shape.payload_at - MARK_BYTES))
    mark = struct.pack("!HHIH", lib.TRAFFIC_MARK, run, 0, 0)
    return shape.frame(mark + noise, port=0)


def _template(shape: Shape, frame: Any, mtu: int) -> dict[str, Any]:
    """Return what C has to know of a frame; sums are of wire-order words."""
    data = bytes(ffi.buffer(frame))
    sum_at = shape.l4 + (16 if shape.protocol == TCP else 6)
    zeroed = data[shape.l4 : sum_at] + bytes(2) + data[sum_at + 2 :]
    return {
        "frame": frame,
        "length": len(data),
        "head": shape.payload_at + MARK_BYTES,
        "l3": shape.l3,
        "l4": shape.l4,
        "sum_at": sum_at,
        "port_at": shape.l4,
        "sequence_at": shape.l4 + 4 if shape.protocol == TCP else 0,
        "number_at": shape.payload_at + 4,
        "version": shape.version,
        "protocol": shape.protocol,
        "gso_size": mtu + shape.l3 - shape.payload_at if shape.size > mtu + shape.l3 else 0,
        "payload": shape.size - shape.payload_at,
        "seed": words_of(shape.pseudo()) or 0xFFFF,
        "payload_sum": words_of(zeroed),
    }
