/* capture_pcapng.c - blocks of a pcapng file.
 *
 * Does: section header, interface description, enhanced, simple and (obsolete) packet blocks, interface statistics.
 * Does not: name resolution, decryption secrets, custom and unknown blocks: skipped, whatever they hold.
 *
 * Source: draft-ietf-opsawg-pcapng.
 */
#include "io/capture_internal.h"
#include "io/pcapng.h"

#define MAX_BLOCK (PP_MAX_CAPLEN + (1u << 20))
#define MAX_OPTIONS 4096u
#define MAX_INTERFACES (1u << 20)

/* Blocks that Wireshark shows as a frame although they hold no packet: systemd journal, custom, sysdig events. */
static int is_numbered(uint32_t type)
{
    switch (type) {
    case 0x9:
    case 0xbad:
    case 0x40000bad:
    case 0x204:
    case 0x208:
    case 0x216:
    case 0x217:
    case 0x221:
    case 0x222:
        return 1;
    default:
        return 0;
    }
}

/* Walks options; each step consumes at least four bytes. */
typedef struct options {
    const uint8_t *at, *end;
    uint32_t count;
    uint16_t code, length;
    const uint8_t *value;
} options;

/* 1 with an option, 0 at the end, -1 if one reaches beyond its block. */
static int next_option(const pp_capture *c, options *o)
{
    if (o->end - o->at < 4 || o->count++ >= MAX_OPTIONS)
        return 0;
    o->code = pp_file16(c, o->at);
    o->length = pp_file16(c, o->at + 2);
    if (o->code == OPT_END)
        return 0;
    size_t padded = (o->length + 3u) & ~3u;
    if (padded > (size_t)(o->end - o->at) - 4)
        return -1;
    o->value = o->at + 4;
    o->at += 4 + padded;
    return 1;
}

static int bad_option(pp_capture *c, const options *o, const uint8_t *w, size_t at)
{
    return pp_fault(c, at + (size_t)(o->at - w), "an option reaches beyond its block", -EBADMSG);
}

int pp_capture_is_section(const uint8_t *w) /* reads the same in both byte orders */
{
    uint32_t type;
    memcpy(&type, w, sizeof type);
    return type == PCAPNG_SECTION;
}

static int section(pp_capture *c, const uint8_t *w, uint32_t length, size_t at)
{
    static const char ours[] = "pktmend";
    if (length < 28)
        return pp_fault(c, at + 4, "a section header of less than 28 bytes", -EBADMSG);
    if (pp_file16(c, w + 12) != 1)
        return pp_fault(c, at + 12, "a pcapng version other than 1", -ENOTSUP);
    c->interface_base += c->interface_count;
    c->interface_count = 0;
    c->has_metadata = 0;
    options o = { .at = w + 24, .end = w + length - 4 };
    int rc;
    while ((rc = next_option(c, &o)) > 0)
        if (o.code == SHB_USERAPPL && o.length >= sizeof ours - 1 && memcmp(o.value, ours, sizeof ours - 1) == 0)
            c->has_metadata = 1; /* our own writer records what it knows, so no mark means "complete" */
    return rc < 0 ? bad_option(c, &o, w, at) : 0;
}

/* if_fcslen counts bits; programs that take it for bytes write 4, and no check sequence has less than 8 bits.  What is no
 * whole number of bytes says nothing. */
static uint8_t fcs_bytes(uint8_t value) { return value < 8 ? value : value % 8 ? 0 : value / 8; }

static int interface(pp_capture *c, const uint8_t *w, uint32_t length, size_t at)
{
    if (length < 20)
        return pp_fault(c, at + 4, "an interface description of less than 20 bytes", -EBADMSG);
    if (c->interface_base + c->interface_count >= MAX_INTERFACES)
        return pp_fault(c, at, "more than a million interfaces", -EBADMSG);
    if (pp_capture_grow(c) < 0)
        return pp_fault(c, at, "out of memory", -ENOMEM);
    pp_capture_interface *i = &c->interfaces[c->interface_count++];
    *i = (pp_capture_interface){
        .link = pp_file16(c, w + 8), .tsresol = 6, .snaplen = pp_file32(c, w + 12), .drops = UINT64_MAX
    };
    options o = { .at = w + 16, .end = w + length - 4 };
    int rc;
    while ((rc = next_option(c, &o)) > 0) {
        if (o.code == IF_TSRESOL && o.length == 1) {
            i->tsresol = o.value[0];
        } else if (o.code == IF_FCSLEN && o.length == 1) {
            i->fcs_length = fcs_bytes(o.value[0]);
        } else if (o.code == IF_TSOFFSET && o.length == 8) {
            uint64_t v;
            memcpy(&v, o.value, sizeof v);
            i->tsoffset_s = (int64_t)(c->swapped ? __builtin_bswap64(v) : v);
        }
    }
    return rc < 0 ? bad_option(c, &o, w, at) : 0;
}

/* Units of if_tsresol since the epoch to nanoseconds, modulo 2^64; a resolution beyond 64 bits tells no time. */
static uint64_t time_of(const pp_capture_interface *i, uint32_t high, uint32_t low)
{
    unsigned __int128 units = (uint64_t)high << 32 | low;
    unsigned r = i->tsresol & 0x7f;
    uint64_t ns = 0;
    if (i->tsresol & 0x80) {
        ns = r < 64 ? (uint64_t)(units * 1000000000u >> r) : 0;
    } else if (r <= 9) {
        for (; r < 9; r++)
            units *= 10;
        ns = (uint64_t)units;
    } else if (r <= 28) {
        for (; r > 9; r--)
            units /= 10;
        ns = (uint64_t)units;
    }
    return ns + (uint64_t)i->tsoffset_s * 1000000000u;
}

/* epb_flags among the options of a packet block: bits 5-8 are the FCS length, 9-11 what the kernel knew of the checksum. */
static int flags_option(pp_capture *c, const uint8_t *w, const uint8_t *from, const uint8_t *end, size_t at,
                        uint32_t *flags)
{
    options o = { .at = from, .end = end };
    int rc;
    while ((rc = next_option(c, &o)) > 0)
        if (o.code == EPB_FLAGS && o.length == 4)
            *flags = pp_file32(c, o.value);
    return rc < 0 ? bad_option(c, &o, w, at) : 0;
}

static uint16_t packet_flags(pp_capture *c, uint32_t flags)
{
    uint16_t out = 0;
    if (flags & (EPB_NOT_READY | EPB_VALID | EPB_TSO))
        c->has_metadata = 1;
    if (c->has_metadata)
        out |= PP_PKT_METADATA;
    if (flags & EPB_NOT_READY)
        out |= PP_PKT_NOT_READY;
    if (flags & EPB_VALID)
        out |= PP_PKT_CLAIMED_VALID;
    if (flags & EPB_TSO)
        out |= PP_PKT_SUPER_FRAME;
    if ((flags & EPB_DIRECTION) == EPB_OUTBOUND)
        out |= PP_PKT_OUTGOING;
    return out;
}

static int packet(pp_capture *c, uint8_t *w, uint32_t length, uint32_t number, size_t at, pp_batch *b)
{
    if (length < EPB_LEAST)
        return pp_fault(c, at + 4, "a packet block of less than 32 bytes", -EBADMSG);
    uint32_t caplen = pp_file32(c, w + 20), flags = 0;
    if (number >= c->interface_count)
        return pp_fault(c, at + 8, "a packet of an interface that is not described", -EBADMSG);
    if (caplen > length - EPB_LEAST)
        return pp_fault(c, at + 20, "a packet longer than its block", -EBADMSG);
    const pp_capture_interface *i = &c->interfaces[number];
    int rc = flags_option(c, w, w + EPB_HEAD + ((caplen + 3) & ~3u), w + length - 4, at, &flags);
    if (rc < 0)
        return rc;
    uint32_t fcs = (flags >> EPB_FCS_SHIFT) & EPB_FCS_MASK;
    pp_capture_add(c, b, w + EPB_HEAD, caplen, pp_file32(c, w + 24), fcs ? fcs : i->fcs_length,
                   time_of(i, pp_file32(c, w + 12), pp_file32(c, w + 16)), packet_flags(c, flags), number);
    return 0;
}

static int simple(pp_capture *c, uint8_t *w, uint32_t length, size_t at, pp_batch *b)
{
    if (length < 16)
        return pp_fault(c, at + 4, "a simple packet block of less than 16 bytes", -EBADMSG);
    if (!c->interface_count)
        return pp_fault(c, at, "a packet of an interface that is not described", -EBADMSG);
    const pp_capture_interface *i = &c->interfaces[0];
    uint32_t wirelen = pp_file32(c, w + 8), caplen = wirelen;
    if (i->snaplen && caplen > i->snaplen)
        caplen = i->snaplen;
    if (caplen > length - 16)
        return pp_fault(c, at + 8, "a packet longer than its block", -EBADMSG);
    pp_capture_add(c, b, w + 12, caplen, wirelen, i->fcs_length, 0, packet_flags(c, 0), 0);
    return 0;
}

static int statistics(pp_capture *c, const uint8_t *w, uint32_t length, size_t at)
{
    if (length < 24)
        return pp_fault(c, at + 4, "an interface statistics block of less than 24 bytes", -EBADMSG);
    uint32_t number = pp_file32(c, w + 8);
    options o = { .at = w + 20, .end = w + length - 4 };
    int rc;
    if (number >= c->interface_count)
        return pp_fault(c, at + 8, "statistics of an interface that is not described", -EBADMSG);
    while ((rc = next_option(c, &o)) > 0) {
        if (o.code == ISB_IFDROP && o.length == 8) {
            uint64_t v;
            memcpy(&v, o.value, sizeof v);
            c->interfaces[number].drops = c->swapped ? __builtin_bswap64(v) : v;
        }
    }
    return rc < 0 ? bad_option(c, &o, w, at) : 0;
}

int64_t pp_pcapng_block(pp_capture *c, uint8_t *w, size_t length, size_t at, int final, pp_batch *b)
{
    if (length < 12)
        return final ? pp_fault(c, at, "the file ends within a block header", -EBADMSG) : 0;
    uint32_t type = pp_file32(c, w), size;
    if (pp_capture_is_section(w)) { /* its byte order mark decides how even its own length is read */
        uint32_t mark;
        memcpy(&mark, w + 8, sizeof mark);
        if (mark != PCAPNG_BYTE_ORDER && mark != PCAPNG_BYTE_ORDER_SWAPPED)
            return pp_fault(c, at + 8, "a section without a byte order mark", -EBADMSG);
        c->swapped = mark == PCAPNG_BYTE_ORDER_SWAPPED;
        type = PCAPNG_SECTION;
    }
    size = pp_file32(c, w + 4);
    if (size < 12 || size % 4 || size > MAX_BLOCK)
        return pp_fault(c, at + 4, "a block length that cannot be", -EBADMSG);
    if (size > length)
        return final ? pp_fault(c, at, "the file ends within a block", -EBADMSG) : 0;
    if (pp_file32(c, w + size - 4) != size)
        return pp_fault(c, at + size - 4, "a block whose two lengths differ", -EBADMSG);
    int rc = 0;
    switch (type) {
    case PCAPNG_SECTION:
        rc = section(c, w, size, at);
        break;
    case PCAPNG_INTERFACE:
        rc = interface(c, w, size, at);
        break;
    case PCAPNG_ENHANCED:
        rc = packet(c, w, size, size < EPB_LEAST ? 0 : pp_file32(c, w + 8), at, b);
        break;
    case PCAPNG_PACKET:
        rc = packet(c, w, size, size < EPB_LEAST ? 0 : pp_file16(c, w + 8), at, b);
        break;
    case PCAPNG_SIMPLE:
        rc = simple(c, w, size, at, b);
        break;
    case PCAPNG_STATISTICS:
        rc = statistics(c, w, size, at);
        break;
    default:
        c->records += (uint64_t)is_numbered(type);
        break;
    }
    return rc < 0 ? rc : (int64_t)size;
}

void pp_pcapng_set_ready(uint8_t *data, const uint8_t *window, const uint8_t *end)
{
    pp_capture c = { .swapped = 0 };
    if (data - window < EPB_HEAD || end - data < 4)
        return;
    uint8_t *w =
        data -
        EPB_HEAD; /* a simple packet block has 12 bytes there, and the block before it, with its own end, the rest */
    if (pp_file32(&c, w) != PCAPNG_ENHANCED && pp_file32(&c, w) != PCAPNG_PACKET)
        c.swapped = 1;
    if (pp_file32(&c, w) != PCAPNG_ENHANCED && pp_file32(&c, w) != PCAPNG_PACKET)
        return;
    uint32_t caplen = pp_file32(&c, w + 20), size = pp_file32(&c, w + 4);
    if (size < EPB_LEAST || size > (size_t)(end - w) || caplen > size - EPB_LEAST)
        return;
    options o = { .at = w + EPB_HEAD + ((caplen + 3) & ~3u), .end = w + size - 4 };
    while (next_option(&c, &o) > 0)
        if (o.code == EPB_FLAGS && o.length == 4) {
            uint32_t flags = pp_file32(&c, o.value) & ~(uint32_t)EPB_NOT_READY;
            if (c.swapped)
                flags = __builtin_bswap32(flags);
            memcpy(w + (o.value - w), &flags, sizeof flags);
        }
}
