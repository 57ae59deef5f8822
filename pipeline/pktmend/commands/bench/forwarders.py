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
EVERY = ("default", "udp-64", "leaked", "tso-off", "tx-off")  # in this order: offloads only go off
WITH_METADATA = ("default", "udp-64", "tso-off")
MTU_FRAMES = ("udp-64", "tso-off")  # with wire_sums the hosts segment themselves: "default" would be the same


class Running:
    """Programs that carry frames; stop() ends them."""

    def __init__(self, programs: Sequence[subprocess.Popen[bytes]], undo: Callable[[], object] | None = None) -> None:
        self.programs, self._undo = programs, undo

    def obituary(self) -> str:
        """Return how a program ended by itself, with its last words; "" while all of them run."""
        for program in self.programs:
            if program.poll() is not None:
                said = program.stderr.read().decode(errors="replace").strip() if program.stderr else ""
                return f"ends by itself, exit {program.returncode}: {' '.join(said.splitlines()[-1:])[-120:]}"
        return ""

    def stop(self) -> None:
        """End them, and undo what was set in the kernel."""
        for program in self.programs:
            end(program)
        if self._undo is not None:
            self._undo()


@dataclass(frozen=True)
class Forwarder:
    """One way to carry frames.

    program:    must be installed; "" for none.
    wire_sums:  it loses metadata or sends as is: the hosts' checksum offload is switched off for it (tx off).
    is_direct:  there is none: the hosts are joined by one veth pair.
    options:    of `pktmend bridge`; None for another program.
    """

    name: str
    start: Callable[[Host], Running]
    program: str = ""
    wire_sums: bool = False
    is_direct: bool = False
    scenarios: tuple[str, ...] = field(default=EVERY)
    options: tuple[str, ...] | None = None


def _kernel(node: Host) -> Running:
    node.run("ip", "link", "add", "br0", "type", "bridge")
    node.link("br0", state="up")
    for port in ("pa", "pb"):
        node.run("ip", "link", "set", "dev", port, "master", "br0")
    return Running((), lambda: node.run("ip", "link", "del", "dev", "br0"))


def start_ours(node: Host, *options: str, stdout: int = subprocess.DEVNULL) -> Running:
    """Start `pktmend bridge` with *options*."""
    argv = own_command("bridge", "-i", "pa", "-I", "pb", *options)
    program = node.spawn(*argv, stdout=stdout, stderr=subprocess.PIPE)
    assert program.stderr is not None
    said: list[str] = []
    for line in program.stderr:
        said.append(line.decode())
        if "bridging" in said[-1]:
            return Running([program])
    raise OSFailure(f"pktmend bridge: {' '.join(said).strip()}")


def _ours(name: str, *options: str, scenarios: tuple[str, ...] = EVERY) -> Forwarder:
    return Forwarder(name, lambda node: start_ours(node, *options), scenarios=scenarios, options=options)


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
    _ours("pktmend"),
    _ours("pktmend --cut-through off", "--cut-through", "off"),
    _ours("pktmend --ring v3", "--cut-through", "off", "--ring", "v3", scenarios=WITH_METADATA),
    _ours("pktmend --no-coalesce", "--cut-through", "off", "--no-coalesce", scenarios=WITH_METADATA),
    _ours("pktmend --finish both", "--finish", "pa", "--finish", "pb", scenarios=WITH_METADATA),
    _ours(
        "pktmend --finish both --cut-through off",
        "--cut-through",
        "off",
        "--finish",
        "pa",
        "--finish",
        "pb",
        scenarios=WITH_METADATA,
    ),
    Forwarder(
        "tcpbridge --fixcsum",
        _program(("tcpbridge", "--fixcsum", "-i", "pa", "-I", "pb")),
        "tcpbridge",
        scenarios=WITH_METADATA,
    ),
    Forwarder(
        "tcpbridge", _program(("tcpbridge", "-i", "pa", "-I", "pb")), "tcpbridge", wire_sums=True, scenarios=MTU_FRAMES
    ),
    Forwarder("testpmd csum, af_packet", _testpmd("csum", "af_packet"), "dpdk-testpmd", scenarios=WITH_METADATA),
    Forwarder(
        "testpmd io, af_packet", _testpmd("io", "af_packet"), "dpdk-testpmd", wire_sums=True, scenarios=MTU_FRAMES
    ),
    Forwarder("testpmd csum, af_xdp", _testpmd("csum", "af_xdp"), "dpdk-testpmd", scenarios=WITH_METADATA),
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
