/* frames.h - frames as the kernel sees them, read and made right without the code under test: Ethernet, up to eight 802.1Q
 * and 802.1ad tags (as deep as Linux nests VLAN devices, MAX_NEST_DEV), IPv4, IPv6 with its extension headers, TCP or UDP.
 */
#ifndef PP_FUZZ_FRAMES_H
#define PP_FUZZ_FRAMES_H

#include <stdint.h>

#include <pktmend/stage.h>

enum { TCP = 6, UDP = 17, NEEDS_CSUM = 1, TCPV4 = 1, TCPV6 = 4, UDP_L4 = 5 };

static uint32_t get16(const uint8_t *p) { return (uint32_t)p[0] << 8 | p[1]; }
static void put16(uint8_t *p, uint32_t v) { p[0] = (uint8_t)(v >> 8), p[1] = (uint8_t)v; }
static uint32_t get32(const uint8_t *p) { return get16(p) << 16 | get16(p + 2); }
static void put32(uint8_t *p, uint32_t v) { put16(p, v >> 16), put16(p + 2, v); }

/* RFC 1071 section 1, on top of sum. */
static uint32_t add(uint32_t sum, const uint8_t *p, uint32_t length)
{
    for (uint32_t i = 0; i < length; i++) {
        sum += (uint32_t)p[i] << (i & 1 ? 0 : 8);
        sum = (sum & 0xffff) + (sum >> 16);
    }
    return sum;
}

/* Where the headers of TCP or UDP lie; l4 is 0 where it is neither, or a fragment. */
typedef struct place {
    uint32_t l3, l4, end,
        header; /* end: by the IP header, of the frame where that cannot be; header: of the transport */
    int version, protocol, is_fragment, has_options;
} place;

static place locate(const uint8_t *f, uint32_t length)
{
    place p = { .l3 = 12 };
    for (int tags = 0; tags < 8 && p.l3 + 6 <= length && (get16(f + p.l3) == 0x8100 || get16(f + p.l3) == 0x88a8);
         tags++)
        p.l3 += 4;
    if (p.l3 + 2 + 20 > length)
        return p;
    uint32_t type = get16(f + p.l3);
    p.l3 += 2;
    const uint8_t *ip = f + p.l3;
    uint32_t l4 = p.l3 + (type == 0x0800 ? (ip[0] & 15u) * 4 : 40);
    if (type == 0x0800 && ip[0] >> 4 == 4 && (ip[0] & 15) >= 5) {
        p.version = 4;
        p.protocol = ip[9];
        p.is_fragment = (get16(ip + 6) & 0x3fff) != 0;
        p.end = p.l3 + get16(ip + 2);
    } else if (type == 0x86dd && ip[0] >> 4 == 6 && l4 <= length) {
        p.version = 6;
        p.protocol = ip[6];
        p.end = l4 + get16(ip + 4);
        while (l4 + 8 <= length && (p.protocol == 0 || p.protocol == 43 || p.protocol == 60 || p.protocol == 44)) {
            p.is_fragment |= p.protocol == 44 && (get16(f + l4 + 2) & 0xfff9);
            uint32_t size = p.protocol == 44 ? 8 : 8u + f[l4 + 1] * 8u;
            p.protocol = f[l4];
            l4 += size;
        }
    } else {
        return p;
    }
    p.has_options = l4 != p.l3 + (p.version == 4 ? 20 : 40);
    if (p.end > length || p.end <= l4)
        p.end = length;
    p.header = p.protocol == UDP ? 8 : p.protocol == TCP && l4 + 20 <= p.end ? (f[l4 + 12] >> 4) * 4u : 0;
    if (!p.is_fragment && p.header >= 8 && l4 + p.header <= p.end)
        p.l4 = l4;
    return p;
}

static uint32_t pseudo(const uint8_t *f, const place *p, uint32_t length)
{
    uint8_t tail[4] = { 0, (uint8_t)p->protocol, (uint8_t)(length >> 8), (uint8_t)length };
    return add(p->version == 4 ? add(0, f + p->l3 + 12, 8) : add(0, f + p->l3 + 8, 32), tail, sizeof tail);
}

static uint32_t field_of(const place *p) { return p->l4 + (p->protocol == UDP ? 6 : 16); }

static void write_ip4_sum(uint8_t *ip)
{
    put16(ip + 10, 0);
    put16(ip + 10, ~add(0, ip, (ip[0] & 15u) * 4) & 0xffff);
}

/* Lengths and sums that are right for what is there, or the seed instead of the transport's sum. */
static void make_right(uint8_t *f, uint32_t length, int is_pending)
{
    place p = locate(f, length);
    if (!p.l4)
        return;
    if (p.version == 4)
        put16(f + p.l3 + 2, p.end - p.l3), write_ip4_sum(f + p.l3);
    else
        put16(f + p.l3 + 4, p.end - p.l3 - 40);
    if (p.protocol == UDP)
        put16(f + p.l4 + 4, p.end - p.l4);
    uint32_t seed = pseudo(f, &p, p.end - p.l4);
    put16(f + field_of(&p), 0);
    uint32_t sum = ~add(seed, f + p.l4, p.end - p.l4) & 0xffff;
    put16(f + field_of(&p), is_pending ? seed : sum == 0 && p.protocol == UDP ? 0xffff : sum);
}

/* Do what the mark asks for: 0 if it cannot be done. */
static int complete(uint8_t *f, uint32_t length, const pp_vnet *v)
{
    uint32_t field = (uint32_t)v->csum_start + v->csum_offset;
    if (!(v->flags & NEEDS_CSUM))
        return 1;
    if (field + 2 > length)
        return 0;
    uint32_t sum = ~add(0, f + v->csum_start, length - v->csum_start) & 0xffff;
    put16(f + field, sum == 0 && v->csum_offset == 6 ? 0xffff : sum);
    return 1;
}

#endif
