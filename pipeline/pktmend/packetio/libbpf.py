"""libbpf, loaded only when it is needed: put an object's programs and maps into the kernel.

Rules of this file:
1. What libbpf and the verifier say is kept, and becomes the detail of the error; nothing is printed.
2. It knows no program of ours.

Source: libbpf 1.x, bpf/libbpf.h (its functions are versioned symbols that stay as they are).
"""

from __future__ import annotations

import errno
import functools
import os
import platform
import re
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from pktmend._kernel import ffi as kernel_ffi
from pktmend._kernel import lib as kernel
from pktmend.errors import OSFailure, PrivilegeError

if TYPE_CHECKING:
    import cffi

LIBRARY: Final = "libbpf.so.1"
PACKAGE: Final = "libbpf1"
BTF: Final = Path("/sys/kernel/btf/vmlinux")
LOCKDOWN: Final = Path("/sys/kernel/security/lockdown")
OLDEST: Final = (5, 15)
LOG_SIZE: Final = 1 << 20
NEEDS: Final = "needs root, or CAP_BPF, CAP_PERFMON and CAP_NET_ADMIN"

DECLARATIONS: Final = """
struct bpf_object; struct bpf_program; struct bpf_map;
struct bpf_object_open_opts {
    size_t sz; const char *object_name; bool relaxed_maps; const char *pin_root_path; uint32_t unused;
    const char *kconfig; const char *btf_custom_path; char *kernel_log_buf; size_t kernel_log_size;
    uint32_t kernel_log_level;
};
struct bpf_object *bpf_object__open_mem(const void *, size_t, const struct bpf_object_open_opts *);
int bpf_object__load(struct bpf_object *);
void bpf_object__close(struct bpf_object *);
struct bpf_program *bpf_object__find_program_by_name(const struct bpf_object *, const char *);
struct bpf_map *bpf_object__find_map_by_name(const struct bpf_object *, const char *);
int bpf_program__fd(const struct bpf_program *);
int bpf_map__fd(const struct bpf_map *);
int bpf_map__set_max_entries(struct bpf_map *, uint32_t);
int libbpf_num_possible_cpus(void);
typedef void *printer;
printer libbpf_set_print(printer);
"""


def find_library() -> tuple[cffi.FFI, Any] | None:
    """Return cffi's view of libbpf, None where it is not installed."""
    return _open(LIBRARY)


@functools.cache
def _open(name: str) -> tuple[cffi.FFI, Any] | None:
    import cffi

    ffi = cffi.FFI()
    ffi.cdef(DECLARATIONS)
    try:
        return ffi, ffi.dlopen(name)
    except OSError:
        return None


def obstacle() -> str:
    """Say in one line why no object can be loaded here and what to do about it; "" if nothing is known."""
    if sys.byteorder != "little" or sys.maxsize < 1 << 32:
        return "its programs are compiled for 64-bit little-endian machines"
    release = platform.release()
    version = tuple(int(part) for part in release.split("-")[0].split(".")[:2] if part.isdigit())
    if version < OLDEST:
        return f"needs Linux {OLDEST[0]}.{OLDEST[1]} or newer; this is {release}"
    if find_library() is None:
        return f"needs libbpf, which is not installed: apt install {PACKAGE}"
    if not BTF.exists():
        return f"needs a kernel that has {BTF} (CONFIG_DEBUG_INFO_BTF)"
    if not has_capabilities():
        return NEEDS
    try:
        os.close(load_nothing())
    except OSError as error:
        if error.errno in (errno.EPERM, errno.EACCES):
            return NEEDS
        return f"the kernel loads no BPF program: {error.strerror} (CONFIG_BPF_SYSCALL, CONFIG_NET_CLS_BPF)"
    if "[confidentiality]" in _read(LOCKDOWN):
        return "the kernel is locked down (lockdown=confidentiality): BPF programs may not read its memory"
    return ""


def has_capabilities() -> bool:
    """Has this thread what it takes?  In a user namespace of its own too, where the kernel refuses all the same."""
    found = re.search(r"^CapEff:\s*(\w+)", _read(Path("/proc/thread-self/status")), re.MULTILINE)
    held = int(found[1], 16) if found else 0
    wanted = sum(1 << each for each in (kernel.CAP_BPF, kernel.CAP_PERFMON, kernel.CAP_NET_ADMIN))
    return bool(held >> kernel.CAP_SYS_ADMIN & 1) or held & wanted == wanted


def load_nothing() -> int:
    """Load a tc program that does nothing; return its descriptor."""
    program = b"\xb7" + bytes(7) + b"\x95" + bytes(7)  # r0 = 0; exit
    number = kernel.load_bpf(kernel.BPF_PROG_TYPE_SCHED_CLS, program, 2, kernel_ffi.new("char[]", 4096), 4096)
    if number < 0:
        raise OSError(-number, os.strerror(-number))
    return int(number)


def _read(path: Path) -> str:
    try:
        return path.read_text()
    except OSError:
        return ""


def possible_cpus() -> int:
    """Return how many CPUs this machine may ever have; their numbers lie below.  OSFailure without libbpf."""
    return int(_need()[1].libbpf_num_possible_cpus())


def _need() -> tuple[cffi.FFI, Any]:
    found = find_library()
    if found is None:
        raise OSFailure("libbpf is not installed", f"apt install {PACKAGE}", errno.ENOENT, LIBRARY)
    return found


class Object:
    """Programs and maps of an ELF object, in the kernel until close().

    image:   the object's bytes.
    entries: maps that get another number of entries than the object says, by name.
    Raises:  PrivilegeError, OSFailure with the verifier's last words.
    """

    def __init__(self, image: bytes, entries: dict[str, int]) -> None:
        self._ffi, self._lib = _need()
        self._handle: Any = None
        self._lib.libbpf_set_print(self._ffi.NULL)
        self._log = self._ffi.new("char[]", LOG_SIZE)  # filled only if the kernel refuses
        options: Any = self._ffi.new("struct bpf_object_open_opts *")
        options.sz = self._ffi.sizeof("struct bpf_object_open_opts")
        options.kernel_log_buf, options.kernel_log_size = self._log, LOG_SIZE
        handle = self._lib.bpf_object__open_mem(image, len(image), options)
        if not handle:
            raise OSFailure(f"libbpf does not open the program: {os.strerror(self._ffi.errno)}", "", self._ffi.errno)
        self._handle = handle
        try:
            for name, number in entries.items():
                found = self._lib.bpf_object__find_map_by_name(handle, name.encode())
                self._check(self._lib.bpf_map__set_max_entries(found, number))
            self._check(self._lib.bpf_object__load(handle))
        except BaseException:
            self.close()
            raise

    def _check(self, answer: int) -> int:
        if answer >= 0:
            return answer
        if answer == -errno.EPERM:  # EACCES is the verifier's
            raise PrivilegeError("loading a BPF program was refused", NEEDS, -answer)
        log: bytes = self._ffi.string(self._log)  # type: ignore[assignment]  # of a char array
        words = log.decode(errors="replace").strip().splitlines()[-3:]
        said = ": ".join([os.strerror(-answer), *filter(None, [" | ".join(words)])])
        raise OSFailure(f"loading a BPF program: {said}", "use another kernel, or the ring alone", -answer)

    def program(self, name: str) -> int:
        """Return the descriptor of the program of that name."""
        found = self._lib.bpf_object__find_program_by_name(self._handle, name.encode())
        return self._check(self._lib.bpf_program__fd(found))

    def map(self, name: str) -> int:
        """Return the descriptor of the map of that name."""
        found = self._lib.bpf_object__find_map_by_name(self._handle, name.encode())
        return self._check(self._lib.bpf_map__fd(found))

    def close(self) -> None:
        """Close all descriptors.  May be called twice."""
        if self._handle:
            self._lib.bpf_object__close(self._handle)
            self._handle = None
