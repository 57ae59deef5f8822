"""Batches of frames that no source read: for tests, and to judge a single frame."""

from libc.stdint cimport uint8_t, uint32_t

from pktmend._core.batch cimport Batch
from pktmend._core.engine cimport *
from pktmend.stage cimport *

from pktmend.errors import ConfigError


def batch_of(frames, *, link=1, flags=0, vnet=None, wirelen=None, tpid=0, tci=0):
    """Return a batch of *frames* (a sequence of buffers, which are copied), as a source would hand it over: for tests.

    link:    LINKTYPE_* number.        flags: PacketFlag bits of the source.
    vnet:    ten octets of virtio-net header before each frame, or None.
    wirelen: octets a frame had; None: all are here.
    tpid, tci: the VLAN tag that was stripped (with PacketFlag.VLAN).
    """
    cdef Batch b
    cdef bytearray octets
    cdef uint32_t i
    if not 0 <= link <= 0xffff:
        raise ConfigError(f"link type {link}", "0 to 65535")
    if vnet is not None and len(vnet) != PP_VNET_LEN:
        raise ConfigError(f"a virtio-net header has 10 octets, not {len(vnet)}")
    head = bytes(10) if vnet is None else bytes(vnet)
    copies = [bytearray(head + bytes(frame)) for frame in frames]
    b = Batch(max(1, len(copies)))
    b.owner = copies
    b.c.count = <uint32_t>len(copies)
    for i in range(b.c.count):
        octets = copies[i]
        b.c.data[i] = <uint8_t *><char *>octets + PP_VNET_LEN
        b.c.caplen[i] = <uint32_t>(len(octets) - PP_VNET_LEN)
        b.c.wirelen[i] = b.c.caplen[i] if wirelen is None else wirelen
        b.c.link[i] = link
        b.c.number[i] = i + 1
        b.c.vlan_tpid[i], b.c.vlan_tci[i] = tpid, tci
        b.c.flags[i] = flags | (PP_PKT_VNET if vnet is not None else 0)
    return b


def inspect(frame, *, link=1, flags=0, vnet=None, wirelen=None, expected=True, at_wire=False):
    """Return (flags, status, checks) of one frame given as octets; the arguments are those of batch_of."""
    cdef Batch b = batch_of([frame], link=link, flags=flags, vnet=vnet, wirelen=wirelen)
    cdef uint32_t options = (PP_VERIFY_EXPECTED if expected else 0) | (PP_VERIFY_AT_WIRE if at_wire else 0)
    pp_stage_verify(&b.c, &options)
    pp_stage_classify(&b.c, NULL)
    return b.c.flags[0], b.c.status[0], b.checks_of(0)
