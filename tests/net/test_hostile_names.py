"""Names that other people choose - interfaces, namespaces, processes - never reach a terminal as control characters."""

from __future__ import annotations

import json
import os
import re
import subprocess
from collections.abc import Iterator

import pytest

from pktmend.testbed.netns import Host, Testbed
from tools import PKTMEND

NAMES = {"colour": b"a\x1b[31mb", "title": b"t\x1b]0;x\x07", "c1": "n\u009b2J".encode(), "bytes": b"b\xff\xfe"}
SHOWN = {"colour": r"a\x1b[31mb", "title": r"t\x1b]0;x\x07", "c1": r"n\x9b2J", "bytes": r"b\xff\xfe"}
CONTROL = re.compile(rb"[\x00-\x08\x0b-\x1f\x7f]|\xc2[\x80-\x9f]")
COMMANDS = [
    ("monitor", "--plain", "--duration", "0.3", "-i"),
    ("monitor", "--json", "--duration", "0.3", "-i"),
    ("bridge", "--duration", "0.3", "-I", "end", "-i"),
    ("bridge", "--json", "--duration", "0.3", "-I", "end", "-i"),
    ("diagnose", "--duration", "0.3", "-i"),
    ("offload", "show", "-i"),
    ("doctor",),
    ("check", "-c", "1", "-r"),  # there is no such file: the error names it
]


@pytest.fixture(scope="module")
def host() -> Iterator[Host]:
    with Testbed() as testbed:
        host = testbed.host("names")
        for i, name in enumerate(NAMES.values()):
            shown = os.fsdecode(name)
            host.run("ip", "link", "add", "dev", shown, "type", "veth", "peer", "name", f"peer{i}")
            for end in (shown, f"peer{i}"):
                host.run("ip", "link", "set", "dev", end, "up")
        host.run("ip", "link", "add", "dev", "end", "type", "veth", "peer", "name", "end1")
        for end in ("end", "end1"):
            host.run("ip", "link", "set", "dev", end, "up")
        yield host


@pytest.mark.parametrize("argv", COMMANDS, ids=" ".join)
@pytest.mark.parametrize("kind", NAMES)
def test_name_is_shown_escaped(host: Host, argv: tuple[str, ...], kind: str) -> None:
    process = host.spawn(*PKTMEND, *argv, os.fsdecode(NAMES[kind]), stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    out, err = process.communicate(timeout=60)
    assert not CONTROL.search(out + err), (out, err)
    assert b"Traceback" not in err
    if argv[0] != "check":
        assert process.returncode in (0, 1), err
    text = (out + err).decode()
    if "--json" in argv:
        lines = [json.loads(line) for line in out.decode().splitlines()]
        directions = [line["snapshot"]["directions"][0]["from"] for line in lines if "snapshot" in line]
        name = NAMES[kind]
        wanted = SHOWN[kind] if kind == "bytes" else name.decode()
        assert directions and set(directions) == {wanted}
    elif argv[0] not in ("offload", "diagnose", "doctor"):  # these three do not always print it
        assert SHOWN[kind] in text or repr(os.fsdecode(NAMES[kind]))[1:-1] in text
