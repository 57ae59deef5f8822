/* arithmetic.h - is a wrong checksum that of a program which computes it wrongly? */
#ifndef PP_ARITHMETIC_H
#define PP_ARITHMETIC_H

#include <pktmend/parse.h>

/* PP_CAUSE_PSEUDO_HEADER, PP_CAUSE_COVERAGE or PP_CAUSE_NONE, for a bad 16-bit check whose expected value is known. */
uint8_t pp_arithmetic_cause(const uint8_t *data, const pp_check *k);

/* Was the number of the first IPv6 extension header taken for the protocol's?  layer: the IP packet the check belongs to. */
int pp_is_first_header(const uint8_t *data, const pp_check *k, const pp_layer *layer);

#endif
