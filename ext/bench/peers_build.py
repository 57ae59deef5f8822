"""Compile the peers of `pktmend bench` and its clock; run by setup.py (cffi_modules).

The result is pktmend.commands.bench._peers.

-O3 and nothing else: what the peers' own builds use for a processor they do not know.
"""

from cffi import FFI

ffi = FFI()

ffi.cdef(
    """
uintptr_t peer_address(const char *name);
uint64_t peer_call(uintptr_t sum, const void *data, size_t length);
double peer_time(uintptr_t sum, const void *data, size_t length, uint32_t calls, uint32_t trials);
double peer_time_slices(uintptr_t sum, const uintptr_t *data, const uint32_t *length, uint32_t count, uint32_t turns,
                        uint32_t trials);
typedef struct peer_walker { uint64_t packets, bytes; ...; } peer_walker;
int peer_walker_open(peer_walker *walker, const char *interface, uint32_t block_size, uint32_t blocks);
void peer_walker_run(peer_walker *walker, uint32_t milliseconds);
uint64_t peer_walker_close(peer_walker *walker);
const char *peer_compiler(void);
"""
)

ffi.set_source(
    "pktmend.commands.bench._peers",
    '#include "peers.h"',
    sources=["ext/bench/peers.c", "ext/bench/walker.c"],
    include_dirs=["ext/bench"],
    depends=["ext/bench/peers.h"],
    extra_compile_args=["-std=c11", "-D_GNU_SOURCE=", "-O3", "-Wall", "-Wextra"],
)

if __name__ == "__main__":
    ffi.compile(verbose=True)
