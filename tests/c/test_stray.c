/* test_stray.c - which metadata is proven to point elsewhere, and which is the source's word; what a sink makes of it.
 *
 * Frames are built here, byte by byte; sums are this file's own loop (RFC 1071).
 */
#include <linux/virtio_net.h>
#include <sys/socket.h>
#include <unistd.h>

#include "check.h"
#include "columns.h"
#include "check/classify.h"
#include "check/tally.h"
#include "check/verify.h"
#include "io/emit.h"

enum { ROOM = 2048, L3 = 14, L4 = 34, TCP = 6, UDP = 17, TCPV4 = 1 };
enum { SEED, RIGHT, WRONG, NONE }; /* what a field holds */

static uint8_t memory[PP_VNET_LEN + ROOM], *const frame = memory + PP_VNET_LEN, got[PP_VNET_LEN + ROOM];
static int ends[2];

static void put16(uint8_t *p, uint32_t v) { p[0] = (uint8_t)(v >> 8), p[1] = (uint8_t)v; }
static uint32_t get16(const uint8_t *p) { return (uint32_t)(p[0] << 8 | p[1]); }

static uint32_t add(uint32_t sum, const uint8_t *p, uint32_t length)
{
    for (uint32_t i = 0; i < length; i++) {
        sum += i & 1 ? p[i] : (uint32_t)p[i] << 8;
        sum = (sum & 0xffff) + (sum >> 16);
    }
    return sum;
}

/* An IP header at l3 around a datagram of length bytes; returns the sum of its pseudo header. */
static uint32_t network(uint32_t l3, int version, uint8_t protocol, uint32_t length)
{
    uint8_t *ip = frame + l3;
    if (version == 4) {
        memcpy(ip, "\x45\0\0\0\0\7\x40\0\x40\0\0\0\x0a\x07\0\x01\x0a\x07\0\x02", 20);
        ip[9] = protocol;
        put16(ip + 2, 20 + length);
        put16(ip + 10, ~add(0, ip, 20) & 0xffff);
        return add(protocol + length, ip + 12, 8);
    }
    memset(ip, 0, 40);
    ip[0] = 0x60, ip[6] = protocol, ip[7] = 64, ip[8] = ip[24] = 0xfd, ip[23] = 1, ip[39] = 2;
    put16(ip + 4, length);
    return add(protocol + length, ip + 8, 32);
}

/* A transport header at l4 with payload to end; its field as holds says. */
static void transport(uint32_t l4, uint8_t protocol, uint32_t end, uint32_t pseudo, int holds)
{
    uint8_t *t = frame + l4;
    put16(t, 49863), put16(t + 2, 5001);
    if (protocol == UDP)
        put16(t + 4, end - l4);
    else
        t[12] = 0x50, t[13] = 0x18;
    uint32_t field = l4 + (protocol == UDP ? 6 : 16);
    put16(frame + field, 0);
    uint32_t right = ~add(pseudo, t, end - l4) & 0xffff;
    put16(frame + field, holds == SEED ? pseudo : holds == RIGHT ? right : holds == WRONG ? right ^ 0x1234 : 0);
}

static void ethernet(uint16_t type)
{
    memset(memory, 0, sizeof memory);
    memcpy(frame, "\2\0\0\0\0\2\2\0\0\0\0\1", 12);
    put16(frame + 12, type);
}

/* One transport over IPv4 with 40 bytes of payload; its length. */
static uint32_t plain(uint8_t protocol, int holds)
{
    uint32_t end = L4 + (protocol == UDP ? 8 : 20) + 40;
    ethernet(0x0800);
    memset(frame + end - 40, 'A', 40);
    transport(L4, protocol, end, network(L3, 4, protocol, end - L4), holds);
    return end;
}

typedef struct tunnel {
    uint32_t l4, inner3, inner4, end;
} tunnel;

/* TCP with its seed in UDP to a port that nobody knows, `opaque` bytes of another header between. */
static tunnel unknown(int outer, int inner, uint32_t opaque, uint32_t payload, int holds)
{
    tunnel t = { .l4 = L3 + (outer == 4 ? 20u : 40u) };
    t.inner3 = t.l4 + 8 + opaque;
    t.inner4 = t.inner3 + (inner == 4 ? 20u : 40u);
    t.end = t.inner4 + 20 + payload;
    ethernet(outer == 4 ? 0x0800 : 0x86dd);
    for (uint32_t i = t.inner4 + 20; i < t.end; i++)
        frame[i] = (uint8_t)(i % 251);
    memset(frame + t.l4 + 8, 0x5a, opaque);
    transport(t.inner4, TCP, t.end, network(t.inner3, inner, TCP, t.end - t.inner4), SEED);
    transport(t.l4, UDP, t.end, network(L3, outer, UDP, t.end - t.l4), holds);
    return t;
}

/* Send it through verify, classify and the sink; returns the bytes of the first message, its vnet header included. */
static ssize_t through(uint32_t length, pp_vnet v, int complete, pp_tally *tally, pp_ledger *ledger)
{
    pp_batch b = columns(1);
    pp_emit *sink = pp_emit_new(ends[0], 1, 1500, complete, 0);
    uint16_t flags = (uint16_t)(PP_PKT_METADATA | PP_PKT_VNET | (v.flags ? PP_PKT_NOT_READY : 0) |
                                (v.gso_type ? PP_PKT_SUPER_FRAME : 0));
    memset(tally, 0, sizeof *tally);
    memset(ledger, 0, sizeof *ledger);
    memcpy(memory, &v, sizeof v);
    b.tally = tally;
    pp_batch_append(&b, &(pp_arrival){ .data = frame, .caplen = length, .wirelen = length, .link = 1, .flags = flags });
    pp_batch_fresh(&b);
    CHECK_EQ(pp_stage_verify(&b, NULL), 0);
    CHECK_EQ(pp_stage_classify(&b, NULL), 0);
    CHECK_EQ(pp_stage_count(&b, NULL), 0);
    CHECK_EQ(pp_emit_take(&b, ledger, sink), 0);
    pp_emit_free(sink);
    columns_free(&b);
    return recv(ends[1], got, sizeof got, MSG_DONTWAIT);
}

/* Every place of the frame, for each content of the field: only a field is ever written or named. */
static void test_every_place(uint8_t protocol)
{
    for (int holds = SEED; holds <= (protocol == UDP ? NONE : WRONG); holds++)
        for (uint32_t start = 0; start < 100; start++)
            for (uint32_t offset = 0; offset < 30; offset += 2)
                for (int complete = 0; complete < 2; complete++) {
                    uint8_t before[ROOM];
                    uint32_t length = plain(protocol, holds), field = L4 + (protocol == UDP ? 6u : 16u);
                    uint32_t headers = L4 + (protocol == UDP ? 8u : 20u);
                    int is_field = start == L4 && start + offset == field && holds != NONE;
                    int is_stray = !is_field &&
                                   (holds == SEED || holds == RIGHT || start < headers || start + offset + 2 > length);
                    pp_tally tally;
                    pp_ledger ledger;
                    pp_vnet v = { .flags = 1, .csum_start = (uint16_t)start, .csum_offset = (uint16_t)offset }, left;
                    memcpy(before, frame, length);
                    ssize_t n = through(length, v, complete, &tally, &ledger);
                    memcpy(&left, got, sizeof left);
                    const uint8_t *f = got + PP_VNET_LEN;
                    CHECK_EQ(n, PP_VNET_LEN + length);
                    CHECK_EQ(tally.stray_csum_metadata, is_stray);
                    if (!is_stray && !is_field)
                        continue; /* the source's word: in a payload that no sum tells anything of */
                    CHECK_THAT(!memcmp(f, before, field) &&
                                   !memcmp(f + field + 2, before + field + 2, length - field - 2),
                               "content %d, mark at %u+%u: other bytes were written", holds, start, offset);
                    int is_marked = holds == SEED && !complete;
                    CHECK_THAT(
                        left.flags == is_marked &&
                            (!is_marked || (left.csum_start == L4 && left.csum_start + left.csum_offset == (int)field)),
                        "content %d, mark at %u+%u: left with %d at %u+%u", holds, start, offset, left.flags,
                        left.csum_start, left.csum_offset);
                    uint32_t sum = add(add(protocol + length - L4, f + 26, 8), f + L4, length - L4);
                    if (holds == RIGHT || (holds == SEED && complete))
                        CHECK_EQ(sum, 0xffff);
                }
}

/* The mark of an inner sum, in tunnels that nobody here knows, stays; with --finish it is followed. */
static void test_unknown_tunnels_are_obeyed(void)
{
    for (int variant = 0; variant < 8; variant++) {
        int outer = variant & 1 ? 6 : 4, inner = variant & 2 ? 6 : 4, complete = variant >> 2;
        tunnel t = unknown(outer, inner, 22, 100, NONE);
        pp_vnet v = { .flags = 1, .csum_start = (uint16_t)t.inner4, .csum_offset = 16 }, left;
        pp_tally tally;
        pp_ledger ledger;
        CHECK_EQ(through(t.end, v, complete, &tally, &ledger), PP_VNET_LEN + t.end);
        memcpy(&left, got, sizeof left);
        CHECK_EQ(tally.stray_csum_metadata, 0);
        CHECK_EQ(left.flags, !complete);
        CHECK_EQ(tally.status[PP_STATUS_BAD], 0); /* over IPv6 too: the mark tells that it is a tunnel */
        if (complete) {
            uint32_t length = t.end - t.inner4;
            const uint8_t *ip = got + PP_VNET_LEN + t.inner3, *tcp = got + PP_VNET_LEN + t.inner4;
            uint32_t sum = inner == 4 ? add(TCP + length, ip + 12, 8) : add(TCP + length, ip + 8, 32);
            CHECK_EQ(add(sum, tcp, length), 0xffff);
        } else {
            CHECK_EQ(left.csum_start, t.inner4);
        }
    }
}

/* Their super-frames are split by the mark: lengths, sums and what lies between, in each segment. */
static void test_unknown_tunnels_are_split(void)
{
    static const uint32_t opaque[] = { 0, 4, 8, 22 }; /* FOU, GUE, GRE, VXLAN */
    for (int variant = 0; variant < 16; variant++) {
        int outer = variant & 1 ? 6 : 4, inner = variant & 2 ? 6 : 4;
        tunnel t = unknown(outer, inner, opaque[variant >> 2], 1000, variant & 1 ? NONE : SEED);
        pp_vnet v = { .flags = 1,
                      .gso_type = inner == 4 ? TCPV4 : VIRTIO_NET_HDR_GSO_TCPV6,
                      .gso_size = 300,
                      .csum_start = (uint16_t)t.inner4,
                      .csum_offset = 16 };
        pp_tally tally;
        pp_ledger ledger;
        uint32_t done = 0;
        for (ssize_t n = through(t.end, v, 0, &tally, &ledger); n > 0;
             n = recv(ends[1], got, sizeof got, MSG_DONTWAIT)) {
            const uint8_t *f = got + PP_VNET_LEN, *ip = f + t.inner3, *tcp = f + t.inner4;
            uint32_t end = (uint32_t)n - PP_VNET_LEN, length = end - t.inner4, payload = length - 20;
            CHECK_EQ(got[0], 0);
            CHECK_EQ(payload, done < 900 ? 300 : 100);
            CHECK_EQ(get16(f + t.l4 + 4), end - t.l4);
            CHECK_EQ(outer == 4 ? get16(f + L3 + 2) + L3 : get16(f + L3 + 4) + L3 + 40, end);
            CHECK_EQ(inner == 4 ? get16(ip + 2) + t.inner3 : get16(ip + 4) + t.inner4, end);
            CHECK_EQ(get16(tcp + 6), done);
            uint32_t sum = inner == 4 ? add(TCP + length, ip + 12, 8) : add(TCP + length, ip + 8, 32);
            CHECK_EQ(add(sum, tcp, length), 0xffff);
            if (outer == 4) {
                CHECK_EQ(add(0, f + L3, 20), 0xffff);
                CHECK_EQ(add(add(UDP + end - t.l4, f + L3 + 12, 8), f + t.l4, end - t.l4), 0xffff);
            } else {
                CHECK_EQ(get16(f + t.l4 + 6), 0);
            }
            CHECK_THAT(!memcmp(tcp + 20, frame + t.inner4 + 20 + done, payload), "payload from %u on", done);
            done += payload;
        }
        CHECK_EQ(done, 1000);
        CHECK_EQ(ledger.sent, 1);
    }
}

/* What nobody can write again goes on as it came, but not where it has to be finished. */
static void test_a_length_in_the_unknown_header(void)
{
    for (int complete = 0; complete < 2; complete++) {
        tunnel t = unknown(4, 4, 8, 1000, NONE);
        pp_vnet v = {
            .flags = 1, .gso_type = TCPV4, .gso_size = 300, .csum_start = (uint16_t)t.inner4, .csum_offset = 16
        };
        pp_tally tally;
        pp_ledger ledger;
        put16(frame + t.l4 + 8 + 2, t.end - t.inner3); /* as GTP has it */
        ssize_t n = through(t.end, v, complete, &tally, &ledger);
        if (complete) {
            CHECK_THAT(n < 0, "%zd bytes were sent", n);
            CHECK_EQ(ledger.dropped[PP_DROP_UNSPLITTABLE], 1);
            continue;
        }
        CHECK_EQ(n, PP_VNET_LEN + t.end);
        CHECK_THAT(!memcmp(got + PP_VNET_LEN, frame, t.end) && !memcmp(got, &v, sizeof v), "%s", "not as it came");
    }
}

/* Behind the datagram there is nothing to sum, whatever contradicts itself within the tunnel: MPLS in UDP, TCP's offset 0. */
static void test_a_place_behind_a_malformed_tunnel(void)
{
    for (int complete = 0; complete < 2; complete++) {
        uint32_t inner3 = L4 + 8 + 4, inner4 = inner3 + 20, end = inner4 + 20 + 30, length = end + 60;
        pp_vnet v = { .flags = 1, .csum_start = (uint16_t)(end + 10), .csum_offset = 10 }, left;
        pp_tally tally;
        pp_ledger ledger;
        uint8_t before[ROOM];
        ethernet(0x0800);
        memcpy(frame + L4 + 8, "\0\1\1\x40", 4);
        transport(inner4, TCP, end, network(inner3, 4, TCP, end - inner4), RIGHT);
        frame[inner4 + 12] = 0;
        uint32_t pseudo = network(L3, 4, UDP, end - L4);
        transport(L4, UDP, end, pseudo, SEED);
        put16(frame + L4 + 2, 6635);
        memcpy(before, frame, length);
        CHECK_EQ(through(length, v, complete, &tally, &ledger), PP_VNET_LEN + length);
        memcpy(&left, got, sizeof left);
        const uint8_t *f = got + PP_VNET_LEN;
        CHECK_EQ(tally.stray_csum_metadata, 1);
        CHECK_EQ(left.flags, !complete);
        CHECK_EQ(left.csum_start, complete ? 0 : L4);
        if (complete)
            CHECK_EQ(add(pseudo, f + L4, end - L4), 0xffff);
        CHECK_THAT(!memcmp(f, before, L4 + 6) && !memcmp(f + L4 + 8, before + L4 + 8, length - L4 - 8), "%s",
                   "other bytes were written");
    }
}

int main(void)
{
    if (socketpair(AF_UNIX, SOCK_DGRAM, 0, ends) < 0)
        return 1;
    test_every_place(TCP);
    test_every_place(UDP);
    test_unknown_tunnels_are_obeyed();
    test_unknown_tunnels_are_split();
    test_a_length_in_the_unknown_header();
    test_a_place_behind_a_malformed_tunnel();
    return DONE;
}
