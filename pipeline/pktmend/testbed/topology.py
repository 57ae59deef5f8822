"""The usual site: containers a and b on a node, a web server in b, and what shows whether they reach each other.

a(eth0) -- (port-a) node (port-b) -- (eth0)b      within node: uplink -- port-u, the place for a bridge behind a hop
"""

from __future__ import annotations

import hashlib
import os
import signal
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from pktmend.errors import OSFailure
from pktmend.host.own_command import PYTHON, own_command
from pktmend.testbed.netns import Host, Testbed, end
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


def containers(testbed: Testbed, *, size: int = 4 << 20) -> Topology:
    """Make the site, nothing joining port-a and port-b yet; b serves a file of *size* random octets."""
    a, b, node = testbed.host("a"), testbed.host("b"), testbed.host("node")
    testbed.veth(a, "eth0", node, "port-a")
    testbed.veth(b, "eth0", node, "port-b")
    testbed.veth(node, "uplink", node, "port-u")
    a.address("eth0", f"{CLIENT}/24")
    b.address("eth0", f"{SERVER}/24")
    return Topology(a, b, node, serve(b, size))


def serve(host: Host, size: int = 4 << 20) -> Path:
    """Serve a file of random octets over HTTP in *host*; return its folder once the server answers."""
    folder = host.testbed.folder()
    (folder / "file").write_bytes(os.urandom(size))
    host.spawn(*PYTHON, "-m", "http.server", str(PORT), "--directory", str(folder))
    for _ in range(200):
        if host.run("curl", "-sI", f"http://127.0.0.1:{PORT}/", check=False).returncode == 0:
            return folder
        time.sleep(0.05)
    raise OSFailure(f"the web server in {host.name} did not start")


def ping(show: Transcript, host: Host, address: str = SERVER) -> bool:
    """Ping three times; does everything come back?"""
    return show.run(host, "ping", "-c", "3", "-i", "0.1", "-W", "1", address, pick="transmitted").returncode == 0


def fetch(show: Transcript, host: Host, target: Path, seconds: float, url: str = URL) -> bool:
    """Fetch the file with curl into *target*; does curl say that it went well?"""
    show.command(host, "curl", "--max-time", f"{seconds:g}", url)
    done = host.run(
        "curl",
        "-sS",
        "-o",
        str(target),
        "-w",
        "%{size_download} octets in %{time_total} s",
        "--max-time",
        f"{seconds:g}",
        url,
        check=False,
    )
    show.answer(done.stderr or done.stdout)
    return done.returncode == 0


def errors(*hosts: Host) -> int:
    """Sum the hosts' own checksum error counters."""
    return sum(sum(host.checksum_errors().values()) for host in hosts)


def nstat(show: Transcript, *hosts: Host) -> None:
    """Show the checksum errors that hosts' kernels have counted."""
    for host in hosts:
        lines = host.run("nstat", "-asz", "*InCsumErrors").stdout.splitlines()
        counted = [" ".join(words[:2]) for words in map(str.split, lines) if len(words) == 3 and words[1] != "0"]
        if counted:
            show.command(host, "nstat", "-asz", "*InCsumErrors")
            show.answer("\n".join(counted))


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


def contact(show: Transcript, site: Topology, *, seconds: float = 20, address: str = SERVER) -> Contact:
    """Let a reach b and show how that goes."""
    before = errors(site.a, site.b)
    target = site.folder / "got"
    target.unlink(missing_ok=True)
    pings = ping(show, site.a, address)
    fetches = fetch(show, site.a, target, seconds, f"http://{address}:{PORT}/file")
    same = fetches and site.digest("got") == site.digest("file")
    time.sleep(0.1)  # counters are the receiver's: it may be a packet behind
    found = Contact(pings, fetches, same, errors(site.a, site.b) - before)
    if found.errors:
        nstat(show, site.a, site.b)
    else:
        show.say("  no new checksum error in a and b")
    return found


def show_incident(show: Transcript, site: Topology, where: Host, *taps: str, address: str = SERVER) -> None:
    """Let a fail to reach b at *address* (ping works, TCP dies, checksum errors are counted); diagnose at *taps*."""
    found = contact(show, site, seconds=PATIENCE, address=address)
    show.symptom("ping works", found.pings)
    show.symptom("TCP dies", not found.fetches)
    show.symptom("the kernel counts checksum errors", found.errors > 0)
    show_diagnosis(show, site, where, *taps, address=address)


def show_diagnosis(show: Transcript, site: Topology, where: Host, *taps: str, address: str = SERVER) -> None:
    """Diagnose at *taps* (-i A, or -i A -I B) while a keeps trying to reach b."""
    show.act("Diagnosis")
    with chatter(site.a, address):
        show.diagnose(where, *taps)


def cure_as_diagnosed(show: Transcript, site: Topology, where: Host, what: str, *, address: str = SERVER) -> None:
    """Do what the diagnosis says; a reaches b then."""
    show.act(f"Cure 1, as diagnosed: {what}")
    with remedied(show, where):
        show.cure(what, contact(show, site, address=address).is_sound)


def cure_by_bridge(show: Transcript, site: Topology, a: str, b: str, *options: str, address: str = SERVER) -> None:
    """Run `pktmend bridge` in the node; a reaches b then."""
    with bridged(show, site.node, a, b, *options):
        show.cure(
            f"pktmend bridge{' --repair all' if 'all' in options else ''}",
            contact(show, site, address=address).is_sound,
        )


def cure_by_bridges(show: Transcript, site: Topology, a: str, b: str) -> None:
    """Run `pktmend bridge` before each container, on ports *a* and *b* to the hop; both fetch a file then."""
    folder = serve(site.a)
    with bridged(show, site.node, a, "port-a", "--finish", a), bridged(show, site.node, b, "port-b", "--finish", b):
        sound = contact(show, site).is_sound
        fetches = fetch(show, site.b, folder / "got", 20, f"http://{CLIENT}:{PORT}/file")
        same = fetches and (folder / "got").read_bytes() == (folder / "file").read_bytes()
        show.cure("pktmend bridge before each, files both ways", sound and same)


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
def offload_off(show: Transcript, *places: tuple[Host, str]) -> Iterator[None]:
    """Let hosts finish their checksums themselves (`ethtool -K eth0 tx off`) meanwhile."""
    for host, interface in places:
        show.run(host, "ethtool", "-K", interface, "tx", "off", check=True, pick="\0")
    try:
        yield
    finally:
        for host, interface in places:
            host.offload(interface, tx=True)


@contextmanager
def remedied(show: Transcript, host: Host) -> Iterator[None]:
    """Run the offload commands that the diagnosis gave, as it gave them, where it was made; undo them afterwards."""
    commands = [each["command"] for each in show.findings[0]["remedy"] if " ethtool -K " in f" {each['command']}"]
    for command in commands:
        show.say(f"  {host.name}$ {command}")
        host.run("sh", "-c", command)
    try:
        yield
    finally:
        for command in commands:
            host.run("sh", "-c", command.removesuffix("off") + "on")


@dataclass
class Summary:
    """What a bridge said at its end."""

    text: str = ""


@contextmanager
def bridged(show: Transcript, host: Host, a: str, b: str, *options: str) -> Iterator[Summary]:
    """Run `pktmend bridge` between two interfaces of *host*; show and fill in its summary at the end."""
    summary = Summary()
    argv = ["bridge", "-i", a, "-I", b, *options]
    show.command(host, "pktmend", *argv)
    with (host.testbed.folder() / "summary").open("w+b") as file:
        bridge = host.spawn(*own_command(*argv), stdout=file, stderr=subprocess.PIPE)
        assert bridge.stderr is not None
        first = bridge.stderr.readline().decode(errors="replace").strip()
        if "bridging" not in first:
            raise OSFailure(f"pktmend bridge did not start (exit {bridge.wait()}): {first}")
        try:
            yield summary
            bridge.send_signal(signal.SIGINT)
            bridge.wait(10)
            file.seek(0)
            summary.text = file.read().decode()
            show.answer(summary.text)
        finally:
            end(bridge)
