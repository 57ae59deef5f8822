# cython: language_level=3
"""A stage in Cython that writes octets: the DSCP of IPv4 packets becomes 0, the header checksum follows (RFC 1624).

    python setup.py build_ext --inplace
    pktmend bridge -i A -I B --stage "$(echo ./wash.*.so):wash_dscp"
"""

from libc.stdint cimport uint8_t, uint16_t, uint32_t

from pktmend.stage cimport PP_PKT_EDITED, pp_batch


cdef api int wash_dscp(pp_batch *b, void *context) noexcept nogil:
    """Reads: version, l3, caplen, frames.  Writes: frames, flags."""
    cdef uint32_t i, total
    cdef uint8_t *ip
    for i in range(b.count):
        if b.version[i] != 4 or b.caplen[i] < 20 + <uint32_t>b.l3[i]:
            continue
        ip = b.data[i] + b.l3[i]
        if ip[1] & 0xfc == 0:
            continue
        # HC' = ~(~HC + ~m + m'), m the first word of the header; a header that was wrong stays wrong
        total = (~(<uint32_t>ip[10] << 8 | ip[11]) & 0xffff) + (~(<uint32_t>ip[0] << 8 | ip[1]) & 0xffff)
        ip[1] &= 0x03  # ECN stays
        total += <uint32_t>ip[0] << 8 | ip[1]
        total = (total & 0xffff) + (total >> 16)
        total = ~((total & 0xffff) + (total >> 16)) & 0xffff
        ip[10], ip[11] = <uint8_t>(total >> 8), <uint8_t>total
        b.flags[i] |= PP_PKT_EDITED  # judge this packet again
    return 0
