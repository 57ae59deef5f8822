/* test_verify.c - the fast path for common packets gives what the parser gives, for damaged packets too.
 *
 * Rules:
 *   1. Each frame is in the batch twice.  A wirelen below caplen means "no longer than captured" to the parser, and keeps
 *      the packet off the fast path: the second is judged by the slow path, and both must agree in every column and check.
 *   2. Frames are malloc'ed to the byte: ASan sees one too far.
 *   3. What right and partial packets are found to be is known beforehand, from RFC 1071 added up here.
 */
#include "sum/bytes.h"
#include "check.h"
#include "columns.h"
#include "check/verify.h"
#include <pktmend/parse.h>

enum { ROUNDS = 300000, ROOM = PP_VNET_LEN, LONGEST = 300, IP = 14 };

typedef struct kind {
    uint32_t l4, field, shortest;
    uint8_t protocol;
} kind;

static const kind kinds[] = {
    { IP + 20, IP + 20 + 16, 54, 6 },
    { IP + 20, IP + 20 + 6, 42, 17 },
    { IP + 40, IP + 40 + 16, 74, 6 },
    { IP + 40, IP + 40 + 6, 62, 17 },
};

static uint32_t state = 12345;

/* The same numbers each time (Numerical Recipes' constants). */
static uint32_t next(uint32_t below)
{
    state = state * 1664525u + 1013904223u;
    return (uint32_t)(((uint64_t)(state >> 8) * below) >> 24);
}

static uint32_t add(uint32_t sum, const uint8_t *p, uint32_t length)
{
    for (uint32_t i = 0; i < length; i += 2) {
        sum += (uint32_t)p[i] << 8 | (i + 1 < length ? p[i + 1] : 0u);
        sum = (sum & 0xffff) + (sum >> 16);
    }
    return sum;
}

static uint16_t some_port(void)
{
    static const uint16_t tunnels[] = { 4789, 8472, 4790, 6081, 2152, 3544, 4754 };
    return next(8) ? (uint16_t)next(65536) : tunnels[next(sizeof tunnels / sizeof tunnels[0])];
}

/* Ethernet, IPv4 or IPv6, TCP or UDP with right checksums; returns S, the pseudo-header sum. */
static uint16_t build(uint8_t *f, const kind *k, uint32_t length, uint32_t padding)
{
    uint32_t payload = length - k->l4 - padding;
    for (uint32_t i = 0; i < length; i++)
        f[i] = (uint8_t)next(256);
    if (k->l4 == IP + 20) {
        pp_put16(f + 12, 0x0800);
        f[IP] = 0x45;
        pp_put16(f + IP + 2, (uint16_t)(20 + payload));
        pp_put16(f + IP + 6, next(2) ? 0x4000 : 0);
        f[IP + 9] = k->protocol;
        pp_put16(f + IP + 10, 0);
        pp_put16(f + IP + 10, (uint16_t)~add(0, f + IP, 20));
    } else {
        pp_put16(f + 12, 0x86dd);
        f[IP] = (uint8_t)(0x60 | next(16));
        pp_put16(f + IP + 4, (uint16_t)payload);
        f[IP + 6] = k->protocol;
    }
    if (k->protocol == 6) {
        f[k->l4 + 12] = (uint8_t)((5 + next(payload < 40 ? 1 : 6)) << 4);
    } else {
        pp_put16(f + k->l4, some_port());
        pp_put16(f + k->l4 + 2, some_port());
        pp_put16(f + k->l4 + 4, (uint16_t)payload);
    }
    pp_put16(f + k->field, 0);
    uint32_t addresses = k->l4 == IP + 20 ? 8 : 32;
    uint32_t seed = add(k->protocol + payload, f + k->l4 - addresses, addresses);
    uint16_t sum = (uint16_t)~add(seed, f + k->l4, payload);
    pp_put16(f + k->field, sum == 0 && k->protocol == 17 ? 0xffff : sum);
    return (uint16_t)seed;
}

/* Bytes that decide what a packet is, and any other. */
static void damage(uint8_t *f, const kind *k, uint32_t length)
{
    static const uint8_t ip[] = { 12,     13,     IP,     IP + 2,  IP + 3,  IP + 4, IP + 5,
                                  IP + 6, IP + 7, IP + 9, IP + 10, IP + 11, IP + 16 };
    static const uint8_t transport[] = { 0, 1, 2, 3, 4, 5, 6, 7, 12, 16, 17 };
    for (uint32_t n = next(3); n; n--) {
        uint32_t at = next(4)   ? ip[next(sizeof ip)]
                      : next(2) ? k->l4 + transport[next(sizeof transport)]
                                : next(length);
        if (at < length)
            f[at] = (uint8_t)(next(2) ? next(256) : f[at] ^ 1u << next(8));
    }
    if (!next(8))
        pp_put16(f + k->field, 0);
}

static void compare(const pp_batch *b, const char *what)
{
    CHECK_THAT(b->status[0] == b->status[1] && b->cause[0] == b->cause[1] && b->flags[0] == b->flags[1] &&
                   b->l3[0] == b->l3[1] && b->l4[0] == b->l4[1] && b->version[0] == b->version[1] &&
                   b->protocol[0] == b->protocol[1] && b->check_count[0] == b->check_count[1] &&
                   b->check_first[0] == 0 && b->check_first[1] == b->check_count[0] &&
                   b->checks_used == b->check_count[0] + 0u + b->check_count[1],
               "%s: columns differ", what);
    for (uint32_t i = 0; i < b->check_count[0] && b->check_count[0] == b->check_count[1]; i++)
        CHECK_THAT(memcmp(&b->checks[i], &b->checks[b->check_count[0] + i], sizeof b->checks[0]) == 0,
                   "%s: check %u differs", what, i);
}

static void test_fast_path_equals_the_slow_path(void)
{
    static const uint16_t metadata[] = { 0,
                                         0,
                                         PP_PKT_METADATA,
                                         PP_PKT_METADATA | PP_PKT_CLAIMED_VALID,
                                         PP_PKT_SUPER_FRAME,
                                         PP_PKT_METADATA | PP_PKT_NOT_READY,
                                         PP_PKT_OUTGOING };
    static pp_batch b;
    if (!b.capacity)
        b = columns(2);
    uint64_t seen[PP_STATUSES] = { 0 };
    for (uint32_t round = 0; round < ROUNDS; round++) {
        const kind *k = &kinds[next(sizeof kinds / sizeof kinds[0])];
        uint32_t padding = next(4) ? 0 : next(12), options = next(4);
        uint32_t length = k->shortest + next(LONGEST - k->shortest) + padding;
        uint8_t *memory = malloc(ROOM + length), *f = memory + ROOM;
        if (!memory)
            exit(1);
        memset(memory, 0, ROOM);
        uint16_t seed = build(f, k, length, padding);
        uint16_t right = pp_get16(f + k->field);
        uint32_t how = next(4);
        if (how == 1)
            pp_put16(f + k->field, seed);
        else if (how > 1)
            damage(f, k, length);
        uint32_t captured = how == 3 ? 1 + next(length) : length;
        uint8_t *exact = malloc(ROOM + captured);
        if (!exact)
            exit(1);
        memcpy(exact, memory, ROOM + captured);
        uint16_t flags = metadata[next(sizeof metadata / sizeof metadata[0])];
        b.count = 2;
        memset(b.checks, 0xa5, 2 * PP_CHECKS_PER_PACKET * sizeof b.checks[0]); /* what an earlier packet left */
        for (int i = 0; i < 2; i++) {
            b.data[i] = exact + ROOM;
            b.caplen[i] = captured;
            b.wirelen[i] = captured - (uint32_t)i;
            b.link[i] = PP_LINK_ETHERNET;
            b.flags[i] = flags;
        }
        CHECK_EQ(pp_stage_verify(&b, &options), 0);
        compare(&b, how == 0 ? "right" : how == 1 ? "partial" : "damaged");
        seen[b.status[0]]++;
        const pp_check *own = &b.checks[k->l4 == IP + 20]; /* there may be more, in a tunnel of noise */
        if (how == 0 && !(flags & PP_PKT_NOT_READY))
            CHECK_EQ(own->status, PP_STATUS_GOOD);
        if (how == 1 && !(flags & (PP_PKT_METADATA | PP_PKT_NOT_READY)) && !(options & PP_VERIFY_AT_WIRE))
            CHECK_EQ(own->status, seed == right ? PP_STATUS_GOOD : PP_STATUS_PENDING);
        free(exact);
        free(memory);
    }
    CHECK_THAT(seen[PP_STATUS_GOOD] && seen[PP_STATUS_PENDING] && seen[PP_STATUS_BAD] && seen[PP_STATUS_UNCHECKED] &&
                   seen[PP_STATUS_NONE],
               "not all statuses came up");
}

/* "Not ready", and not where, of a packet with two fields that hold their seed: the one within an ICMP error is another
 * host's, whose mark it was not. */
static void test_a_mark_without_a_place_is_not_for_what_is_quoted(void)
{
    enum { L4 = IP + 40, QUOTED = L4 + 8, UDP = QUOTED + 40, LENGTH = UDP + 8 };
    uint8_t f[LENGTH] = { 0 };
    pp_batch b = columns(1);
    pp_put16(f + 12, 0x86dd);
    pp_put16(f + IP, 0x6000);
    pp_put16(f + IP + 4, LENGTH - L4);
    f[IP + 6] = 58, f[IP + 7] = 64;
    f[IP + 23] = 1, f[IP + 39] = 2; /* ::1 to ::2 */
    f[L4] = 1;                      /* destination unreachable */
    memcpy(f + QUOTED, f + IP, 40);
    pp_put16(f + QUOTED + 4, 8);
    f[QUOTED + 6] = 17;
    pp_put16(f + UDP, 1000), pp_put16(f + UDP + 2, 5000), pp_put16(f + UDP + 4, 8);
    pp_put16(f + UDP + 6, 1 + 2 + 17 + 8);                      /* addresses, protocol, length: S */
    pp_put16(f + L4 + 2, (uint16_t)(1 + 2 + 58 + LENGTH - L4)); /* the same of the error itself */
    b.count = 1;
    b.data[0] = f;
    b.caplen[0] = b.wirelen[0] = LENGTH;
    b.link[0] = 1;
    b.flags[0] = PP_PKT_METADATA | PP_PKT_NOT_READY;
    CHECK_EQ(pp_stage_verify(&b, NULL), 0);
    CHECK_EQ(b.check_count[0], 2);
    CHECK_EQ(b.checks[0].offset, L4 + 2);
    CHECK_EQ(b.checks[0].flags & (PP_CHECK_FLAGGED | PP_CHECK_QUOTED), PP_CHECK_FLAGGED);
    CHECK_EQ(b.checks[1].offset, UDP + 6);
    CHECK_EQ(b.checks[1].flags & (PP_CHECK_FLAGGED | PP_CHECK_QUOTED), PP_CHECK_QUOTED);
    CHECK_EQ(b.checks[1].status, PP_STATUS_UNCHECKED);
    CHECK_EQ(b.status[0], PP_STATUS_PENDING);
    columns_free(&b);
}

int main(void)
{
    test_a_mark_without_a_place_is_not_for_what_is_quoted();
    size_t count;
    const pp_kernel *kernels = pp_kernels(&count);
    for (size_t i = 0; i < count; i++)
        if (kernels[i].supported() && pp_kernel_use(kernels[i].name) == 0)
            test_fast_path_equals_the_slow_path();
    return DONE;
}
