"""Ask running Open vSwitch daemons for their datapaths and the TSO option, where their database can be reached."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

OVS: Final = "ovs-vswitchd"
DEFAULT_DATABASE: Final = "unix:/var/run/openvswitch/db.sock"


@dataclass(frozen=True)
class Switch:
    """One ovs-vswitchd: its process, its database as it is reached from here, {bridge: datapath_type} and
    other_config:userspace-tso-enable.
    """

    pid: int
    database: str
    bridges: dict[str, str]
    tso: bool


def find_switches() -> tuple[Switch, ...]:
    """Return the daemons that answered; one that cannot be asked is left out (its sockets still show)."""
    from pktmend.host.processes import processes, program_of  # diagnose wants the names of this file only

    found = []
    for pid in processes():
        if program_of(pid) == OVS:
            switch = _ask(pid)
            if switch is not None:
                found.append(switch)
    return tuple(found)


def database_of(pid: int) -> str:
    """Return the database of the daemon *pid*, as it is reached from here; empty if that cannot be found out."""
    try:
        words = Path(f"/proc/{pid}/cmdline").read_bytes().decode(errors="replace").split("\0")
        database = next((w for w in words[1:] if w.startswith(("unix:", "tcp:", "ssl:"))), DEFAULT_DATABASE)
        database = database.replace("unix:/run/", "unix:/var/run/")  # the same folder
        if database.startswith("unix:/") and not Path(f"/proc/{pid}/root").samefile("/"):  # it runs in a container
            database = f"unix:/proc/{pid}/root{database[5:]}"
    except OSError:
        return ""
    return database


def _ask(pid: int) -> Switch | None:
    import subprocess

    database = database_of(pid)
    if not database:
        return None
    try:
        rows = _list(database, "bridge", "name,datapath_type")
        config = dict(_list(database, "Open_vSwitch", "other_config")[0][0][1])
    except (OSError, ValueError, LookupError, subprocess.SubprocessError):
        return None
    return Switch(
        pid,
        database,
        {str(name): str(kind) or "system" for name, kind in rows},
        config.get("userspace-tso-enable") == "true",
    )


def unit_of(pid: int) -> str:
    """Return the systemd service that a process belongs to, by its control group; empty if there is none."""
    try:
        groups = Path(f"/proc/{pid}/cgroup").read_text()
    except OSError:
        return ""
    return next((part for part in reversed(re.split(r"[/\n]", groups)) if part.endswith(".service")), "")


def _list(database: str, table: str, columns: str) -> list[Any]:
    """Return the rows of a table: lists of JSON values."""
    import json
    import subprocess

    done = subprocess.run(
        [
            "ovs-vsctl",
            f"--db={database}",
            "--timeout=3",
            "--no-wait",
            "--format=json",
            f"--columns={columns}",
            "list",
            table,
        ],
        capture_output=True,
        check=True,
        timeout=5,
    )
    rows: list[Any] = json.loads(done.stdout)["data"]
    return rows
