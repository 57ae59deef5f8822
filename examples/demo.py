"""Two containers whose ping works while TCP dies, and the same two with `pktmend bridge` in line.

    a --veth-- [ switch that loses checksum metadata ] --veth-- b            act 1
    a --veth-- [ the same switch ] --veth-- [ pktmend bridge ] --veth-- b    act 2

The switch is Open vSwitch's userspace datapath where it is installed, or a plain copy between two packet sockets.
Real programs do the talking: ping, curl, python -m http.server.  Everything is taken down at the end.
"""

from __future__ import annotations

import argparse
import hashlib
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from pipeline.errors import PipelineError
from pipeline.lab import ovs
from pipeline.lab.world import Host, World, end, require_programs, require_root

CAPTURE = Path(__file__).with_name("leaked.pcap")
SIZE = 50 << 20
SERVER = "10.7.0.2"


def say(text: str = "") -> None:
    """Print a line at once."""
    print(text, flush=True)


class Switch:
    """The hop that loses the metadata, in *host*."""

    def __init__(self, host: Host, kind: str) -> None:
        self.host = host
        self.kind = kind
        self._ovs = ovs.OpenVSwitch(host) if kind == "ovs" else None
        self._relay: subprocess.Popen[bytes] | None = None

    def join(self, a: str, b: str) -> None:
        """Make *a* and *b* its two ports."""
        if self._ovs is not None:
            self._ovs.ports(a, b)
            return
        if self._relay is not None:
            end(self._relay)
        self._relay = self.host.spawn(sys.executable, "-m", "pipeline.lab.relay", a, b, stdout=subprocess.PIPE)
        assert self._relay.stdout is not None
        self._relay.stdout.readline()


def wait_for_server(host: Host) -> None:
    """Wait until the web server answers on its own host."""
    for _ in range(100):
        if host.run("curl", "-s", "-o", os.devnull, "http://127.0.0.1:8080/", check=False).returncode == 0:
            return
        time.sleep(0.05)
    raise SystemExit("demo: the web server did not start")


def ping(a: Host) -> bool:
    """Ping b from a and show what ping says."""
    done = a.run("ping", "-c", "3", "-i", "0.2", "-W", "2", SERVER, check=False)
    say(f"  $ ping -c 3 {SERVER}\n    " + next(line for line in done.stdout.splitlines() if "transmitted" in line))
    return done.returncode == 0


def fetch(a: Host, target: Path, seconds: int) -> bool:
    """Fetch the file with curl and show what curl says."""
    say(f"  $ curl --max-time {seconds} http://{SERVER}:8080/file")
    done = a.run("curl", "-sS", "--max-time", str(seconds), "-o", str(target), "-w",
                 "%{size_download} octets in %{time_total} s", f"http://{SERVER}:8080/file", check=False,
                 timeout=seconds + 10)
    say("    " + (done.stderr.strip() or done.stdout.strip()))
    return done.returncode == 0


def errors(*hosts: Host) -> int:
    """Sum the hosts' own TCP and UDP checksum error counters."""
    return sum(sum(host.checksum_errors().values()) for host in hosts)


def sha256(path: Path) -> str:
    """Return the file's digest."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def play(world: World, kind: str) -> bool:
    """Build the world and play both acts; True if everything went as it should."""
    a, b, node = world.host("a"), world.host("b"), world.host("node")
    world.veth(a, "eth0", node, "port-a")
    world.veth(b, "eth0", node, "port-b")
    world.veth(node, "uplink", node, "port-u")
    a.address("eth0", "10.7.0.1/24")
    b.address("eth0", f"{SERVER}/24")
    folder = Path(tempfile.mkdtemp(prefix="pktmend-demo-"))
    world.on_exit(lambda: shutil.rmtree(folder, ignore_errors=True))
    (folder / "file").write_bytes(os.urandom(SIZE))
    b.spawn(sys.executable, "-m", "http.server", "8080", "--directory", str(folder))
    wait_for_server(b)
    switch = Switch(node, kind)
    name = "Open vSwitch, userspace datapath" if kind == "ovs" else "a plain copy between packet sockets"

    say(f"Act 1: containers a and b, joined by a userspace switch ({name})\n")
    switch.join("port-a", "port-b")
    before = errors(a, b)
    pings = ping(a)
    dies = not fetch(a, folder / "got1", 5)
    time.sleep(0.2)
    rose = errors(a, b) - before
    say(f"  $ nstat -az '*InCsumErrors'        (b, the receiver)\n    {b.checksum_errors()}\n")

    say("Act 2: the same, with pktmend bridge between the switch and b; offloads untouched\n")
    switch.join("port-a", "uplink")
    say("  $ pktmend bridge -i port-u -I port-b --finish port-u &")
    with (folder / "summary").open("w+b") as summary:
        bridge = node.spawn(sys.executable, "-m", "pipeline", "bridge", "-i", "port-u", "-I", "port-b",
                            "--finish", "port-u", stdout=summary, stderr=subprocess.PIPE)
        assert bridge.stderr is not None
        if not bridge.stderr.readline():
            raise SystemExit(f"demo: the bridge did not start (exit {bridge.wait()})")
        before = errors(a, b)
        pings = ping(a) and pings
        works = fetch(a, folder / "got2", 40)
        fresh = errors(a, b) - before
        bridge.send_signal(signal.SIGINT)
        bridge.wait(10)
        summary.seek(0)
        say("    " + summary.read().decode().rstrip().replace("\n", "\n    "))
    equal = works and sha256(folder / "got2") == sha256(folder / "file")
    say(f"\n  sha256 sent     {sha256(folder / 'file')}")
    say(f"  sha256 received {sha256(folder / 'got2') if works else '(nothing)'}")
    say(f"  new checksum errors in a and b: {fresh}\n")
    verdicts = {
        "ping works without pktmend": pings,
        "TCP dies without it": dies,
        "the kernel counts checksum errors": rose > 0,
        "TCP works with it": equal,
        "no new checksum error": fresh == 0,
    }
    for what, holds in verdicts.items():
        say(f"  {'yes' if holds else 'NO '}  {what}")
    return all(verdicts.values())


def main() -> int:
    """Play the demo, or say what is missing and check the bundled capture instead."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--switch", choices=["auto", "ovs", "relay"], default="auto")
    kind = parser.parse_args().switch
    if kind == "auto":
        kind = "ovs" if ovs.is_installed() else "relay"
    for number in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, lambda *_: sys.exit(130))
    try:
        require_root()
        require_programs(["curl", "ping", "ip"])
        with World() as world:
            good = play(world, kind)
    except PipelineError as error:
        say(f"The live demo cannot run here: {error}")
        say(f"What works without: pktmend check -r {os.path.relpath(CAPTURE)}\n")
        subprocess.run([sys.executable, "-m", "pipeline", "check", "-r", str(CAPTURE), "--at", "wire"], check=False)
        return 0
    except KeyboardInterrupt:
        return 130
    say("\nEverything made for the demo is taken down again.")
    return 0 if good else 1


if __name__ == "__main__":
    sys.exit(main())
