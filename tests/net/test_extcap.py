"""The extcap plug-in, asked as Wireshark asks; what comes out of its FIFO is read by tshark."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import threading
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import IO

import pytest

import frames as f
from pktmend.testbed.netns import Testbed
from tapes import udp
from tools import links, need, run_pktmend, until
from watching import Pair

VALUE = re.compile(r"interface \{value=([^{}]*)\}\{display=([^{}]*)\}")
HOSTILE = "a{b}\x1b\xff"


@pytest.fixture(scope="module")
def pair() -> Iterator[Pair]:
    need("tshark")
    with Testbed() as testbed:
        yield Pair(testbed)


@pytest.fixture(scope="module")
def plugin(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("extcap")
    done = run_pktmend("extcap", "--install", "--dir", str(folder))
    assert done.returncode == 0, done.stderr
    (path,) = folder.iterdir()
    assert os.access(path, os.X_OK) and str(path).encode() in done.stdout
    return path


def asked(plugin: Path, *argv: str) -> str:
    return subprocess.run([plugin, *argv], capture_output=True, text=True, check=True, errors="replace").stdout


def word_of(plugin: Path, name: str, namespace: str) -> str:
    listed = VALUE.findall(asked(plugin, "--extcap-interfaces", "--extcap-version=4.0"))
    (word,) = [value for value, display in listed if display.startswith(f"{name}, netns {namespace}:")]
    return str(word)


def test_wireshark_captures_from_another_namespace(pair: Pair, plugin: Path, tmp_path: Path) -> None:
    word = word_of(plugin, "pa", pair.node.namespace)
    assert asked(plugin, "--extcap-dlts", "--extcap-interface", word) == (
        "dlt {number=1}{name=EN10MB}{display=Ethernet}\n"
    )
    assert "{call=--bad-only}" in asked(plugin, "--extcap-config", "--extcap-interface", word)
    fifo = tmp_path / "fifo"
    os.mkfifo(fifo)
    argv = ("--capture", "--extcap-interface", word, "--fifo", str(fifo), "--extcap-capture-filter", "udp")
    reader = ["tshark", "-n", "-l", "-r", str(fifo), "-T", "fields", "-e", "udp.dstport", "-e", "frame.comment"]
    with ExitStack() as stack:
        program = stack.enter_context(subprocess.Popen([plugin, *argv], stderr=subprocess.PIPE))
        stack.callback(program.kill)
        tshark = stack.enter_context(
            subprocess.Popen(reader, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
        )
        stack.callback(tshark.kill)
        seen = Lines(tshark.stdout)
        until(
            lambda: str(fifo) in links(program.pid), "a capture"
        )  # a socket before that is libpcap's, which only asks
        pair.send([f.leaked(udp("10.7.0.1", "10.7.0.2", 7, 4242, b"leaked"))])
        pair.send([f.raw(udp("10.7.0.1", "10.7.0.2", 7, 4343, b"good"))])
        until(lambda: len(seen.fields) == 2, "both packets in tshark")
        program.send_signal(signal.SIGTERM)
        assert tshark.wait(20) == 0
        assert program.wait(20) == 0, program.stderr
    assert [port for port, _ in seen.fields] == ["4242", "4343"] and seen.fields[1][1] == ""
    assert seen.fields[0][1].startswith("pktmend: udp leaked: field ") and seen.fields[0][1].endswith(", byte 40")


class Lines(threading.Thread):
    """Reads tshark's lines as they come: fields."""

    def __init__(self, lines: IO[str] | None) -> None:
        super().__init__(daemon=True)
        assert lines is not None
        self._lines = lines
        self.fields: list[list[str]] = []
        self.start()

    def run(self) -> None:
        for line in self._lines:
            self.fields.append(line.rstrip("\n").split("\t"))


def test_filter_is_judged_and_gone_interfaces_are_said(pair: Pair, plugin: Path) -> None:
    word = word_of(plugin, "pa", pair.node.namespace)
    assert asked(plugin, "--extcap-interface", word, "--extcap-capture-filter", "udp port 53") == ""
    for argv in (
        ("--extcap-interface", word, "--extcap-capture-filter", "nonsense here"),
        ("--extcap-interface", "pktmend.1.eth0", "--extcap-dlts"),
        ("--extcap-interface", "eth0", "--extcap-dlts"),
    ):
        done = subprocess.run([plugin, *argv], capture_output=True, check=False)
        assert done.returncode in (2, 4) and done.stderr.startswith(b"pktmend: "), done.stderr


def test_names_cannot_end_a_value_and_come_back_whole(pair: Pair, plugin: Path) -> None:
    name = os.fsdecode(HOSTILE.encode("latin-1"))
    pair.node.run("ip", "link", "add", name, "type", "veth", "peer", "name", "other")
    try:
        lines = asked(plugin, "--extcap-interfaces")
        listed = [(v, d) for v, d in VALUE.findall(lines) if d.startswith("a(b)\\x1b\\xff, ")]
        assert len(listed) == 1 and lines.isprintable() is False and "\x1b" not in lines
        assert re.fullmatch(r"pktmend\.\d+\.a%7Bb%7D%1B%FF", listed[0][0])
        assert "EN10MB" in asked(plugin, "--extcap-dlts", "--extcap-interface", listed[0][0])
    finally:
        pair.node.run("ip", "link", "del", name)
