"""A machine with a real systemd: Debian's packages and our wheel, booted by systemd-nspawn in a namespace of a testbed.

Source: systemd-nspawn(1).  Nothing of it is registered with this machine's service manager, if it has one.
"""

from __future__ import annotations

import re
import subprocess
from pathlib import Path

import pytest

from debian import recipe
from pktmend.testbed.netns import Host
from tools import PATIENCE, PKTMEND, need, until

CAPABILITIES = "CAP_NET_ADMIN"  # beside what nspawn gives; the units bound theirs
ENTER = ("--mount", "--uts", "--ipc", "--net", "--pid")
MACHINE_ID = "5fb92c6f0a1e4b0d8a54d3a0c8e0f7d1\n"


class Machine:
    """Booted from *root*, in the network namespace of *host*; it ends with the testbed.

    The units are those that `pktmend deploy systemd -o` writes, and /usr/local/bin has the command, as
    docs/service.md says.
    """

    def __init__(self, root: Path, host: Host) -> None:
        need("systemd-nspawn", "nsenter")
        self.root = root
        (root / "etc" / "machine-id").write_text(MACHINE_ID)  # else all units are enabled at this, the first boot
        (root / "usr" / "local" / "bin" / "pktmend").symlink_to(f"{recipe().folder}/bin/pktmend")
        self.units = root / "etc" / "systemd" / "system"
        subprocess.run([*PKTMEND, "deploy", "systemd", "-o", str(self.units)], check=True, capture_output=True)
        (root / "etc" / "pktmend").mkdir()
        self._said = host.testbed.folder() / "console"
        argv = ["systemd-nspawn", "--quiet", f"--directory={root}", "--boot", "--register=no", "--keep-unit"]
        argv += [f"--network-namespace-path=/run/netns/{host.namespace}", f"--capability={CAPABILITIES}"]
        with self._said.open("w") as said:
            self._nspawn = subprocess.Popen(argv, stdin=subprocess.DEVNULL, stdout=said, stderr=said)
        host.testbed.on_exit(self._end)
        self._leader = 0
        until(self._is_up, "systemd in the machine")

    def _is_up(self) -> bool:
        if self._nspawn.poll() is not None:
            pytest.skip(f"systemd-nspawn boots nothing here: {self._said.read_text().strip()[-300:]}")
        children = Path(f"/proc/{self._nspawn.pid}/task/{self._nspawn.pid}/children").read_text().split()
        for child in children:
            if (Path("/proc") / child / "comm").read_text() == "systemd\n":
                self._leader = int(child)
                return self.run("systemctl", "is-system-running").stdout.strip() in ("running", "degraded")
        return False

    def _end(self) -> None:
        """As if its power were cut; nspawn then takes down what it has made."""
        if self._leader:
            subprocess.run(["kill", "-KILL", str(self._leader)], check=False)
        try:
            self._nspawn.wait(PATIENCE)
        except subprocess.TimeoutExpired:
            self._nspawn.kill()
            self._nspawn.wait()

    def run(self, *argv: str) -> subprocess.CompletedProcess[str]:
        """Run a program in there."""
        return subprocess.run(
            ["nsenter", f"--target={self._leader}", *ENTER, "--", *argv],
            env={"PATH": "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin", "LC_ALL": "C.UTF-8"},
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
        )

    def systemctl(self, *argv: str) -> str:
        """Run systemctl, which must succeed; return what it says."""
        done = self.run("systemctl", *argv)
        assert done.returncode == 0, done.stderr + self.journal()
        return done.stdout

    def show(self, unit: str, name: str) -> str:
        """Return a property of a unit."""
        return self.systemctl("show", "--value", f"--property={name}", unit).strip()

    def journal(self, *argv: str) -> str:
        """Return what was logged."""
        return self.run("journalctl", "--no-pager", "--output=cat", *argv).stdout

    def write(self, path: str, text: str) -> None:
        """Write a file of it, for root alone to change."""
        file = self.root / path.lstrip("/")
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text)
        file.chmod(0o644)

    def main(self, unit: str) -> int:
        """Return the process id of a unit's main process, in there."""
        return int(self.show(unit, "MainPID"))

    def outside(self, inside: int) -> int:
        """Return the process id out here of a process in there."""
        for status in Path("/proc").glob("[0-9]*/status"):
            try:
                found = re.search(r"^NSpid:\t(.*)$", status.read_text(), re.MULTILINE)
            except (FileNotFoundError, ProcessLookupError):
                continue
            if found and found[1].split()[1:] == [str(inside)] and self._is_in(int(status.parent.name)):
                return int(status.parent.name)
        raise AssertionError(f"process {inside} is not there")

    def _is_in(self, pid: int) -> bool:
        return Path(f"/proc/{pid}/ns/pid").samefile(f"/proc/{self._leader}/ns/pid")
