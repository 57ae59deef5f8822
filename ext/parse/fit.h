/* fit.h - does what lies at an offset fit a packet's header?  For whatever no type field announces: what is behind an MPLS
 * stack, in a datagram, in GTP-U.
 *
 * Rules:
 *   1. A version alone is one value of sixteen: a guess has to fit in length and sum too before a byte is taken for a field.
 *   2. Judges nothing, records nothing: the parser reads again what fits.
 */
#ifndef PP_FIT_H
#define PP_FIT_H

#include <pktmend/parse.h>

/* What agrees. */
enum pp_fit {
    PP_FIT_HEADER =
        1, /* version, and a header length that is one; for Ethernet: the type, and that version behind it */
    PP_FIT_WITHIN = 2, /* its length lies within what there is */
    PP_FIT_LENGTH = 4, /* its length is what there is, but for an Ethernet frame's padding */
    PP_FIT_OTHER = 16, /* Ethernet, and nothing is known of its type */
    PP_FIT_SUM = 8     /* IPv4: the header's sum is right.  IPv6, which has none: what follows is a header that fits */
};

enum {
    PP_FIT_EXACT = PP_FIT_HEADER | PP_FIT_WITHIN | PP_FIT_LENGTH | PP_FIT_SUM, /* no coincidence */
    PP_FIT_SOUND = PP_FIT_HEADER | PP_FIT_WITHIN | PP_FIT_SUM,                 /* the same, with a trailer behind it */
};
static inline int pp_fits(unsigned fit, unsigned wanted) { return (fit & wanted) == wanted; }
/* Enough where a port or a protocol number announces it: the sum or the lengths may be what is wrong with it, not both. */
static inline int pp_fits_somehow(unsigned fit)
{
    return (fit & PP_FIT_HEADER) && (fit & (PP_FIT_WITHIN | PP_FIT_SUM));
}

/* How does an IPv4 packet, IPv6 packet, either, or Ethernet frame fit that begins at `at` and has `rest` bytes? */
unsigned pp_fit_ip4(const pp_packet *p, uint32_t at, uint32_t rest);
unsigned pp_fit_ip6(const pp_packet *p, uint32_t at, uint32_t rest);
unsigned pp_fit_ip(const pp_packet *p, uint32_t at, uint32_t rest);
unsigned pp_fit_ethernet(const pp_packet *p, uint32_t at, uint32_t rest);
/* Is it an IPv6 packet whose transport sum is right or was left to others?  What the header sum is to IPv4. */
int pp_fit_ip6_sum(const pp_packet *p, uint32_t at);

#endif
