/* bridge_loop.c - see bridge_loop.h. */
#include "observe/bridge_loop.h"

#include <string.h>

#include "parse/headers.h"
#include "sum/bytes.h"

#define WINDOW_NS 100000000u
/* A frame counts as one that came again if the first was seen so long ago: not a burst of equal ones, and not one of a sender
 * that has counted through 16 bits meanwhile. */
#define BURST_NS 10000000u
#define MEMORY_NS 600000000u
#define HASHED 256u /* bytes of a frame: what differs behind them has another checksum before */
#define GOLDEN 0x9e3779b97f4a7c15u

enum {
    SKIP_COUNT = 0,
    FUNCTION = 2,
    FUNCTION_REPLY = 1,
    MAGIC = 6,
    ID = 14,
    NUMBER = 22,
    PORT = 30,
    FLAGS = 31,
    END = 32
};
static const char magic[8] = "pktmend";

static uint64_t get64(const uint8_t *at) { return (uint64_t)pp_get32(at) << 32 | pp_get32(at + 4); }
static void put64(uint8_t *at, uint64_t value)
{
    for (int i = 0; i < 8; i++)
        at[i] = (uint8_t)(value >> (56 - 8 * i));
}

void pp_loop_make_probe(pp_bridge_loop *l, uint32_t port, uint64_t number, uint32_t flags, const uint8_t source[6],
                        uint8_t probe[PP_LOOP_PROBE])
{
    uint8_t *p = probe + ETH_HLEN;
    memset(probe, 0, PP_LOOP_PROBE);
    memset(probe, 0xff, ETH_ALEN);
    memcpy(probe + ETH_ALEN, source, ETH_ALEN);
    pp_put16(probe + ETH_TYPE, ETH_P_LOOPBACK);
    p[FUNCTION] = FUNCTION_REPLY; /* low byte first */
    memcpy(p + MAGIC, magic, sizeof magic);
    put64(p + ID, l->id);
    put64(p + NUMBER, number);
    p[PORT] = (uint8_t)port;
    p[FLAGS] = (uint8_t)flags;
    uint64_t last = atomic_load_explicit(&l->probe[port], memory_order_relaxed);
    atomic_store_explicit(&l->previous[port], last, memory_order_relaxed);
    atomic_store_explicit(&l->probe[port], number, memory_order_release);
}

static int is_tag(uint16_t type) { return type == ETH_P_8021Q || type == ETH_P_8021AD || type == ETH_P_QINQ1; }

/* Outer TPID, TCI, inner TPID, TCI of what has at most two, wherever the kernel has put them. */
static uint64_t tags_of(const pp_batch *b, uint32_t i)
{
    uint64_t tags = 0;
    uint32_t at = ETH_TYPE;
    int room = 2;
    if (b->flags[i] & PP_PKT_VLAN) {
        tags = (uint64_t)b->vlan_tpid[i] << 16 | b->vlan_tci[i];
        room--;
    }
    for (; room && at + VLAN_LEN + 2 <= b->caplen[i] && is_tag(pp_get16(b->data[i] + at)); room--, at += VLAN_LEN)
        tags = tags << 32 | pp_get32(b->data[i] + at);
    return tags && tags <= UINT32_MAX ? tags << 32 : tags;
}

/* The probe in a frame, or null. */
static const uint8_t *find_probe(const pp_batch *b, uint32_t i)
{
    uint32_t at = ETH_TYPE;
    const uint8_t *d = b->data[i];
    for (int tags = 0; tags < 2 && at + VLAN_LEN + 2 <= b->caplen[i] && is_tag(pp_get16(d + at)); tags++)
        at += VLAN_LEN;
    if (at + 2 + END > b->caplen[i] || pp_get16(d + at) != ETH_P_LOOPBACK)
        return NULL;
    return memcmp(d + at + 2 + MAGIC, magic, sizeof magic) ? NULL : d + at + 2;
}

static void raise_to(_Atomic uint64_t *highest, uint64_t id)
{
    uint64_t now = atomic_load_explicit(highest, memory_order_relaxed);
    while (id > now && !atomic_compare_exchange_weak(highest, &now, id)) {}
}

/* To what nobody else writes. */
static void add(_Atomic uint64_t *total, uint64_t n)
{
    atomic_store_explicit(total, atomic_load_explicit(total, memory_order_relaxed) + n, memory_order_relaxed);
}

static void count_one(_Atomic uint64_t *n) { atomic_fetch_add_explicit(n, 1, memory_order_relaxed); }

/* What a probe says; 1 if it is not to be passed on. */
static int meet(pp_loop_watch *w, const pp_batch *b, uint32_t i, const uint8_t *p)
{
    pp_bridge_loop *l = w->bridge;
    uint64_t id = get64(p + ID), number = get64(p + NUMBER);
    uint32_t port = p[PORT];
    if (id != l->id) {
        if (p[FLAGS] & PP_LOOP_STOPS)
            raise_to(&l->other_stops, id);
        if (p[FLAGS] & PP_LOOP_BLOCKS)
            raise_to(&l->other_blocks, id);
        return 0;
    }
    if (port > 1 || !number ||
        (number != atomic_load_explicit(&l->probe[port], memory_order_acquire) &&
         number != atomic_load_explicit(&l->previous[port], memory_order_relaxed)))
        return 1; /* of long ago, or by somebody who has seen our id */
    if (port == w->port) {
        count_one(&l->back[port]);
        return atomic_exchange_explicit(&l->same[port], number, memory_order_relaxed) == number;
    }
    atomic_store_explicit(&l->tag, tags_of(b, i), memory_order_relaxed);
    count_one(&l->proved[port]);
    return 1;
}

static void drop(pp_batch *b, uint32_t i)
{
    if (b->verdict[i] != PP_VERDICT_PASS)
        return;
    b->verdict[i] = PP_VERDICT_DROP;
    b->drop[i] = PP_DROP_LOOP;
}

static uint64_t hash_of(const uint8_t *data, uint32_t length, uint64_t hash)
{
    hash = (hash ^ length) * GOLDEN;
    uint32_t end = length < HASHED ? length : HASHED;
    for (uint32_t at = 0; at < end; at += 8) {
        uint64_t word = 0;
        memcpy(&word, data + at, end - at < 8 ? end - at : 8);
        hash = (hash ^ word) * GOLDEN;
        hash ^= hash >> 29;
    }
    return hash;
}

/* Has this frame come in lately? */
static void remember(pp_loop_watch *w, const pp_batch *b, uint32_t i)
{
    uint64_t tags = tags_of(b, i), now = b->time_ns[i];
    uint64_t hash = hash_of(b->data[i], b->caplen[i], tags);
    uint32_t slot = (uint32_t)(hash >> 32) % PP_LOOP_REMEMBERED;
    uint64_t age = now - w->time_ns[slot];
    if (w->hash[slot] != hash || age >= MEMORY_NS) {
        w->hash[slot] = hash;
        w->time_ns[slot] = now;
    } else if (age >= BURST_NS) {
        add(&w->repeats, 1);
    }
    if (tags)
        atomic_store_explicit(&w->tags[(tags * GOLDEN) >> 61], tags, memory_order_relaxed);
}

/* The first few of each 100 ms: whatever circulates among them is seen again soon. */
static void sample(pp_loop_watch *w, const pp_batch *b)
{
    uint64_t now = b->time_ns[0];
    if (now - w->window_ns >= WINDOW_NS) { /* a clock that was set back as well */
        w->window_ns = now;
        w->left = PP_LOOP_SAMPLES;
    }
    for (uint32_t i = 0; i < b->count && w->left; i++, w->left--)
        remember(w, b, i);
}

int pp_stage_watch_loop(pp_batch *b, void *context)
{
    pp_loop_watch *w = context;
    uint32_t n = b->count;
    if (!n)
        return 0;
    add(&w->frames, n);
    sample(w, b);
    for (const uint8_t *at = b->version; (at = memchr(at, 0, n - (size_t)(at - b->version))); at++) {
        uint32_t i = (uint32_t)(at - b->version);
        const uint8_t *probe = find_probe(b, i);
        if (probe && meet(w, b, i, probe))
            drop(b, i);
    }
    if (atomic_load_explicit(&w->bridge->blocks, memory_order_relaxed))
        for (uint32_t i = 0; i < n; i++)
            drop(b, i);
    return 0;
}
