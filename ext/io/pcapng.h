/* pcapng.h - the numbers of the pcapng format: blocks, options, and what epb_flags says of a packet.
 *
 * Source: draft-ietf-opsawg-pcapng sections 3.1, 4 and 4.3.1.
 */
#ifndef PP_PCAPNG_H
#define PP_PCAPNG_H

#define PCAPNG_SECTION 0x0a0d0d0au /* reads the same in both byte orders */
#define PCAPNG_BYTE_ORDER 0x1a2b3c4du
#define PCAPNG_BYTE_ORDER_SWAPPED 0x4d3c2b1au

enum { PCAPNG_INTERFACE = 1, PCAPNG_PACKET = 2, PCAPNG_SIMPLE = 3, PCAPNG_STATISTICS = 5, PCAPNG_ENHANCED = 6 };

/* Options have a number of their own in each kind of block. */
enum { OPT_END = 0, OPT_COMMENT = 1, SHB_USERAPPL = 4 }; /* the first two are the same in all */
enum { IF_NAME = 2, IF_TSRESOL = 9, IF_FCSLEN = 13, IF_TSOFFSET = 14 };
enum { EPB_FLAGS = 2 };
enum { ISB_IFRECV = 4, ISB_IFDROP = 5 };

/* Enhanced Packet Block: bytes before the packet, and at least behind it. */
enum { EPB_HEAD = 28, EPB_LEAST = 32 };

/* epb_flags: bits 0-1 the direction, 5-8 the length of the frame check sequence, 9-11 what the kernel knew of the checksum. */
enum {
    EPB_DIRECTION = 0x3,
    EPB_INBOUND = 1,
    EPB_OUTBOUND = 2,
    EPB_FCS_SHIFT = 5,
    EPB_FCS_MASK = 0xf,
    EPB_NOT_READY = 1 << 9, /* checksum not ready */
    EPB_VALID = 1 << 10,    /* checksum verified */
    EPB_TSO = 1 << 11       /* TCP segmentation offload: a super-frame */
};

#endif
