"""Containers a and b on a node, a web server in b, and what shows whether they reach each other.

a(eth0) -- (port-a) node (port-b) -- (eth0)b      within node: uplink -- port-u, the place for a bridge behind a hop
"""

from __future__ import annotations

import hashlib
import os
import shlex
import signal
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from pktmend.errors import OSFailure
from pktmend.host.own_command import PYTHON, own_command
from pktmend.testbed.netns import LONGEST, Host, Testbed, end
from pktmend.testbed.offloads import offloads_restored
from pktmend.testbed.transcript import Transcript

CLIENT, SERVER = "10.7.0.1", "10.7.0.2"
PORT = 8080
PATIENCE = 1.5  # seconds, with a connection that will not come about: two SYNs
TOOLS = ("curl", "ping", "nstat")  # that contact() uses
URL = f"http://{SERVER}:{PORT}/file"


@dataclass
class Topology:
    """Hosts and the folder that b serves over HTTP."""

    a: Host
    b: Host
    node: Host
    folder: Path

    def digest(self, name: str) -> str:
        """Return the SHA-256 of a file in the folder: "file" was sent, "got" was received."""
        with (self.folder / name).open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()


def containers(testbed: Testbed, *, size: int = 4 << 20, is_netkit: bool = False) -> Topology:
    """Make the topology, nothing joining port-a and port-b yet; b serves a file of *size* random bytes.

    is_netkit: the containers are on netkit pairs; OSFailure where the kernel has none.
    """
    a, b, node = testbed.host("a"), testbed.host("b"), testbed.host("node")
    join = testbed.netkit if is_netkit else testbed.veth
    join(a, "eth0", node, "port-a")
    join(b, "eth0", node, "port-b")
    testbed.veth(node, "uplink", node, "port-u")
    a.address("eth0", f"{CLIENT}/24")
    b.address("eth0", f"{SERVER}/24")
    return Topology(a, b, node, serve(b, size))


def serve(host: Host, size: int = 4 << 20) -> Path:
    """Serve a file of random bytes over HTTP in *host*; return its folder once the server answers."""
    folder = host.testbed.folder()
    (folder / "file").write_bytes(os.urandom(size))
    host.spawn(*PYTHON, "-m", "http.server", str(PORT), "--directory", str(folder))
    for _ in range(200):
        if host.run("curl", "-sI", f"http://127.0.0.1:{PORT}/", check=False).returncode == 0:
            return folder
        time.sleep(0.05)
    raise OSFailure(f"the web server in {host.name} did not start")


def ping(transcript: Transcript, host: Host, address: str = SERVER) -> bool:
    """Ping three times; does everything come back?"""
    return transcript.run(host, "ping", "-c", "3", "-i", "0.1", "-W", "1", address, pick="transmitted").returncode == 0


def fetch(transcript: Transcript, host: Host, target: Path, seconds: float, url: str = URL) -> bool:
    """Fetch the file with curl into *target*; does curl say that it went well?"""
    transcript.command(host, "curl", "--max-time", f"{seconds:g}", url)
    done = host.run(
        "curl",
        "-sS",
        "-o",
        str(target),
        "-w",
        "%{size_download} bytes in %{time_total} s",
        "--max-time",
        f"{seconds:g}",
        url,
        check=False,
    )
    transcript.answer(done.stderr or done.stdout)
    return done.returncode == 0


def errors(*hosts: Host) -> int:
    """Sum the hosts' own checksum error counters."""
    return sum(sum(host.checksum_errors().values()) for host in hosts)


def nstat(transcript: Transcript, *hosts: Host) -> None:
    """Show the checksum errors that hosts' kernels have counted."""
    for host in hosts:
        lines = host.run("nstat", "-asz", "*InCsumErrors").stdout.splitlines()
        counted = [" ".join(words[:2]) for words in map(str.split, lines) if len(words) == 3 and words[1] != "0"]
        if counted:
            transcript.command(host, "nstat", "-asz", "*InCsumErrors")
            transcript.answer("\n".join(counted))


@dataclass
class Contact:
    """How a reached b: by ping, by curl, whether the file is the one sent, and checksum errors in both meanwhile."""

    pings: bool
    fetches: bool
    same: bool
    errors: int

    @property
    def is_sound(self) -> bool:
        """Does everything work, without one checksum error?"""
        return self.pings and self.same and not self.errors


def contact(transcript: Transcript, topology: Topology, *, seconds: float = 20, address: str = SERVER) -> Contact:
    """Let a reach b and show how that goes."""
    before = errors(topology.a, topology.b)
    target = topology.folder / "got"
    target.unlink(missing_ok=True)
    pings = ping(transcript, topology.a, address)
    fetches = fetch(transcript, topology.a, target, seconds, f"http://{address}:{PORT}/file")
    same = fetches and topology.digest("got") == topology.digest("file")
    time.sleep(0.1)  # counters are the receiver's: it may be a packet behind
    found = Contact(pings, fetches, same, errors(topology.a, topology.b) - before)
    if found.errors:
        nstat(transcript, topology.a, topology.b)
    else:
        transcript.say("  no new checksum error in a and b")
    return found


def show_incident(transcript: Transcript, topology: Topology, where: Host, *taps: str, address: str = SERVER) -> None:
    """Let a fail to reach b at *address* (ping works, TCP dies, checksum errors are counted); diagnose at *taps*."""
    found = contact(transcript, topology, seconds=PATIENCE, address=address)
    transcript.symptom("ping works", found.pings)
    transcript.symptom("TCP dies", not found.fetches)
    transcript.symptom("the kernel counts checksum errors", found.errors > 0)
    show_diagnosis(transcript, topology, where, *taps, address=address)


def show_diagnosis(transcript: Transcript, topology: Topology, where: Host, *taps: str, address: str = SERVER) -> None:
    """Diagnose at *taps* (-i A, or -i A -I B) while a keeps trying to reach b."""
    transcript.step("Diagnosis")
    with chatter(topology.a, address):
        transcript.diagnose(where, *taps)


def cure_as_diagnosed(
    transcript: Transcript, topology: Topology, where: Host, what: str, *, address: str = SERVER
) -> None:
    """Do what the diagnosis says; a reaches b then."""
    transcript.step(f"Cure 1, as diagnosed: {what}")
    with remedied(transcript, where):
        transcript.cure(what, contact(transcript, topology, address=address).is_sound)


def cure_by_bridge(
    transcript: Transcript, topology: Topology, a: str, b: str, *options: str, address: str = SERVER
) -> None:
    """Run `pktmend bridge` in the node; a reaches b then."""
    with bridged(transcript, topology.node, a, b, *options):
        transcript.cure(
            f"pktmend bridge{' --repair all' if 'all' in options else ''}",
            contact(transcript, topology, address=address).is_sound,
        )


def cure_by_bridges(transcript: Transcript, topology: Topology, a: str, b: str) -> None:
    """Run `pktmend bridge` before each container, on ports *a* and *b* to the hop; both fetch a file then."""
    folder = serve(topology.a)
    with (
        bridged(transcript, topology.node, a, "port-a", "--finish", a),
        bridged(transcript, topology.node, b, "port-b", "--finish", b),
    ):
        sound = contact(transcript, topology).is_sound
        fetches = fetch(transcript, topology.b, folder / "got", 20, f"http://{CLIENT}:{PORT}/file")
        same = fetches and (folder / "got").read_bytes() == (folder / "file").read_bytes()
        transcript.cure("pktmend bridge before each, files in both directions", sound and same)


@contextmanager
def chatter(host: Host, address: str = SERVER) -> Iterator[None]:
    """Keep ping and curl trying meanwhile."""
    programs = [
        host.spawn("ping", "-i", "0.2", address),
        host.spawn("curl", "-s", "-o", os.devnull, "--max-time", "0.3", f"http://{address}:{PORT}/file?[1-999]"),
    ]
    try:
        yield
    finally:
        for program in programs:
            end(program)


@contextmanager
def offload_off(transcript: Transcript, *places: tuple[Host, str]) -> Iterator[None]:
    """Let hosts complete their checksums themselves (`ethtool -K eth0 tx off`) meanwhile."""
    with offloads_restored(places[0][0].testbed):
        for host, interface in places:
            transcript.run(host, "ethtool", "-K", interface, "tx", "off", check=True, pick="\0")
        yield


@contextmanager
def remedied(transcript: Transcript, host: Host) -> Iterator[None]:
    """Run the offload commands that the diagnosis gave, as it gave them, where it was made; undo them afterwards."""
    commands = [each["command"] for each in transcript.findings[0]["remedy"]]
    memory = f"XDG_STATE_HOME={host.testbed.folder()}"
    with offloads_restored(host.testbed):
        for command in commands:
            words = shlex.split(command)
            if words[:2] == ["pktmend", "offload"]:
                transcript.say(f"  {host.name}$ {command}")
                host.run("env", memory, *own_command(*words[1:]))
        yield


@dataclass
class Summary:
    """What a bridge said at its end."""

    text: str = ""


@contextmanager
def bridged(transcript: Transcript, host: Host, a: str, b: str, *options: str) -> Iterator[Summary]:
    """Run `pktmend bridge` between two interfaces of *host*; show and fill in its summary at the end."""
    summary = Summary()
    argv = ["bridge", "-i", a, "-I", b, *options]
    transcript.command(host, "pktmend", *argv)
    with (host.testbed.folder() / "summary").open("w+b") as file:
        bridge = host.spawn(*own_command(*argv), stdout=file, stderr=subprocess.PIPE)
        assert bridge.stderr is not None
        first = bridge.stderr.readline().decode(errors="replace").strip()
        if "bridging" not in first:
            raise OSFailure(f"pktmend bridge did not start (exit {bridge.wait()}): {first}")
        try:
            yield summary
            bridge.send_signal(signal.SIGINT)
            bridge.wait(LONGEST)
            file.seek(0)
            summary.text = file.read().decode()
            transcript.answer(summary.text)
        finally:
            end(bridge)
