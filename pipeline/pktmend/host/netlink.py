"""Just enough netlink to read the system with nothing installed: dump requests and attributes.

Source: Linux Documentation/userspace-api/netlink/intro.rst.
"""

from __future__ import annotations

import os
import socket
import struct
from collections.abc import Iterator
from typing import Final

from pktmend._kernel import lib

NETLINK_ROUTE: Final = lib.NETLINK_ROUTE
NETLINK_SOCK_DIAG: Final = lib.NETLINK_SOCK_DIAG
NETLINK_NETFILTER: Final = lib.NETLINK_NETFILTER
NLM_F_DUMP: Final = lib.NLM_F_DUMP
HEADER: Final = struct.Struct("=IHHII")
TYPE_MASK: Final = lib.NLA_TYPE_MASK & 0xFFFF  # the upper two bits say "nested" and "network byte order"
ANSWER_SIZE: Final = 1 << 17


def ask(protocol: int, kind: int, body: bytes, flags: int = NLM_F_DUMP) -> Iterator[bytes]:
    """Send one request and yield the body of every answer; OSError with the kernel's errno if it refuses.

    protocol: NETLINK_ROUTE and so on.     flags: NLM_F_DUMP, or 0 for a single object.
    """
    with socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, protocol) as s:
        s.settimeout(10)
        s.send(HEADER.pack(HEADER.size + len(body), kind, flags | lib.NLM_F_REQUEST, 1, 0) + body)
        while True:
            data = s.recv(ANSWER_SIZE)
            at = 0
            while at + HEADER.size <= len(data):
                length, answer, _, _, _ = HEADER.unpack_from(data, at)
                content = data[at + HEADER.size : at + length]
                at += max(HEADER.size, (length + 3) & ~3)
                if answer in (lib.NLMSG_ERROR, lib.NLMSG_DONE):
                    error = -struct.unpack_from("=i", content)[0] if len(content) >= 4 else 0
                    if error > 0:
                        raise OSError(error, os.strerror(error))
                    return
                yield content
            if not flags & NLM_F_DUMP:
                return


def attributes(data: bytes) -> dict[int, bytes]:
    """Return {type: value} of consecutive attributes, up to the first that does not fit."""
    found = {}
    at = 0
    while at + 4 <= len(data):
        length, kind = struct.unpack_from("=HH", data, at)
        if length < 4 or at + length > len(data):
            break
        found[kind & TYPE_MASK] = data[at + 4 : at + length]
        at += (length + 3) & ~3
    return found


def attribute(kind: int, value: bytes) -> bytes:
    """Return one attribute, padded."""
    return struct.pack("=HH", 4 + len(value), kind) + value + bytes(-len(value) % 4)


def number(value: bytes | None, default: int = 0) -> int:
    """Return an unsigned attribute of 1, 2, 4 or 8 bytes in host order; *default* if it is missing."""
    return default if value is None else int.from_bytes(value, _ORDER)


def text(value: bytes | None) -> str:
    """Return a string attribute without its closing zero; empty if it is missing."""
    return "" if value is None else os.fsdecode(value.split(b"\0")[0])


_ORDER: Final = "little" if struct.pack("=H", 1)[0] else "big"
