/* endpoints.c - see endpoints.h. */
#include "parse/endpoints.h"

#include <string.h>

#include "parse/headers.h"

static void addresses(const pp_batch *b, uint32_t i, uint8_t *src, uint8_t *dst)
{
    const uint8_t *ip;
    memset(src, 0, PP_ADDRESS_LEN);
    memset(dst, 0, PP_ADDRESS_LEN);
    if (b->version[i] == 4 && (ip = pktmend_network(b, i, IP4_LEN))) {
        memcpy(src, ip + IP4_SOURCE, IP4_ADDRESS_LEN);
        memcpy(dst, ip + IP4_TARGET, IP4_ADDRESS_LEN);
    } else if (b->version[i] == 6 && (ip = pktmend_network(b, i, IP6_LEN))) {
        memcpy(src, ip + IP6_SOURCE, IP6_ADDRESS_LEN);
        memcpy(dst, ip + IP6_TARGET, IP6_ADDRESS_LEN);
    }
}

static inline void endpoints_of(const pp_batch *b, uint32_t i, uint8_t *src, uint8_t *dst, uint16_t *sport,
                                uint16_t *dport)
{
    const uint8_t *ports = pp_has_ports(b->protocol[i]) ? pktmend_transport(b, i, b->protocol[i], PORTS_LEN) : NULL;
    addresses(b, i, src, dst);
    *sport = ports ? pktmend_get16(ports + PORT_SOURCE) : 0;
    *dport = ports ? pktmend_get16(ports + PORT_TARGET) : 0;
}

void pp_endpoints_of(const pp_batch *b, uint32_t i, uint8_t *src, uint8_t *dst, uint16_t *sport, uint16_t *dport)
{
    endpoints_of(b, i, src, dst, sport, dport);
}

void pp_endpoints(const pp_batch *b, uint8_t *src, uint8_t *dst, uint16_t *sport, uint16_t *dport)
{
    for (uint32_t i = 0; i < b->count; i++)
        endpoints_of(b, i, src + (size_t)i * PP_ADDRESS_LEN, dst + (size_t)i * PP_ADDRESS_LEN, sport + i, dport + i);
}
