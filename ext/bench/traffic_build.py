"""Compile the traffic of `pktmend bench gen` and `receive`; run by setup.py (cffi_modules).

The result is pktmend.commands.bench._traffic.
"""

from cffi import FFI

ffi = FFI()

ffi.cdef(
    """
typedef struct pp_batch pp_batch;
typedef struct { uint32_t size; uint32_t abi; int (*run)(pp_batch *, void *); } pktmend_stage;
#define TRAFFIC_MARK ...
#define TRAFFIC_HEAD ...
#define TRAFFIC_DAMAGES ...
#define TRAFFIC_OUTCOMES ...

typedef struct traffic_template {
    const uint8_t *frame; uint32_t length, head; uint16_t l3, l4, sum_at, port_at, sequence_at, number_at;
    uint8_t version, protocol; uint32_t payload; uint16_t gso_size; uint32_t seed, payload_sum;
} traffic_template;
typedef ... traffic;
traffic *traffic_new(const traffic_template *templates, const uint32_t *order, uint32_t order_length, uint32_t flows,
                     uint16_t port, double rate, const uint64_t *share, int offload);
void traffic_free(traffic *traffic);
int64_t traffic_send(traffic *traffic, int fd, uint64_t frames, uint32_t milliseconds);
uint64_t traffic_bytes(const traffic *traffic);
uint64_t traffic_retries(const traffic *traffic);
uint64_t traffic_count(const traffic *traffic, uint32_t proto, uint32_t outcome);
const char *traffic_outcome_name(uint32_t outcome);
const char *traffic_damage_name(uint32_t damage);

typedef struct traffic_run {
    uint32_t id; uint64_t received, duplicates, reordered, late, bytes; uint32_t lowest, highest; ...;
} traffic_run;
typedef struct traffic_arrivals { uint64_t foreign; uint32_t runs; traffic_run run[...]; ...; } traffic_arrivals;
extern const pktmend_stage pktmend_stage_of_traffic_record, pktmend_stage_of_traffic_nothing;
"""
)

ffi.set_source(
    "pktmend.commands.bench._traffic",
    '#include "traffic.h"',
    sources=["ext/bench/generate.c", "ext/bench/damage.c", "ext/bench/arrivals.c"],
    include_dirs=["ext/bench", "ext", "ext/include"],
    depends=["ext/bench/traffic.h", "ext/bench/damage.h", "ext/include/pktmend/stage.h", "ext/include/pktmend/words.h"],
    extra_compile_args=["-std=c11", "-D_GNU_SOURCE=", "-O3", "-Wall", "-Wextra", "-Wshadow"],
)

if __name__ == "__main__":
    ffi.compile(verbose=True)
