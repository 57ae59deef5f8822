/* fit.c - see fit.h. */
#include "parse/fit.h"

#include "parse/headers.h"
#include "parse/parse_internal.h"

enum { MIN_PAYLOAD = ETH_ZLEN - ETH_HLEN }; /* what Ethernet pads a shorter payload to */
enum { ARP_LEN = 28, ARP_IP4_HEAD = 8 };

static int is_there(const pp_packet *p, uint32_t at, uint32_t rest, uint32_t n)
{
    return n <= rest && at <= p->cap && n <= p->cap - at;
}

static unsigned fit_length(const pp_packet *p, uint32_t length, uint32_t least, uint32_t rest)
{
    if (length == rest || (length < rest && length >= least && rest <= MIN_PAYLOAD))
        return PP_FIT_WITHIN | PP_FIT_LENGTH;
    if (length >= least && length < rest)
        return PP_FIT_WITHIN;
    return length == 0 && pp_is_super_frame(p, rest) ? PP_FIT_WITHIN | PP_FIT_LENGTH : 0;
}

unsigned pp_fit_ip4(const pp_packet *p, uint32_t at, uint32_t rest)
{
    if (!is_there(p, at, rest, IP4_LEN))
        return 0;
    const uint8_t *h = p->data + at;
    uint32_t header = (h[0] & 15u) * 4;
    if (h[0] >> 4 != 4 || header < IP4_LEN || header > rest)
        return 0;
    unsigned fit = PP_FIT_HEADER | fit_length(p, pp_get16(h + IP4_TOTAL), header, rest);
    if (is_there(p, at, rest, header) && pp_fold(pp_sum_portable(h, header)) == 0xffff)
        fit |= PP_FIT_SUM;
    return fit;
}

/* Does a header of this protocol, with so many bytes from its first on, fit? */
static int fits_transport(const pp_packet *p, uint32_t at, uint32_t length, uint8_t protocol)
{
    const uint8_t *h = p->data + at;
    uint32_t size;
    switch (protocol) {
    case IPPROTO_TCP:
        if (!is_there(p, at, length, TCP_LEN))
            return 0;
        size = (h[TCP_OFFSET] >> 4) * 4u;
        return size >= TCP_LEN && size <= length;
    case IPPROTO_UDP:
        return is_there(p, at, length, UDP_LEN) && (pp_get16(h + UDP_LENGTH) == length || length > UINT16_MAX);
    case IPPROTO_ICMPV6:
        return is_there(p, at, length, ICMP_LEN) && (h[ICMP_TYPE] & 0x7f) <= 40 && h[ICMP_TYPE] != 0;
    case IPPROTO_SCTP:
        return is_there(p, at, length, SCTP_LEN + 4);
    case IPPROTO_HOPOPTS:
    case IPPROTO_ROUTING:
    case IPPROTO_DSTOPTS:
        return is_there(p, at, length, EXT_UNIT) && EXT_UNIT + h[EXT_LENGTH] * (uint32_t)EXT_UNIT <= length;
    case IPPROTO_FRAGMENT:
        return is_there(p, at, length, FRAGMENT_LEN) && h[1] == 0; /* reserved */
    case IPPROTO_IPIP:
        return is_there(p, at, length, IP4_LEN) && h[0] >> 4 == 4;
    case IPPROTO_IPV6:
        return is_there(p, at, length, IP6_LEN) && h[0] >> 4 == 6;
    case IPPROTO_GRE:
    case IPPROTO_ESP:
    case IPPROTO_AH:
        return is_there(p, at, length, EXT_UNIT);
    default:
        return 0;
    }
}

unsigned pp_fit_ip6(const pp_packet *p, uint32_t at, uint32_t rest)
{
    if (!is_there(p, at, rest, IP6_LEN) || p->data[at] >> 4 != 6)
        return 0;
    const uint8_t *h = p->data + at;
    uint32_t payload = pp_get16(h + IP6_PAYLOAD), length = rest - IP6_LEN;
    unsigned fit = PP_FIT_HEADER;
    if (payload == 0 && (h[IP6_NEXT] == IPPROTO_NONE || h[IP6_NEXT] == IPPROTO_HOPOPTS || pp_is_super_frame(p, length)))
        fit |= PP_FIT_WITHIN | PP_FIT_LENGTH; /* no payload, a jumbogram, a super-frame */
    else
        fit |= fit_length(p, IP6_LEN + payload, IP6_LEN + 1, rest);
    uint32_t there = payload && payload < length ? payload : length;
    if (fits_transport(p, at + IP6_LEN, there, h[IP6_NEXT]))
        fit |= PP_FIT_SUM;
    return fit;
}

unsigned pp_fit_ip(const pp_packet *p, uint32_t at, uint32_t rest)
{
    unsigned fit = pp_fit_ip4(p, at, rest);
    return fit ? fit : pp_fit_ip6(p, at, rest);
}

int pp_fit_ip6_sum(const pp_packet *p, uint32_t at)
{
    if (at + IP6_LEN + UDP_LEN > p->cap)
        return 0;
    const uint8_t *h = p->data + at, *t = h + IP6_LEN;
    uint32_t length = pp_get16(h + IP6_PAYLOAD);
    uint8_t next = h[IP6_NEXT];
    uint32_t field = next == IPPROTO_TCP ? TCP_SUM : next == IPPROTO_UDP ? UDP_SUM : ICMP_SUM;
    if ((next != IPPROTO_TCP && next != IPPROTO_UDP && next != IPPROTO_ICMPV6) || field + 2 > length ||
        length > p->cap - at - IP6_LEN)
        return 0;
    uint64_t seed =
        pp_sum_ip6(h + IP6_SOURCE) + pp_sum_ip6(h + IP6_TARGET) + pp_wire16(next) + pp_wire16((uint16_t)length);
    return pp_load16(t + field) == pp_fold(seed) || pp_fold(pp_kernel_active()->sum(t, length) + seed) == 0xffff;
}

/* An ARP packet for IPv4 over Ethernet. */
static unsigned fit_arp(const pp_packet *p, uint32_t at, uint32_t rest)
{
    static const uint8_t head[] = { 0, 1, 8, 0, ETH_ALEN, IP4_ADDRESS_LEN, 0 };
    if (!is_there(p, at, rest, ARP_IP4_HEAD) || memcmp(p->data + at, head, sizeof head) != 0)
        return 0;
    return PP_FIT_HEADER | PP_FIT_SUM | fit_length(p, ARP_LEN, ARP_LEN, rest);
}

/* What follows is known by its type alone, and has a length or a header of its own that has to fit. */
static unsigned fit_other(const pp_packet *p, uint32_t at, uint32_t rest, uint16_t type)
{
    const uint8_t *h = p->data + at;
    if (type < ETH_P_802_3_MIN)
        return type >= 3 && type <= rest ? PP_FIT_HEADER | fit_length(p, type, 3, rest) : 0;
    if ((type == ETH_P_MPLS_UC || type == ETH_P_MPLS_MC) && is_there(p, at, rest, MPLS_LEN))
        return PP_FIT_HEADER | PP_FIT_WITHIN;
    if (type == ETH_P_PPP_SES && is_there(p, at, rest, PPPOE_LEN) && h[0] == PPPOE_VERSION_TYPE && h[PPPOE_CODE] == 0)
        return PP_FIT_HEADER | fit_length(p, PPPOE_LEN + pp_get16(h + PPPOE_LENGTH), PPPOE_LEN, rest);
    return type == ETH_P_MPLS_UC || type == ETH_P_MPLS_MC || type == ETH_P_PPP_SES ? 0 : PP_FIT_OTHER;
}

unsigned pp_fit_ethernet(const pp_packet *p, uint32_t at, uint32_t rest)
{
    if (!is_there(p, at, rest, ETH_HLEN))
        return 0;
    uint16_t type = pp_get16(p->data + at + ETH_TYPE);
    at += ETH_HLEN;
    rest -= ETH_HLEN;
    for (unsigned tags = 0; tags < PP_MAX_VLAN; tags++) {
        if (type != ETH_P_8021Q && type != ETH_P_8021AD)
            break;
        if (!is_there(p, at, rest, VLAN_LEN))
            return 0;
        type = pp_get16(p->data + at + VLAN_TYPE);
        at += VLAN_LEN;
        rest -= VLAN_LEN;
    }
    switch (type) {
    case ETH_P_IP:
        return at >= p->cap ? PP_FIT_HEADER | PP_FIT_WITHIN : pp_fit_ip4(p, at, rest); /* cut: nothing can be judged */
    case ETH_P_IPV6:
        return at >= p->cap ? PP_FIT_HEADER | PP_FIT_WITHIN : pp_fit_ip6(p, at, rest);
    case ETH_P_ARP:
        return fit_arp(p, at, rest);
    default:
        return fit_other(p, at, rest, type);
    }
}
