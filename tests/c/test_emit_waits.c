/* test_emit_waits.c - a send buffer that is full: the sink gives the thread back, keeps its place wherever that is (between
 * frames, within a super-frame that is split, within one that leaves in pieces), and every packet is in one counter meanwhile.
 * This file's sendmmsg and sendmsg take the place of the kernel's.
 */
#include "io/emit.h"

#include <errno.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "check.h"
#include "columns.h"
#include "check/verify.h"

enum { MOST = 900, HEAD = 54, SMALL = 100, SUPER = 40000, SEGMENT = 60, MTU = 40 + SEGMENT, ROOM = PP_VNET_LEN + HEAD };

static struct {
    unsigned room;   /* messages until it is full */
    int refuses_gso; /* EINVAL for super-frames */
    unsigned taken;
    uint32_t first[2000], length[2000]; /* the sequence number of each frame that was taken, and its payload */
} kernel;

static uint8_t memory[MOST][ROOM + SMALL], large[ROOM + SUPER];

static uint32_t get32(const uint8_t *p)
{
    return (uint32_t)p[0] << 24 | (uint32_t)p[1] << 16 | (uint32_t)p[2] << 8 | p[3];
}
static void put16(uint8_t *p, uint32_t v) { p[0] = (uint8_t)(v >> 8), p[1] = (uint8_t)v; }
static void put32(uint8_t *p, uint32_t v) { put16(p, v >> 16), put16(p + 2, v); }

static int take(const struct msghdr *m)
{
    uint8_t bytes[ROOM + SUPER];
    uint32_t length = 0;
    for (size_t i = 0; i < m->msg_iovlen; i++) {
        memcpy(bytes + length, m->msg_iov[i].iov_base, m->msg_iov[i].iov_len);
        length += (uint32_t)m->msg_iov[i].iov_len;
    }
    errno = kernel.refuses_gso && bytes[1] ? EINVAL : EAGAIN;
    if (errno == EINVAL || kernel.room == 0)
        return -1;
    kernel.room--;
    kernel.first[kernel.taken] = get32(bytes + PP_VNET_LEN + 38);
    kernel.length[kernel.taken++] = length - ROOM;
    return (int)length;
}

ssize_t sendmsg(int fd, const struct msghdr *m, int flags)
{
    CHECK(fd == 77 && (flags & MSG_DONTWAIT));
    return take(m);
}

int sendmmsg(int fd, struct mmsghdr *m, unsigned count, int flags)
{
    unsigned n = 0;
    CHECK(fd == 77 && (flags & MSG_DONTWAIT));
    while (n < count && take(&m[n].msg_hdr) >= 0)
        n++;
    return n ? (int)n : -1;
}

/* A TCP segment of the one stream that there is, its checksum pending. */
static void segment(pp_batch *b, uint32_t i, uint8_t *at, uint32_t sequence, uint32_t payload, uint16_t gso_size)
{
    uint8_t *f = at + PP_VNET_LEN;
    pp_vnet v = { .flags = 1,
                  .gso_type = gso_size ? 1 : 0,
                  .gso_size = gso_size,
                  .hdr_len = HEAD,
                  .csum_start = 34,
                  .csum_offset = 16 };
    uint32_t sum = 0;
    memset(at, 0, ROOM + payload);
    memcpy(at, &v, sizeof v);
    put16(f + 12, 0x0800);
    memcpy(f + 14, "\x45\0\0\0\0\0\x40\0\x40\6\0\0\x0a\x07\0\x01\x0a\x07\0\x02", 20);
    put16(f + 16, 40 + payload);
    put16(f + 18, i);
    for (unsigned k = 14; k < 34; k += 2)
        sum += (uint32_t)(f[k] << 8 | f[k + 1]);
    put16(f + 24, ~((sum & 0xffff) + (sum >> 16)));
    put32(f + 38, sequence);
    f[46] = 0x50, f[47] = 0x10;
    sum = 0x0a07 + 1 + 0x0a07 + 2 + 6 + 20 + payload;
    put16(f + 50, (sum & 0xffff) + (sum >> 16));
    b->data[i] = f;
    b->caplen[i] = b->wirelen[i] = HEAD + payload;
    b->link[i] = 1;
    b->flags[i] = (uint16_t)(PP_PKT_METADATA | PP_PKT_VNET | PP_PKT_NOT_READY | (gso_size ? PP_PKT_SUPER_FRAME : 0));
}

static void begin(pp_batch *b, uint32_t count)
{
    memset(&kernel, 0, sizeof kernel);
    b->count = count;
    pp_stage_verify(b, NULL);
}

static uint64_t ends(const pp_ledger *l)
{
    uint64_t n = l->sent + l->truncated + l->held;
    for (unsigned i = 0; i < PP_DROPS; i++)
        n += l->dropped[i];
    for (unsigned i = 0; i < PP_ERRNOS; i++)
        n += l->tx_error[i];
    return n;
}

/* Send a batch with room for so many messages at a time; how often it waited. */
static unsigned send_in_portions(pp_batch *b, pp_emit *e, pp_ledger *ledger, unsigned room)
{
    unsigned waits = 0;
    for (;;) {
        kernel.room = room;
        ledger->held = b->count;
        int rc = pp_emit_take(b, ledger, e);
        if (rc != PP_SINK_WAITS) {
            CHECK_EQ(rc, 0);
            ledger->held = 0; /* as the loop does */
            CHECK_EQ(ends(ledger), b->count);
            return waits;
        }
        CHECK_EQ(ends(ledger), b->count);
        waits++;
    }
}

/* What left is the stream from its begin to its end, nothing twice. */
static void check_stream(uint32_t end)
{
    uint32_t at = 0;
    for (unsigned i = 0; i < kernel.taken; at += kernel.length[i], i++)
        CHECK_THAT(kernel.first[i] == at, "message %u begins at %u, want %u", i, kernel.first[i], at);
    CHECK_EQ(at, end);
}

static const unsigned portions[] = { 1, 3, 7, 511, 512, 513 };
#define EACH_PORTION (unsigned p = 0; p < sizeof portions / sizeof portions[0]; p++)

static void test_many_frames(void)
{
    pp_batch b = columns(MOST);
    for
        EACH_PORTION
        {
            pp_ledger ledger = { 0 };
            pp_emit *e = pp_emit_new(77, MOST, 1500, 0, 0);
            for (uint32_t i = 0; i < MOST; i++)
                segment(&b, i, memory[i], i * SMALL, SMALL, 0);
            begin(&b, MOST);
            unsigned waits = send_in_portions(&b, e, &ledger, portions[p]);
            CHECK_THAT(waits == (MOST - 1) / portions[p], "%u waits, %u at a time", waits, portions[p]);
            CHECK_EQ(ledger.sent, MOST);
            CHECK_EQ(ledger.sent_frames, MOST);
            check_stream(MOST * SMALL);
            pp_emit_free(e);
        }
    columns_free(&b);
}

/* A frame, a super-frame that is split into more messages than the queue has, a frame that is dropped, and one more. */
static void test_splitting(void)
{
    pp_batch b = columns(4);
    for
        EACH_PORTION
        {
            pp_ledger ledger = { 0 };
            pp_tally tally = { 0 };
            pp_emit *e = pp_emit_new(77, 4, MTU, 1, 0);
            segment(&b, 0, memory[0], 0, SEGMENT, 0);
            segment(&b, 1, large, SEGMENT, SUPER, SEGMENT);
            segment(&b, 2, memory[2], 0, SEGMENT, 0);
            segment(&b, 3, memory[3], SEGMENT + SUPER, SEGMENT, 0);
            b.verdict[2] = PP_VERDICT_DROP;
            begin(&b, 4);
            b.tally = &tally;
            CHECK(send_in_portions(&b, e, &ledger, portions[p]) >= 1);
            CHECK_EQ(ledger.sent, 3);
            CHECK_EQ(ledger.sent_frames, 2 + (SUPER + SEGMENT - 1) / SEGMENT);
            CHECK_EQ(tally.completed, 3);
            CHECK_EQ(tally.split, 1);
            check_stream(2 * SEGMENT + SUPER);
            b.verdict[2] = PP_VERDICT_PASS;
            pp_emit_free(e);
        }
    columns_free(&b);
}

/* The egress refuses what was coalesced: it leaves in pieces, and may wait between two of them. */
static void test_pieces(void)
{
    enum { COUNT = 40 };
    pp_batch b = columns(COUNT);
    for
        EACH_PORTION
        {
            pp_ledger ledger = { 0 };
            pp_emit *e = pp_emit_new(77, COUNT, 1500, 0, PP_COALESCE_WANT_TCP);
            for (uint32_t i = 0; i < COUNT; i++)
                segment(&b, i, memory[i], i * SMALL, SMALL, 0);
            begin(&b, COUNT);
            kernel.refuses_gso = 1;
            unsigned waits = send_in_portions(&b, e, &ledger, portions[p]);
            CHECK_EQ(waits, portions[p] < COUNT ? (COUNT - 1) / portions[p] : 0);
            CHECK_EQ(pp_emit_coalesces(e), 0);
            CHECK_EQ(ledger.sent, COUNT);
            CHECK_EQ(ledger.sent_frames, COUNT);
            check_stream(COUNT * SMALL);
            pp_emit_free(e);
        }
    columns_free(&b);
}

/* Where room never comes a batch has a second, or what is left of it ends at once when it is told to give up. */
static void test_patience(int gives_up)
{
    enum { COUNT = 600, TAKEN = 5 };
    pp_batch b = columns(COUNT);
    pp_ledger ledger = { 0 };
    pp_emit *e = pp_emit_new(77, COUNT, 1500, 0, 0);
    struct timespec began, now;
    double seconds;
    for (uint32_t i = 0; i < COUNT; i++)
        segment(&b, i, memory[i], i * SMALL, SMALL, 0);
    begin(&b, COUNT);
    kernel.room = TAKEN;
    clock_gettime(CLOCK_MONOTONIC, &began);
    CHECK_EQ(pp_emit_take(&b, &ledger, e), PP_SINK_WAITS);
    if (gives_up)
        pp_emit_give_up(e);
    while (pp_emit_take(&b, &ledger, e) == PP_SINK_WAITS)
        usleep(1000);
    clock_gettime(CLOCK_MONOTONIC, &now);
    seconds = (double)(now.tv_sec - began.tv_sec) + (double)(now.tv_nsec - began.tv_nsec) / 1e9;
    CHECK_EQ(ledger.sent, TAKEN);
    CHECK_EQ(ledger.tx_error[EAGAIN], COUNT - TAKEN);
    CHECK_THAT(gives_up || seconds >= 0.9, "%f s", seconds);
    kernel.room = COUNT; /* the next batch is none the worse for it */
    ledger = (pp_ledger){ 0 };
    CHECK_EQ(pp_emit_take(&b, &ledger, e), 0);
    CHECK_EQ(ledger.sent, COUNT);
    pp_emit_free(e);
    columns_free(&b);
}

int main(void)
{
    test_many_frames();
    test_splitting();
    test_pieces();
    test_patience(0);
    test_patience(1);
    return DONE;
}
