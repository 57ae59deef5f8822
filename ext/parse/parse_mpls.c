/* parse_mpls.c - an MPLS stack, and what is behind it: IP, or Ethernet of a pseudowire with or without a control word.
 *
 * Nothing says which.  The first nibble, which routers go by, is also the first digit of a pseudowire's MAC address: so each
 * reading has to fit, and the one that cannot be a coincidence wins.  Entropy and flow labels are labels like others.
 *
 * Source: RFC 3032, 4385, 4448, 4928, 6391, 6790.
 */
#include "parse/fit.h"
#include "parse/parse_internal.h"

enum { LABEL_IP4 = 0, LABEL_IP6 = 2 }; /* explicit null: RFC 3032 section 2.1 */

/* An IPv4 header whose length and sum are both wrong.  Its first byte would be that of a group address, which pseudowires
 * rarely begin with; and nothing in it, nor in what it says follows, may be impossible. */
static int is_ip4_damaged(const pp_packet *p, const pp_cursor *c)
{
    const uint8_t *h = p->data + c->at, *t = h + IP4_LEN;
    if (!pp_within(c, IP4_LEN + TCP_LEN) || h[0] != IP4_PLAIN || (h[IP4_FRAGMENT] & 0x80) || h[IP4_TTL] == 0)
        return 0;
    switch (h[IP4_PROTO]) {
    case IPPROTO_ICMP:
        return t[ICMP_TYPE] <= ICMP_ADDRESSREPLY && t[ICMP_CODE] <= ICMP_PREC_CUTOFF;
    case IPPROTO_TCP:
        return t[TCP_OFFSET] >> 4 >= TCP_LEN / 4 && pp_get16(t + PORT_SOURCE) && pp_get16(t + PORT_TARGET);
    case IPPROTO_UDP:
        return pp_get16(t + UDP_LENGTH) >= UDP_LEN && pp_get16(t + UDP_LENGTH) <= c->end - c->at - IP4_LEN;
    default:
        return 0;
    }
}

static void behind_stack(pp_packet *p, pp_cursor *c, uint32_t label)
{
    uint32_t at = c->at, rest = c->end - c->at;
    if (!pp_within(c, 1))
        return;
    int has_word = p->data[at] >> 4 == 0 && rest > CONTROL_WORD_LEN;
    unsigned ethernet = pp_fit_ethernet(p, at, rest), ip4 = pp_fit_ip4(p, at, rest), ip6 = pp_fit_ip6(p, at, rest),
             behind_word = has_word ? pp_fit_ethernet(p, at + CONTROL_WORD_LEN, rest - CONTROL_WORD_LEN) : 0;
    ethernet &= ~(unsigned)PP_FIT_OTHER; /* any two bytes may be a type */
    behind_word &= ~(unsigned)PP_FIT_OTHER;
    if (label == LABEL_IP4 && ip4)
        pp_parse_ip4(p, c);
    else if (label == LABEL_IP6 && ip6)
        pp_parse_ip6(p, c);
    else if (pp_fits(ethernet, PP_FIT_SOUND))
        pp_parse_ethernet(p, c);
    else if (pp_fits(ip4, PP_FIT_HEADER | PP_FIT_SUM))
        pp_parse_ip4(p, c);
    else if (pp_fits(behind_word, PP_FIT_SOUND) || (has_word && pp_fits_somehow(behind_word) && !ethernet)) {
        c->at += CONTROL_WORD_LEN;
        pp_parse_ethernet(p, c);
    } else if (pp_fits(ip6, PP_FIT_SOUND))
        pp_parse_ip6(p, c);
    else if (pp_fits_somehow(ethernet))
        pp_parse_ethernet(p, c);
    else if (pp_fits(ip4 | ip6, PP_FIT_HEADER | PP_FIT_LENGTH)) /* a header that was damaged */
        pp_parse_by_version(p, c);
    else if (!ethernet && is_ip4_damaged(p, c))
        pp_parse_ip4(p, c);
    else
        pp_not_understood(p, PP_UNREAD_PSEUDOWIRE);
}

void pp_parse_mpls(pp_packet *p, pp_cursor *c)
{
    for (unsigned i = 0; i < PP_MAX_LABELS; i++) {
        if (!pp_need(p, c, MPLS_LEN))
            return;
        uint32_t label = pp_get32(p->data + c->at) >> 12;
        int bottom = p->data[c->at + MPLS_BOTTOM] & 1;
        c->at += MPLS_LEN;
        if (!bottom)
            continue;
        behind_stack(p, c, label);
        return;
    }
    pp_malformed(p, c);
}
