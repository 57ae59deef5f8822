/* parse_internal.h - what parse.c and parse_transport.c share: the cursor and its bounds. */
#ifndef PP_PARSE_INTERNAL_H
#define PP_PARSE_INTERNAL_H

#include "sum/bytes.h"
#include "parse/headers.h"
#include <pktmend/parse.h>
#include <pktmend/sum.h>

#define PP_MAX_VLAN 8u    /* tags of one frame */
#define PP_MAX_LABELS 16u /* MPLS */
#define PP_MAX_NESTED 16u /* tags beside 802.1Q, and frames within frames */

/* Where the parser stands.  at <= limit <= end always holds, except that limit <= at where the capture ends early. */
typedef struct pp_cursor {
    uint32_t at;     /* next byte */
    uint32_t limit;  /* bytes that may be read: min(end, captured) */
    uint32_t end;    /* where the innermost enclosing length says the packet ends */
    uint64_t pseudo; /* sum of the addresses, host order */
    uint8_t version; /* of the IP header just left */
    uint8_t depth;
    uint8_t fragment;      /* part of a datagram: sums cover more than is here */
    uint8_t quoted;        /* inside an ICMP error */
    uint8_t cut;           /* may legitimately end early: quoted, or inside a first fragment */
    uint8_t contradiction; /* an enclosing header claims more than there is */
    uint8_t nested;        /* headers of layer 2 that have another within */
} pp_cursor;

/* Numbers of those who did not think of the network. */
static inline uint16_t pp_get_le16(const uint8_t *p) { return (uint16_t)(p[0] | p[1] << 8); }
static inline uint32_t pp_get_le32(const uint8_t *p) { return pp_get_le16(p) | (uint32_t)pp_get_le16(p + 2) << 16; }

/* May n bytes be read at the cursor? */
static inline int pp_within(const pp_cursor *c, uint32_t n) { return c->at <= c->limit && n <= c->limit - c->at; }

static inline void pp_malformed(pp_packet *p, const pp_cursor *c)
{
    if (!c->cut)
        p->flags |= PP_PKT_MALFORMED;
}

/* Say that what follows in this packet is not looked into, and why; the first reason stays.  type: the number that is not
 * known, of a link, an EtherType or an IP protocol. */
static inline void pp_not_understood_type(pp_packet *p, uint8_t reason, uint16_t type)
{
    if (p->unread != PP_UNREAD_NONE)
        return;
    p->unread = reason;
    p->unread_type = type;
}

static inline void pp_not_understood(pp_packet *p, uint8_t reason) { pp_not_understood_type(p, reason, 0); }

/* The same as pp_within(); a packet that its own lengths leave too short is malformed, one that the capture cut is not. */
static inline int pp_need(pp_packet *p, const pp_cursor *c, uint32_t n)
{
    if (__builtin_expect(pp_within(c, n), 1))
        return 1;
    if (c->at <= c->end && n <= c->end - c->at) {
        pp_not_understood(p, PP_UNREAD_TRUNCATED);
    } else if (!c->cut) {
        pp_malformed(p, c);
        pp_not_understood(p, PP_UNREAD_MALFORMED);
    }
    return 0;
}

/* Step over a header that says nothing of what follows it; 0: it is not all here. */
static inline int pp_skip(pp_packet *p, pp_cursor *c, uint32_t header)
{
    if (!pp_need(p, c, header))
        return 0;
    c->at += header;
    return 1;
}

/* Record an IP packet whose transport header begins at the cursor. */
static inline void pp_add_layer(pp_packet *p, const pp_cursor *c, uint32_t l3, uint8_t protocol)
{
    if (__builtin_expect(p->layers != NULL, 0) && p->layer_count < PP_MAX_DEPTH && !c->quoted)
        p->layers[p->layer_count++] = (pp_layer){ l3, c->at, c->version, protocol };
}

static inline void pp_add_framing(pp_packet *p, const pp_cursor *c, uint32_t field, uint32_t from, uint32_t most)
{
    if (p->framings == NULL || p->framing_count > PP_MAX_FRAMINGS || c->quoted)
        return;
    if (p->framing_count < PP_MAX_FRAMINGS)
        p->framings[p->framing_count] = (pp_framing){ field, from, most };
    p->framing_count++;
}

/* A fragment, unless an ICMP error quotes one. */
static inline void pp_fragment(pp_packet *p, const pp_cursor *c)
{
    if (!c->quoted)
        p->flags |= PP_PKT_FRAGMENT;
}

/* May a length field of 0 mean "as long as the frame"?  Beyond 64 KiB the field cannot hold the length (BIG TCP); captures
 * of segmentation offload have it too, and no frame of a network carries 0. */
static inline int pp_is_super_frame(const pp_packet *p, uint32_t span)
{
    return (p->flags & PP_PKT_SUPER_FRAME) || span > UINT16_MAX ||
           (!(p->flags & PP_PKT_METADATA) && span > ETH_DATA_LEN);
}

/* Narrow the cursor to end (never widens it). */
static inline void pp_bound(const pp_packet *p, pp_cursor *c, uint32_t end)
{
    if (end < c->end)
        c->end = end;
    c->limit = c->end < p->cap ? c->end : p->cap;
}

static inline void pp_unchecked(pp_check *k, uint8_t reason)
{
    k->status = PP_STATUS_UNCHECKED;
    k->reason = reason;
}

/* Fields one by one: gcc clears a literal of this size with `rep stos`, which costs more than a whole header. */
static inline void pp_set_check(pp_check *k, const pp_cursor *c, uint8_t proto, uint32_t offset, uint32_t start,
                                uint32_t length)
{
    k->offset = offset;
    k->start = start;
    k->length = length;
    k->stored = 0;
    k->expected = 0;
    k->seed = 0;
    k->proto = proto;
    k->status = PP_STATUS_NONE;
    k->cause = PP_CAUSE_NONE;
    k->reason = PP_REASON_NONE;
    k->flags = c->quoted ? PP_CHECK_QUOTED : 0;
    k->depth = c->depth;
}

/* Append a check whose field lies within the captured bytes; null if there is no room or the field is not captured. */
static inline pp_check *pp_add_check(pp_packet *p, const pp_cursor *c, uint8_t proto, uint32_t offset, uint32_t start,
                                     uint32_t length)
{
    if (__builtin_expect(p->count == PP_CHECKS_PER_PACKET || offset + 2 > p->cap, 0)) {
        pp_not_understood(p, offset + 2 > p->cap ? PP_UNREAD_TRUNCATED : PP_UNREAD_DEPTH);
        return NULL;
    }
    pp_check *k = &p->checks[p->count++];
    pp_set_check(k, c, proto, offset, start, length);
    k->stored = pp_get16(p->data + offset);
    return k;
}

/* Add a check over [start, start + length) with its field at offset; protocol >= 0: with a pseudo header whose length is
 * pseudo_length. */
static inline pp_check *pp_cover(pp_packet *p, const pp_cursor *c, uint8_t proto, uint32_t offset, uint32_t start,
                                 uint32_t length, int protocol, uint32_t pseudo_length)
{
    pp_check *k = pp_add_check(p, c, proto, offset, start, length);
    if (!k)
        return NULL;
    if (protocol >= 0) {
        uint64_t sum = c->pseudo + pp_wire16((uint16_t)protocol) + pp_wire16((uint16_t)pseudo_length) +
                       pp_wire16((uint16_t)(pseudo_length >> 16));
        k->flags |= PP_CHECK_HAS_PSEUDO;
        k->seed = pp_wire16(pp_fold(sum));
    }
    int whole = start + length <= p->cap;
    if (__builtin_expect(c->quoted | c->fragment | c->contradiction | !whole, 0)) {
        if (c->quoted) {
            if (c->fragment || c->contradiction || !whole)
                pp_unchecked(k, PP_REASON_QUOTED); /* not even its arithmetic can be done */
        } else {
            pp_unchecked(k, c->fragment        ? PP_REASON_FRAGMENT
                            : c->contradiction ? PP_REASON_LENGTH
                                               : PP_REASON_TRUNCATED);
        }
    }
    return k;
}

/* Would [start, start + length) verify with this seed?  No, if it is not all here. */
static inline int pp_sum_fits(const pp_packet *p, uint32_t start, uint32_t length, uint16_t seed)
{
    return start <= p->cap && length <= p->cap - start &&
           pp_fold(pp_kernel_active()->sum(p->data + start, length) + pp_wire16(seed)) == 0xffff;
}

/* A contradiction within the transport header: the packet is malformed, its check not judged. */
static inline void pp_contradict(pp_packet *p, const pp_cursor *c, pp_check *k)
{
    pp_malformed(p, c);
    if (k && !(k->flags & PP_CHECK_QUOTED) && k->reason != PP_REASON_FRAGMENT)
        pp_unchecked(k, PP_REASON_LENGTH);
    else if (k && (k->flags & PP_CHECK_QUOTED))
        pp_unchecked(k, PP_REASON_QUOTED);
}

/* The one transport header of most packets: inlined where IP ends, for a call costs as much as the header. */
static inline void pp_parse_tcp(pp_packet *p, pp_cursor *c)
{
    uint32_t length = c->end - c->at;
    if (length < TCP_LEN) {
        pp_malformed(p, c);
        if (length < TCP_SUM + 2)
            return;
    }
    pp_check *k = pp_cover(p, c, PP_PROTO_TCP, c->at + TCP_SUM, c->at, length, IPPROTO_TCP, length);
    if (pp_within(c, TCP_OFFSET + 1)) {
        uint32_t header = (p->data[c->at + TCP_OFFSET] >> 4) * 4u;
        if (header < TCP_LEN || header > length)
            pp_contradict(p, c, k);
    }
}

/* What follows at the cursor, which is theirs to move. */
/* The first byte of a frame, by its link type; link: LINKTYPE_*. */
void pp_parse_link(pp_packet *p, pp_cursor *c, uint32_t link);
void pp_parse_ethernet(pp_packet *p, pp_cursor *c);
void pp_parse_ethertype(pp_packet *p, pp_cursor *c, uint16_t type);
/* The same for what is none of the common types. */
void pp_parse_other_type(pp_packet *p, pp_cursor *c, uint16_t type);
void pp_parse_llc(pp_packet *p, pp_cursor *c);
void pp_parse_snap(pp_packet *p, pp_cursor *c); /* from the organization on */
void pp_parse_nlpid(pp_packet *p, pp_cursor *c, uint8_t nlpid);
void pp_parse_atm(pp_packet *p, pp_cursor *c); /* RFC 2684 */
void pp_parse_frame_relay(pp_packet *p, pp_cursor *c);
void pp_parse_80211(pp_packet *p, pp_cursor *c);
/* One whose two bytes of frame control may be swapped: in CAPWAP some access points do. */
void pp_parse_80211_maybe_swapped(pp_packet *p, pp_cursor *c);
/* CAPWAP's data channel, from its preamble on. */
void pp_parse_capwap(pp_packet *p, pp_cursor *c);
/* From a header that tells how a frame was received on: radiotap, PPI, Prism or AVS. */
void pp_parse_radiotap(pp_packet *p, pp_cursor *c);
void pp_parse_ppi(pp_packet *p, pp_cursor *c);
void pp_parse_prism(pp_packet *p, pp_cursor *c);
/* Packets that a host hands to a program of its own. */
void pp_parse_nflog(pp_packet *p, pp_cursor *c);
void pp_parse_pflog(pp_packet *p, pp_cursor *c);
void pp_parse_enc(pp_packet *p, pp_cursor *c);
void pp_parse_pktap(pp_packet *p, pp_cursor *c);
/* Links that parse_link.c has not; 0: nor has this. */
int pp_parse_rare_link(pp_packet *p, pp_cursor *c, uint32_t link);
void pp_parse_mpls(pp_packet *p, pp_cursor *c);
void pp_parse_ppp(pp_packet *p, pp_cursor *c);
void pp_parse_pppoe(pp_packet *p, pp_cursor *c);
void pp_parse_ip4(pp_packet *p, pp_cursor *c);
void pp_parse_ip6(pp_packet *p, pp_cursor *c);
/* An IP packet whose version is all that says so: 1, or 0 if there is none at the cursor. */
static inline int pp_parse_by_version(pp_packet *p, pp_cursor *c)
{
    if (!pp_within(c, 1))
        return 0;
    if (p->data[c->at] >> 4 == 4)
        pp_parse_ip4(p, c);
    else if (p->data[c->at] >> 4 == 6)
        pp_parse_ip6(p, c);
    else
        return 0;
    return 1;
}
/* Step into a tunnel: everything found from here on is one deeper. */
static inline int pp_descend(pp_cursor *c, uint32_t header)
{
    if (c->depth + 1u >= PP_MAX_DEPTH || c->at + header > c->end)
        return 0;
    c->at += header;
    c->depth++;
    c->cut |= c->fragment;
    return 1;
}

/* What UDP between these ports carries, of this kind (enum pp_tunnel, by pp_recognize()). */
void pp_parse_udp_tunnel(pp_packet *p, pp_cursor *c, uint16_t source, uint16_t destination, uint8_t kind);
void pp_parse_gre(pp_packet *p, pp_cursor *c);
void pp_parse_nsh(pp_packet *p, pp_cursor *c);
/* L2TPv3 from its session id on. */
void pp_parse_l2tp3(pp_packet *p, pp_cursor *c);
/* The same; where it cannot be done, say so. */
static inline int pp_enter(pp_packet *p, pp_cursor *c, uint32_t header)
{
    if (pp_descend(c, header))
        return 1;
    pp_not_understood(p, c->depth + 1u >= PP_MAX_DEPTH ? PP_UNREAD_DEPTH : PP_UNREAD_MALFORMED);
    return 0;
}

/* From a transport header on; c->pseudo holds the address sum. */
void pp_parse_transport(pp_packet *p, pp_cursor *c, uint8_t protocol);
/* The same of what is none of the common protocols. */
void pp_parse_other(pp_packet *p, pp_cursor *c, uint8_t protocol);
/* The checksum, if it has one, of an extension header of length bytes at the cursor, all of them captured or promised. */
void pp_parse_extension_sum(pp_packet *p, const pp_cursor *c, uint8_t protocol, uint32_t length);

#endif
