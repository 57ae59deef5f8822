"""What is known of a loaded BPF program: its name and the kinds of its maps, by bpf(2).

A program that has a DEVMAP or an XSKMAP redirects frames, and a redirected frame loses the kernel's mark on its
checksum.  (One that redirects by interface number alone has no such map: its maps do not tell.)
"""

from __future__ import annotations

import ctypes
import os
from dataclasses import dataclass
from typing import Final

from pktmend._kernel import lib

REDIRECTING: Final = {
    lib.BPF_MAP_TYPE_DEVMAP: "devmap",
    lib.BPF_MAP_TYPE_XSKMAP: "xskmap",
    lib.BPF_MAP_TYPE_DEVMAP_HASH: "devmap_hash",
}
MOST_MAPS: Final = 64


class _ProgramInfo(ctypes.Structure):
    """The beginning of struct bpf_prog_info."""

    _fields_ = (
        ("type", ctypes.c_uint32),
        ("id", ctypes.c_uint32),
        ("tag", ctypes.c_uint8 * 8),
        ("jited_prog_len", ctypes.c_uint32),
        ("xlated_prog_len", ctypes.c_uint32),
        ("jited_prog_insns", ctypes.c_uint64),
        ("xlated_prog_insns", ctypes.c_uint64),
        ("load_time", ctypes.c_uint64),
        ("created_by_uid", ctypes.c_uint32),
        ("nr_map_ids", ctypes.c_uint32),
        ("map_ids", ctypes.c_uint64),
        ("name", ctypes.c_char * 16),
    )


class _MapInfo(ctypes.Structure):
    """The beginning of struct bpf_map_info."""

    _fields_ = (("type", ctypes.c_uint32), ("id", ctypes.c_uint32))


@dataclass(frozen=True)
class Program:
    """name: as loaded, cut to 15 characters.   redirects_by: kinds of maps that redirect frames."""

    name: str
    redirects_by: tuple[str, ...]


def read_program(number: int) -> Program | None:
    """Return what is known of the program with this id; None without CAP_SYS_ADMIN, or if it is gone."""
    info = _ProgramInfo()
    maps = (ctypes.c_uint32 * MOST_MAPS)()
    info.nr_map_ids, info.map_ids = MOST_MAPS, ctypes.addressof(maps)
    try:
        _read(lib.BPF_PROG_GET_FD_BY_ID, number, info)
        kinds = []
        for identity in maps[: min(info.nr_map_ids, MOST_MAPS)]:
            one = _MapInfo()
            _read(lib.BPF_MAP_GET_FD_BY_ID, identity, one)
            kinds.append(one.type)
    except OSError:
        return None
    return Program(info.name.decode(errors="replace"), tuple(REDIRECTING[k] for k in kinds if k in REDIRECTING))


def first_facts(descriptor: int) -> tuple[int, int, int]:
    """Return the first three numbers that the kernel tells of a program or link: type, id, and a link's program."""
    info = (ctypes.c_uint32 * 64)()
    request = bytes(ctypes.c_uint32(descriptor)) + bytes(ctypes.c_uint32(ctypes.sizeof(info)))
    bpf(lib.BPF_OBJ_GET_INFO_BY_FD, request + bytes(ctypes.c_uint64(ctypes.addressof(info))))
    return info[0], info[1], info[2]


def _read(command: int, number: int, info: ctypes.Structure) -> None:
    """Fill *info* with what the kernel says of the object with this id."""
    descriptor = bpf(command, bytes(ctypes.c_uint32(number)) + bytes(8))
    try:
        request = (ctypes.c_uint32 * 4)(descriptor, ctypes.sizeof(info))
        ctypes.c_uint64.from_buffer(request, 8).value = ctypes.addressof(info)
        bpf(lib.BPF_OBJ_GET_INFO_BY_FD, bytes(request))
    finally:
        os.close(descriptor)


def bpf(command: int, attributes: bytes | ctypes.Array[ctypes.c_char]) -> int:
    """Ask the kernel by bpf(2); return its answer, a descriptor for many commands.  OSError if it refuses.

    attributes: the beginning of union bpf_attr as the command has it; what the kernel writes into an array stays there.
    """
    libc = ctypes.CDLL(None, use_errno=True)
    buffer = ctypes.create_string_buffer(attributes, len(attributes)) if isinstance(attributes, bytes) else attributes
    result: int = libc.syscall(lib.__NR_bpf, command, buffer, len(attributes))
    if result < 0:
        raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()))
    return result
