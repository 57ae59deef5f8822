/* endpoints.h - from where to where: addresses and ports of a packet's outermost headers. */
#ifndef PP_ENDPOINTS_H
#define PP_ENDPOINTS_H

#include <pktmend/stage.h>

#pragma GCC visibility push(default)

#define PP_ADDRESS_LEN 16u /* an IPv4 address takes the first four bytes */

/* Write the endpoints of packet i: PP_ADDRESS_LEN bytes an address, ports in host order, 0 for what the packet does not
 * have.
 * Reads: version, l3, l4, protocol, caplen, frames. */
void pp_endpoints_of(const pp_batch *batch, uint32_t i, uint8_t *src, uint8_t *dst, uint16_t *sport, uint16_t *dport);
/* The same for every packet of the batch. */
void pp_endpoints(const pp_batch *batch, uint8_t *src, uint8_t *dst, uint16_t *sport, uint16_t *dport);

#pragma GCC visibility pop
#endif
