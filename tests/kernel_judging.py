"""How a test has frames judged by the kernel's part and by verify, and compares what they say.

Two ways in: BPF_PROG_TEST_RUN for frames without metadata (two microseconds each), and a TAP device with the program at
its ingress for those with a virtio-net header, which no device changes before.  The verdict is read from the counters,
so those are compared as well.
"""

from __future__ import annotations

import ctypes
import os
import platform
import random
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest

from damage import rfc1071
from line import NO_PI, TAP, VNET_HDR, open_tap_device
from pktmend import Frames, PacketFlag, Proto, Status, Unread, Verify
from pktmend.packetio.kernel_judge import KernelJudge, obstacle
from pktmend.testbed import links
from pktmend.testbed.netns import Host, Testbed
from tools import until

Checks = dict[tuple[Proto, Status], int]
FLAWS = PacketFlag.MALFORMED | PacketFlag.TRUNCATED | PacketFlag.STRAY_METADATA | PacketFlag.FRAGMENT
HEALTHY = (Status.GOOD, Status.PENDING)
PROG_TEST_RUN, BPF = 10, {"x86_64": 321, "aarch64": 280}
VNET_LEN, ETHER_LEN, MTU = 10, 14, 65535
GSO_SEGS, GSO_SIZE = 164 // 4, 176 // 4  # places in struct __sk_buff


def need_kernel_judge() -> None:
    """Skip where it cannot be loaded."""
    reason = obstacle()
    if reason:
        pytest.skip(reason)


@dataclass(frozen=True)
class Opinion:
    """What one of the two says: is_healthy, and the checks that it found."""

    is_healthy: bool
    checks: Checks


def by_verify(frame: bytes, vnet: bytes | None = None) -> Opinion:
    """Let verify judge a frame as it comes out of a ring, and repair, with leave to write everything, touch it."""
    flags = PacketFlag.METADATA
    if vnet is not None:
        flags |= PacketFlag.NOT_READY if vnet[0] & 1 else PacketFlag(0)
        flags |= PacketFlag.SUPER_FRAME if vnet[1] else PacketFlag(0)
    batch = Frames([frame], flags=int(flags), vnet=vnet).batch()
    Verify()(batch)
    found = batch.checks_of(0)
    checks: Checks = {}
    for k in found:
        word = (Proto(k.proto), Status(k.status))
        checks[word] = checks.get(word, 0) + 1
    is_right = all(k.status in HEALTHY and not k.reason and not k.cause for k in found)
    # a partial one that no metadata vouches for is leaked
    is_vouched = bool(batch.flags[0] & PacketFlag.NOT_READY) or not any(k.status == Status.PENDING for k in found)
    is_clean = not batch.flags[0] & FLAWS and batch.unread[0] == Unread.NONE
    return Opinion(is_right and is_vouched and is_clean, checks)


class Bench:
    """A loaded judge and a way into it; every frame is judged alone, with nothing before it."""

    def __init__(self, judge: KernelJudge) -> None:
        self.judge = judge

    def put(self, frame: bytes, vnet: bytes | None) -> bool:
        """Bring the frame before the judge; False where the kernel does not take it."""
        raise NotImplementedError

    def opinion(self, frame: bytes, vnet: bytes | None = None) -> Opinion | None:
        """Return what the judge says of a frame, None where the kernel does not let it get there."""
        self.judge.set_clear(self.judge.issued)
        before = self.judge.counts()
        if not self.put(frame, vnet):
            return None
        after = self.judge.counts()
        if after.arrived == before.arrived:
            until(lambda: self.judge.counts().arrived > before.arrived, "the frame's being judged")
            after = self.judge.counts()
        if after.arrived != before.arrived + 1:  # the sender's kernel has split it: it is not the frame that was sent
            return None
        checks = {
            (proto, status): number - before.checks.get(proto, {}).get(status, 0)
            for proto, by_status in after.checks.items()
            for status, number in by_status.items()
            if number > before.checks.get(proto, {}).get(status, 0)
        }
        return Opinion(after.frames > before.frames, checks)

    def compare(self, frame: bytes, vnet: bytes | None = None) -> bool:
        """Assert that what the kernel carries is healthy to verify as well; say whether the kernel carries it."""
        kernel = self.opinion(frame, vnet)
        if kernel is None or not kernel.is_healthy:
            return False
        ours = by_verify(frame, vnet)
        what = f"{frame.hex()} with {vnet and vnet.hex()}"
        assert ours.is_healthy, f"the kernel carries what verify does not call healthy ({ours.checks}): {what}"
        assert ours.checks == kernel.checks, f"verify found {ours.checks}, the kernel {kernel.checks}: {what}"
        return True


class Dry(Bench):
    """By BPF_PROG_TEST_RUN: no metadata, nothing is sent."""

    def put(self, frame: bytes, vnet: bytes | None) -> bool:
        assert vnet is None
        return len(frame) > ETHER_LEN and run_program(self.judge.cut, frame)


class Wire(Bench):
    """By a TAP device "in" of the namespace *host*, with the program at its ingress.

    tap: its other side, a descriptor.    far: the namespace of "out-end" and "up-end".
    """

    def __init__(self, judge: KernelJudge, host: Host, far: Host, tap: int) -> None:
        super().__init__(judge)
        self.host, self.far, self.tap = host, far, tap

    def put(self, frame: bytes, vnet: bytes | None) -> bool:
        try:
            os.write(self.tap, (vnet or bytes(VNET_LEN)) + frame)
        except OSError:  # no header that this kernel takes, or a frame that is too short or too long
            return False
        return True


@contextmanager
def dry_bench(image: bytes | None = None) -> Iterator[Dry]:
    """Yield a judge to be run without a network.  image: other programs than those of the tree."""
    need_kernel_judge()
    with KernelJudge(image=image) as judge:
        judge.configure(enabled=True, internal=1, target=1)
        yield Dry(judge)


@contextmanager
def wire_bench(testbed: Testbed, image: bytes | None = None) -> Iterator[Wire]:
    """Yield a judge behind a TAP device: the healthy frames end at "out" or its other end, the rest at "up" or its."""
    need_kernel_judge()
    host, far = testbed.host("k"), testbed.host("far")
    testbed.veth(host, "out", far, "out-end", mtu=MTU)
    testbed.veth(host, "up", far, "up-end", mtu=MTU)
    for each in (host, far):
        each.call(lambda: Path("/proc/sys/net/ipv6/conf/all/disable_ipv6").write_text("1"))
    tap = open_tap_device(host, "in", TAP | NO_PI | VNET_HDR)
    testbed.on_exit(lambda: os.close(tap))
    with KernelJudge(image=image) as judge:
        host.call(lambda: links.set_ingress("in", judge.cut))
        host.call(lambda: links.set_ingress("up", judge.refuse))
        judge.configure(enabled=True, internal=host.index("up"), target=host.index("out"))
        yield Wire(judge, host, far, tap)


def run_program(program: int, frame: bytes, *, gso_size: int = 0) -> bool:
    """Run the program once on a frame; False where the kernel takes no such frame (too long)."""
    data = ctypes.create_string_buffer(frame, len(frame))
    context = (ctypes.c_uint32 * 48)()  # struct __sk_buff
    context[GSO_SEGS], context[GSO_SIZE] = (3, gso_size) if gso_size else (0, 0)
    attributes = (ctypes.c_uint32 * 20)()
    attributes[0], attributes[2], attributes[10] = program, len(frame), ctypes.sizeof(context)
    ctypes.c_uint64.from_buffer(attributes, 16).value = ctypes.addressof(data)
    ctypes.c_uint64.from_buffer(attributes, 48).value = ctypes.addressof(context)
    libc = ctypes.CDLL(None, use_errno=True)
    return bool(libc.syscall(BPF[platform.machine()], PROG_TEST_RUN, attributes, ctypes.sizeof(attributes)) == 0)


def sealed(rng: random.Random, kind: str, size: int) -> bytearray:
    """Return a frame with right sums, of a kind such as "tcp4", with so many bytes behind its headers."""
    v4 = kind.endswith("4")
    protocol, head, at = {
        "tcp": (6, bytes([0x9C, 0x40, 0, 80]) + bytes(8) + bytes([0x50, 0x18, 0x20, 0, 0, 0, 0, 0]), 16),
        "udp": (17, bytes([0x9C, 0x40, 0x13, 0x88, 0, 0, 0, 0]), 6),
        "icmp": (1 if v4 else 58, bytes([8 if v4 else 128, 0, 0, 0, 0, 1, 0, 1]), 2),
    }[kind[:-1]]
    body = bytearray(head + rng.randbytes(size))
    if protocol == 17:
        body[4:6] = len(body).to_bytes(2, "big")
    a, b = (rng.randbytes(4), rng.randbytes(4)) if v4 else (rng.randbytes(16), rng.randbytes(16))
    pseudo = a + b + len(body).to_bytes(4, "big") + bytes([0, 0, 0, protocol])
    if protocol == 1:
        pseudo = b""
    body[at : at + 2] = (rfc1071(pseudo + body) or 0xFFFF).to_bytes(2, "big")
    macs = bytes.fromhex("020000000002020000000001")
    if not v4:
        ip = b"\x60\0\0\0" + len(body).to_bytes(2, "big") + bytes([protocol, 64]) + a + b
        return bytearray(macs + b"\x86\xdd" + ip + body)
    ip = (
        b"\x45\0"
        + (20 + len(body)).to_bytes(2, "big")
        + rng.randbytes(2)
        + b"\x40\0"
        + bytes([64, protocol, 0, 0])
        + a
        + b
    )
    ip = ip[:10] + rfc1071(ip).to_bytes(2, "big") + ip[12:]
    return bytearray(macs + b"\x08\0" + ip + body)
