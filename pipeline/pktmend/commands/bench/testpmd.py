"""DPDK's testpmd as a forwarder on packet sockets (net_af_packet) or AF_XDP sockets (net_af_xdp).

`csum` verifies and computes every checksum anew, in software; `io` hands frames on as they are.
"""

from __future__ import annotations

import os
import select
import subprocess
import time
from typing import IO

from pktmend.errors import OSFailure
from pktmend.testbed.netns import Host, end

DEVICES = {
    "af_packet": ("net_af_packet{n},iface={port},framesz=2048,blocksz=4096,framecnt=1024", ()),
    "af_xdp": ("net_af_xdp{n},iface={port},start_queue=0,queue_count=1", ("--no-mlockall",)),
}
PROMPT = "testpmd> "
STARTED = f"{PROMPT}start\n{PROMPT}"  # what it says beside the prompt stays in its buffer
PATIENCE = 10.0


def commands(mode: str) -> list[str]:
    """Return what is typed into it."""
    typed = [f"set fwd {mode}"]
    if mode == "csum":  # in software is what it does unless told; and it would rewrite Ethernet addresses
        typed += [f"csum mac-swap off {port}" for port in ("0", "1")]
    return [*typed, "set promisc all on", "start", ""]


def start_testpmd(node: Host, mode: str, driver: str) -> subprocess.Popen[bytes]:
    """Start it between pa and pb; mode: csum or io; driver: of DEVICES."""
    device, options = DEVICES[driver]
    argv = [
        "dpdk-testpmd",
        "--no-pci",
        "--no-huge",
        "-m",
        "512",
        "--iova-mode=va",
        "--no-telemetry",
        "--no-shconf",
        "--file-prefix",
        f"pktmend{id(node)}",
        "--vdev",
        device.format(n=0, port="pa"),
        "--vdev",
        device.format(n=1, port="pb"),
        "--",
        "-i",
        "--total-num-mbufs=16384",
        *options,
    ]
    program = node.spawn(*argv, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
    try:
        assert program.stdin is not None and program.stdout is not None
        _expect(program.stdout, PROMPT)
        program.stdin.write("\n".join(commands(mode)).encode())
        program.stdin.flush()
        _expect(program.stdout, STARTED)
    except BaseException:
        end(program)
        raise
    time.sleep(0.5)
    return program


def _expect(stream: IO[bytes], word: str) -> None:
    """Read until *word*; OSFailure with the last words if it does not come."""
    said = b""
    deadline = time.monotonic() + PATIENCE
    while word.encode() not in said:
        ready = select.select([stream], [], [], max(0.0, deadline - time.monotonic()))[0]
        more = os.read(stream.fileno(), 4096) if ready else b""
        if not more:
            lines = [line for line in said.decode(errors="replace").splitlines() if line.strip()]
            raise OSFailure("; ".join(lines[-2:])[-200:] or "says nothing")
        said += more.replace(b"\r", b"")
