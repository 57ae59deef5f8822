/* fuzz_coalesce.c - frames made from the input, through the sink, which coalesces them: what leaves, split again, is what came in.
 *
 * sendmmsg() and sendmsg() are those of messages.h.  Who splits a super-frame is this file, as the kernel would: Ethernet,
 * 802.1Q and 802.1ad tags, IP without extension headers, TCP or UDP.
 *
 * Invariants: the packets of a super-frame that leaves are those that came, byte for byte, a pending sum completed; so none
 * with a wrong sum is among them; any other frame leaves as it came, with its mark or, if it is bad, without; one of a flow is
 * not overtaken by a later one; nothing but a virtio-net header or a completed checksum is written; every packet ends in
 * exactly one counter, and what was refused in the right one.  A mark that names no checksum field leaves as none, or as one
 * that names the field which holds its seed.
 */
#define _GNU_SOURCE
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>

#include "io/emit.h"
#include "check/classify.h"
#include "check/verify.h"
#include "../c/columns.h"
#include "frames.h"
#include "messages.h"

/* --- what came in --------------------------------------------------------------------------------------------- */

typedef struct frame {
    uint8_t bytes[ROOM + 4]; /* with its tag */
    uint32_t length;
    pp_vnet vnet; /* as it has to be for these bytes */
    place place;
    uint8_t is_sent;
} frame;

static frame came[PACKETS];

static void keep(uint32_t i)
{
    frame *f = &came[i];
    uint32_t tag = (batch.flags[i] & PP_PKT_VLAN) && batch.caplen[i] >= 12 ? 4 : 0;
    memset(&f->vnet, 0, sizeof f->vnet);
    if (batch.flags[i] & PP_PKT_VNET)
        memcpy(&f->vnet, batch.data[i] - PP_VNET_LEN, PP_VNET_LEN);
    f->vnet.flags &= NEEDS_CSUM;
    if (tag && f->vnet.flags)
        f->vnet.csum_start += 4;
    if (tag && f->vnet.hdr_len)
        f->vnet.hdr_len += 4;
    f->length = batch.caplen[i] + tag;
    f->is_sent = 0;
    if (tag) {
        memcpy(f->bytes, batch.data[i], 12);
        put16(f->bytes + 12, batch.vlan_tpid[i]);
        put16(f->bytes + 14, batch.vlan_tci[i]);
        memcpy(f->bytes + 16, batch.data[i] + 12, batch.caplen[i] - 12);
    } else {
        memcpy(f->bytes, batch.data[i], batch.caplen[i]);
    }
    f->place = locate(f->bytes, f->length);
}

/* May b, which came later, not leave before a?  Ports that cannot be seen are taken for equal. */
static int is_same_flow(const frame *a, const frame *b)
{
    const place *p = &a->place, *q = &b->place;
    uint32_t at = p->l3 + (p->version == 4 ? 12 : 8);
    if (!p->version || p->version != q->version || p->l3 != q->l3 || memcmp(a->bytes, b->bytes, p->l3) != 0 ||
        memcmp(a->bytes + at, b->bytes + at, p->version == 4 ? 8 : 32) != 0)
        return 0;
    if (p->is_fragment || q->is_fragment)
        return 1;
    return p->l4 && q->l4 && p->protocol == q->protocol && memcmp(a->bytes + p->l4, b->bytes + q->l4, 4) == 0;
}

static void check_order(void)
{
    static uint32_t order[MESSAGES + PACKETS];
    uint32_t n = 0;
    for (uint32_t m = 0; m < messages; m++)
        for (uint32_t i = 0; i < sent[m].count; i++)
            if (n == 0 || order[n - 1] != sent[m].packet[i])
                order[n++] = sent[m].packet[i];
    for (uint32_t i = 0; i < n; i++)
        for (uint32_t j = i + 1; j < n; j++)
            if (order[j] < order[i] && is_same_flow(&came[order[j]], &came[order[i]]))
                abort(); /* overtaken */
}

/* Is it a field of packet i that holds its seed?  By the parser's view and, for TCP or UDP in the outermost packet, by this
 * file's own. */
static int is_pending(uint32_t i, uint32_t start, uint32_t field)
{
    const frame *f = &came[i];
    const place *p = &f->place;
    uint32_t tag = f->length - batch.caplen[i];
    if (p->l4 && p->l4 == start && (p->protocol == TCP || p->protocol == UDP))
        return field == field_of(p) && get16(f->bytes + field) % 0xffff == pseudo(f->bytes, p, p->end - start) % 0xffff;
    for (uint32_t j = 0; j < batch.check_count[i]; j++) {
        const pp_check *k = &batch.checks[batch.check_first[i] + j];
        if (k->status == PP_STATUS_PENDING && k->start + tag == start && k->offset + tag == field)
            return 1;
    }
    return 0;
}

/* The mark that packet i has to be completed by. */
static pp_vnet mark_of(uint32_t i)
{
    const frame *f = &came[i];
    pp_vnet v = f->vnet;
    if ((batch.flags[i] & PP_PKT_STRAY_METADATA) && f->place.l4 && is_pending(i, f->place.l4, field_of(&f->place))) {
        v.csum_start = (uint16_t)f->place.l4;
        v.csum_offset = (uint16_t)(field_of(&f->place) - f->place.l4);
    }
    return v;
}

/* A super-frame that was made of several packets, taken apart. */
static void check_coalesced(const message *m)
{
    static uint8_t one[ROOM + 4], want[ROOM + 4];
    place p = locate(m->frame, m->length);
    uint32_t all = p.l4 + p.header, at = all, datagram;
    if (!p.l4 || p.has_options || p.end != m->length || (p.version == 4 && get16(m->frame + p.l3 + 2) != p.end - p.l3))
        abort(); /* the kernel could not split it */
    if (m->vnet.flags != NEEDS_CSUM || m->vnet.csum_start != p.l4 ||
        m->vnet.csum_start + m->vnet.csum_offset != field_of(&p) || m->vnet.hdr_len != all || !m->vnet.gso_size ||
        m->vnet.gso_type != (p.protocol == UDP ? UDP_L4
                             : p.version == 4  ? TCPV4
                                               : TCPV6))
        abort();
    if (get16(m->frame + field_of(&p)) % 0xffff != pseudo(m->frame, &p, p.end - p.l4) % 0xffff)
        abort();
    for (uint32_t i = 0; i < m->count; i++) {
        const frame *f = &came[m->packet[i]];
        pp_vnet v = mark_of(m->packet[i]);
        uint32_t size = m->length - at < m->vnet.gso_size ? m->length - at : m->vnet.gso_size;
        memcpy(one, m->frame, all);
        memcpy(one + all, m->frame + at, size);
        datagram = all - p.l4 + size;
        if (p.version == 4) {
            put16(one + p.l3 + 4, get16(one + p.l3 + 4) + i);
            put16(one + p.l3 + 2, all - p.l3 + size);
            write_ip4_sum(one + p.l3);
        } else {
            put16(one + p.l3 + 4, datagram);
        }
        if (p.protocol == UDP) {
            put16(one + p.l4 + 4, datagram);
        } else {
            put32(one + p.l4 + 4, get32(one + p.l4 + 4) + at - all);
            if (at + size < m->length)
                one[p.l4 + 13] &= (uint8_t)~8; /* PSH */
        }
        make_right(one, all + size, 0);
        memcpy(want, f->bytes, f->length);
        if (size == 0 || f->vnet.gso_type || (i && m->packet[i] <= m->packet[i - 1]) ||
            !complete(want, f->length, &v) || f->length != all + size || memcmp(want, one, f->length) != 0)
            abort();
        at += size;
    }
    if (at != m->length)
        abort();
}

/* The mark of packet i as it may leave beside what came: 0 if this is none. */
static int is_corrected(uint32_t i, const pp_vnet *v)
{
    const frame *f = &came[i];
    pp_vnet was = f->vnet;
    if (!(batch.flags[i] & PP_PKT_STRAY_METADATA) || !was.flags)
        return 0;
    was.flags = v->flags;
    was.csum_start = v->csum_start;
    was.csum_offset = v->csum_offset;
    return memcmp(&was, v, sizeof was) == 0 &&
           (v->flags ? is_pending(i, v->csum_start, (uint32_t)v->csum_start + v->csum_offset)
                     : !v->csum_start && !v->csum_offset);
}

/* Is byte at of packet i as it left, tag included, one of a checksum that may have been completed? */
static int may_be_completed(uint32_t i, uint32_t at)
{
    const frame *f = &came[i];
    uint32_t field = (uint32_t)f->vnet.csum_start + f->vnet.csum_offset, tag = f->length - batch.caplen[i];
    if (!f->vnet.flags)
        return 0;
    if (!(batch.flags[i] & PP_PKT_STRAY_METADATA))
        return at >= field && at < field + 4;
    for (uint32_t j = 0; j < batch.check_count[i]; j++) {
        const pp_check *k = &batch.checks[batch.check_first[i] + j];
        uint32_t from = k->offset + tag;
        if (at >= from && at < from + ((k->flags & PP_CHECK_CRC32C) ? 4 : 2) && is_pending(i, k->start + tag, from))
            return 1;
    }
    return 0;
}

static void check_single(const message *m, int complete)
{
    static uint8_t done[ROOM + 4];
    uint32_t i = m->packet[0];
    const frame *f = &came[i];
    static const pp_vnet none;
    if (f->vnet.gso_type && !m->vnet.gso_type)
        return; /* a segment, see fuzz_split */
    if (m->length != f->length)
        abort();
    if ((memcmp(&m->vnet, &f->vnet, sizeof none) == 0 || is_corrected(i, &m->vnet)) &&
        memcmp(m->frame, f->bytes, f->length) == 0)
        return;
    if (memcmp(&m->vnet, &none, sizeof none) != 0)
        abort(); /* neither its own mark nor none */
    if (batch.status[i] == PP_STATUS_BAD && memcmp(m->frame, f->bytes, f->length) == 0)
        return;
    if (!complete && batch.protocol[i] != 132) /* SCTP: completed, for no mark can say what it needs */
        abort();
    memcpy(done, f->bytes, f->length);
    for (uint32_t at = 0; at < f->length; at++)
        if (may_be_completed(i, at))
            done[at] = m->frame[at];
    if (memcmp(done, m->frame, f->length) != 0)
        abort(); /* something else than the field */
}

static void check_counters(const pp_ledger *l, int complete)
{
    uint64_t left = l->truncated, errors = 0, good = 0, bad = 0, taken = 0;
    for (unsigned i = 0; i < PP_DROPS; i++)
        left += l->dropped[i];
    for (unsigned i = 0; i < PP_ERRNOS; i++)
        errors += l->tx_error[i];
    for (uint32_t i = 0; i < batch.count; i++) {
        good += came[i].is_sent && !has_failed[i];
        bad += has_failed[i];
        taken += batch.verdict[i] != PP_VERDICT_PASS;
    }
    if (l->sent != good || errors != bad || left != batch.count - good - bad || l->sent_frames != messages)
        abort();
    if (l->dropped[PP_DROP_STAGE] != taken || l->truncated)
        abort();
    for (uint32_t i = 0; i < batch.count && !complete; i++)
        if (!came[i].is_sent && !has_failed[i] && batch.verdict[i] == PP_VERDICT_PASS && !came[i].vnet.flags &&
            !(came[i].vnet.gso_type && batch.status[i] == PP_STATUS_BAD))
            abort(); /* only what had to be completed, or split lest the kernel sign damage, may be found unfit for it */
}

static void check_frames_are_untouched(void)
{
    for (uint32_t i = 0; i < batch.count; i++) {
        const frame *f = &came[i];
        const uint8_t *data = batch.data[i];
        uint32_t tag = f->length - batch.caplen[i];
        for (uint32_t j = 0; j < batch.caplen[i]; j++)
            if (data[j] != f->bytes[j < 12 ? j : j + tag] && !may_be_completed(i, j + tag))
                abort();
    }
}

/* --- the input ------------------------------------------------------------------------------------------------ */

typedef struct script {
    const uint8_t *at, *end;
} script;

static uint8_t next(script *s) { return s->at < s->end ? *s->at++ : 0; }

static uint32_t template_of(uint8_t *f, uint8_t kind, uint32_t payload)
{
    uint32_t l4 = kind & 1 ? 54 : 34, header = kind & 2 ? 8 : 32;
    memset(f, 0, l4 + header);
    memcpy(f, kind & 1 ? "\2\0\0\0\0\1\2\0\0\0\0\2\x86\xdd\x60" : "\2\0\0\0\0\1\2\0\0\0\0\2\x08\0\x45", 15);
    if (kind & 1)
        f[20] = kind & 2 ? UDP : TCP, f[21] = 64, f[22] = f[38] = 0xfd, f[37] = 1, f[53] = 2;
    else
        f[22] = 64, f[23] = kind & 2 ? UDP : TCP, memcpy(f + 26, "\x0a\7\0\1\x0a\7\0\2", 8);
    put16(f + l4, 4000u + (kind >> 2 & 3)), put16(f + l4 + 2, 80);
    if (!(kind & 2))
        f[l4 + 12] = 0x80, f[l4 + 13] = 0x10, memcpy(f + l4 + 20, "\1\1\x08\x0a\0\0\0\1\0\0\0\2", 12);
    for (uint32_t i = 0; i < payload; i++)
        f[l4 + header + i] = (uint8_t)(i * 7 + kind);
    if (!(kind & 1))
        put16(f + 16, l4 - 14 + header + payload);
    else
        put16(f + 18, header + payload);
    return l4 + header + payload;
}

/* The segment or datagram that follows: cut bytes of payload less. */
static uint32_t follow(uint8_t *f, uint32_t length, uint8_t cut)
{
    place p = locate(f, length);
    if (!p.l4)
        return length;
    uint32_t payload = p.end - p.l4 - p.header;
    if (p.version == 4)
        put16(f + p.l3 + 4, get16(f + p.l3 + 4) + 1);
    if (p.protocol == TCP)
        put32(f + p.l4 + 4, get32(f + p.l4 + 4) + payload);
    if (cut == 0 || cut >= payload)
        return length;
    put16(f + p.l3 + (p.version == 4 ? 2 : 4), p.end - p.l3 - cut - (p.version == 4 ? 0 : 40));
    return p.end - cut;
}

/* One packet more: a frame of the input, a template, or one before it, changed. */
static void add_packet(script *s, int has_vnet)
{
    static uint8_t f[ROOM];
    uint8_t how = next(s), which = next(s);
    uint32_t i = batch.count, length, before = i ? i - 1 - (which < 192 ? 0 : which % i) : 0;
    pp_vnet v = { 0 };
    batch.flags[i] = PP_PKT_METADATA;
    batch.vlan_tpid[i] = 0x8100, batch.vlan_tci[i] = 0; /* a ring's values for none */
    if ((how & 3) == 0) {
        length = which | (uint32_t)next(s) << 8;
        if (length > LONGEST || length > (size_t)(s->end - s->at))
            length = (size_t)(s->end - s->at) < LONGEST ? (uint32_t)(s->end - s->at) : LONGEST;
        memcpy(f, s->at, length);
        s->at += length;
    } else if ((how & 3) == 1 || i == 0) {
        length = template_of(f, which, 1 + next(s) * 4u);
    } else {
        length = batch.caplen[before];
        memcpy(f, batch.data[before], length);
        if (batch.flags[before] & PP_PKT_VLAN)
            batch.flags[i] |= PP_PKT_VLAN;
        batch.vlan_tpid[i] = batch.vlan_tpid[before], batch.vlan_tci[i] = batch.vlan_tci[before];
        if ((how & 3) == 2 || (which & 1))
            length = follow(f, length, next(s));
    }
    if (how & 4) { /* changed before it is made right */
        place q = locate(f, length);
        uint32_t at = q.l4 ? q.l3 + next(s) % (q.l4 + q.header - q.l3) : next(s);
        if (at < length)
            f[at] ^= next(s);
    }
    if (how & 8)
        make_right(f, length, how & 16);
    place p = locate(f, length);
    if ((how & 16) && p.l4 && has_vnet)
        v = (pp_vnet){ .flags = NEEDS_CSUM, .csum_start = (uint16_t)p.l4, .csum_offset = p.protocol == UDP ? 6 : 16 };
    if (v.flags && (how & 128)) { /* a super-frame */
        v.gso_type = p.protocol == UDP ? UDP_L4 : p.version == 4 ? TCPV4 : TCPV6;
        v.gso_size = (uint16_t)(64 + which);
        v.hdr_len = (uint16_t)(p.l4 + p.header);
    }
    if (how & 32) { /* and after that */
        uint32_t at = next(s) | (uint32_t)next(s) << 8;
        if (at < length)
            f[at] ^= next(s);
        else if (at - length < PP_VNET_LEN)
            ((uint8_t *)&v)[at - length] ^= next(s);
    }
    if (v.csum_start < 14)
        v.flags = 0; /* within Ethernet's header no kernel says */
    if (how & 64) {
        batch.flags[i] |= PP_PKT_VLAN;
        batch.vlan_tpid[i] = which & 1 ? 0x88a8 : 0x8100;
        batch.vlan_tci[i] = next(s);
    }
    batch.verdict[i] = (how & 128) && which >= 250 ? PP_VERDICT_DROP : PP_VERDICT_PASS;
    if (has_vnet)
        batch.flags[i] |= (uint16_t)(PP_PKT_VNET | (v.flags & NEEDS_CSUM ? PP_PKT_NOT_READY : 0) |
                                     (v.gso_type ? PP_PKT_SUPER_FRAME : 0));
    uint8_t *memory = malloc(PP_VNET_LEN + length); /* exact: ASan sees one byte too far */
    if (!memory)
        exit(1);
    memcpy(memory, &v, PP_VNET_LEN);
    memcpy(memory + PP_VNET_LEN, f, length);
    batch.data[i] = memory + PP_VNET_LEN;
    batch.caplen[i] = batch.wirelen[i] = length;
    batch.link[i] = 1;
    batch.count++;
}

static pp_emit *sink(int complete, uint32_t mtu, uint32_t wanted)
{
    static pp_emit *emit[2];
    static int fd = -1;
    if (fd < 0)
        fd = open("/dev/null", O_WRONLY);
    if (emit[complete] && !complete && pp_emit_coalesces(emit[complete]) != wanted) {
        pp_emit_set_coalesce(emit[complete], wanted);
        if (pp_emit_coalesces(emit[complete]) != wanted) { /* it was refused once */
            pp_emit_free(emit[complete]);
            emit[complete] = NULL;
        }
    }
    if (!emit[complete])
        emit[complete] = pp_emit_new(fd, PACKETS, mtu, complete, (int)wanted);
    pp_emit_set_mtu(emit[complete], mtu);
    return emit[complete];
}

int LLVMFuzzerTestOneInput(const uint8_t *input, size_t size)
{
    script s = { input, input + size };
    if (size < 4 || size > 16384)
        return 0;
    uint8_t options = next(&s), faults = next(&s);
    int complete = (options & 12) == 12;
    if (!batch.capacity)
        batch = columns(PACKETS);
    batch.count = 0;
    while (s.at < s.end && batch.count < PACKETS)
        add_packet(&s, options & 16);
    if (pp_stage_verify(&batch, NULL) || pp_stage_classify(&batch, NULL))
        abort();
    for (uint32_t i = 0; i < batch.count; i++)
        keep(i);
    memset(has_failed, 0, sizeof has_failed);
    arena_used = messages = calls = 0;
    fault_period = faults & 7, fault = faults >> 3;
    pp_ledger ledger = { 0 };
    pp_emit *emit = sink(complete, options & 32 ? 600 : 1500, ~options & 3u);
    int rc;
    while ((rc = pp_emit_take(&batch, &ledger, emit)) == PP_SINK_WAITS) {
        /* there is room the next time */
    }
    if (rc)
        abort();
    for (uint32_t m = 0; m < messages; m++) {
        for (uint32_t i = 0; i < sent[m].count; i++)
            came[sent[m].packet[i]].is_sent = 1;
        if (sent[m].count > 1)
            check_coalesced(&sent[m]);
        else
            check_single(&sent[m], complete);
    }
    check_order();
    check_counters(&ledger, complete);
    check_frames_are_untouched();
    for (uint32_t i = 0; i < batch.count; i++)
        free(batch.data[i] - PP_VNET_LEN);
    return 0;
}
