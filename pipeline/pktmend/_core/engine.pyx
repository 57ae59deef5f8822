"""The engine's numbers, and its return codes as exceptions.

Rules of all parts of the core:
1. No Python object inside a packet loop; the loops are in the engine, libpktmend.so.
2. What the engine points at is kept alive here, and released only when no view of it is.
3. C returns >= 0 or -errno; raise_for_errno() converts, here and nowhere else.
"""

import os

from libc.stdint cimport uint8_t, uint16_t

from pktmend.stage cimport *

from pktmend.errors import OSFailure

cdef extern from "parse/tunnel.h" nogil:
    const char *pp_tunnel_names[]
    int pp_tunnel_port(uint16_t port, int kind) noexcept
    void pp_tunnel_ports_clear() noexcept
    uint8_t pp_tunnel_of_port(uint16_t port) noexcept

ABI = PP_ABI

def words():
    """Return the words of <pktmend/words.h> as {kind: {word: number}}: PP_STATUS_GOOD is words()["STATUS"]["GOOD"]."""
    found = {}
    for i in range(pp_word_count):
        found.setdefault(pp_words[i].kind.decode(), {})[pp_words[i].word.decode()] = pp_words[i].value
    return found


def tunnel_kinds():
    """Return the words for what UDP may carry, in the order of their numbers; the first, empty, is nothing that is known."""
    found = []
    while pp_tunnel_names[len(found)] != NULL:
        found.append(pp_tunnel_names[len(found)].decode())
    return tuple(found)


def set_tunnel_port(port, kind):
    """Look for a tunnel of this kind (an index of tunnel_kinds()) behind UDP port *port*; 0 forgets what was said of it."""
    raise_for_errno(pp_tunnel_port(port, kind), f"UDP port {port}")


def tunnel_of_port(port):
    """Return what is said to be behind UDP port *port*, by default or by set_tunnel_port()."""
    return pp_tunnel_of_port(port)


def clear_tunnel_ports():
    """Forget all that set_tunnel_port() was told."""
    pp_tunnel_ports_clear()


cdef int raise_for_errno(int rc, str what) except -1:
    """Turn -errno into OSFailure."""
    if rc < 0:
        raise OSFailure(f"{what}: {os.strerror(-rc)}", error=-rc)
    return rc
