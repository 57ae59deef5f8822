"""The engine's numbers, and its return codes as exceptions.

Rules of all parts of the core:
1. No Python object inside a packet loop; the loops are in the engine, libpktmend.so.
2. What the engine points at is kept alive here, and released only when no view of it is.
3. C returns >= 0 or -errno; raise_for_errno() converts, here and nowhere else.
"""

import os

from pktmend.stage cimport *

from pktmend.errors import OSFailure

ABI = PP_ABI

def words():
    """Return the words of <pktmend/words.h> as {kind: {word: number}}: PP_STATUS_GOOD is words()["STATUS"]["GOOD"]."""
    found = {}
    for i in range(pp_word_count):
        found.setdefault(pp_words[i].kind.decode(), {})[pp_words[i].word.decode()] = pp_words[i].value
    return found


cdef int raise_for_errno(int rc, str what) except -1:
    """Turn -errno into OSFailure."""
    if rc < 0:
        raise OSFailure(f"{what}: {os.strerror(-rc)}", error=-rc)
    return rc
