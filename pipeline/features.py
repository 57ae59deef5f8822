"""Offload features of an interface, as `ethtool -k` shows them, by the ethtool ioctl.

Source: Linux include/uapi/linux/ethtool.h; net/ethtool/common.c holds the names.
"""

from __future__ import annotations

import array
import fcntl
import socket
import struct
from typing import Final

from pipeline.errors import CaptureError

SIOCETHTOOL: Final = 0x8946
ETHTOOL_GSTRINGS: Final = 0x1B
ETHTOOL_GSSET_INFO: Final = 0x37
ETHTOOL_GFEATURES: Final = 0x3A
ETH_SS_FEATURES: Final = 4
NAME_OCTETS: Final = 32


def _ioctl(s: socket.socket, interface: str, command: bytes) -> bytes:
    buffer = array.array("B", command)
    address, _ = buffer.buffer_info()
    try:
        fcntl.ioctl(s, SIOCETHTOOL, struct.pack("16sP8x", interface.encode(), address))
    except OSError as error:
        raise CaptureError(f"asking {interface!r} for its features: {error.strerror}", "", error.errno or 0,
                           interface) from error
    return buffer.tobytes()


def features_of(interface: str) -> dict[str, bool]:
    """Return {feature name: active} of *interface*, e.g. {"tx-tcp-segmentation": True}.  Needs no privilege."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as s:
        answer = _ioctl(s, interface, struct.pack("=IIQI", ETHTOOL_GSSET_INFO, 0, 1 << ETH_SS_FEATURES, 0))
        count = struct.unpack_from("=I", answer, 16)[0]
        blank = bytes(count * NAME_OCTETS)
        names = _ioctl(s, interface, struct.pack("=III", ETHTOOL_GSTRINGS, ETH_SS_FEATURES, count) + blank)[12:]
        words = (count + 31) // 32
        blocks = _ioctl(s, interface, struct.pack("=II", ETHTOOL_GFEATURES, words) + bytes(words * 16))[8:]
    found = {}
    for bit in range(count):
        name = names[bit * NAME_OCTETS : (bit + 1) * NAME_OCTETS].split(b"\0")[0].decode()
        active = struct.unpack_from("=I", blocks, bit // 32 * 16 + 8)[0]
        found[name] = bool(active >> bit % 32 & 1)
    return found
