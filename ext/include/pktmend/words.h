/* <pktmend/words.h> - what is said of packets and checksums: statuses, causes, reasons, protocols, verdicts, flags.
 *
 * Each list makes an enum, and the names that Python has for its numbers.  Numbers never change; a new word goes to the end
 * of its list (rule 4 of <pktmend/stage.h>, which includes this header).
 */
#ifndef PKTMEND_WORDS_H
#define PKTMEND_WORDS_H

#define PP_ENUMERATOR(kind, word, value) PP_##kind##_##word = value,

/* Status of one check, and of a packet (the highest of its checks, which is why the order matters). */
#define PP_STATUS_WORDS(X)                                                                                             \
    X(STATUS, NONE, 0)      /* no check found */                                                                       \
    X(STATUS, GOOD, 1)      /* the arithmetic is right */                                                              \
    X(STATUS, ABSENT, 2)    /* the sender computed none, and may */                                                    \
    X(STATUS, UNCHECKED, 3) /* cannot be judged; see reason */                                                         \
    X(STATUS, PENDING, 4)   /* partial and known to be: the field holds S */                                           \
    X(STATUS, BAD, 5)       /* wrong; see cause */
enum pp_status { PP_STATUS_WORDS(PP_ENUMERATOR) PP_STATUSES };

/* Why a check is bad, first that fits. */
#define PP_CAUSE_WORDS(X)                                                                                              \
    X(CAUSE, NONE, 0)                                                                                                  \
    X(CAUSE, LEAKED, 1)           /* F == S (or S without length), with metadata and no flag */                        \
    X(CAUSE, NEVER_FILLED, 2)     /* 0 where a sum is mandatory */                                                     \
    X(CAUSE, ILLEGAL_ZERO, 3)     /* UDP over IPv6 with 0 outside a tunnel (RFC 8200 section 8.1, RFC 6935) */         \
    X(CAUSE, BAD_SEED, 4)         /* flagged as partial, but F != S */                                                 \
    X(CAUSE, INNER_PENDING, 5)    /* right once the inner one is complete */                                           \
    X(CAUSE, NOT_COMPLEMENTED, 6) /* F == S + P */                                                                     \
    X(CAUSE, BYTE_SWAPPED, 7)                                                                                          \
    X(CAUSE, LENGTH, 8)         /* right over another length, or with the length left out of S */                      \
    X(CAUSE, HEADER_DELTA, 9)   /* differs by a small header change: TTL, ToS */                                       \
    X(CAUSE, NAT_DELTA, 10)     /* differs by an address or port change seen in the flow */                            \
    X(CAUSE, NAT_ON_ZERO, 11)   /* an incremental update applied to 0 */                                               \
    X(CAUSE, BIT_FLIP, 12)      /* differs by one bit */                                                               \
    X(CAUSE, CORRUPT, 13)       /* none of these */                                                                    \
    X(CAUSE, PSEUDO_HEADER, 14) /* right without a pseudo header, or with another protocol's number in it */           \
    X(CAUSE, COVERAGE, 15)      /* right but for the odd last byte, or over the transport header alone */
enum pp_cause { PP_CAUSE_WORDS(PP_ENUMERATOR) PP_CAUSES };

/* Why a check is unchecked; NO_METADATA goes with pending. */
#define PP_REASON_WORDS(X)                                                                                             \
    X(REASON, NONE, 0)                                                                                                 \
    X(REASON, TRUNCATED, 1)        /* the capture holds less than the headers promise */                               \
    X(REASON, FRAGMENT, 2)         /* the sum covers a datagram of which this is a part */                             \
    X(REASON, QUOTED, 3)           /* inside an ICMP error: not this packet's own */                                   \
    X(REASON, UNKNOWN_PROTOCOL, 4) /* reserved: what is not known has no field that could be named */                  \
    X(REASON, LENGTH, 5)           /* the lengths in the headers contradict each other */                              \
    X(REASON, NO_METADATA, 6)      /* F == S, and the source cannot say whether the sender knows */
enum pp_reason { PP_REASON_WORDS(PP_ENUMERATOR) PP_REASONS };

/* The protocols that carry a checksum. */
#define PP_PROTO_WORDS(X)                                                                                              \
    X(PROTO, IP, 0)                                                                                                    \
    X(PROTO, TCP, 1)                                                                                                   \
    X(PROTO, UDP, 2)                                                                                                   \
    X(PROTO, UDPLITE, 3)                                                                                               \
    X(PROTO, ICMP, 4)                                                                                                  \
    X(PROTO, ICMPV6, 5)                                                                                                \
    X(PROTO, IGMP, 6)                                                                                                  \
    X(PROTO, SCTP, 7)                                                                                                  \
    X(PROTO, DCCP, 8)                                                                                                  \
    X(PROTO, GRE, 9)                                                                                                   \
    X(PROTO, VRRP, 10) /* and CARP */                                                                                  \
    X(PROTO, OSPF, 11)                                                                                                 \
    X(PROTO, PIM, 12)                                                                                                  \
    X(PROTO, EIGRP, 13)                                                                                                \
    X(PROTO, RSVP, 14)                                                                                                 \
    X(PROTO, PGM, 15)                                                                                                  \
    X(PROTO, MOBILITY, 16) /* Mobile IPv6's header */                                                                  \
    X(PROTO, HIP, 17)                                                                                                  \
    X(PROTO, SHIM6, 18)
enum pp_proto { PP_PROTO_WORDS(PP_ENUMERATOR) PP_PROTOS };

/* What becomes of a packet. */
#define PP_VERDICT_WORDS(X)                                                                                            \
    X(VERDICT, PASS, 0)                                                                                                \
    X(VERDICT, DROP, 1)
enum pp_verdict { PP_VERDICT_WORDS(PP_ENUMERATOR) PP_VERDICTS };

/* Why a packet was dropped here; each has its counter. */
#define PP_DROP_WORDS(X)                                                                                               \
    X(DROP, NONE, 0)                                                                                                   \
    X(DROP, STAGE, 1)        /* a user's stage said so */                                                              \
    X(DROP, CORRUPT, 2)      /* bad and not repaired, by choice (--corrupt drop) */                                    \
    X(DROP, UNSPLITTABLE, 3) /* a super-frame that has to be split and cannot be */                                    \
    X(DROP, NO_SINK, 4)      /* the pipeline ends in a sink that keeps nothing */                                      \
    X(DROP, STAGE_ERROR, 5)  /* a user's stage failed on its batch, by choice (--on-error drop) */                     \
    X(DROP, LOOP, 6)         /* the bridge is part of a loop and blocks, by choice (--loop stop); and its own probes */
enum pp_drop { PP_DROP_WORDS(PP_ENUMERATOR) PP_DROPS };

/* What the source and the parser say of a packet. */
#define PP_PACKET_FLAG_WORDS(X)                                                                                        \
    X(PKT, METADATA, 0x0001)  /* the source can tell pending from leaked */                                            \
    X(PKT, NOT_READY, 0x0002) /* it says: checksum partial */                                                          \
    X(PKT, CLAIMED_VALID,                                                                                              \
      0x0004)                   /* it says: checksum verified; a claim (kernels before Nov 2022 were too generous) */  \
    X(PKT, SUPER_FRAME, 0x0008) /* a GSO/GRO stack hands it over whole */                                              \
    X(PKT, OUTGOING, 0x0010)    /* sent by this host, seen by a tap */                                                 \
    X(PKT, VLAN, 0x0020)        /* a tag was stripped into vlan_tpid and vlan_tci */                                   \
    X(PKT, VNET, 0x0040)        /* struct pp_vnet lies directly before data */                                         \
    X(PKT, TRUNCATED, 0x0080)   /* caplen < wirelen */                                                                 \
    X(PKT, MALFORMED, 0x0100)   /* headers contradict each other or end too early */                                   \
    X(PKT, FRAGMENT, 0x0200)                                                                                           \
    X(PKT, REPAIRED, 0x0400)       /* at least one field was rewritten here */                                         \
    X(PKT, EDITED, 0x0800)         /* a native stage sets it where it wrote bytes: the packet is verified again */     \
    X(PKT, STRAY_METADATA, 0x1000) /* its virtio-net header names no checksum field: never passed on so */
enum pp_packet_flag { PP_PACKET_FLAG_WORDS(PP_ENUMERATOR) };

/* What is known of a check beside its status. */
#define PP_CHECK_FLAG_WORDS(X)                                                                                         \
    X(CHECK, QUOTED, 0x01)        /* inside an ICMP error */                                                           \
    X(CHECK, CLAIMED_VALID, 0x02) /* bad although the source said that it was verified */                              \
    X(CHECK, HAS_EXPECTED, 0x04)  /* expected was computed */                                                          \
    X(CHECK, HAS_PSEUDO, 0x08)    /* the sum includes a pseudo header; seed is S */                                    \
    X(CHECK, CRC32C, 0x10)        /* stored and expected are 32 bits */                                                \
    X(CHECK, NO_FIELD, 0x20)      /* the header carries no such field (GRE without the bit) */                         \
    X(CHECK, FLAGGED, 0x40)       /* the source named this very field as partial */                                    \
    X(CHECK, REPAIRED, 0x80)
enum pp_check_flag { PP_CHECK_FLAG_WORDS(PP_ENUMERATOR) };

/* Why what a packet carries was not looked into: no parser went there, so nothing is said of any checksum in it.  The first
 * that fits.  What carries no internet checksum by its nature (ARP, LLDP, STP) is understood. */
#define PP_UNREAD_WORDS(X)                                                                                             \
    X(UNREAD, NONE, 0)                                                                                                 \
    X(UNREAD, LINK_TYPE, 1)     /* frames of a link that is not known; type: LINKTYPE_* */                             \
    X(UNREAD, ETHER_TYPE, 2)    /* it may carry IP; type: the EtherType */                                             \
    X(UNREAD, ENCAPSULATION, 3) /* a tunnel, a tag or a compression in a form that is not read */                      \
    X(UNREAD, IP_PROTOCOL, 4)   /* it may have a sum of its own; type: the protocol's number */                        \
    X(UNREAD, ENCRYPTED, 5)     /* MACsec, WPA, ESP: nobody without the key can tell */                                \
    X(UNREAD, DAMAGED, 6)       /* the capture says that the frame was received with a wrong check sequence */         \
    X(UNREAD, MALFORMED, 7)     /* its headers end or contradict each other before any checksum */                     \
    X(UNREAD, TRUNCATED, 8)     /* the capture ends before a checksum field */                                         \
    X(UNREAD, TUNNEL, 9)        /* a tunnel whose payload is of a kind, or in a form, that is not read */              \
    X(UNREAD, PSEUDOWIRE, 10)   /* nothing says what is behind an MPLS stack, and nothing fits */                      \
    X(UNREAD, DEPTH, 11)        /* more packets or frames within each other than are followed */
enum pp_unread { PP_UNREAD_WORDS(PP_ENUMERATOR) PP_UNREADS };

/* Every list of words. */
#define PP_ALL_WORDS(X)                                                                                                \
    PP_STATUS_WORDS(X)                                                                                                 \
    PP_CAUSE_WORDS(X)                                                                                                  \
    PP_REASON_WORDS(X)                                                                                                 \
    PP_PROTO_WORDS(X)                                                                                                  \
    PP_VERDICT_WORDS(X)                                                                                                \
    PP_DROP_WORDS(X)                                                                                                   \
    PP_PACKET_FLAG_WORDS(X)                                                                                            \
    PP_CHECK_FLAG_WORDS(X)                                                                                             \
    PP_UNREAD_WORDS(X)

#endif
