"""A stage in C, compiled by cffi when it is first used and kept in ~/.cache/pktmend; runs without the GIL.

pktmend bridge -i A -I B --stage ./cffi_stage.py:drop_port,port=5000
"""

from __future__ import annotations

from pktmend import NativeStage, build_native

SOURCE = """
#include <netinet/in.h>
#include <netinet/udp.h>

/* Drop UDP datagrams to PORT.  Reads: protocol, l4, caplen, frames.  Writes: verdict. */
PKTMEND_STAGE(drop_port)
{
    for (uint32_t i = 0; i < batch->count; i++) {
        const uint8_t *udp = pktmend_transport(batch, i, IPPROTO_UDP, sizeof(struct udphdr));
        if (udp && pktmend_get16(udp + offsetof(struct udphdr, dest)) == PORT)
            pktmend_drop(batch, i);
    }
    return 0;
}
"""


def drop_port(port: int) -> NativeStage:
    """Make the stage for one *port*."""
    return build_native(f"#define PORT {int(port)}\n{SOURCE}", "drop_port")
