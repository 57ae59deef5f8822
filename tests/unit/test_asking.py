"""What a hardened command asks of the system, it asks through sockets that it may still make.

The C library's if_nametoindex() makes one of another family: once the filter is on it fails, and only then.
"""

from __future__ import annotations

import ast
import socket
from collections.abc import Iterator
from pathlib import Path

import pytest

from pktmend.host.interfaces import hardware_of, index_of, interfaces, mtu_of, name_of
from tools import ROOT

PACKAGE = ROOT / "pipeline" / "pktmend"
HARDENED = ("host", "packetio", "runtime", "console", "commands/bridge", "commands/monitor")
REFUSED = {"if_nametoindex", "if_indextoname", "socketpair", "create_connection", "create_server"}
ALLOWED = {"commands/bridge/keeper.py": {"socketpair"}}  # before the helper begins


def calls(path: Path) -> Iterator[str]:
    """Yield the functions of the module socket that it calls."""
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name) and node.value.id == "socket":
            yield node.attr


def test_hardened_modules_call_nothing_that_the_filter_refuses() -> None:
    for folder in HARDENED:
        for path in sorted((PACKAGE / folder).rglob("*.py")):
            name = str(path.relative_to(PACKAGE))
            assert set(calls(path)) & REFUSED <= ALLOWED.get(name, set()), name


def test_interfaces_have_the_numbers_and_names_of_the_c_library() -> None:
    assert {index_of(name): name for name in interfaces()} == dict(socket.if_nameindex())
    assert {name_of(index) for index, _ in socket.if_nameindex()} == set(interfaces())
    assert index_of("lo") == socket.if_nametoindex("lo") and hardware_of("lo") == 772
    assert mtu_of("lo") == int(Path("/sys/class/net/lo/mtu").read_text())


def test_interface_that_is_not_there_is_an_error() -> None:
    with pytest.raises(OSError, match="No such device"):
        index_of("none-such")
    assert name_of(1 << 30) == ""
