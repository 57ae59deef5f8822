"""What is measured side by side: ours in each mode, the kernel's bridge, and the forwarders that are installed.

Each entry starts something that carries frames between pa and pb in the node's namespace and returns how to end it.
"""

from __future__ import annotations

import shutil
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass, field

from pipeline.errors import CaptureError
from pipeline.lab.world import Host, end

Stop = Callable[[], object]


@dataclass(frozen=True)
class Forwarder:
    """One way to carry frames.

    program:    must be installed; "" for none.
    wire_sums:  it loses metadata or sends as is: the hosts' checksum offload is switched off for it (tx off).
    """

    name: str
    start: Callable[[Host], Stop]
    program: str = ""
    wire_sums: bool = False
    scenarios: tuple[str, ...] = field(default=("default", "tso-off", "udp-64"))


def _kernel(node: Host) -> Stop:
    node.run("ip", "link", "add", "br0", "type", "bridge")
    node.link("br0", state="up")
    for port in ("pa", "pb"):
        node.run("ip", "link", "set", "dev", port, "master", "br0")
    return lambda: node.run("ip", "link", "del", "dev", "br0")


def _ours(*options: str) -> Callable[[Host], Stop]:
    def start(node: Host) -> Stop:
        argv = [sys.executable, "-m", "pipeline", "bridge", "-i", "pa", "-I", "pb", *options]
        program = node.spawn(*argv, stderr=subprocess.PIPE)
        assert program.stderr is not None
        if b"bridging" not in (said := program.stderr.readline()):
            raise CaptureError(f"pktmend bridge: {said.decode().strip()}")
        return lambda: end(program)

    return start


def _program(*argv: str, settle: float = 1.0) -> Callable[[Host], Stop]:
    def start(node: Host) -> Stop:
        program = node.spawn(*argv, stderr=subprocess.PIPE, stdin=subprocess.PIPE)
        time.sleep(settle)
        if program.poll() is not None:
            said = program.stderr.read().decode(errors="replace").strip() if program.stderr else ""
            raise CaptureError(f"ended at once, exit {program.returncode}: {said[-200:]}")
        return lambda: end(program)

    return start


def _testpmd(mode: str) -> Callable[[Host], Stop]:
    """DPDK's test forwarder on packet sockets; `csum` verifies and recomputes in software."""
    commands = ["set fwd csum"] if mode == "csum" else ["set fwd io"]
    if mode == "csum":
        for port in ("0", "1"):
            commands += [f"csum set {layer} sw {port}" for layer in ("ip", "tcp", "udp")]
            commands.append(f"csum mac-swap off {port}")  # else it rewrites Ethernet addresses
    commands.append("start")

    def start(node: Host) -> Stop:
        argv = ["dpdk-testpmd", "--no-pci", "--no-huge", "-m", "256", "--iova-mode=va", "--no-telemetry",
                "--file-prefix", f"pktmend{id(node)}", "--vdev", "net_af_packet0,iface=pa,framesz=2048,blocksz=4096",
                "--vdev", "net_af_packet1,iface=pb,framesz=2048,blocksz=4096", "--", "-i", "--total-num-mbufs=8192"]
        program = node.spawn(*argv, stdin=subprocess.PIPE, stderr=subprocess.PIPE)
        assert program.stdin is not None
        time.sleep(2)
        if program.poll() is not None:
            said = program.stderr.read().decode(errors="replace").strip() if program.stderr else ""
            raise CaptureError(f"ended at once, exit {program.returncode}: {said[-200:]}")
        program.stdin.write("\n".join(["port stop all", *commands[:-1], "port start all", "start", ""]).encode())
        program.stdin.flush()
        time.sleep(1)
        return lambda: end(program)

    return start


FORWARDERS = [
    Forwarder("kernel bridge", _kernel),
    Forwarder("pktmend", _ours()),
    Forwarder("pktmend --ring v3", _ours("--ring", "v3")),
    Forwarder("pktmend --no-coalesce", _ours("--no-coalesce")),
    Forwarder("pktmend --finish both", _ours("--finish", "pa", "--finish", "pb")),
    Forwarder("tcpbridge --fixcsum", _program("tcpbridge", "--fixcsum", "-i", "pa", "-I", "pb"), "tcpbridge",
              scenarios=("tso-off", "udp-64")),
    Forwarder("tcpbridge", _program("tcpbridge", "-i", "pa", "-I", "pb"), "tcpbridge", wire_sums=True,
              scenarios=("tso-off", "udp-64")),
    Forwarder("testpmd csum, af_packet", _testpmd("csum"), "dpdk-testpmd", scenarios=("tso-off", "udp-64")),
    Forwarder("testpmd io, af_packet", _testpmd("io"), "dpdk-testpmd", wire_sums=True, scenarios=("tso-off", "udp-64")),
]


def installed(forwarder: Forwarder) -> bool:
    """Can it be started here?"""
    return not forwarder.program or shutil.which(forwarder.program) is not None
