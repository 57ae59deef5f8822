"""Compile the kernel's packet-socket constants and structs out of the kernel's own headers.

What Debian 12's 6.1 headers lack is given a fallback here, with the kernel version that brought it.
Run by setup.py (cffi_modules); the result is the extension pipeline._kernel.
"""

from cffi import FFI

ffi = FFI()

CONSTANTS = """
    SOL_PACKET ETH_P_ALL ETH_FRAME_LEN PACKET_VERSION PACKET_RX_RING PACKET_VNET_HDR
    PACKET_IGNORE_OUTGOING PACKET_COPY_THRESH PACKET_STATISTICS PACKET_ADD_MEMBERSHIP
    PACKET_MR_PROMISC PACKET_FANOUT PACKET_FANOUT_HASH PACKET_FANOUT_FLAG_IGNORE_OUTGOING
    PACKET_QDISC_BYPASS PACKET_TIMESTAMP
    TPACKET_V2 TPACKET_V3 TP_FT_REQ_FILL_RXHASH PACKET_HOST PACKET_OUTGOING PACKET_LOOPBACK
    VIRTIO_NET_HDR_F_NEEDS_CSUM VIRTIO_NET_HDR_F_DATA_VALID VIRTIO_NET_HDR_GSO_NONE
    VIRTIO_NET_HDR_GSO_TCPV4 VIRTIO_NET_HDR_GSO_UDP VIRTIO_NET_HDR_GSO_TCPV6
    VIRTIO_NET_HDR_GSO_UDP_L4 VIRTIO_NET_HDR_GSO_ECN SO_RCVBUFFORCE SO_SNDBUFFORCE SO_ATTACH_FILTER
""".split()  # noqa: SIM905 - a list would be one name a line

ffi.cdef(
    "\n".join(f"#define {name} ..." for name in CONSTANTS)
    + """
struct tpacket_req { unsigned int tp_block_size, tp_block_nr, tp_frame_size, tp_frame_nr; };
struct tpacket_req3 { unsigned int tp_block_size, tp_block_nr, tp_frame_size, tp_frame_nr,
                      tp_retire_blk_tov, tp_sizeof_priv, tp_feature_req_word; };
struct packet_mreq { int mr_ifindex; unsigned short mr_type, mr_alen; unsigned char mr_address[8]; };
struct sock_filter;
struct sock_fprog { unsigned short len; struct sock_filter *filter; };
"""
)

ffi.set_source(
    "pipeline._kernel",
    """
#include <sys/socket.h>
#include <asm/socket.h>
#include <linux/filter.h>
#include <linux/if_ether.h>
#include <linux/if_packet.h>
#include <linux/virtio_net.h>
#ifndef SOL_PACKET
#define SOL_PACKET 263
#endif
#ifndef PACKET_IGNORE_OUTGOING /* Linux 4.20 */
#define PACKET_IGNORE_OUTGOING 23
#endif
#ifndef PACKET_FANOUT_FLAG_IGNORE_OUTGOING /* Linux 5.18 */
#define PACKET_FANOUT_FLAG_IGNORE_OUTGOING 0x4000
#endif
#ifndef VIRTIO_NET_HDR_GSO_UDP_L4 /* Linux 6.2 */
#define VIRTIO_NET_HDR_GSO_UDP_L4 5
#endif
""",
)

if __name__ == "__main__":
    ffi.compile(verbose=True)
