/* test_coalesce.c - what is joined and split again is, flow by flow, byte for byte what came in; and what must not be
 * joined is not.  Random streams of several flows with everything that ends a super-frame mixed in.
 */
#include "check.h"
#include "columns.h"

#include "offload/coalesce.h"
#include <pktmend/split.h>
#include "check/verify.h"

enum { PACKETS = 200, ROOM = 1700, FLOWS = 5 };

static uint8_t memory[PACKETS][ROOM];
static uint32_t next_of[PACKETS], last_of[PACKETS];
static uint64_t seed = 88172645463325252u;

static uint32_t random_below(uint32_t n) /* xorshift64 */
{
    seed ^= seed << 13;
    seed ^= seed >> 7;
    seed ^= seed << 17;
    return (uint32_t)(seed >> 11) % n;
}

static void put16(uint8_t *p, uint32_t v) { p[0] = (uint8_t)(v >> 8), p[1] = (uint8_t)v; }
static void put32(uint8_t *p, uint32_t v) { put16(p, v >> 16), put16(p + 2, v); }

/* One's complement sum as RFC 1071 writes it down. */
static uint32_t add(uint32_t sum, const uint8_t *p, uint32_t n)
{
    for (uint32_t i = 0; i < n; i++)
        sum += (uint32_t)p[i] << (i & 1 ? 0 : 8);
    while (sum >> 16)
        sum = (sum & 0xffff) + (sum >> 16);
    return sum;
}

typedef struct stream {
    uint32_t sequence, id, size;
    int version, udp;
} stream;

/* A segment of the stream; something is odd about it, up to 12. */
static uint32_t make(uint8_t *d, stream *s, uint32_t number, uint32_t odd)
{
    uint32_t l3 = 14, l4 = l3 + (s->version == 4 ? 20 : 40), header = s->udp ? 8 : 32;
    uint32_t payload = odd == 0 ? 1 + random_below(s->size) : odd == 1 ? 0 : s->size;
    uint32_t datagram = header + payload;
    memset(d, 0, l4 + header);
    memcpy(d, "\2\0\0\0\0\2\2\0\0\0\0\1", 12);
    if (s->version == 4) {
        memcpy(d + 12, "\x08\x00\x45", 3);
        put16(d + l3 + 2, 20 + datagram);
        put16(d + l3 + 4, odd == 2 ? random_below(65536) : s->id);
        d[l3 + 6] = 0x40;
        d[l3 + 8] = odd == 3 ? 63 : 64;
        d[l3 + 9] = s->udp ? 17 : 6;
        memcpy(d + l3 + 12, "\x0a\x07\0\1\x0a\x07\0\2", 8);
        put16(d + l3 + 10, ~add(0, d + l3, 20) & 0xffff);
        s->id++;
    } else {
        memcpy(d + 12, "\x86\xdd\x60", 3);
        put16(d + l3 + 4, datagram);
        d[l3 + 6] = s->udp ? 17 : 6;
        d[l3 + 7] = odd == 3 ? 63 : 64;
        d[l3 + 8] = d[l3 + 24] = 0xfd;
        d[l3 + 23] = 1, d[l3 + 39] = 2;
    }
    uint8_t *t = d + l4;
    put16(t, 1000 + number);
    put16(t + 2, 80);
    for (uint32_t i = 0; i < payload; i++)
        t[header + i] = (uint8_t)random_below(256);
    if (s->udp) {
        put16(t + 4, datagram);
    } else {
        put32(t + 4, odd == 4 ? s->sequence + 7 : s->sequence);
        put32(t + 8, odd == 5 ? 5 : 4);
        t[12] = 0x80;
        t[13] = (uint8_t)(0x10 | (odd == 6 ? 8 : 0) | (odd == 7 ? 1 : 0) | (odd == 8 ? 0x20 : 0));
        put16(t + 14, odd == 9 ? 99 : 100);
        memcpy(t + 20, "\1\1\x08\x0a\0\0\0\1\0\0\0\2", 12);
        if (odd == 10)
            t[27] = 3;
        s->sequence += payload;
    }
    uint32_t sum =
        add(0, s->version == 4 ? d + l3 + 12 : d + l3 + 8, s->version == 4 ? 8 : 32) + (s->udp ? 17u : 6u) + datagram;
    uint32_t field = s->udp ? 6 : 16, check = ~add(sum, t, datagram) & 0xffff;
    if (s->udp && odd == 11)
        check = 0; /* no checksum: must not get one */
    else if (check == 0 && s->udp)
        check = 0xffff;
    if (odd == 12)
        check ^= 0x0100; /* corrupt: must stay so */
    put16(t + field, check);
    return l4 + datagram;
}

/* The sum of the datagram at l4 with its pseudo header: 0xffff if its checksum is right. */
static uint32_t total_of(const uint8_t *d, int version, uint32_t protocol, uint32_t l4, uint32_t end)
{
    uint32_t pseudo = add(protocol + end - l4, d + (version == 4 ? 26 : 22), version == 4 ? 8 : 32);
    return add(pseudo, d + l4, end - l4);
}

/* A right datagram is left to hardware: seed in its field, metadata before it.  Returns its right sum; 0 if it is none. */
static uint32_t leave_undone(pp_batch *b, uint32_t i, int version)
{
    uint8_t *d = b->data[i];
    uint32_t l4 = version == 4 ? 34 : 54, right = (uint32_t)(d[l4 + 6] << 8 | d[l4 + 7]);
    if (!right || total_of(d, version, 17, l4, b->caplen[i]) != 0xffff)
        return 0;
    pp_vnet v = { .flags = 1, .csum_start = (uint16_t)l4, .csum_offset = 6 };
    memcpy(d - PP_VNET_LEN, &v, sizeof v);
    b->flags[i] |= PP_PKT_VNET | PP_PKT_NOT_READY;
    put16(d + l4 + 6, add(17 + b->caplen[i] - l4, d + (version == 4 ? 26 : 22), version == 4 ? 8 : 32));
    return right;
}

static const uint8_t *ports(const pp_batch *b, uint32_t i) { return b->data[i] + b->l4[i]; }

/* What leaves must be, per flow and in order, what came. */
static uint32_t want[PACKETS], wanted;
static void arrived(const pp_batch *b, uint32_t flow_of, const uint8_t *frame, uint32_t length)
{
    for (uint32_t i = 0; i < b->count; i++) {
        if (want[i] || memcmp(ports(b, i), ports(b, flow_of), 2) != 0)
            continue;
        CHECK_THAT(length == b->caplen[i] && memcmp(frame, b->data[i], length) == 0,
                   "packet %u of its flow came out otherwise (length %u, was %u)", i, length, b->caplen[i]);
        want[i] = 1;
        wanted--;
        return;
    }
    CHECK_THAT(0, "%s", "a packet too many");
}

static void apart(const pp_batch *b, const pp_gro_slot *f)
{
    static uint8_t whole[70000];
    uint8_t head[PP_VNET_LEN + 4 + PP_COALESCE_HEAD], out[PP_SPLIT_HEAD];
    uint32_t length = pp_coalesce_head(f, b, head) - PP_VNET_LEN, left = f->payload;
    memcpy(whole, head + PP_VNET_LEN, length);
    for (uint32_t i = f->first; i != UINT32_MAX; i = next_of[i]) {
        uint32_t size = left < f->size ? left : f->size;
        memcpy(whole + length, b->data[i] + f->payload_at, size);
        length += size;
        left -= size;
    }
    CHECK_EQ(left, 0);
    pp_vnet v;
    memcpy(&v, head, sizeof v);
    pp_split s;
    pp_segment g;
    int count = pp_split_begin(&s, whole, length, &v, 14, 1500);
    CHECK_EQ(count, f->count);
    while (count > 0 && pp_split_next(&s, out, &g) == 1) {
        static uint8_t frame[ROOM];
        memcpy(frame, g.head, g.head_length);
        memcpy(frame + g.head_length, g.payload, g.payload_length);
        arrived(b, f->first, frame, g.head_length + g.payload_length);
    }
}

static uint32_t run(uint32_t mtu)
{
    static pp_coalesce c;
    static pp_batch b;
    pp_gro_slot *messages[PACKETS], *opened;
    uint32_t single[PACKETS], right[PACKETS], used = 0, joined = 0;
    stream streams[FLOWS];
    if (!b.capacity)
        b = columns(PACKETS);
    c.mtu = mtu;
    c.tcp = c.udp = 1;
    pp_coalesce_reset(&c);
    for (uint32_t i = 0; i < FLOWS; i++)
        streams[i] =
            (stream){ random_below(1u << 31) * 2, random_below(65536), 1 + random_below(1400), i & 1 ? 6 : 4, i > 2 };
    b.count = PACKETS;
    for (uint32_t i = 0; i < PACKETS; i++) {
        uint32_t which = random_below(FLOWS);
        b.data[i] = memory[i] + PP_VNET_LEN;
        b.caplen[i] = b.wirelen[i] = make(b.data[i], &streams[which], which, random_below(24));
        b.flags[i] = PP_PKT_METADATA;
        b.link[i] = 1;
        right[i] = which == 3 ? leave_undone(&b, i, streams[which].version) : 0; /* the other UDP comes finished */
    }
    pp_stage_verify(&b, NULL);
    for (uint32_t i = 0; i < PACKETS; i++) {
        next_of[i] = UINT32_MAX;
        pp_gro_slot *f = pp_coalesce_add(&c, &b, i, &opened);
        if (f) {
            next_of[last_of[f->owner]] = i;
            last_of[f->owner] = i;
            joined++;
            CHECK_THAT(b.status[i] == (right[i] ? PP_STATUS_PENDING : PP_STATUS_GOOD), "%s", "joined, and not good");
            CHECK_THAT(b.protocol[i] == 6 || right[i], "%s", "UDP that came finished was joined");
            continue;
        }
        if (opened) {
            opened->owner = used;
            last_of[used] = i;
        }
        single[used] = i;
        messages[used++] = opened;
    }
    for (uint32_t i = 0; i < PACKETS; i++) /* a split completes it */
        if (right[i] && b.protocol[i] == 17)
            put16(b.data[i] + b.l4[i] + 6, right[i]);
    memset(want, 0, sizeof want);
    wanted = PACKETS;
    for (uint32_t m = 0; m < used; m++) {
        if (messages[m] && messages[m]->count > 1)
            apart(&b, messages[m]);
        else
            arrived(&b, single[m], b.data[single[m]], b.caplen[single[m]]);
    }
    CHECK_EQ(wanted, 0);
    return joined;
}

enum change { NOTHING, PADDING, TCP_SUM_FFFF, IP_SUM_FFFF, STRAY_MARK, EARLY_MARK, PPPOE, TAG_9100, TAG_8100, CHANGES };

/* Add bytes behind the addresses, or change the segment, so that all is right and only a split would not give it back. */
static void change(pp_batch *b, uint32_t i, enum change what, const stream *s)
{
    static const struct {
        const char *bytes;
        uint32_t length;
    } inserted[CHANGES] = {
        [PPPOE] = { "\x88\x64\x11\0\0\1\0\0", 8 },
        [TAG_9100] = { "\x91\0\0\1", 4 },
        [TAG_8100] = { "\x81\0\0\1", 4 },
    };
    uint8_t *d = b->data[i];
    uint32_t more = inserted[what].length, l4 = s->version == 4 ? 34 : 54, tcp = b->caplen[i] - l4;
    pp_vnet v = { 0 };
    if (more) {
        memmove(d + 12 + more, d + 12, b->caplen[i] - 12);
        memcpy(d + 12, inserted[what].bytes, more);
        b->caplen[i] += more;
    }
    switch (what) {
    case PADDING:
        memset(d + b->caplen[i], 0, 6);
        b->caplen[i] += 6;
        break;
    case IP_SUM_FFFF: /* RFC 1624: what its equation 2 makes of 0; an address for which the second's sum is 0 */
        put16(d + 18, 1), put16(d + 24, 0), put16(d + 28, 0);
        put16(d + 28, ~add(0, d + 14, 20) & 0xffff);
        put16(d + 18, i), put16(d + 24, i ? 0xffff : 1);
        put16(d + l4 + 16, 0);
        put16(d + l4 + 16, ~add(add(6 + tcp, d + 26, 8), d + l4, tcp) & 0xffff);
        break;
    case TCP_SUM_FFFF:
        put16(d + l4 + 16, 0), put16(d + l4 + 32, 0);
        put16(d + l4 + 32,
              ~add(add(6 + tcp, s->version == 4 ? d + 26 : d + 22, s->version == 4 ? 8 : 32), d + l4, tcp) & 0xffff);
        put16(d + l4 + 16, 0xffff);
        break;
    case STRAY_MARK: /* would write into the payload */
        v = (pp_vnet){ .flags = 1, .csum_start = (uint16_t)(l4 + 32), .csum_offset = 4 };
        break;
    case EARLY_MARK: /* the field of TCP, but from its addresses on */
        put16(d + l4 + 16, add(6 + tcp, s->version == 4 ? d + 26 : d + 22, s->version == 4 ? 8 : 32));
        v = (pp_vnet){ .flags = 1, .csum_start = (uint16_t)(l4 - 8), .csum_offset = 24 };
        break;
    case PPPOE:
        put16(d + 18, b->caplen[i] - 20);
        put16(d + 20, s->version == 4 ? 0x21 : 0x57);
        break;
    default:
        break;
    }
    memcpy(d - PP_VNET_LEN, &v, sizeof v);
    b->wirelen[i] = b->caplen[i];
    b->flags[i] = (uint16_t)(PP_PKT_METADATA | PP_PKT_VNET | (v.flags ? PP_PKT_NOT_READY : 0));
}

/* How many of the batch are joined to others. */
static uint32_t joined_of(pp_batch *b)
{
    static pp_coalesce c;
    pp_gro_slot *opened;
    uint32_t joined = 0;
    c.mtu = 1500, c.tcp = c.udp = 1;
    pp_coalesce_reset(&c);
    pp_stage_verify(b, NULL);
    for (uint32_t i = 0; i < b->count; i++)
        joined += pp_coalesce_add(&c, b, i, &opened) != NULL;
    return joined;
}

static void fill(pp_batch *b, stream *s, uint32_t count)
{
    b->count = count;
    for (uint32_t i = 0; i < count; i++) {
        b->data[i] = memory[i] + PP_VNET_LEN;
        b->caplen[i] = b->wirelen[i] = make(b->data[i], s, 0, UINT32_MAX);
        b->flags[i] = PP_PKT_METADATA;
        b->link[i] = 1;
    }
}

static void test_what_a_split_would_not_give_back_stays_apart(pp_batch *b)
{
    for (int version = 4; version <= 6; version += 2)
        for (enum change what = NOTHING; what < CHANGES; what++) {
            stream s = { .size = 100, .version = version };
            if (what == IP_SUM_FFFF && version == 6)
                continue;
            fill(b, &s, 2);
            for (uint32_t i = 0; i < 2; i++)
                change(b, i, what, &s);
            uint32_t joined = joined_of(b);
            CHECK_THAT(joined == (what == NOTHING || what == TAG_8100), "IPv%d, change %d: %u joined", version, what,
                       joined);
        }
}

/* A segment of the flow whose ports nobody reads: what follows must not be joined to what went before. */
static void test_hidden_packets_are_not_overtaken(pp_batch *b)
{
    stream s = { .size = 100, .version = 6 };
    fill(b, &s, 3);
    CHECK_EQ(joined_of(b), 2);
    uint8_t *d = b->data[1];
    memmove(d + 62, d + 54, b->caplen[1] - 54);
    for (int kind = 0; kind < 3; kind++) {
        static const char *const header[] = { "\6\0\0\0\0\0\0\1", "\6\0\0\1\0\0\0\1", "\6\0\1\4\0\0\0\0" };
        memcpy(d + 54, header[kind], 8); /* first fragment of none, first fragment, destination options */
        d[20] = kind == 2 ? 60 : 44;
        put16(d + 18, 140);
        b->caplen[1] = b->wirelen[1] = 194;
        CHECK_THAT(joined_of(b) == 0, "behind header %d: overtaken", kind);
    }
    put16(d + 18, 2000); /* longer than it is */
    CHECK_THAT(joined_of(b) == 0, "%s", "malformed: overtaken");
}

/* A message takes 1024 vectors (UIO_MAXIOV). */
static void test_no_more_than_a_message_takes(void)
{
    enum { MANY = 1100, SMALL = 14 + 40 + 32 + 1 };
    static uint8_t frames[MANY][SMALL];
    pp_batch b = columns(MANY);
    stream s = { .size = 1, .version = 6 };
    b.count = MANY;
    for (uint32_t i = 0; i < MANY; i++) {
        b.data[i] = frames[i];
        b.caplen[i] = b.wirelen[i] = make(b.data[i], &s, 0, UINT32_MAX);
        b.link[i] = 1;
    }
    CHECK_EQ(joined_of(&b), MANY - 2);
    columns_free(&b);
}

int main(void)
{
    pp_batch b = columns(4);
    test_what_a_split_would_not_give_back_stays_apart(&b);
    test_hidden_packets_are_not_overtaken(&b);
    test_no_more_than_a_message_takes();
    columns_free(&b);
    uint32_t joined = 0;
    for (unsigned i = 0; i < 400; i++)
        joined += run(1500);
    CHECK_THAT(joined > 18000, "only %u of 80000 were joined", joined);
    CHECK_EQ(run(40), 0); /* nothing fits the egress: nothing is joined */
    return DONE;
}
