"""Batches of frames that no source read: for tests, and to judge a single frame."""

from libc.stdint cimport uint8_t, uint32_t
from libc.string cimport memset

from pktmend._core.batch cimport Batch
from pktmend._core.engine cimport *
from pktmend.stage cimport *

from pktmend.enums import PacketFlag, Status
from pktmend.errors import ConfigError
from pktmend.records import Inspected


def batch_of(frames, *, link=1, flags=0, vnet=None, wirelen=None, tpid=0, tci=0):
    """Return a batch of *frames* (a sequence of buffers, which are copied), as a source would hand it over: for tests.

    link:    LINKTYPE_* number.        flags: PacketFlag bits of the source.
    vnet:    ten bytes of virtio-net header before each frame, or None.
    wirelen: bytes a frame had; None: all are here.
    tpid, tci: the VLAN tag that was stripped (with PacketFlag.VLAN).
    """
    cdef Batch b
    cdef bytearray copy
    cdef pp_arrival packet
    if not 0 <= link <= 0xffff:
        raise ConfigError(f"link type {link}", "0 to 65535")
    if vnet is not None and len(vnet) != PP_VNET_LEN:
        raise ConfigError(f"a virtio-net header has {PP_VNET_LEN} bytes, not {len(vnet)}")
    head = bytes(PP_VNET_LEN) if vnet is None else bytes(vnet)
    copies = [bytearray(head + bytes(frame)) for frame in frames]
    b = Batch(max(1, len(copies)))
    b.owner = copies
    memset(&packet, 0, sizeof(packet))
    packet.link, packet.vlan_tpid, packet.vlan_tci = link, tpid, tci
    packet.flags = flags | (PP_PKT_VNET if vnet is not None else 0)
    for copy in copies:
        packet.data = <uint8_t *><char *>copy + PP_VNET_LEN
        packet.caplen = <uint32_t>(len(copy) - PP_VNET_LEN)
        packet.wirelen = packet.caplen if wirelen is None else wirelen
        packet.number += 1
        pp_batch_append(&b.c, &packet)
    pp_batch_fresh(&b.c)
    return b


def inspect(frame, *, link=1, flags=0, vnet=None, wirelen=None, expected=True, at_wire=False):
    """Judge one frame, given as bytes; the arguments are those of batch_of."""
    cdef Batch b = batch_of([frame], link=link, flags=flags, vnet=vnet, wirelen=wirelen)
    cdef uint32_t options = (PP_VERIFY_EXPECTED if expected else 0) | (PP_VERIFY_AT_WIRE if at_wire else 0)
    pp_stage_verify(&b.c, &options)
    pp_stage_classify(&b.c, NULL)
    return Inspected(PacketFlag(b.c.flags[0]), Status(b.c.status[0]), b.checks_of(0))
