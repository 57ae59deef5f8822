"""A stage compiled by Numba: Python's syntax at the speed of C, without the GIL.  Needs numba.

pktmend bridge -i A -I B --stage ./numba_stage.py:drop_last_hop
"""

from __future__ import annotations

from numba import cfunc
from numpy import uint8, uint16, uint32, uintp

from pktmend import Verdict
from pktmend.runtime.numba_stage import SIGNATURE, carray, column

DROP = int(Verdict.DROP)
IPV4_HEADER, TTL = 20, 8  # bytes at least, and where the field lies in them (RFC 791)


@cfunc(SIGNATURE)
def drop_last_hop(batch, context):  # type: ignore[no-untyped-def]
    """Drop IPv4 packets whose TTL is 0 or 1.  Reads: version, l3, caplen, frames.  Writes: verdict."""
    b = carray(batch, 1)[0]
    data = column(b.data, b.count, uintp)
    caplen = column(b.caplen, b.count, uint32)
    l3 = column(b.l3, b.count, uint16)
    version = column(b.version, b.count, uint8)
    verdict = column(b.verdict, b.count, uint8)
    for i in range(b.count):
        if version[i] == 4 and l3[i] + IPV4_HEADER <= caplen[i]:
            frame = column(data[i], caplen[i], uint8)
            if frame[l3[i] + TTL] <= 1:
                verdict[i] = DROP
    return 0
