"""What is measured side by side: ours in each mode, the kernel's bridge, and the forwarders that are installed.

Each entry starts something that carries frames between pa and pb in the node's namespace and returns it, Running.
"""

from __future__ import annotations

import shutil
import subprocess
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from pktmend.commands.bench.testpmd import start_testpmd
from pktmend.errors import OSFailure
from pktmend.host.own_command import own_command
from pktmend.testbed.netns import Host, end

KERNEL = "kernel bridge"
MTU_FRAMES = ("tso-off", "udp-64")  # with wire_sums the hosts segment themselves: "default" would be the same


class Running:
    """Programs that carry frames; stop() ends them."""

    def __init__(self, programs: Sequence[subprocess.Popen[bytes]], undo: Callable[[], object] | None = None) -> None:
        self._programs, self._undo = programs, undo

    def obituary(self) -> str:
        """Return how a program ended by itself, with its last words; "" while all of them run."""
        for program in self._programs:
            if program.poll() is not None:
                said = program.stderr.read().decode(errors="replace").strip() if program.stderr else ""
                return f"ends by itself, exit {program.returncode}: {' '.join(said.splitlines()[-1:])[-120:]}"
        return ""

    def stop(self) -> None:
        """End them, and undo what was set in the kernel."""
        for program in self._programs:
            end(program)
        if self._undo is not None:
            self._undo()


@dataclass(frozen=True)
class Forwarder:
    """One way to carry frames.

    program:    must be installed; "" for none.
    wire_sums:  it loses metadata or sends as is: the hosts' checksum offload is switched off for it (tx off).
    is_direct:  there is none: the hosts are joined by one veth pair.
    """

    name: str
    start: Callable[[Host], Running]
    program: str = ""
    wire_sums: bool = False
    is_direct: bool = False
    scenarios: tuple[str, ...] = field(default=("default", "tso-off", "udp-64"))


def _kernel(node: Host) -> Running:
    node.run("ip", "link", "add", "br0", "type", "bridge")
    node.link("br0", state="up")
    for port in ("pa", "pb"):
        node.run("ip", "link", "set", "dev", port, "master", "br0")
    return Running((), lambda: node.run("ip", "link", "del", "dev", "br0"))


def _ours(*options: str) -> Callable[[Host], Running]:
    def start(node: Host) -> Running:
        argv = own_command("bridge", "-i", "pa", "-I", "pb", *options)
        program = node.spawn(*argv, stderr=subprocess.PIPE)
        assert program.stderr is not None
        said: list[str] = []
        for line in program.stderr:
            said.append(line.decode())
            if "bridging" in said[-1]:
                return Running([program])
        raise OSFailure(f"pktmend bridge: {' '.join(said).strip()}")

    return start


def _program(*commands: Sequence[str], settle: float = 1.0) -> Callable[[Host], Running]:
    """Start *commands* one after the other, each given a moment."""

    def start(node: Host) -> Running:
        programs = []
        for argv in commands:
            programs.append(node.spawn(*argv, stderr=subprocess.PIPE, stdin=subprocess.PIPE))
            time.sleep(settle)
        running = Running(programs)
        if why := running.obituary():
            running.stop()
            raise OSFailure(why)
        return running

    return start


def _testpmd(mode: str, driver: str) -> Callable[[Host], Running]:
    return lambda node: Running([start_testpmd(node, mode, driver)])


def _netsniff(source: str, target: str) -> tuple[str, ...]:
    """One direction.  `--type others`, frames to another host, keeps out what it sends itself."""
    return ("netsniff-ng", "--in", source, "--out", target, "--type", "others", "--silent", "--no-sock-mem", "-J")


FORWARDERS = [
    Forwarder(KERNEL, _kernel),
    Forwarder("(one veth, no forwarder)", lambda _: Running([]), is_direct=True),  # the most there is to reach
    Forwarder("pktmend", _ours()),
    Forwarder("pktmend --ring v3", _ours("--ring", "v3")),
    Forwarder("pktmend --no-coalesce", _ours("--no-coalesce")),
    Forwarder("pktmend --finish both", _ours("--finish", "pa", "--finish", "pb")),
    Forwarder("tcpbridge --fixcsum", _program(("tcpbridge", "--fixcsum", "-i", "pa", "-I", "pb")), "tcpbridge"),
    Forwarder(
        "tcpbridge", _program(("tcpbridge", "-i", "pa", "-I", "pb")), "tcpbridge", wire_sums=True, scenarios=MTU_FRAMES
    ),
    Forwarder("testpmd csum, af_packet", _testpmd("csum", "af_packet"), "dpdk-testpmd"),
    Forwarder(
        "testpmd io, af_packet", _testpmd("io", "af_packet"), "dpdk-testpmd", wire_sums=True, scenarios=MTU_FRAMES
    ),
    Forwarder("testpmd csum, af_xdp", _testpmd("csum", "af_xdp"), "dpdk-testpmd"),
    Forwarder("testpmd io, af_xdp", _testpmd("io", "af_xdp"), "dpdk-testpmd", wire_sums=True, scenarios=MTU_FRAMES),
    Forwarder(
        "netsniff-ng",
        _program(_netsniff("pa", "pb"), _netsniff("pb", "pa")),
        "netsniff-ng",
        wire_sums=True,
        scenarios=MTU_FRAMES,
    ),
]


def installed(forwarder: Forwarder) -> bool:
    """Can it be started here?"""
    return not forwarder.program or shutil.which(forwarder.program) is not None
