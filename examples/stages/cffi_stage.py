"""A stage in C, compiled by cffi when it is first used and kept in ~/.cache/pktmend; runs without the GIL.

pktmend bridge -i A -I B --stage ./cffi_stage.py:drop_port,port=5000
"""

from __future__ import annotations

from pktmend import NativeStage, build_native

SOURCE = """
/* Drop UDP datagrams to PORT.  Reads: protocol, l4, caplen, frames.  Writes: verdict. */
static int drop_port(pp_batch *b, void *context)
{
    (void)context;
    for (uint32_t i = 0; i < b->count; i++) {
        const uint8_t *udp = b->data[i] + b->l4[i];
        if (b->protocol[i] == 17 && b->l4[i] && b->l4[i] + 4u <= b->caplen[i] && (udp[2] << 8 | udp[3]) == PORT)
            b->verdict[i] = PP_VERDICT_DROP;
    }
    return 0;
}
"""


def drop_port(port: int) -> NativeStage:
    """Make the stage for one *port*."""
    return build_native(f"#define PORT {int(port)}\n{SOURCE}", "drop_port")
