/* capture_pcap.c - records of a classic capture file; its file header is read in capture.c.
 *
 * Source: draft-ietf-opsawg-pcap; the modified format (24-byte record headers) is Alexey Kuznetsov's of 1999.
 */
#include "io/capture_internal.h"

int64_t pp_pcap_record(pp_capture *c, uint8_t *w, size_t length, size_t at, int final, pp_batch *b)
{
    const uint32_t header = c->modified ? 24 : 16;
    if (length < header)
        return final ? pp_fault(c, at, "the file ends within a record header", -EBADMSG) : 0;
    uint32_t caplen = pp_file32(c, w + 8);
    if (caplen > PP_MAX_CAPLEN)
        return pp_fault(c, at + 8, "a record claims more than 256 MiB", -EBADMSG);
    if (caplen > length - header)
        return final ? pp_fault(c, at, "the file ends within a packet", -EBADMSG) : 0;
    uint32_t fraction = pp_file32(c, w + 4);
    uint64_t time_ns =
        (uint64_t)pp_file32(c, w) * 1000000000u + (c->nanosecond ? fraction : (uint64_t)fraction * 1000u);
    pp_capture_add(c, b, w + header, caplen, pp_file32(c, w + 12), c->interfaces[0].fcs_length, time_ns, 0, 0);
    return (int64_t)header + caplen;
}
