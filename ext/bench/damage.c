/* damage.c - see damage.h. */
#include "damage.h"

static const char *const outcomes[TRAFFIC_OUTCOMES] = {
    "good",         "absent",   "pending",          "leaked",       "never-filled",
    "illegal-zero", "bad-seed", "not-complemented", "byte-swapped", "length",
    "header-delta", "bit-flip", "corrupt",
};
static const char *const damages[TRAFFIC_DAMAGES] = {
    "leaked", "zero", "not-complemented", "byte-swapped", "length", "header-delta", "bit-flip", "corrupt", "bad-seed",
};

const char *traffic_outcome_name(uint32_t i) { return i < TRAFFIC_OUTCOMES ? outcomes[i] : ""; }
const char *traffic_damage_name(uint32_t i) { return i < TRAFFIC_DAMAGES ? damages[i] : ""; }

static uint16_t fold(uint64_t sum)
{
    while (sum >> 16)
        sum = (sum & 0xffff) + (sum >> 16);
    return (uint16_t)sum;
}

static uint16_t swap(uint16_t v) { return (uint16_t)(v << 8 | v >> 8); }

/* Equal as one's complement numbers. */
static int same(uint16_t a, uint16_t b) { return a % 0xffff == b % 0xffff; }

/* What belongs into the field. */
uint16_t traffic_right_for(uint64_t sum, uint8_t protocol)
{
    uint16_t v = (uint16_t)~fold(sum);
    return v == 0 && protocol == IPPROTO_UDP ? 0xffff : v;
}

static int is_one_bit(uint16_t stored, uint16_t right)
{
    uint16_t d = fold((uint64_t)stored + (uint16_t)~right), e = (uint16_t)~d;
    return (d && !(d & (d - 1))) || (e && !(e & (e - 1)));
}

/* Would a known mistake make this value: another pseudo header or none, the odd last byte or the payload left out? */
static int is_mistake(const traffic_template *t, const uint8_t *head, uint16_t stored, uint64_t sum)
{
    uint16_t bytes = (uint16_t)(t->length - t->l4);
    uint16_t other = t->protocol == IPPROTO_UDP ? IPPROTO_TCP : IPPROTO_UDP;
    uint32_t header = t->protocol == IPPROTO_UDP ? 8 : (head[t->l4 + 12] >> 4) * 4u;
    uint8_t last = bytes & 1 ? t->frame[t->length - 1] : 0;
    uint64_t alone = t->seed;
    for (uint32_t at = t->l4; at < t->l4 + header; at += 2)
        alone += at == t->sum_at ? 0 : get16(head + at);
    const uint64_t sums[] = {
        sum + (uint16_t)~(uint16_t)t->seed,
        sum + other + (uint16_t)~(uint16_t)t->protocol,
        sum + (uint16_t)~(uint16_t)(last << 8),
        sum + (uint16_t)~(uint16_t)(last << 8) + last,
        alone,
        alone + header + (uint16_t)~bytes,
    };
    for (unsigned i = 0; i < sizeof sums / sizeof *sums; i++)
        if (same(stored, (uint16_t)~fold(sums[i])))
            return 1;
    return 0;
}

/* How the definitions name a field without the kernel's mark, first that fits; TRAFFIC_OUTCOMES if nothing here makes it. */
static unsigned name_of(const traffic_template *t, const uint8_t *head, uint16_t stored, uint64_t sum)
{
    uint16_t right = traffic_right_for(sum, t->protocol);
    if (same(stored, right) && !(stored == 0 && t->protocol == IPPROTO_UDP))
        return TRAFFIC_IS_GOOD;
    if (stored == 0 && t->protocol == IPPROTO_UDP && t->version == 4)
        return TRAFFIC_IS_ABSENT;
    if (stored == t->seed)
        return TRAFFIC_IS_LEAKED;
    if (same(stored, fold((uint64_t)t->seed + (uint16_t)~(t->length - t->l4))))
        return TRAFFIC_OUTCOMES; /* as Windows leaves large sends: the seed without the length */
    if (stored == 0)
        return t->protocol == IPPROTO_UDP ? TRAFFIC_IS_ILLEGAL_ZERO : TRAFFIC_IS_NEVER_FILLED;
    if (same(stored, (uint16_t)~right))
        return TRAFFIC_IS_NOT_COMPLEMENTED;
    if (stored == swap(right))
        return TRAFFIC_IS_BYTE_SWAPPED;
    if (stored == traffic_right_for(sum + (uint16_t)~(t->length - t->l4), t->protocol))
        return TRAFFIC_IS_LENGTH;
    if (is_one_bit(stored, right))
        return TRAFFIC_IS_BIT_FLIP;
    return is_mistake(t, head, stored, sum) ? TRAFFIC_OUTCOMES : TRAFFIC_IS_CORRUPT;
}

/* Change the word for damage so that the sum that was right now means `wanted`; 0 if no try does. */
static int damage_payload(const traffic_template *t, uint8_t *head, uint64_t sum, uint32_t number, unsigned wanted)
{
    uint8_t *word = head + t->number_at + 4;
    uint16_t was = get16(word), stored = traffic_right_for(sum, t->protocol);
    for (uint32_t i = 0; i < 16; i++) {
        uint16_t change = wanted == TRAFFIC_IS_BIT_FLIP ? (uint16_t)(1u << (number * 7 + i) % 16)
                                                        : (uint16_t)((number * 40503u + i * 9973u) >> 3);
        uint16_t is = was ^ change;
        if (name_of(t, head, stored, sum + is + (uint16_t)~was) == wanted) {
            put16(word, is);
            return 1;
        }
    }
    return 0;
}

/* Leave the TTL one lower than the header's sum knows. */
static int damage_header(const traffic_template *t, uint8_t *head)
{
    if (t->version != 4)
        return 0;
    uint8_t *ip = head + t->l3;
    uint16_t stored = get16(ip + 10), right = fold((uint64_t)stored + 0x0100);
    if (stored == 0 || same(stored, (uint16_t)~right) || stored == swap(right))
        return 0;
    ip[8]--;
    return 1;
}

int traffic_damage(const traffic_template *t, uint8_t *head, pp_vnet *vnet, uint64_t sum, uint32_t number,
                   unsigned kind, uint8_t *ip_outcome)
{
    uint16_t right = traffic_right_for(sum, t->protocol), stored;
    unsigned wanted;
    switch (kind) {
    case TRAFFIC_LEAKED:
        stored = (uint16_t)t->seed, wanted = TRAFFIC_IS_LEAKED;
        break;
    case TRAFFIC_ZERO:
        stored = 0;
        wanted = t->protocol != IPPROTO_UDP ? TRAFFIC_IS_NEVER_FILLED
                 : t->version == 4          ? TRAFFIC_IS_ABSENT
                                            : TRAFFIC_IS_ILLEGAL_ZERO;
        break;
    case TRAFFIC_NOT_COMPLEMENTED:
        stored = (uint16_t)~right, wanted = TRAFFIC_IS_NOT_COMPLEMENTED;
        break;
    case TRAFFIC_BYTE_SWAPPED:
        stored = swap(right), wanted = TRAFFIC_IS_BYTE_SWAPPED;
        break;
    case TRAFFIC_LENGTH:
        stored = traffic_right_for(sum + (uint16_t)~(t->length - t->l4), t->protocol), wanted = TRAFFIC_IS_LENGTH;
        break;
    case TRAFFIC_BIT_FLIP:
        return damage_payload(t, head, sum, number, TRAFFIC_IS_BIT_FLIP) ? TRAFFIC_IS_BIT_FLIP : -1;
    case TRAFFIC_CORRUPT:
        return damage_payload(t, head, sum, number, TRAFFIC_IS_CORRUPT) ? TRAFFIC_IS_CORRUPT : -1;
    case TRAFFIC_HEADER_DELTA:
        if (!damage_header(t, head))
            return -1;
        *ip_outcome = TRAFFIC_IS_HEADER_DELTA;
        return TRAFFIC_IS_GOOD;
    case TRAFFIC_BAD_SEED:
        stored = fold((uint64_t)t->seed + 0x1234);
        if (name_of(t, head, stored, sum) != TRAFFIC_IS_CORRUPT)
            return -1;
        put16(head + t->sum_at, stored);
        vnet->flags = VIRTIO_NET_HDR_F_NEEDS_CSUM;
        return TRAFFIC_IS_BAD_SEED;
    default:
        return -1;
    }
    if (name_of(t, head, stored, sum) != wanted)
        return -1;
    put16(head + t->sum_at, stored);
    return (int)wanted;
}
