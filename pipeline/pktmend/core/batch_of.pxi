# Batches of frames that no source read: for tests, and to judge a single frame.

cdef int check_frame_options(link, vnet) except -1:
    if not 0 <= link <= 0xffff:
        raise ConfigError(f"link type {link}", "0 to 65535")
    if vnet is not None and len(vnet) != PP_VNET_LEN:
        raise ConfigError(f"a virtio-net header has {PP_VNET_LEN} bytes, not {len(vnet)}")
    return 0


cdef bytearray copy_of(frame, vnet):
    """Return *frame* behind room for a virtio-net header, which is *vnet* if that is not None."""
    return bytearray((bytes(PP_VNET_LEN) if vnet is None else bytes(vnet)) + bytes(frame))


cdef void put_frame(pp_batch *b, uint32_t i, bytearray data, uint16_t link, uint16_t flags):
    """Make *data*, which is kept alive by the caller, packet *i* of the batch, all of it captured."""
    b.data[i] = <uint8_t *><char *>data + PP_VNET_LEN
    b.caplen[i] = <uint32_t>(len(data) - PP_VNET_LEN)
    b.wirelen[i] = b.caplen[i]
    b.time_ns[i] = 0
    b.number[i] = i + 1
    b.flags[i] = flags
    b.link[i] = link
    b.vlan_tpid[i] = b.vlan_tci[i] = 0
    b.interface[i] = 0


def batch_of(frames, *, link=1, flags=0, vnet=None, wirelen=None, tpid=0, tci=0):
    """Return a batch of *frames* (a sequence of buffers, which are copied), as a source would hand it over: for tests.

    link:    LINKTYPE_* number.        flags: PacketFlag bits of the source.
    vnet:    ten octets of virtio-net header before each frame, or None.
    wirelen: octets a frame had; None: all are here.
    tpid, tci: the VLAN tag that was stripped (with PacketFlag.VLAN).
    """
    cdef Batch b
    cdef uint32_t i
    check_frame_options(link, vnet)
    copies = [copy_of(frame, vnet) for frame in frames]
    b = Batch(max(1, len(copies)))
    b.owner = copies
    b.c.count = <uint32_t>len(copies)
    for i in range(b.c.count):
        put_frame(&b.c, i, copies[i], link, flags | (PP_PKT_VNET if vnet is not None else 0))
        b.c.vlan_tpid[i], b.c.vlan_tci[i] = tpid, tci
        if wirelen is not None:
            b.c.wirelen[i] = wirelen
    return b


def inspect(frame, *, link=1, flags=0, vnet=None, wirelen=None, expected=True, at_wire=False):
    """Return (flags, status, checks) of one frame given as octets; the arguments are those of batch_of."""
    cdef Batch b = batch_of([frame], link=link, flags=flags, vnet=vnet, wirelen=wirelen)
    cdef uint32_t options = (PP_VERIFY_EXPECTED if expected else 0) | (PP_VERIFY_AT_WIRE if at_wire else 0)
    pp_stage_verify(&b.c, &options)
    pp_stage_classify(&b.c, NULL)
    return b.c.flags[0], b.c.status[0], b.checks_of(0)
