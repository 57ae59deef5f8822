/* parse_capwap.c - what a wireless controller and its access points send each other: CAPWAP's data channel.
 *
 * Does: frames of 802.3 and 802.11.  Does not: decrypt, put fragments together.
 *
 * Source: RFC 5415 section 4, RFC 5416 section 2.
 */
#include "parse/fit.h"
#include "parse/parse_internal.h"
#include "parse/recognize.h"

enum { DATA = 0, DTLS = 1 }; /* version 0, and the type of the preamble */
enum { DTLS_PREAMBLE_LEN = 4, DTLS_VERSION = 5, DTLS_FIRST_TYPE = 20, DTLS_LAST_TYPE = 26 };
enum { HEADER_LENGTH = 1, BINDING = 2, FLAGS = 3, PART_OFFSET = 6, HEADER_LEAST = 8 };
enum { BINDING_MASK = 0x3e, BINDING_80211 = 0x02, IS_NATIVE = 0x01 };
enum { IS_FRAGMENT = 0x80, IS_KEEP_ALIVE = 0x08, FLAGS_RESERVED = 0x07, OFFSET_RESERVED = 0x0007 };

static int is_dtls(const uint8_t *h)
{
    uint8_t type = h[DTLS_PREAMBLE_LEN], major = h[DTLS_VERSION];
    return h[0] == DTLS && type >= DTLS_FIRST_TYPE && type <= DTLS_LAST_TYPE && major == 0xfe;
}

uint32_t pp_capwap_header(const pp_packet *p, uint32_t at, uint32_t rest)
{
    if (rest < HEADER_LEAST || at > p->cap || p->cap - at < HEADER_LEAST)
        return 0;
    const uint8_t *h = p->data + at;
    if (is_dtls(h))
        return DTLS_PREAMBLE_LEN;
    uint32_t header = (h[HEADER_LENGTH] >> 3) * 4u;
    if (h[0] != DATA || header < HEADER_LEAST || header > rest || (h[FLAGS] & FLAGS_RESERVED) ||
        (pp_get16(h + PART_OFFSET) & OFFSET_RESERVED))
        return 0;
    if ((h[FLAGS] & (IS_FRAGMENT | IS_KEEP_ALIVE)) || (h[BINDING] & IS_NATIVE))
        return header;
    return pp_fits_somehow(pp_fit_ethernet(p, at + header, rest - header)) ? header : 0;
}

void pp_parse_capwap(pp_packet *p, pp_cursor *c)
{
    const uint8_t *h = p->data + c->at;
    uint32_t header = pp_capwap_header(p, c->at, c->end - c->at);
    if (header == DTLS_PREAMBLE_LEN) {
        pp_not_understood(p, PP_UNREAD_ENCRYPTED);
        return;
    }
    if (!header || (h[FLAGS] & IS_KEEP_ALIVE) || !pp_need(p, c, header))
        return;
    c->at += header;
    if (h[FLAGS] & IS_FRAGMENT) {
        pp_fragment(p, c);
        if (pp_get16(h + PART_OFFSET) & ~OFFSET_RESERVED) {
            pp_not_understood(p, PP_UNREAD_ENCAPSULATION);
            return;
        }
        c->fragment = c->cut = 1;
    }
    if (!(h[BINDING] & IS_NATIVE))
        pp_parse_ethernet(p, c);
    else if ((h[BINDING] & BINDING_MASK) == BINDING_80211)
        pp_parse_80211_maybe_swapped(p, c);
    else
        pp_not_understood(p, PP_UNREAD_TUNNEL);
}
