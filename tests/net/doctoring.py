"""How a test has a host examined by `pktmend doctor`, reads the findings and obeys them."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

from line import Line
from pktmend.testbed.netns import Host
from tools import PKTMEND


def doctor(host: Host, *words: str, expect: int | None = None) -> tuple[list[dict[str, Any]], dict[str, Any]]:
    """Return the findings and the summary of `pktmend doctor --netns HOST`."""
    done = subprocess.run(
        [*PKTMEND, "doctor", "--netns", host.namespace, *words, "--json"],
        capture_output=True,
        text=True,
        check=False,
    )
    lines = [json.loads(line) for line in done.stdout.splitlines()]
    *findings, summary = lines
    found, last = [f["finding"] for f in findings], summary["summary"]
    assert done.returncode == int(any(f["severity"] == "problem" for f in found)), done.stderr
    assert (last["problems"], last["warnings"], last["infos"]) == tuple(
        sum(f["severity"] == word for f in found) for word in ("problem", "warning", "info")
    )
    ranks = [("problem", "warning", "info").index(f["severity"]) for f in found]
    assert ranks == sorted(ranks)
    if expect is not None:
        assert done.returncode == expect, done.stdout
    return found, last


def names(found: list[dict[str, Any]]) -> set[str]:
    return {f["name"] for f in found}


def the(found: list[dict[str, Any]], name: str) -> dict[str, Any]:
    """Return the one finding of that name."""
    [one] = [f for f in found if f["name"] == name]
    return one


def placed(finding: dict[str, Any]) -> list[tuple[str, str]]:
    """Return the interfaces that it is about, each with its namespace."""
    return [(each["name"], each["namespace"]) for each in finding["interfaces"]]


def obey(finding: dict[str, Any], word: str) -> None:
    """Run the remedies that contain *word*, exactly as they are printed."""
    commands = [r["command"] for r in finding["remedy"] if word in r["command"]]
    assert commands
    for command in commands:
        path = f"{Path(sys.executable).parent}:{os.environ['PATH']}"  # `pktmend` of this environment
        done = subprocess.run(
            ["sh", "-ec", command], env={**os.environ, "PATH": path}, capture_output=True, text=True, check=False
        )
        assert done.returncode == 0, (command, done.stderr)


def link(host: Host, interface: str) -> dict[str, Any]:
    """What `ip -d -j link` shows of an interface."""
    shown: dict[str, Any] = json.loads(host.run("ip", "-d", "-j", "link", "show", "dev", interface).stdout)[0]
    return shown


def add_vxlan(host: Host, *options: str) -> None:
    """Add the tunnel vx0 over eth0 of *host*, to the other end of a line."""
    where = ("id", "7", "dstport", "4789", "dev", "eth0", "local", "10.7.0.1", "remote", "10.7.0.2")
    host.run("ip", "link", "add", "vx0", "type", "vxlan", *where, *options)


def start_relay(line: Line) -> subprocess.Popen[bytes]:
    relay = line.node.spawn(sys.executable, "-P", "-m", "pktmend.testbed.relay", "pa", "pb", stdout=subprocess.PIPE)
    assert relay.stdout is not None
    relay.stdout.readline()
    return relay


def send_bad(line: Line, mac: str, n: int) -> None:
    """Send datagrams with a wrong checksum to b, raw."""
    from scapy.all import IP, UDP, Ether

    frame = bytes(Ether(dst=mac) / IP(src="10.7.0.1", dst="10.7.0.2") / UDP(sport=1, dport=9, chksum=0x1234) / b"bad")

    def send() -> None:
        with socket.socket(socket.AF_PACKET, socket.SOCK_RAW, 0) as s:
            s.bind(("pb", 0))
            for _ in range(n):
                s.send(frame)

    line.node.call(send)
    time.sleep(0.05)
