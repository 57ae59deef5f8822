/* endpoints.c - see endpoints.h. */
#include "parse/endpoints.h"

#include <netinet/in.h>
#include <netinet/ip.h>
#include <netinet/ip6.h>
#include <string.h>

#define PORTS_LEN 4u /* source and destination, 16 bits each, first in every header that has ports */

static int has_ports(int protocol)
{
    return protocol == IPPROTO_TCP || protocol == IPPROTO_UDP || protocol == IPPROTO_UDPLITE ||
           protocol == IPPROTO_SCTP || protocol == IPPROTO_DCCP;
}

static void addresses(const pp_batch *b, uint32_t i, uint8_t *src, uint8_t *dst)
{
    const uint8_t *ip;
    memset(src, 0, PP_ADDRESS_LEN);
    memset(dst, 0, PP_ADDRESS_LEN);
    if (b->version[i] == 4 && (ip = pktmend_network(b, i, sizeof(struct iphdr)))) {
        memcpy(src, ip + offsetof(struct iphdr, saddr), sizeof(struct in_addr));
        memcpy(dst, ip + offsetof(struct iphdr, daddr), sizeof(struct in_addr));
    } else if (b->version[i] == 6 && (ip = pktmend_network(b, i, sizeof(struct ip6_hdr)))) {
        memcpy(src, ip + offsetof(struct ip6_hdr, ip6_src), sizeof(struct in6_addr));
        memcpy(dst, ip + offsetof(struct ip6_hdr, ip6_dst), sizeof(struct in6_addr));
    }
}

void pp_endpoints(const pp_batch *b, uint8_t *src, uint8_t *dst, uint16_t *sport, uint16_t *dport)
{
    for (uint32_t i = 0; i < b->count; i++) {
        const uint8_t *ports = has_ports(b->protocol[i]) ? pktmend_transport(b, i, b->protocol[i], PORTS_LEN) : NULL;
        addresses(b, i, src + (size_t)i * PP_ADDRESS_LEN, dst + (size_t)i * PP_ADDRESS_LEN);
        sport[i] = ports ? pktmend_get16(ports) : 0;
        dport[i] = ports ? pktmend_get16(ports + 2) : 0;
    }
}
