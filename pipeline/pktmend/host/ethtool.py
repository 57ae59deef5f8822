"""Offload features of an interface, read and changed as `ethtool -k` and `-K` do, by the ethtool ioctl.

Source: Linux include/uapi/linux/ethtool.h; net/ethtool/common.c holds the names.
"""

from __future__ import annotations

import array
import errno
import fcntl
import os
import socket
import struct
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from pktmend._kernel import lib
from pktmend.errors import OSFailure, PrivilegeError
from pktmend.host.interfaces import asking, interfaces

DRIVER_INFO: Final = 196  # bytes of struct ethtool_drvinfo


@dataclass(frozen=True)
class Feature:
    """One feature of an interface.

    active:    in effect.
    requested: what was asked for; it is active if everything it depends on is.
    is_fixed:  cannot be changed (`[fixed]` of ethtool).
    """

    active: bool
    requested: bool
    is_fixed: bool


def _ioctl(s: socket.socket, interface: str, command: bytes) -> bytes:
    buffer = array.array("B", command)
    address, _ = buffer.buffer_info()
    try:
        fcntl.ioctl(s, lib.SIOCETHTOOL, struct.pack("16sP8x", os.fsencode(interface), address))
    except OSError as error:
        number = error.errno or 0
        if number == errno.EPERM:
            raise PrivilegeError(
                f"changing the features of {interface!r}: {error.strerror}",
                "needs CAP_NET_ADMIN there",
                number,
                interface,
            ) from error
        raise OSFailure(f"asking {interface!r} for its features: {error.strerror}", "", number, interface) from error
    return buffer.tobytes()


def _names(s: socket.socket, interface: str) -> list[str]:
    """Return the names of all features, in the order of their bits; a bit without a name has an empty one."""
    answer = _ioctl(s, interface, struct.pack("=IIQI", lib.ETHTOOL_GSSET_INFO, 0, 1 << lib.ETH_SS_FEATURES, 0))
    count = struct.unpack_from("=I", answer, 16)[0]
    blank = bytes(count * lib.ETH_GSTRING_LEN)
    names = _ioctl(s, interface, struct.pack("=III", lib.ETHTOOL_GSTRINGS, lib.ETH_SS_FEATURES, count) + blank)[12:]
    return [
        names[at : at + lib.ETH_GSTRING_LEN].split(b"\0")[0].decode()
        for at in range(0, len(blank), lib.ETH_GSTRING_LEN)
    ]


def read_features(interface: str) -> dict[str, Feature]:
    """Return {name: Feature} of *interface* in the caller's namespace.  Needs no privilege."""
    with asking() as s:
        names = _names(s, interface)
        words = (len(names) + 31) // 32
        blocks = _ioctl(s, interface, struct.pack("=II", lib.ETHTOOL_GFEATURES, words) + bytes(words * 16))[8:]
    found = {}
    for bit, name in enumerate(names):
        available, requested, active, never = (
            bool(word >> bit % 32 & 1) for word in struct.unpack_from("=4I", blocks, bit // 32 * 16)
        )
        if name:
            found[name] = Feature(active, requested, not available or never)
    return found


def features_of(interface: str) -> dict[str, bool]:
    """Return {feature name: active} of *interface*, e.g. {"tx-tcp-segmentation": True}.  Needs no privilege."""
    return {name: feature.active for name, feature in read_features(interface).items()}


def request_features(interface: str, wanted: Mapping[str, bool]) -> None:
    """Ask for features by their names; read_features shows the result.

    Raises: PrivilegeError without CAP_NET_ADMIN, OSFailure if there is no such interface.
    """
    with asking() as s:
        names = _names(s, interface)
        valid = [0] * ((len(names) + 31) // 32)
        values = valid.copy()
        for name, on in wanted.items():
            bit = names.index(name)
            valid[bit // 32] |= 1 << bit % 32
            values[bit // 32] |= on << bit % 32
        blocks = b"".join(struct.pack("=II", *pair) for pair in zip(valid, values, strict=True))
        _ioctl(s, interface, struct.pack("=II", lib.ETHTOOL_SFEATURES, len(valid)) + blocks)


def feature_names() -> list[str]:
    """Return the names of all features that this kernel knows; every interface has the same."""
    with asking() as s:
        return [name for name in _names(s, interfaces()[0]) if name]


def driver_of(interface: str) -> str:
    """Return the driver of *interface* as `ethtool -i` names it; empty if it has none to name."""
    with asking() as s:
        try:
            answer = _ioctl(s, interface, struct.pack("=I", lib.ETHTOOL_GDRVINFO) + bytes(DRIVER_INFO - 4))
        except OSFailure as error:
            if error.errno in (errno.EOPNOTSUPP, errno.ENODEV):
                return ""
            raise
    return os.fsdecode(answer[4:36].split(b"\0")[0])
