/* stray.h - partial-checksum metadata that points elsewhere: whoever obeys it writes over a port or into payload.
 *
 * Rules:
 *   1. Stray is only what is proven so: the place lies outside the packet or within its headers and is no checksum field, or
 *      within what a sum covers that is right, or holds its seed, as it is.
 *   2. What nobody here can look into is the source's word: a place within a tunnel that the parser does not know, whose
 *      outer sum is absent, right once the inner one is complete, or left to each segment, is obeyed.
 */
#ifndef PP_STRAY_H
#define PP_STRAY_H

#include <pktmend/parse.h>
#include <pktmend/sum.h>

/* p: as pp_parse left it, none of its checks judged yet.  vnet: its virtio-net header, with VIRTIO_NET_HDR_F_NEEDS_CSUM. */
int pp_is_stray(const pp_packet *p, const pp_vnet *vnet, pp_sum_fn *sum);

/* An outer sum written while the inner one, summed from start on, is partial at field (local checksum offload): is it right
 * once that is complete?  start lies within what k covers. */
int pp_is_right_once_complete(const uint8_t *data, const pp_check *k, uint32_t start, uint32_t field, pp_sum_fn *sum);

#endif
