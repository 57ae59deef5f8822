"""Open vSwitch's userspace datapath (datapath_type=netdev) with run directories of its own.

The cause of two well-known incidents: its ports read frames without the kernel's CHECKSUM_PARTIAL metadata.
Nothing of a system-wide Open vSwitch is touched: own database, own sockets, own processes.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import time
from pathlib import Path

from pktmend.errors import OSFailure
from pktmend.testbed.netns import Host, end, require_programs

SCHEMA = Path("/usr/share/openvswitch/vswitch.ovsschema")
PROGRAMS = ("ovsdb-server", "ovs-vswitchd", "ovs-vsctl", "ovsdb-tool", "ovs-appctl")


def is_installed() -> bool:
    """Are Open vSwitch's programs here?"""
    return SCHEMA.exists() and all(shutil.which(name) for name in PROGRAMS)


class OpenVSwitch:
    """One userspace switch inside *host*, ended with its testbed."""

    def __init__(self, host: Host) -> None:
        require_programs(PROGRAMS)
        self.host = host
        self.bridge = "br0"
        self._dir = host.testbed.folder()
        self._environment = {
            **os.environ,
            "OVS_RUNDIR": str(self._dir),
            "OVS_LOGDIR": str(self._dir),
            "OVS_DBDIR": str(self._dir),
        }
        database, socket = self._dir / "conf.db", self._dir / "db.sock"
        subprocess.run(["ovsdb-tool", "create", str(database), str(SCHEMA)], check=True, capture_output=True)
        self._spawn("ovsdb-server", str(database), f"--remote=punix:{socket}")
        _wait_for(socket)
        self._socket = socket
        self.vsctl("--no-wait", "init")
        self._start()
        self.vsctl("add-br", self.bridge, "--", "set", "bridge", self.bridge, "datapath_type=netdev")

    def _start(self) -> None:
        self._switch = self._spawn("ovs-vswitchd", f"unix:{self._socket}")

    def restart(self, *, tso: bool) -> None:
        """Start the switch anew; tso: with other_config:userspace-tso-enable, which keeps CHECKSUM_PARTIAL metadata."""
        self.vsctl("--no-wait", "set", "Open_vSwitch", ".", f"other_config:userspace-tso-enable={str(tso).lower()}")
        end(self._switch)
        self._start()
        self.vsctl("set", "bridge", self.bridge, f"external_ids:restarted={tso}")  # returns once the ports are there

    def _spawn(self, program: str, *arguments: str) -> subprocess.Popen[bytes]:
        pidfile, log = self._dir / f"{program}.pid", self._dir / f"{program}.log"
        return self.host.spawn(
            program, *arguments, f"--pidfile={pidfile}", f"--log-file={log}", "-vconsole:off", env=self._environment
        )

    def vsctl(self, *arguments: str) -> None:
        """Run ovs-vsctl on this switch's database."""
        command = ["ovs-vsctl", f"--db=unix:{self._socket}", "--timeout=20", *arguments]
        done = subprocess.run(self.host.argv(command), env=self._environment, capture_output=True, check=False)
        if done.returncode:
            raise OSFailure(f"{' '.join(arguments)}: {done.stderr.decode(errors='replace').strip()}")

    def ports(self, *names: str) -> None:
        """Make exactly *names* the ports of the switch."""
        command = ["ovs-vsctl", f"--db=unix:{self._socket}", "list-ports", self.bridge]
        done = subprocess.run(self.host.argv(command), env=self._environment, capture_output=True, check=True)
        for old in done.stdout.decode().split():
            if old not in names:
                self.vsctl("del-port", self.bridge, old)
        for name in names:
            self.vsctl("--may-exist", "add-port", self.bridge, name)


def _wait_for(path: Path, seconds: float = 10) -> None:
    deadline = time.monotonic() + seconds
    while not path.exists():
        if time.monotonic() > deadline:
            raise OSFailure(f"{path.name} of Open vSwitch did not appear within {seconds:g} s")
        time.sleep(0.02)
