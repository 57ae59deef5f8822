/* recognize.h - what a UDP datagram carries: by its ports, and by what is inside.
 */
#ifndef PP_RECOGNIZE_H
#define PP_RECOGNIZE_H

#include "parse/parse_internal.h"

/* What does the datagram between these ports carry, whose payload begins at `at` and has `rest` bytes?  enum pp_tunnel.
 *
 * Behind a tunnel's port the tunnel's header has to be well-formed and what is inside has to fit somehow.  Behind any other
 * only what cannot be a coincidence counts, each packet by itself: a VXLAN, Geneve, GTP-U or GUE header with nothing in its
 * reserved bits, or none (FOU), and in it an IPv4 header whose length is the rest of the datagram to the byte and whose sum is
 * right, or an IPv6 header with that length and a transport header that fits (and where nothing at all announces it, FOU, whose sum is
 * right or S), or ARP. */
uint8_t pp_recognize(const pp_packet *p, uint32_t at, uint32_t rest, uint16_t source, uint16_t destination);

/* Do these ports announce a tunnel?  enum pp_tunnel. */
uint8_t pp_announced(uint16_t source, uint16_t destination);

/* The bytes of a GTP-U header with its extensions at `at`; 0 if there is none, or no user data behind it.  exact: only one
 * that fills `rest` bytes and has nothing in its spare bit. */
uint32_t pp_gtpu_header(const pp_packet *p, uint32_t at, uint32_t rest, int exact);
/* The same for L2TP (versions 2 and 3); *is_ppp: PPP follows it, else Ethernet. */
uint32_t pp_l2tp_header(const pp_packet *p, uint32_t at, uint32_t rest, int *is_ppp);
/* And for L2TPv3 from its session id on, whose cookie nobody announces: behind it Ethernet or an IP packet in PPP. */
uint32_t pp_l2tp3_header(const pp_packet *p, uint32_t at, uint32_t rest, int *is_ppp);
/* CAPWAP's data channel: its preamble where it is encrypted, its header with all its parts where not. */
uint32_t pp_capwap_header(const pp_packet *p, uint32_t at, uint32_t rest);
uint32_t pp_ayiya_header(const pp_packet *p, uint32_t at, uint32_t rest);
uint32_t pp_teredo_header(const pp_packet *p, uint32_t at, uint32_t rest);
/* The bytes of a GUE header of data at `at`, 0 if it is none. */
uint32_t pp_gue_header(const pp_packet *p, uint32_t at, uint32_t rest);

#endif
