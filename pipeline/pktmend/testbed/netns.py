"""A throw-away testbed of network namespaces ("hosts"), veth pairs and programs, taken down whatever happens.

Rules of this file:
1. Everything made here is ended here, in the reverse order, also after an error or a signal that raises.
2. Only what was made here is touched: namespaces carry the process id in their name, programs are ended by their id.
3. No fork without exec: what needs another namespace runs on a thread that entered it (a forked child would inherit
   our signal handlers and clean-up).
"""

from __future__ import annotations

import itertools
import os
import shutil
import signal
import subprocess
import tempfile
from collections.abc import Callable, Iterable, Sequence
from contextlib import ExitStack
from pathlib import Path
from types import TracebackType
from typing import Any, Final, TypeVar

from pktmend.errors import OSFailure, PrivilegeError
from pktmend.host import namespaces
from pktmend.host.rtnetlink import read_links
from pktmend.host.snmp import checksum_errors, read_counters
from pktmend.testbed import links

T = TypeVar("T")
LONGEST: Final = 300.0  # seconds for what takes far less: how long a busy or an emulated machine may take
PACKAGES = {  # of programs that are named otherwise
    "ip": "iproute2",
    "nstat": "iproute2",
    "setpriv": "util-linux",
    "ping": "iputils-ping",
    "dnsmasq": "dnsmasq-base",
    "ovs-vswitchd": "openvswitch-switch",
    "ovsdb-server": "openvswitch-switch",
    "ovs-vsctl": "openvswitch-switch",
    "ovsdb-tool": "openvswitch-switch",
    "ovs-appctl": "openvswitch-switch",
}
QUIET_IPV6 = ("accept_dad=0", "accept_ra=0", "router_solicitations=0")  # no traffic but what a test sends


def require_root() -> None:
    """Raise PrivilegeError unless namespaces can be made here."""
    if os.geteuid() != 0:
        raise PrivilegeError("making network namespaces needs root", "CAP_SYS_ADMIN and CAP_NET_ADMIN")


def require_programs(names: Iterable[str]) -> None:
    """Raise OSFailure naming the programs that are not installed and Debian's packages that have them."""
    missing = [name for name in names if shutil.which(name) is None]
    if missing:
        packages = dict.fromkeys(PACKAGES.get(name, name) for name in missing)
        raise OSFailure(f"not installed: {', '.join(missing)}", f"apt-get install {' '.join(packages)}")


class Host:
    """One network namespace; made by Testbed.host()."""

    def __init__(self, testbed: Testbed, name: str) -> None:
        self.testbed = testbed
        self.name = name
        self.namespace = f"pktmend-{os.getpid()}-{testbed.number}-{name}"

    def argv(self, argv: Sequence[str]) -> list[str]:
        """Return the command that runs *argv* in here and dies with us, unless the testbed is kept."""
        tie = [] if self.testbed.keep else ["setpriv", "--pdeathsig", "KILL"]
        return [*tie, "ip", "netns", "exec", self.namespace, *argv]

    def run(
        self, *argv: str, timeout: float = LONGEST, check: bool = True, input: bytes | None = None
    ) -> subprocess.CompletedProcess[str]:
        """Run a program to its end and return what it said; OSFailure with its words if it fails (check)."""
        done = subprocess.run(self.argv(argv), input=input, capture_output=True, timeout=timeout, check=False)
        text = subprocess.CompletedProcess(
            argv, done.returncode, done.stdout.decode(errors="replace"), done.stderr.decode(errors="replace")
        )
        if check and text.returncode:
            raise OSFailure(f"{' '.join(argv)} in {self.name}: exit {text.returncode}: {text.stderr.strip()}")
        return text

    def spawn(self, *argv: str, **options: Any) -> subprocess.Popen[bytes]:
        """Start a program that ends with this testbed at the latest."""
        options.setdefault("stdout", subprocess.DEVNULL)
        options.setdefault("stderr", subprocess.DEVNULL)
        options.setdefault("stdin", subprocess.DEVNULL)
        options.setdefault("start_new_session", self.testbed.keep)
        program = subprocess.Popen(self.argv(argv), **options)
        self.testbed.on_exit(lambda: end(program))
        return program

    def call(self, function: Callable[[], T]) -> T:
        """Return function() as called by a thread inside this namespace."""
        return namespaces.call(namespaces.NAMED / self.namespace, function)

    def kernel_counters(self) -> dict[str, int]:
        """Return this namespace's own protocol counters, named as nstat names them: TcpInCsumErrors, Udp6InErrors."""
        return self.call(read_counters)

    def checksum_errors(self) -> dict[str, int]:
        """Return the nonzero *InCsumErrors counters."""
        return checksum_errors(self.kernel_counters())

    def offload(self, interface: str, **features: bool) -> None:
        """Switch offloads as `ethtool -K` does: offload("eth0", tx=False)."""
        words = [word for name, on in features.items() for word in (name, "on" if on else "off")]
        self.run("ethtool", "-K", interface, *words)

    def index(self, interface: str) -> int:
        """Return an interface's number."""
        return self.call(lambda: links.index_of(interface))

    def hardware_address(self, interface: str) -> str:
        """Return an interface's MAC address."""
        index = self.index(interface)
        return next(link.mac for link in self.call(read_links) if link.index == index)

    def neighbour(self, interface: str, address: str, hardware_address: str) -> None:
        """Set a permanent neighbour entry, so that no ARP or ND request is sent."""
        self.run("ip", "neigh", "replace", address, "lladdr", hardware_address, "dev", interface)

    def link(self, interface: str, *, state: str = "", **settings: int) -> None:
        """Change a link: link("eth0", mtu=9000, state="down"); links.SETTINGS has the other words."""
        up = {"up": True, "down": False, "": None}[state]
        self.call(lambda: links.set_link(interface, up=up, **settings))

    def address(self, interface: str, *addresses: str) -> None:
        """Add addresses such as 10.0.0.1/24 or fd00::1/64, usable at once."""

        def add() -> None:
            for address in addresses:
                links.add_address(interface, address)

        self.call(add)


class Testbed:
    """A context manager that owns hosts, links and programs.

    keep: leave everything in place at the end, unless that is an error or a signal; how_to_remove() says what then.
    """

    _numbers = itertools.count(1)

    def __init__(self, *, keep: bool = False) -> None:
        require_root()
        require_programs(["ip", "setpriv", "ethtool"])
        self.number = next(Testbed._numbers)
        self.keep = keep
        self.hosts: list[Host] = []
        self._folders: list[Path] = []
        self._exit = ExitStack()

    def on_exit(self, undo: Callable[[], object]) -> None:
        """Call *undo* when the testbed ends, before what was made earlier is taken down."""
        self._exit.callback(undo)

    def host(self, name: str) -> Host:
        """Make a namespace with its loopback up."""
        host = Host(self, name)
        self.hosts.append(host)
        self.on_exit(lambda: _delete(host.namespace))  # first: a signal may come right behind
        before = signal.pthread_sigmask(signal.SIG_BLOCK, (signal.SIGINT, signal.SIGTERM, signal.SIGHUP))
        try:  # a signal's exception would leave the child alone, and it would make the namespace after the clean-up
            _ip("netns", "add", host.namespace)
        finally:
            signal.pthread_sigmask(signal.SIG_SETMASK, before)
        settings = Path("/proc/sys/net/ipv6/conf")

        def quiet() -> None:
            for each in QUIET_IPV6:
                name, _, value = each.partition("=")
                for scope in ("all", "default"):
                    (settings / scope / name).write_text(value)

        if settings.exists():
            host.call(quiet)
        host.link("lo", state="up")
        return host

    def folder(self) -> Path:
        """Make a folder that goes with the testbed."""
        path = Path(tempfile.mkdtemp(prefix="pktmend-"))
        self._folders.append(path)
        self.on_exit(lambda: shutil.rmtree(path, ignore_errors=True))
        return path

    def veth(self, a: Host, a_name: str, b: Host, b_name: str, *, mtu: int = 1500) -> None:
        """Join two hosts by a veth pair, up, with default offloads."""
        a.call(lambda: links.add_veth(a_name, b_name, namespaces.NAMED / b.namespace, mtu))
        for host, name in ((a, a_name), (b, b_name)):
            host.link(name, state="up")

    def netkit(self, a: Host, a_name: str, b: Host, b_name: str, *, mtu: int = 1500) -> None:
        """Join two hosts by a netkit pair, the primary in *b*, up; OSFailure where the kernel has none."""
        b.call(lambda: links.add_netkit(b_name, a_name, namespaces.NAMED / a.namespace, mtu))
        for host, name in ((a, a_name), (b, b_name)):
            host.link(name, state="up")

    def __enter__(self) -> Testbed:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self.keep and kind is None:
            self._exit.pop_all()
        else:
            self._exit.close()

    def how_to_remove(self) -> str:
        """Say how to enter what was kept, and how to remove it."""
        names = " ".join(host.namespace for host in self.hosts)
        enter = "\n".join(f"  ip netns exec {host.namespace} bash" for host in self.hosts)
        return (
            f"Kept.  To enter a host:\n{enter}\nTo remove all of it:\n"
            f"  for n in {names}; do ip netns pids $n | xargs -r kill; ip netns delete $n; done\n"
            f"  rm -rf {' '.join(map(str, self._folders))}"
        )


def end(program: subprocess.Popen[bytes], *, within: float = 3.0) -> int:
    """End one program, politely, then not; return its exit code."""
    if program.poll() is None:
        program.send_signal(signal.SIGTERM)
        try:
            program.wait(within)
        except subprocess.TimeoutExpired:
            program.kill()
    for stream in (program.stdin, program.stdout, program.stderr):
        if stream is not None:
            stream.close()
    return program.wait()


def _delete(namespace: str) -> None:
    if (namespaces.NAMED / namespace).exists():
        _ip("netns", "delete", namespace)


def _ip(*words: str) -> None:
    done = subprocess.run(["ip", *words], capture_output=True, check=False)
    if done.returncode:
        raise OSFailure(f"ip {' '.join(words)}: {done.stderr.decode(errors='replace').strip()}")
