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
SIZES = {"statuses": PP_STATUSES, "causes": PP_CAUSES, "reasons": PP_REASONS, "protos": PP_PROTOS, "drops": PP_DROPS}


cdef int raise_for_errno(int rc, str what) except -1:
    """Turn -errno into OSFailure."""
    if rc < 0:
        raise OSFailure(f"{what}: {os.strerror(-rc)}", error=-rc)
    return rc
