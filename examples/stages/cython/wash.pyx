# cython: language_level=3
"""A stage in Cython that writes bytes: the DSCP of IPv4 packets becomes 0, the header checksum follows (RFC 1624).

    python setup.py build_ext --inplace
    pktmend bridge -i A -I B --stage "$(echo ./wash.*.so):wash_dscp"
"""

from libc.stdint cimport uint8_t, uint16_t, uint32_t

from pktmend.stage cimport pktmend_edited, pktmend_get16, pktmend_network, pktmend_put16, pp_batch, stage_capsule

cdef enum:  # of the IPv4 header (RFC 791): its length, where two fields lie, and what of the second is not DSCP
    IPV4_HEADER = 20
    TOS = 1
    SUM = 10
    ECN = 0x03


cdef uint16_t folded(uint32_t total) noexcept nogil:
    total = (total & 0xffff) + (total >> 16)
    return <uint16_t>((total & 0xffff) + (total >> 16))


cdef int wash(pp_batch *batch, void *context) noexcept nogil:
    """Reads: version, l3, caplen, frames.  Writes: frames, flags."""
    cdef uint32_t i
    cdef uint16_t before
    cdef uint8_t *ip
    for i in range(batch.count):
        ip = pktmend_network(batch, i, IPV4_HEADER)
        if ip == NULL or batch.version[i] != 4 or ip[TOS] & ~ECN == 0:
            continue
        before = pktmend_get16(ip)  # the 16-bit word that the byte is a part of
        ip[TOS] &= ECN
        # HC' = ~(~HC + ~m + m'); a header that was wrong stays wrong
        pktmend_put16(ip + SUM, <uint16_t>~folded(<uint16_t>~pktmend_get16(ip + SUM)
                                                  + <uint32_t><uint16_t>~before + pktmend_get16(ip)))
        pktmend_edited(batch, i)
    return 0


wash_dscp = stage_capsule(wash)
