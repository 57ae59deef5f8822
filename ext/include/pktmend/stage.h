/* <pktmend/stage.h> - what a stage sees of a batch of packets, and how it says which layout it was built for.
 *
 * Purpose: everything a source, a stage or a sink may see.  A native stage includes this header and no other, from C or C++.
 * Rules:
 *   1. Plain data.  No Python, no header beyond <pktmend/words.h> and the standard library's.
 *   2. Columns run in parallel: element i of every column belongs to packet i, for i < count.
 *   3. Frame bytes belong to the source until the batch is released; a stage may write them in place,
 *      never move or keep them.
 *   4. A new column goes to the end of PP_COLUMNS, a new word to the end of its list (words.h): sizes grow, places stay,
 *      and what was built with an older header goes on working.  Any other change of layout or of a number raises PP_ABI.
 *   5. A stage carries the PP_ABI and the size of pp_batch that it was built with (PKTMEND_STAGE, below).  One of another
 *      ABI, or built with a larger pp_batch than the program that loads it, is refused and never called.
 *
 *     #include <netinet/in.h>
 *     #include <pktmend/stage.h>
 *
 *     PKTMEND_STAGE(drop_dns)
 *     {
 *         for (uint32_t i = 0; i < batch->count; i++) {
 *             const uint8_t *udp = pktmend_transport(batch, i, IPPROTO_UDP, 8);
 *             if (udp && pktmend_get16(udp + 2) == 53)
 *                 pktmend_drop(batch, i);
 *         }
 *         return 0;
 *     }
 */
#ifndef PKTMEND_STAGE_H
#define PKTMEND_STAGE_H

#include <pktmend/words.h>
#include <stddef.h>
#include <stdint.h>

#define PP_ABI 2

/* One checksum of one packet.  Offsets and lengths are bytes from the start of the captured frame.
 * stored, expected and seed are numbers whose hex digits are the bytes in wire order. */
typedef struct pp_check {
    uint32_t offset;   /* of the checksum field */
    uint32_t start;    /* of the summed bytes */
    uint32_t length;   /* of the summed bytes */
    uint32_t stored;   /* F */
    uint32_t expected; /* ~(S+P), valid with PP_CHECK_HAS_EXPECTED */
    uint16_t seed;     /* S, folded; 0 without a pseudo header */
    uint8_t proto;     /* enum pp_proto */
    uint8_t status;    /* enum pp_status */
    uint8_t cause;     /* enum pp_cause, set by classify for bad checks */
    uint8_t reason;    /* enum pp_reason */
    uint8_t flags;     /* enum pp_check_flag */
    uint8_t depth;     /* 0 outermost, +1 per tunnel */
} pp_check;

/* struct virtio_net_hdr of <linux/virtio_net.h>, legacy layout, host byte order as AF_PACKET uses it. */
typedef struct pp_vnet {
    uint8_t flags;
    uint8_t gso_type;
    uint16_t hdr_len;
    uint16_t gso_size;
    uint16_t csum_start;
    uint16_t csum_offset;
} pp_vnet;

#define PP_VNET_LEN 10u
#define PP_CHECKS_PER_PACKET 24u /* bound of the parser; later checks of one packet are not listed */

/* Every column, once: X(type, name, who sets it, value in a fresh batch, what Python may do with it).
 * The members of pp_batch, their memory and the properties of Python's Batch are made of this list. */
#define PP_COLUMNS(X)                                                                                                  \
    X(uint8_t *, data, SOURCE, 0, HIDDEN) /* the frame's bytes, caplen of them */                                      \
    X(uint32_t, caplen, SOURCE, 0, READ)  /* bytes at data */                                                          \
    X(uint32_t, wirelen, SOURCE, 0, READ) /* bytes the frame had; >= caplen but for malformed captures */              \
    X(uint64_t, time_ns, SOURCE, 0, READ) /* since the epoch */                                                        \
    X(uint64_t, number, SOURCE, 0, READ)  /* from 1; in a file Wireshark's, whatever a filter leaves out */            \
    X(uint16_t, flags, SOURCE, 0, READ)   /* enum pp_packet_flag; verify adds to them */                               \
    X(uint16_t, link, SOURCE, 0, READ)    /* LINKTYPE_* of the frame (1 Ethernet) */                                   \
    X(uint16_t, vlan_tpid, SOURCE, 0, READ)                                                                            \
    X(uint16_t, vlan_tci, SOURCE, 0, WRITE)                                                                            \
    X(uint32_t, interface, SOURCE, 0, READ)          /* index of the interface in the source; 0 for a ring */          \
    X(uint16_t, l3, VERIFY, 0, READ)                 /* offset of the outermost IP header, 0 none */                   \
    X(uint16_t, l4, VERIFY, 0, READ)                 /* offset of the outermost transport header, 0 none */            \
    X(uint8_t, version, VERIFY, 0, READ)             /* 4, 6, or 0 */                                                  \
    X(uint8_t, protocol, VERIFY, 0, READ)            /* transport protocol number of the outermost IP header */        \
    X(uint8_t, status, VERIFY, PP_STATUS_NONE, READ) /* highest of the packet's own checks (not quoted) */             \
    X(uint8_t, cause, VERIFY, PP_CAUSE_NONE, READ)   /* of its first bad check, outermost first */                     \
    X(uint32_t, check_first, VERIFY, 0, READ)        /* index into checks */                                           \
    X(uint8_t, check_count, VERIFY, 0, READ)                                                                           \
    X(uint8_t, verdict, STAGE, PP_VERDICT_PASS, WRITE) /* enum pp_verdict */                                           \
    X(uint8_t, drop, STAGE, PP_DROP_NONE, HIDDEN)      /* enum pp_drop, set with PP_VERDICT_DROP */                    \
    X(uint8_t, unread, VERIFY, PP_UNREAD_NONE, READ)   /* enum pp_unread: why what it carries was not looked into */   \
    X(uint16_t, unread_type, VERIFY, 0, READ)          /* the number that is not known: of a link, EtherType, ... */

#define PP_BATCH_MEMBER(type, name, setter, fresh, python) type *name;

typedef struct pp_batch {
    uint32_t size;     /* sizeof(pp_batch) of the program that made it */
    uint32_t abi;      /* PP_ABI of the same */
    uint32_t count;    /* packets in this batch */
    uint32_t capacity; /* of every column */
    uint32_t checks_used;
    uint32_t fills;         /* rises whenever the source fills it */
    struct pp_tally *tally; /* the engine's own */
    pp_check *checks;       /* all packets', outer first within a packet */
    PP_COLUMNS(PP_BATCH_MEMBER)
} pp_batch;

#undef PP_BATCH_MEMBER

#ifdef __cplusplus
extern "C" {
#endif

/* A stage: reads columns, writes columns.  Returns 0, or -errno, which ends the pipeline.
 * Runs without the GIL on the worker's thread; context is what was registered with it. */
typedef int pp_stage_fn(pp_batch *batch, void *context);

#ifdef __cplusplus
}
#define PKTMEND_EXTERN extern "C"
#else
#define PKTMEND_EXTERN extern
#endif

/* A stage as it is handed to pktmend: the function, and what it was built for. */
typedef struct pktmend_stage {
    uint32_t size; /* sizeof(pp_batch) */
    uint32_t abi;  /* PP_ABI */
    pp_stage_fn *run;
} pktmend_stage;

/* Export `function`, which is there already, as pktmend_stage_of_<function>. */
#define PKTMEND_EXPORT_STAGE(function)                                                                                 \
    PKTMEND_EXTERN __attribute__((visibility("default"))) const pktmend_stage pktmend_stage_of_##function;             \
    const pktmend_stage pktmend_stage_of_##function = { sizeof(pp_batch), PP_ABI, function }

/* Define and export a stage; what follows is its body, which sees `batch` and `context`. */
#define PKTMEND_STAGE(function)                                                                                        \
    static int function(pp_batch *batch, void *context);                                                               \
    PKTMEND_EXPORT_STAGE(function);                                                                                    \
    static int function(pp_batch *batch, void *context __attribute__((unused)))

/* The name of a PyCapsule around a pktmend_stage: "pktmend.stage/" and the ABI. */
#define PKTMEND_CAPSULE_PREFIX "pktmend.stage/"
#define PKTMEND_QUOTE(text) #text
#define PKTMEND_CAPSULE_OF(abi) PKTMEND_CAPSULE_PREFIX PKTMEND_QUOTE(abi)
#define PKTMEND_CAPSULE PKTMEND_CAPSULE_OF(PP_ABI)

/* Numbers of the wire, at any alignment. */
static inline uint16_t pktmend_get16(const uint8_t *at) { return (uint16_t)(at[0] << 8 | at[1]); }
static inline uint32_t pktmend_get32(const uint8_t *at)
{
    return (uint32_t)at[0] << 24 | (uint32_t)at[1] << 16 | (uint32_t)at[2] << 8 | at[3];
}
static inline void pktmend_put16(uint8_t *at, uint16_t value)
{
    at[0] = (uint8_t)(value >> 8);
    at[1] = (uint8_t)value;
}

/* The captured bytes of packet i, and how many there are; null and 0 if there is no such packet. */
static inline uint8_t *pktmend_packet(const pp_batch *batch, uint32_t i, uint32_t *length)
{
    *length = i < batch->count ? batch->caplen[i] : 0;
    return i < batch->count ? batch->data[i] : NULL;
}

/* The outermost IP header of packet i; null unless there is one and `length` bytes from its start were captured. */
static inline uint8_t *pktmend_network(const pp_batch *batch, uint32_t i, uint32_t length)
{
    if (i >= batch->count || !batch->version[i] || (uint64_t)batch->l3[i] + length > batch->caplen[i])
        return NULL;
    return batch->data[i] + batch->l3[i];
}

/* The outermost transport header of packet i; null unless it is of `protocol` (IPPROTO_*) and `length` bytes from its start
 * were captured.  A later fragment has none. */
static inline uint8_t *pktmend_transport(const pp_batch *batch, uint32_t i, int protocol, uint32_t length)
{
    if (i >= batch->count || !batch->l4[i] || batch->protocol[i] != protocol ||
        (uint64_t)batch->l4[i] + length > batch->caplen[i])
        return NULL;
    return batch->data[i] + batch->l4[i];
}

/* Does packet i still pass? */
static inline int pktmend_passes(const pp_batch *batch, uint32_t i)
{
    return i < batch->count && batch->verdict[i] == PP_VERDICT_PASS;
}

/* Drop packet i, unless it is dropped already: the first verdict wins. */
static inline void pktmend_drop(pp_batch *batch, uint32_t i)
{
    if (!pktmend_passes(batch, i))
        return;
    batch->verdict[i] = PP_VERDICT_DROP;
    batch->drop[i] = PP_DROP_STAGE;
}

/* Say that bytes of packet i were written: it is verified again. */
static inline void pktmend_edited(pp_batch *batch, uint32_t i)
{
    if (i < batch->count)
        batch->flags[i] |= PP_PKT_EDITED;
}

#endif
