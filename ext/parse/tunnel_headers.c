/* tunnel_headers.c - how long the headers of tunnels are that have optional parts, or parts whose length nobody says.
 *
 * Does not: record checks, move the cursor.
 *
 * Source: 3GPP TS 29.281, RFC 2661, 3931, 4380, 5415, draft-ietf-intarea-gue, draft-massar-v6ops-ayiya.
 */
#include "parse/recognize.h"

#include "parse/fit.h"

static int is_there(const pp_packet *p, uint32_t at, uint32_t rest, uint32_t n)
{
    return n <= rest && at <= p->cap && n <= p->cap - at;
}

uint32_t pp_gtpu_header(const pp_packet *p, uint32_t at, uint32_t rest, int exact)
{
    if (!is_there(p, at, rest, GTPU_LEN))
        return 0;
    const uint8_t *h = p->data + at;
    uint32_t header = GTPU_LEN, length = pp_get16(h + GTPU_LENGTH);
    if (h[0] >> 4 != GTPU_VERSION || h[GTPU_TYPE] != GTPU_PDU || length > rest - GTPU_LEN)
        return 0;
    if (exact && ((h[0] & GTPU_SPARE) || length != rest - GTPU_LEN))
        return 0;
    rest = GTPU_LEN + length;
    if (h[0] & GTPU_HAS_MORE) {
        header = GTPU_LONG_LEN;
        if (!is_there(p, at, rest, GTPU_LONG_LEN))
            return 0;
        uint8_t next = (h[0] & GTPU_HAS_NEXT) ? h[GTPU_NEXT] : 0;
        for (unsigned i = 0; next; i++) { /* extension headers, in units of four bytes */
            if (i == 16 || !is_there(p, at, rest, header + 1) || h[header] == 0)
                return 0;
            uint32_t size = h[header] * 4u;
            if (!is_there(p, at, rest, header + size))
                return 0;
            header += size;
            next = h[header - 1];
        }
    }
    return header;
}

uint32_t pp_gue_header(const pp_packet *p, uint32_t at, uint32_t rest)
{
    if (!is_there(p, at, rest, GUE_LEN) || p->data[at] >> 6 != 0 || (p->data[at] & GUE_IS_CONTROL))
        return 0;
    uint32_t header = GUE_LEN + (p->data[at] & GUE_LENGTH_MASK) * 4u;
    return is_there(p, at, rest, header) ? header : 0;
}

/* PPP whose protocol is IP, and an IP packet that fits. */
static int is_ppp_of_ip(const pp_packet *p, uint32_t at, uint32_t rest)
{
    if (is_there(p, at, rest, 2) && p->data[at] == PPP_ALLSTATIONS && p->data[at + 1] == PPP_UI) {
        at += 2;
        rest -= 2;
    }
    if (!is_there(p, at, rest, 2))
        return 0;
    uint32_t size = (p->data[at] & 1) ? 1 : 2;
    uint16_t protocol = size == 1 ? p->data[at] : pp_get16(p->data + at);
    at += size;
    rest -= size;
    return (protocol == PPP_IP && pp_fits_somehow(pp_fit_ip4(p, at, rest))) ||
           (protocol == PPP_IPV6 && pp_fits_somehow(pp_fit_ip6(p, at, rest)));
}

uint32_t pp_l2tp3_header(const pp_packet *p, uint32_t at, uint32_t rest, int *is_ppp)
{
    if (!is_there(p, at, rest, L2TP3_SESSION + 1) || pp_get32(p->data + at) == 0) /* session 0: control */
        return 0;
    /* a cookie of 0, 4 or 8 bytes, and a sublayer of 0 or 4, as both ends agreed: only what fits without doubt */
    for (uint32_t header = L2TP3_SESSION; header <= L2TP3_SESSION + L2TP3_COOKIE_MOST && header < rest; header += 4) {
        *is_ppp = 0;
        if (pp_fits(pp_fit_ethernet(p, at + header, rest - header), PP_FIT_EXACT))
            return header;
        *is_ppp = 1;
        if (is_ppp_of_ip(p, at + header, rest - header))
            return header;
    }
    return 0;
}

uint32_t pp_l2tp_header(const pp_packet *p, uint32_t at, uint32_t rest, int *is_ppp)
{
    if (!is_there(p, at, rest, L2TP3_LEN))
        return 0;
    uint16_t bits = pp_get16(p->data + at);
    if (bits & L2TP_IS_CONTROL)
        return 0;
    if ((bits & L2TP_VERSION_MASK) == 3) {
        uint32_t header = pp_l2tp3_header(p, at + 4, rest - 4, is_ppp);
        return header ? header + 4 : 0;
    }
    if ((bits & L2TP_VERSION_MASK) != 2 || (bits & L2TP_RESERVED))
        return 0;
    uint32_t header = L2TP_LEN + ((bits & L2TP_HAS_LENGTH) ? 2u : 0) + ((bits & L2TP_HAS_SEQUENCE) ? 4u : 0);
    if (bits & L2TP_HAS_OFFSET) {
        if (!is_there(p, at, rest, header + 2))
            return 0;
        header += 2u + pp_get16(p->data + at + header);
    }
    *is_ppp = 1;
    return header < rest && is_ppp_of_ip(p, at + header, rest - header) ? header : 0;
}

uint32_t pp_ayiya_header(const pp_packet *p, uint32_t at, uint32_t rest)
{
    if (!is_there(p, at, rest, AYIYA_LEN))
        return 0;
    const uint8_t *h = p->data + at;
    uint32_t header = AYIYA_LEN + (1u << (h[AYIYA_IDENTITY] >> 4)) + (uint32_t)(h[AYIYA_SIGNATURE] >> 4) * 4;
    if ((h[AYIYA_CODE] & 15) != AYIYA_FORWARD || header >= rest)
        return 0;
    return (h[AYIYA_NEXT] == IPPROTO_IPV6 && pp_fits_somehow(pp_fit_ip6(p, at + header, rest - header))) ||
                   (h[AYIYA_NEXT] == IPPROTO_IPIP && pp_fits_somehow(pp_fit_ip4(p, at + header, rest - header)))
               ? header
               : 0;
}

uint32_t pp_teredo_header(const pp_packet *p, uint32_t at, uint32_t rest)
{
    uint32_t header = 0;
    for (unsigned i = 0; i < 2 && is_there(p, at, rest, header + 4); i++) { /* authentication, then origin indication */
        const uint8_t *h = p->data + at + header;
        if (pp_get16(h) == TEREDO_AUTHENTICATION)
            header += (uint32_t)TEREDO_AUTHENTICATION_LEN + h[2] + h[3];
        else if (pp_get16(h) == TEREDO_ORIGIN)
            header += TEREDO_ORIGIN_LEN;
        else
            break;
    }
    if (header >= rest)
        return UINT32_MAX;
    unsigned fit = pp_fit_ip6(p, at + header, rest - header);
    return pp_fits(fit, PP_FIT_HEADER | PP_FIT_WITHIN) ? header : UINT32_MAX;
}
