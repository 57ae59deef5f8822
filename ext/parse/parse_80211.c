/* parse_80211.c - IEEE 802.11 data frames, and the headers that say how one was received.
 *
 * Does: QoS and four-address frames, mesh control, aggregates (A-MSDU), frames that the card has decrypted already;
 *       radiotap, PPI, Prism, AVS.
 * Does not: put fragments together, decrypt.
 *
 * Source: IEEE 802.11-2020 clause 9; https://www.radiotap.org; the PPI specification 1.0.10.
 */
#include "parse/parse_internal.h"

enum {
    DOT11_FLAGS = 1,
    DOT11_SEQUENCE = 22,
    DOT11_LEN = 24,
    DOT11_ADDRESS_LEN = 6,
    DOT11_QOS_LEN = 2,
    DOT11_HT_LEN = 4
};
enum { DOT11_VERSION = 0x03, DOT11_TYPE = 0x0c, DOT11_DATA = 0x08, DOT11_HAS_NO_DATA = 0x40, DOT11_IS_QOS = 0x80 };
enum {
    DOT11_TO_DS = 0x01,
    DOT11_FROM_DS = 0x02,
    DOT11_MORE_FRAGMENTS = 0x04,
    DOT11_PROTECTED = 0x40,
    DOT11_ORDER = 0x80, /* with QoS: an HT control field */
    DOT11_FRAGMENT = 0x0f,
    DOT11_IS_AGGREGATE = 0x80 /* of the QoS field */
};
enum { MESH_LEN = 6, MESH_IS_EXTENDED = 0x03 };
enum { SUBFRAME_LENGTH = 12, SUBFRAME_LEN = 14, SUBFRAME_UNIT = 4 };
enum { FCS_LEN = 4 };

static const uint8_t snap_head[] = { 0xaa, 0xaa, 0x03, 0, 0 };

static int is_snap(const pp_packet *p, const pp_cursor *c, uint32_t at)
{
    return pp_within(c, at + sizeof snap_head) && memcmp(p->data + c->at + at, snap_head, sizeof snap_head) == 0;
}

/* Several frames in one, each with a header like Ethernet's and padded to four bytes. */
static void aggregate(pp_packet *p, pp_cursor *c)
{
    while (c->end - c->at >= SUBFRAME_LEN) {
        if (!pp_need(p, c, SUBFRAME_LEN))
            return;
        uint32_t length = pp_get16(p->data + c->at + SUBFRAME_LENGTH), span = c->end - c->at - SUBFRAME_LEN;
        if (length > span || length == 0)
            return;
        pp_cursor one = *c;
        one.at += SUBFRAME_LEN;
        pp_bound(p, &one, one.at + length);
        pp_parse_llc(p, &one);
        uint32_t step = (SUBFRAME_LEN + length + SUBFRAME_UNIT - 1) & ~(uint32_t)(SUBFRAME_UNIT - 1);
        if (step > c->end - c->at)
            return;
        c->at += step;
    }
}

/* A mesh control field, which nothing but what follows it tells from LLC. */
static void mesh_or_llc(pp_packet *p, pp_cursor *c)
{
    if (!is_snap(p, c, 0)) {
        uint32_t header = pp_within(c, 1) ? MESH_LEN + (p->data[c->at] & MESH_IS_EXTENDED) * 6u : MESH_LEN;
        if (is_snap(p, c, header))
            c->at += header;
        else if (c->limit < c->end && !pp_within(c, header + sizeof snap_head))
            pp_not_understood(p, PP_UNREAD_TRUNCATED); /* before it can be told */
    }
    pp_parse_llc(p, c);
}

/* Protected: unreadable, unless the card has decrypted it and left the mark, with or without the vector of WEP or CCMP. */
static int is_readable(const pp_packet *p, pp_cursor *c)
{
    static const uint32_t vectors[] = { 0, 8, 4 };
    for (unsigned i = 0; i < sizeof vectors / sizeof vectors[0]; i++)
        if (is_snap(p, c, vectors[i])) {
            c->at += vectors[i];
            return 1;
        }
    return 0;
}

/* Where the QoS field lies, if there is one. */
static uint32_t qos_at(uint8_t flags)
{
    int is_four_address = (flags & DOT11_TO_DS) && (flags & DOT11_FROM_DS);
    return DOT11_LEN + (is_four_address ? DOT11_ADDRESS_LEN : 0u);
}

static uint32_t header_length(uint8_t kind, uint8_t flags)
{
    uint32_t qos = (kind & DOT11_IS_QOS) ? DOT11_QOS_LEN + ((flags & DOT11_ORDER) ? DOT11_HT_LEN : 0u) : 0;
    return qos_at(flags) + qos;
}

static int is_data(uint8_t kind) { return (kind & (DOT11_TYPE | DOT11_VERSION)) == DOT11_DATA; }

/* Who swaps those two bytes swaps the sequence's as well: SNAP then tells that this is no later part. */
static int is_swapped(const uint8_t *h, uint8_t kind, uint8_t flags) { return h[0] != kind && h[DOT11_FLAGS] != flags; }

/* kind, flags: its frame control.  header_unit: the header is padded to a multiple of it. */
static void data_frame(pp_packet *p, pp_cursor *c, uint8_t kind, uint8_t flags, uint32_t header_unit)
{
    const uint8_t *h = p->data + c->at;
    if ((kind & DOT11_HAS_NO_DATA) || !pp_need(p, c, DOT11_LEN))
        return;
    uint32_t qos = (kind & DOT11_IS_QOS) ? qos_at(flags) : 0, header = header_length(kind, flags);
    header = (header + header_unit - 1) & ~(header_unit - 1);
    if (!pp_need(p, c, header))
        return;
    c->at += header;
    if ((flags & DOT11_PROTECTED) && !is_readable(p, c)) {
        pp_not_understood(p, PP_UNREAD_ENCRYPTED);
    } else if ((h[DOT11_SEQUENCE] & DOT11_FRAGMENT) && !(is_swapped(h, kind, flags) && is_snap(p, c, 0))) {
        pp_fragment(p, c);
        pp_not_understood(p, PP_UNREAD_ENCAPSULATION);
    } else if (qos && (h[qos] & DOT11_IS_AGGREGATE)) {
        aggregate(p, c);
    } else {
        if (flags & DOT11_MORE_FRAGMENTS) {
            pp_fragment(p, c);
            c->fragment = c->cut = 1;
        }
        mesh_or_llc(p, c);
    }
}

static void frame(pp_packet *p, pp_cursor *c, uint32_t header_unit)
{
    if (c->at == c->end) /* a radio that heard no frame tells of that as well */
        return;
    if (!pp_need(p, c, 2))
        return;
    uint8_t kind = p->data[c->at];
    if (kind & DOT11_VERSION)
        pp_not_understood(p, PP_UNREAD_ENCAPSULATION);
    else if ((kind & DOT11_TYPE) == DOT11_DATA) /* management and control have no checksum but their own */
        data_frame(p, c, kind, p->data[c->at + DOT11_FLAGS], header_unit);
}

void pp_parse_80211(pp_packet *p, pp_cursor *c) { frame(p, c, 1); }

void pp_parse_80211_maybe_swapped(pp_packet *p, pp_cursor *c)
{
    if (!pp_need(p, c, 2))
        return;
    uint8_t first = p->data[c->at], second = p->data[c->at + 1];
    /* what swapped is data may be management as it is: then what follows the header decides */
    if (!is_data(first) && is_data(second) && ((first & DOT11_VERSION) || is_snap(p, c, header_length(second, first))))
        data_frame(p, c, second, first, 1);
    else
        frame(p, c, 1);
}

/* Behind a header of its length; a frame check sequence at the end is not the frame's. */
static int behind(pp_packet *p, pp_cursor *c, uint32_t header, int has_fcs)
{
    if (!pp_need(p, c, header))
        return 0;
    c->at += header;
    if (has_fcs && c->end - c->at >= FCS_LEN)
        pp_bound(p, c, c->end - FCS_LEN);
    return 1;
}

enum { RADIOTAP_LENGTH = 2, RADIOTAP_PRESENT = 4, RADIOTAP_LEN = 8 };
enum { RADIOTAP_HAS_TSFT = 0x01, RADIOTAP_HAS_FLAGS = 0x02, RADIOTAP_HAS_MORE = 0x80 };
enum { RADIOTAP_FCS = 0x10, RADIOTAP_PADDED = 0x20, RADIOTAP_BAD_FCS = 0x40 };

/* The flags field of a radiotap header of so many bytes, all within; 0: it has none. */
static uint8_t radiotap_flags(const uint8_t *h, uint32_t length)
{
    uint32_t at = RADIOTAP_PRESENT;
    uint8_t first = h[at];
    while (at + 4 <= length && (h[at + 3] & RADIOTAP_HAS_MORE))
        at += 4;
    at += 4;
    if (first & RADIOTAP_HAS_TSFT) /* eight bytes, aligned to as many */
        at = ((at + 7) & ~7u) + 8;
    return (first & RADIOTAP_HAS_FLAGS) && at < length ? h[at] : 0;
}

void pp_parse_radiotap(pp_packet *p, pp_cursor *c)
{
    if (!pp_need(p, c, RADIOTAP_LEN))
        return;
    const uint8_t *h = p->data + c->at;
    uint32_t length = pp_get_le16(h + RADIOTAP_LENGTH);
    if (h[0] != 0 || length < RADIOTAP_LEN) {
        pp_not_understood(p, PP_UNREAD_ENCAPSULATION);
        return;
    }
    if (!pp_need(p, c, length))
        return;
    uint8_t flags = radiotap_flags(h, length);
    if (flags & RADIOTAP_BAD_FCS)
        pp_not_understood(p, PP_UNREAD_DAMAGED);
    else if (behind(p, c, length, flags & RADIOTAP_FCS))
        frame(p, c, (flags & RADIOTAP_PADDED) ? 4 : 1);
}

enum { PPI_LENGTH = 2, PPI_LINK = 4, PPI_LEN = 8, PPI_FIELD_LEN = 4, PPI_COMMON = 2, PPI_COMMON_FLAGS = 8 };
enum { PPI_FCS = 0x01, PPI_BAD_FCS = 0x04 };

void pp_parse_ppi(pp_packet *p, pp_cursor *c)
{
    if (!pp_need(p, c, PPI_LEN))
        return;
    const uint8_t *h = p->data + c->at;
    uint32_t length = pp_get_le16(h + PPI_LENGTH), link = pp_get_le32(h + PPI_LINK);
    uint8_t flags = 0;
    if (h[0] != 0 || length < PPI_LEN || c->nested++ == PP_MAX_NESTED) {
        pp_not_understood(p, PP_UNREAD_ENCAPSULATION);
        return;
    }
    if (!pp_need(p, c, length))
        return;
    for (uint32_t at = PPI_LEN; at + PPI_FIELD_LEN <= length;) {
        uint32_t size = pp_get_le16(h + at + 2);
        if (pp_get_le16(h + at) == PPI_COMMON && size > PPI_COMMON_FLAGS &&
            at + PPI_FIELD_LEN + PPI_COMMON_FLAGS < length)
            flags = h[at + PPI_FIELD_LEN + PPI_COMMON_FLAGS];
        at += PPI_FIELD_LEN + size;
    }
    int is_wireless = link == PP_LINK_80211;
    if (is_wireless && (flags & PPI_BAD_FCS))
        pp_not_understood(p, PP_UNREAD_DAMAGED);
    else if (behind(p, c, length, is_wireless && (flags & PPI_FCS)))
        pp_parse_link(p, c, link);
}

enum { PRISM_LENGTH = 4, PRISM_LEN = 8, AVS_MAGIC = 0x80211000 };

/* Of the old drivers: Prism's, in the byte order of the host, or AVS's in network order. */
void pp_parse_prism(pp_packet *p, pp_cursor *c)
{
    if (!pp_need(p, c, PRISM_LEN))
        return;
    const uint8_t *h = p->data + c->at;
    uint32_t length = pp_get32(h + PRISM_LENGTH);
    if ((pp_get32(h) & 0xfffff000) != AVS_MAGIC && length > UINT16_MAX)
        length = pp_get_le32(h + PRISM_LENGTH);
    if (length < PRISM_LEN || length > UINT16_MAX)
        pp_not_understood(p, PP_UNREAD_ENCAPSULATION);
    else if (behind(p, c, length, 0))
        pp_parse_80211(p, c);
}
