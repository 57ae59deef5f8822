"""Capture filters in tcpdump's language, compiled by libpcap, which is loaded only when one is used.

For files the program runs in libpcap's interpreter, once per packet and before anything else looks at it; on an
interface the kernel runs it.  Source: pcap-filter(7), pcap_compile(3PCAP).
"""

from __future__ import annotations

import os
from contextlib import suppress
from functools import cache
from typing import TYPE_CHECKING, Any, Final

from pktmend import _core
from pktmend._kernel import lib as kernel
from pktmend.errors import ConfigError
from pktmend.host.bpf_asm import Assembler, encode, ret
from pktmend.host.interfaces import hardware_of, interfaces, is_up

if TYPE_CHECKING:
    import cffi

LIBRARIES: Final = ("libpcap.so.0.8", "libpcap.so.1", "libpcap.so")
SNAPLEN: Final = 262144
NETMASK_UNKNOWN: Final = 0xFFFFFFFF
# LINKTYPE_* of files to the DLT_* that libpcap compiles for; they differ for raw IP only
LINKS: Final = {
    1: 1,
    0: 0,
    9: 9,
    12: 12,
    14: 12,
    50: 50,
    51: 51,
    101: 12,
    104: 104,
    108: 108,
    113: 113,
    228: 228,
    229: 229,
    276: 276,
}


RAW_IP: Final = 12  # DLT_RAW
WITHOUT_LINK: Final = (kernel.ARPHRD_NONE, kernel.ARPHRD_TUNNEL, kernel.ARPHRD_SIT, kernel.ARPHRD_IPGRE)

_programs: dict[tuple[str, int], bytes] = {}  # by expression and ARPHRD_*
_is_sealed = False

NOTHING: Final = encode([ret(0)])
EVERYTHING: Final = encode([ret(0xFFFFFFFF)])


def _refuse_incoming() -> bytes:
    """Return the beginning of a program: what does not leave this host is refused, the rest goes on behind it."""
    a = Assembler()
    packet_type = (kernel.SKF_AD_OFF + kernel.SKF_AD_PKTTYPE) & 0xFFFFFFFF  # a negative offset: not of the frame
    a.emit(kernel.BPF_LD | kernel.BPF_B | kernel.BPF_ABS, packet_type)
    a.jump_if(kernel.BPF_JEQ, kernel.PACKET_OUTGOING, "outgoing")
    a.ret(0)
    a.label("outgoing")
    return encode(a.instructions())


_OUTGOING: Final = _refuse_incoming()

DECLARATIONS: Final = """
typedef struct pcap pcap_t;
struct bpf_insn { unsigned short code; unsigned char jt, jf; unsigned int k; };
struct bpf_program { unsigned int bf_len; struct bpf_insn *bf_insns; };
pcap_t *pcap_open_dead(int, int);
pcap_t *pcap_create(const char *, char *);
int pcap_activate(pcap_t *);
void pcap_close(pcap_t *);
char *pcap_geterr(pcap_t *);
int pcap_compile(pcap_t *, struct bpf_program *, const char *, int, unsigned int);
void pcap_freecode(struct bpf_program *);
unsigned int bpf_filter(const struct bpf_insn *, const unsigned char *, unsigned int, unsigned int);
"""


@cache  # it stays: a hardened command can load no library again
def _libpcap() -> tuple[cffi.FFI, Any]:
    """Return cffi's view of libpcap."""
    import cffi

    ffi = cffi.FFI()
    ffi.cdef(DECLARATIONS)
    for name in LIBRARIES:
        try:
            return ffi, ffi.dlopen(name)
        except OSError:
            continue
    raise ConfigError("a filter expression needs libpcap, which is not installed", "apt install libpcap0.8")


def load() -> None:
    """Load libpcap now: that takes a quarter of a second, which who compiles a filter later may not have.

    Raises: ConfigError without libpcap.
    """
    _libpcap()


def _compile(ffi: cffi.FFI, lib: Any, handle: Any, expression: str) -> Any:
    """Return a compiled struct bpf_program, freed with its owner, or the words of libpcap's refusal."""
    program = ffi.gc(ffi.new("struct bpf_program *"), lib.pcap_freecode)
    if lib.pcap_compile(handle, program, os.fsencode(expression), 1, NETMASK_UNKNOWN) < 0:
        words: bytes = ffi.string(lib.pcap_geterr(handle))  # type: ignore[assignment]  # of a char array
        return words.decode(errors="replace")
    return program


def for_files(expression: str) -> _core.PacketFilter:
    """Compile *expression* for every link type that files are read of.  ConfigError if it is not a filter."""
    ffi, lib = _libpcap()
    programs, keep, refusal = [], [lib], ""
    for link, dlt in LINKS.items():
        handle = ffi.gc(lib.pcap_open_dead(dlt, SNAPLEN), lib.pcap_close)
        program = _compile(ffi, lib, handle, expression)
        if isinstance(program, str):  # such as `ether host` on raw IP: nothing there can match
            refusal = refusal or program
            continue
        programs.append((link, int(ffi.cast("uintptr_t", program.bf_insns))))
        keep.append(program)
    if not programs:
        raise ConfigError(f"filter {expression!r}: {refusal}", "see pcap-filter(7)")
    return _core.PacketFilter(int(ffi.cast("uintptr_t", ffi.addressof(lib, "bpf_filter"))), programs, keep)


def for_interface(expression: str, interface: str) -> bytes:
    """Compile *expression* for packet sockets on *interface*; return the instructions (struct sock_filter each).

    Once for each kind of frames.  ConfigError if it is not a filter.
    """
    kind = hardware_of(interface)
    kind = kernel.ARPHRD_ETHER if kind == kernel.ARPHRD_LOOPBACK else kind
    known = _programs.get((expression, kind))
    if known is None:
        known = _programs[expression, kind] = _for_kind(expression, kind, "" if _is_sealed else interface)
    return known


def seal(expression: str) -> None:
    """Compile *expression* for Ethernet, and open nothing of the system's for any other kind from now on.

    For commands that make sockets no more: libpcap does, and falls when it may not.
    """
    global _is_sealed
    for name in interfaces():
        if is_up(name) and hardware_of(name) in (kernel.ARPHRD_ETHER, kernel.ARPHRD_LOOPBACK):
            with suppress(ConfigError):  # told of each interface that it does not fit
                for_interface(expression, name)
            break
    _is_sealed = True


def _for_kind(expression: str, kind: int, interface: str) -> bytes:
    """A live handle on *interface*, if one is given, lets libpcap use what the kernel knows of stripped VLAN tags."""
    if not interface and kind not in (kernel.ARPHRD_ETHER, *WITHOUT_LINK):
        raise ConfigError(f"filter {expression!r}: no interface of this kind was there at the start", "start it again")
    ffi, lib = _libpcap()
    words = ffi.new("char[256]")
    handle = interface and ffi.gc(lib.pcap_create(os.fsencode(interface), words), lib.pcap_close)
    if not handle or lib.pcap_activate(handle) < 0:
        handle = ffi.gc(lib.pcap_open_dead(RAW_IP if kind in WITHOUT_LINK else 1, SNAPLEN), lib.pcap_close)
    program = _compile(ffi, lib, handle, expression)
    if isinstance(program, str):
        raise ConfigError(f"filter {expression!r}: {program}", "see pcap-filter(7)")
    return bytes(ffi.buffer(program.bf_insns, program.bf_len * ffi.sizeof("struct bpf_insn")))


def outgoing_only(program: bytes) -> bytes:
    """Return *program* behind a test that the frame leaves this host, for packet sockets."""
    return _OUTGOING + program
