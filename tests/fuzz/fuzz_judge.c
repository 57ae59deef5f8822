/* fuzz_judge.c - batches of frames cut from the input through a hostile stage and all that judges, remembers and writes down.
 *
 * What one frame does to the parser is fuzz_frame's; here are several, which witness for each other.
 *
 * Invariants: good is what a slow loop finds right, and nothing else, for the TCP and UDP that this file can find; the
 * default repair changes a frame only where a check has leaked, and there checksum fields only, which the loop then finds
 * right; after a guarded stage the batch is the source's, whatever it wrote, and its verdicts those from before if it
 * failed; an enhanced packet block holds the frame, its tag put back, and both its lengths.
 */
#include <stdlib.h>
#include <string.h>

#include "observe/conversation.h"
#include "io/epb.h"
#include "check/witness.h"
#include "run/guard.h"
#include "observe/sample.h"
#include "check/classify.h"
#include "check/repair.h"
#include "check/tally.h"
#include "check/verify.h"
#include "../c/columns.h"

enum { PACKETS = 12, LONGEST = 1600, TCP = 6, UDP = 17 };

typedef struct script {
    const uint8_t *at, *end;
} script;

static pp_batch batch;
static uint8_t before[PACKETS][LONGEST];

static uint8_t next(script *s) { return s->at < s->end ? *s->at++ : 0; }
static uint32_t get16(const uint8_t *p) { return (uint32_t)p[0] << 8 | p[1]; }

/* RFC 1071 section 1, on top of sum. */
static uint32_t add(uint32_t sum, const uint8_t *p, uint32_t length)
{
    for (uint32_t i = 0; i < length; i++) {
        sum += (uint32_t)p[i] << (i & 1 ? 0 : 8);
        sum = (sum & 0xffff) + (sum >> 16);
    }
    return sum;
}

static int is_right(const uint8_t *data, const pp_check *k)
{
    return add(k->seed, data + k->start, k->length) == 0xffff;
}

static const pp_check *check_at(uint32_t i, uint32_t offset)
{
    const pp_check *k = batch.checks + batch.check_first[i];
    for (unsigned j = 0; j < batch.check_count[i]; j++)
        if (k[j].offset == offset)
            return &k[j];
    return NULL;
}

static void compare(uint32_t i, uint32_t offset, uint32_t sum)
{
    const pp_check *k = check_at(i, offset);
    if (!k || (k->status == PP_STATUS_GOOD) != (sum == 0xffff))
        abort();
}

/* Ethernet, IP without options, whole and by itself: judged here too. */
static void judge_slowly(uint32_t i)
{
    const uint8_t *f = batch.data[i], *ip = f + 14;
    uint32_t length = batch.caplen[i];
    if (batch.link[i] != 1 || length < 54 || batch.wirelen[i] != length ||
        (batch.flags[i] & (PP_PKT_NOT_READY | PP_PKT_SUPER_FRAME)))
        return;
    uint32_t is_4 = get16(f + 12) == 0x0800 && ip[0] == 0x45, is_6 = get16(f + 12) == 0x86dd && ip[0] >> 4 == 6;
    if (!is_4 && !is_6)
        return;
    uint32_t l4 = is_4 ? 34 : 54, end = is_4 ? 14 + get16(ip + 2) : 54 + get16(ip + 4), protocol = is_4 ? ip[9] : ip[6];
    if (end > length || end < l4)
        return;
    if (is_4)
        compare(i, 24, add(0, ip, 20));
    if ((is_4 && (get16(ip + 6) & 0x3fff)) || (protocol != TCP && protocol != UDP) ||
        end - l4 < (protocol == TCP ? 20u : 8u))
        return;
    uint32_t field = l4 + (protocol == TCP ? 16 : 6), header = protocol == TCP ? (f[l4 + 12] >> 4) * 4u : 8;
    if (header < 8 || (protocol == TCP && header < 20) || header > end - l4 ||
        (protocol == UDP && (get16(f + l4 + 4) != end - l4 || get16(f + field) == 0)))
        return;
    uint32_t sum = add(protocol + end - l4, is_4 ? ip + 12 : ip + 8, is_4 ? 8 : 32);
    compare(i, field, add(sum, f + l4, end - l4));
}

/* --- a stage that writes what the input says, wherever it may ---------------------------------------------------- */

static int scribble(pp_batch *b, void *context)
{
    script *s = context;
    uint8_t what = next(s);
    uint8_t *columns[] = { b->verdict, b->drop, b->status, b->cause };
    for (unsigned n = next(s) & 7; n && b->count; n--) {
        uint8_t column = next(s) & 3, packet = next(s);
        columns[column][packet % b->count] = next(s) & (what & 1 ? 0xff : 3);
    }
    for (unsigned n = next(s) & 3; n && b->count; n--) {
        uint32_t packet = next(s) % b->count, at = next(s);
        if (at < b->caplen[packet])
            b->data[packet][at] ^= next(s);
        b->flags[packet] |= PP_PKT_EDITED;
    }
    if (what & 2)
        b->count = next(s);
    if (what & 4)
        b->checks = NULL, b->status = NULL, b->capacity = 0;
    if (what & 8)
        b->checks_used = UINT32_MAX;
    return what & 16 ? -1 : 0;
}

static void guarded(script *s, uint32_t options)
{
    static pp_guard guard;
    uint8_t verdict[PACKETS], edited = 0;
    if (!guard.saved && pp_guard_init(&guard, PACKETS))
        exit(1);
    guard.run = scribble;
    guard.context = s;
    guard.judge = pp_stage_verify;
    guard.judge_context = &options;
    guard.on_error = 1 + (next(s) & 1);
    memcpy(verdict, batch.verdict, batch.count);
    pp_batch given = batch;
    uint64_t errors = guard.errors;
    if (pp_guard_run(&batch, &guard))
        abort(); /* this policy never ends the pipeline */
    given.checks_used = batch.checks_used;
    if (memcmp(&given, &batch, sizeof given) != 0 || batch.checks_used > PACKETS * PP_CHECKS_PER_PACKET)
        abort();
    for (uint32_t i = 0; i < batch.count; i++) {
        edited |= (batch.flags[i] & PP_PKT_EDITED) != 0;
        if (batch.verdict[i] > PP_VERDICT_DROP || batch.drop[i] >= PP_DROPS || batch.status[i] >= PP_STATUSES ||
            batch.cause[i] >= PP_CAUSES)
            abort();
        if (guard.errors != errors &&
            batch.verdict[i] != (guard.on_error == PP_ON_ERROR_PASS ? verdict[i] : PP_VERDICT_DROP))
            abort();
    }
    if (edited)
        abort(); /* a mark that would be taken for the next stage's */
}

/* --- repair and files ----------------------------------------------------------------------------------------- */

/* Does the field hold what a sender leaves to its card: the pseudo header's sum, or, for large-send offload, that without the
 * length? */
static int is_unfinished(const pp_check *k)
{
    uint32_t with_length = k->stored + (k->length & 0xffff) + (k->length >> 16);
    return k->stored == k->seed ||
           ((k->flags & PP_CHECK_HAS_PSEUDO) && (k->proto == PP_PROTO_TCP || k->proto == PP_PROTO_UDP) &&
            with_length % 0xffff == (uint32_t)k->seed % 0xffff);
}

static void repair(void)
{
    uint8_t leaked[PACKETS] = { 0 };
    for (uint32_t i = 0; i < batch.count; i++) {
        memcpy(before[i], batch.data[i], batch.caplen[i]);
        for (unsigned j = 0; j < batch.check_count[i]; j++) {
            const pp_check *k = &batch.checks[batch.check_first[i] + j];
            leaked[i] |= k->status == PP_STATUS_BAD && (k->cause == PP_CAUSE_LEAKED || k->cause == PP_CAUSE_NONE) &&
                         is_unfinished(k);
        }
    }
    if (pp_stage_repair(&batch, NULL))
        abort();
    for (uint32_t i = 0; i < batch.count; i++) {
        const uint8_t *data = batch.data[i];
        for (unsigned j = 0; j < batch.check_count[i] && leaked[i]; j++) {
            const pp_check *k = &batch.checks[batch.check_first[i] + j];
            if (!(k->flags & PP_CHECK_REPAIRED))
                continue;
            if (!(k->flags & PP_CHECK_CRC32C) && !is_right(data, k))
                abort(); /* signed, and not right */
            memcpy(before[i] + k->offset, data + k->offset, k->flags & PP_CHECK_CRC32C ? 4 : 2);
        }
        if (batch.caplen[i] && memcmp(before[i], data, batch.caplen[i]) != 0)
            abort();
    }
}

static uint32_t word(const uint8_t *p)
{
    uint32_t v;
    memcpy(&v, p, sizeof v);
    return v;
}

static void write_down(uint32_t i, uint32_t snaplen)
{
    static uint8_t block[LONGEST + 256], want[LONGEST + 4];
    uint32_t tag = (batch.flags[i] & PP_PKT_VLAN) && batch.caplen[i] >= 12 ? 4 : 0, at = 0,
             length = batch.caplen[i] + tag;
    pp_epb e;
    memcpy(want, batch.data[i], batch.caplen[i]);
    if (tag) {
        memmove(want + 16, want + 12, batch.caplen[i] - 12);
        uint8_t bytes[4] = { (uint8_t)(batch.vlan_tpid[i] >> 8), (uint8_t)batch.vlan_tpid[i],
                             (uint8_t)(batch.vlan_tci[i] >> 8), (uint8_t)batch.vlan_tci[i] };
        memcpy(want + 12, bytes, sizeof bytes);
    }
    if (snaplen && length > snaplen)
        length = snaplen;
    pp_epb_make(&e, &batch, i, 7, snaplen, 0);
    for (unsigned p = 0; p < e.parts; at += (uint32_t)e.part[p++].iov_len)
        memcpy(block + at, e.part[p].iov_base, e.part[p].iov_len);
    if (at != e.length || at % 4 || word(block) != 6 || word(block + 4) != at || word(block + at - 4) != at ||
        word(block + 8) != 7 || word(block + 20) != length || word(block + 24) != batch.wirelen[i] + tag ||
        memcmp(block + 28, want, length) != 0)
        abort();
    uint32_t options = 28 + (length + 3) / 4 * 4;
    if (options != at - 4 &&
        (options + 16 != at || word(block + options + 8) != 0 || get16(block + options + 2) != 0x0400))
        abort();
}

/* --- the input ------------------------------------------------------------------------------------------------ */

/* A frame of the input, or the one before it with some bytes changed: another address, another port, another payload. */
static void add_packet(script *s)
{
    static const uint16_t links[] = { 1, 1, 1, 101, 113, 276, 0, 9 };
    uint32_t i = batch.count, length;
    uint8_t how = next(s), flags = next(s);
    uint8_t *data;
    if ((how & 1) && i) {
        length = batch.caplen[i - 1];
        data = malloc(length + !length);
        memcpy(data, batch.data[i - 1], length);
    } else {
        length = next(s);
        length |= (uint32_t)next(s) << 8;
        if (length > LONGEST || length > (size_t)(s->end - s->at))
            length = (size_t)(s->end - s->at) < LONGEST ? (uint32_t)(s->end - s->at) : LONGEST;
        data = malloc(length + !length); /* exact: ASan sees one byte too far */
        memcpy(data, s->at, length);
        s->at += length;
    }
    for (unsigned n = how >> 1 & 3; n; n--) {
        uint32_t at = next(s);
        if (at < length)
            data[at] ^= next(s);
    }
    batch.data[i] = data;
    batch.caplen[i] = length;
    batch.wirelen[i] = length + (how & 8 ? next(s) : 0);
    batch.link[i] = links[how >> 5];
    batch.flags[i] =
        (uint16_t)(flags & (PP_PKT_METADATA | PP_PKT_NOT_READY | PP_PKT_CLAIMED_VALID | PP_PKT_OUTGOING | PP_PKT_VLAN));
    batch.vlan_tpid[i] = 0x8100, batch.vlan_tci[i] = flags;
    batch.time_ns[i] = i * 200000000u;
    batch.number[i] = i + 1;
    batch.verdict[i] = batch.drop[i] = 0;
    batch.count++;
}

int LLVMFuzzerTestOneInput(const uint8_t *input, size_t size)
{
    static pp_tally tally;
    static pp_witnesses *flow;
    static pp_conversations *conversations;
    static pp_sample *sample;
    static pp_sampled taken[PP_SAMPLE_MOST];
    static pp_bad_flow flows[64];
    uint64_t prints[PACKETS];
    script s = { input, input + size };
    if (size < 8 || size > 8192)
        return 0;
    if (!batch.capacity) {
        batch = columns(PACKETS);
        conversations = pp_conversations_new();
        sample = pp_sample_new();
        flow = pp_witnesses_new();
    }
    batch.count = 0;
    uint32_t options = next(&s) & (PP_VERIFY_EXPECTED | PP_VERIFY_AT_WIRE), how = next(&s);
    script stage = { input + 2, input + 2 };
    if (how & 1) {
        stage.at = s.at;
        s.at += s.end - s.at < 32 ? s.end - s.at : 32;
        stage.end = s.at;
    }
    while (s.at < s.end && batch.count < PACKETS)
        add_packet(&s);
    batch.tally = &tally;
    if (pp_stage_verify(&batch, &options))
        abort();
    if (how & 1)
        guarded(&stage, options);
    for (uint32_t i = 0; i < batch.count; i++)
        if (batch.check_count[i])
            judge_slowly(i);
    if (!(how & 2) && pp_stage_classify(&batch, flow))
        abort();
    if (pp_stage_count(&batch, NULL) || pp_stage_track_conversations(&batch, conversations) ||
        pp_stage_sample(&batch, sample))
        abort();
    pp_fingerprints(&batch, prints);
    repair();
    if (pp_stage_drop_corrupt(&batch, NULL) || pp_sample_take(sample, taken) > PP_SAMPLE_MOST)
        abort();
    if ((how & 12) == 12 && pp_sample_flows(sample, flows, 64) > 64) /* seldom: it walks the whole table */
        abort();
    for (uint32_t i = 0; i < batch.count; i++) {
        write_down(i, how >> 4);
        free(batch.data[i]);
    }
    return 0;
}
