/* fuzz_emit.c - any frame with any virtio-net header through verify, classify, repair and the sink, which sends into a socket.
 *
 * Invariants, of a frame that leaves whole: it is as long as it was; what differs are checksum fields, by the parser's view
 * and, for the outermost TCP or UDP header, by this file's own; a mark on it names a checksum field.  A place in what nobody
 * looks into, behind an outermost sum that was neither right nor its seed, or stays right, is the source's to know.
 * Whatever is not left whole is split (fuzz_split.c) or dropped, and counted.
 */
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "check/classify.h"
#include "check/repair.h"
#include "check/tally.h"
#include "check/verify.h"
#include "io/emit.h"
#include <pktmend/parse.h>

#include "../c/columns.h"
#include "frames.h"

enum { PARAMETERS = 2, MOST = 3000 };

static int ends[2];
static pp_emit *sinks[2]; /* completes, does not */
static pp_batch b;

static void set_up(void)
{
    if (b.capacity)
        return;
    b = columns(1);
    if (socketpair(AF_UNIX, SOCK_DGRAM, 0, ends) < 0)
        abort();
    for (int i = 0; i < 2; i++)
        if (!(sinks[i] = pp_emit_new(ends[0], 1, 1500, i, 0)))
            abort();
}

/* Is it the field of a check of the frame as it came?  start: where its sum must begin, or UINT32_MAX. */
static int is_field(const uint8_t *frame, uint32_t length, const pp_vnet *v, uint32_t at, uint32_t start)
{
    pp_check checks[PP_CHECKS_PER_PACKET];
    pp_packet p = { .data = frame,
                    .cap = length,
                    .wire = length,
                    .link = 1,
                    .flags = (uint16_t)(PP_PKT_METADATA | (v->gso_type ? PP_PKT_SUPER_FRAME : 0)),
                    .checks = checks };
    pp_parse(&p);
    for (unsigned i = 0; i < p.count; i++) {
        const pp_check *k = &checks[i];
        uint32_t width = (k->flags & PP_CHECK_CRC32C) ? 4 : 2;
        if (!(k->flags & (PP_CHECK_NO_FIELD | PP_CHECK_QUOTED)) && at >= k->offset && at < k->offset + width &&
            (start == UINT32_MAX || (start == k->start && at == k->offset)))
            return 1;
    }
    return 0;
}

/* Do the lengths of the outermost headers fit the frame, and each other?  Where they do not, nobody can say what lies where. */
static int is_consistent(const uint8_t *frame, uint32_t length, const place *p)
{
    uint32_t end = p->version == 4 ? p->l3 + get16(frame + p->l3 + 2) : p->l3 + 40 + get16(frame + p->l3 + 4);
    return end <= length && end >= p->l4 + p->header && !p->is_fragment &&
           p->header >= (p->protocol == UDP ? 8u : 20u) &&
           (p->protocol != UDP || get16(frame + p->l4 + 4) <= end - p->l4);
}

/* May only the source know what lies there?  By the outermost headers as this file reads them. */
static int is_unknown(const uint8_t *frame, uint32_t length, const pp_vnet *v, uint32_t start, uint32_t field)
{
    place p = locate(frame, length);
    if (field + 2 > length || start < 14)
        return 0;
    if (!p.l4 || (p.protocol != TCP && p.protocol != UDP) || !is_consistent(frame, length, &p))
        return 1;
    if (p.version == 6 && p.has_options) /* of extension headers there may be more than a parser walks */
        return start >= p.l3 + 40;
    if (start < p.l4 + (p.protocol == UDP ? 8u : 20u))
        return 0;
    uint32_t seed = pseudo(frame, &p, p.end - p.l4), stored = get16(frame + field_of(&p));
    if (p.protocol == UDP && (stored == 0 || get16(frame + p.l4 + 4) != p.end - p.l4))
        return 1;
    int type = v->gso_type & 0x7f; /* a super-frame of TCP in UDP: each segment gets an outer sum of its own */
    if (stored == seed && p.protocol == UDP && (type == TCPV4 || type == TCPV6))
        return 1;
    if (start < p.end && field + 2 <= p.end &&
        get16(frame + field) % 0xffff == (0xffff - add(0, frame + start, p.end - start)) % 0xffff)
        return 1; /* completing it changes no outer sum: right as it is, and right once complete */
    return stored != seed && add(seed, frame + p.l4, p.end - p.l4) != 0xffff;
}

/* May byte at be one of a checksum, by the outermost headers as this file reads them?  Within TCP's payload, or behind the
 * packet, there is none. */
static int may_be_sum(const uint8_t *frame, uint32_t length, uint32_t at)
{
    place p = locate(frame, length);
    if (!p.l4 || (p.protocol != TCP && p.protocol != UDP) || !is_consistent(frame, length, &p))
        return 1;
    if (at < p.l4)
        return p.version == 4 && (at == p.l3 + 10 || at == p.l3 + 11);
    if (at < p.l4 + 8 || p.protocol == TCP)
        return at == field_of(&p) || at == field_of(&p) + 1;
    return at < p.end;
}

static void check_whole(const uint8_t *before, uint32_t length, const pp_vnet *was, const uint8_t *out)
{
    pp_vnet v;
    memcpy(&v, out, sizeof v);
    out += PP_VNET_LEN;
    uint32_t start = was->csum_start, field = start + was->csum_offset;
    int is_marked = was->flags & NEEDS_CSUM, is_theirs = is_marked && is_unknown(before, length, was, start, field);
    for (uint32_t i = 0; i < length; i++)
        if (out[i] != before[i] && !(may_be_sum(before, length, i) && is_field(before, length, was, i, UINT32_MAX)) &&
            !(is_theirs && (i == field || i == field + 1)))
            abort(); /* something else than a checksum field was written */
    if ((v.flags & NEEDS_CSUM) &&
        !is_field(before, length, was, (uint32_t)v.csum_start + v.csum_offset, v.csum_start) &&
        !(is_theirs && v.csum_start == was->csum_start && v.csum_offset == was->csum_offset))
        abort(); /* the mark names no checksum field */
}

int LLVMFuzzerTestOneInput(const uint8_t *input, size_t size)
{
    static uint8_t memory[PP_VNET_LEN + MOST], before[MOST], out[PP_VNET_LEN + MOST + 8];
    if (size < PARAMETERS + PP_VNET_LEN + 14 || size > PARAMETERS + PP_VNET_LEN + MOST)
        return 0;
    set_up();
    uint32_t length = (uint32_t)(size - PARAMETERS - PP_VNET_LEN);
    uint8_t *frame = memory + PP_VNET_LEN;
    pp_vnet v;
    memcpy(memory, input + PARAMETERS, PP_VNET_LEN + length);
    if (input[0] & 1)
        make_right(frame, length, input[0] & 2);
    memcpy(&v, memory, sizeof v);
    v.gso_type &= (input[0] & 4) ? 0xff : 0;
    if (v.gso_size < length / 8)
        v.gso_size =
            (uint16_t)(v.gso_size + length / 8); /* no more segments than the socket holds, or the sink waits */
    if (length < 300)                            /* more of them within the frame */
        v.csum_start &= 255, v.csum_offset &= 63;
    memcpy(memory, &v, sizeof v);
    memcpy(before, frame, length);
    b.count = b.checks_used = 0;
    pp_ledger ledger = { 0 };
    pp_tally tally = { 0 };
    uint16_t flags = (uint16_t)(PP_PKT_METADATA | PP_PKT_VNET | (v.flags & NEEDS_CSUM ? PP_PKT_NOT_READY : 0) |
                                (v.gso_type ? PP_PKT_SUPER_FRAME : 0));
    b.tally = &tally;
    pp_batch_append(&b, &(pp_arrival){ .data = frame, .caplen = length, .wirelen = length, .link = 1, .flags = flags });
    pp_batch_fresh(&b);
    uint32_t policy = input[1] & 3; /* every enum pp_repair_policy */
    if (pp_stage_verify(&b, NULL) || pp_stage_classify(&b, NULL) || pp_stage_repair(&b, &policy) ||
        pp_emit_take(&b, &ledger, sinks[input[0] >> 3 & 1]))
        abort();
    uint64_t ended = ledger.sent + ledger.dropped[PP_DROP_UNSPLITTABLE];
    for (unsigned i = 0; i < PP_ERRNOS; i++)
        ended += ledger.tx_error[i];
    if (ended != 1)
        abort();
    for (ssize_t n; (n = recv(ends[1], out, sizeof out, MSG_DONTWAIT)) > 0;)
        if (!tally.split) {
            if ((uint32_t)n != PP_VNET_LEN + length)
                abort();
            check_whole(before, length, &v, out);
        }
    return 0;
}
