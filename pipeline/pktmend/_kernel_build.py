"""Compile the kernel's constants and structs that Python code needs out of the kernel's own headers.

What older headers lack is given a fallback here, with the kernel version that brought it.
Run by setup.py (cffi_modules); the result is the extension pktmend._kernel.
"""

from cffi import FFI

ffi = FFI()

# By the header that has them.  A module that needs another adds it here instead of typing its number.
CONSTANTS = """
    SOL_PACKET ETH_P_ALL PACKET_VERSION PACKET_RX_RING PACKET_VNET_HDR PACKET_AUXDATA PACKET_IGNORE_OUTGOING
    PACKET_COPY_THRESH PACKET_ADD_MEMBERSHIP PACKET_MR_PROMISC PACKET_FANOUT PACKET_FANOUT_HASH
    PACKET_FANOUT_FLAG_IGNORE_OUTGOING PACKET_FANOUT_CBPF PACKET_FANOUT_DATA PACKET_FANOUT_FLAG_UNIQUEID
    TPACKET_V2 TPACKET_V3 PACKET_OUTGOING
    VIRTIO_NET_HDR_F_NEEDS_CSUM SO_RCVBUFFORCE SO_SNDBUFFORCE SO_ATTACH_FILTER SO_ATTACH_BPF AF_XDP

    IFF_UP IFF_LOOPBACK IFF_TAP IFF_TUN IFF_NO_PI IFF_VNET_HDR TUNSETIFF TUNSETOFFLOAD TUNSETCARRIER TUNSETPERSIST
    TUN_F_CSUM TUN_F_TSO4 TUN_F_TSO6
    SIOCETHTOOL SIOCGIFNAME SIOCGIFINDEX SIOCGIFFLAGS SIOCGIFMTU SIOCGIFHWADDR SIOCSIFFLAGS
    ETHTOOL_GDRVINFO ETHTOOL_GSTRINGS ETHTOOL_GSSET_INFO ETHTOOL_GFEATURES ETHTOOL_SFEATURES ETH_SS_FEATURES
    ETH_GSTRING_LEN ARPHRD_ETHER ARPHRD_NONE ARPHRD_LOOPBACK ARPHRD_IPGRE ARPHRD_IP6GRE ARPHRD_TUNNEL ARPHRD_SIT

    NETLINK_ROUTE NETLINK_SOCK_DIAG NETLINK_NETFILTER NLMSG_ERROR NLMSG_DONE NLA_TYPE_MASK
    NLM_F_REQUEST NLM_F_DUMP NLM_F_ACK NLM_F_EXCL NLM_F_CREATE
    RTM_NEWLINK RTM_DELLINK RTM_GETLINK RTM_NEWADDR RTM_GETADDR RTM_NEWNSID RTM_DELNSID RTM_GETNSID RTM_NEWQDISC
    RTM_DELQDISC RTM_NEWTFILTER RTM_DELTFILTER RTM_GETTFILTER IFA_ADDRESS IFA_LOCAL IFA_F_NODAD NETNSA_NSID NETNSA_FD
    IFLA_ADDRESS IFLA_IFNAME IFLA_MTU IFLA_LINK IFLA_MASTER IFLA_LINKINFO IFLA_STATS64 IFLA_LINK_NETNSID IFLA_NET_NS_FD
    IFLA_TARGET_NETNSID IFLA_NEW_NETNSID IFLA_NEW_IFINDEX RTNLGRP_LINK RTNLGRP_NSID NETLINK_LISTEN_ALL_NSID
    NETLINK_CONNECTOR CN_IDX_PROC CN_VAL_PROC PROC_CN_MCAST_LISTEN PROC_EVENT_FORK PROC_EVENT_EXEC
    IFLA_GSO_MAX_SEGS IFLA_GSO_MAX_SIZE IFLA_XDP IFLA_PARENT_DEV_NAME IFLA_GRO_MAX_SIZE IFLA_GSO_IPV4_MAX_SIZE
    IFLA_GRO_IPV4_MAX_SIZE IFLA_INFO_KIND IFLA_INFO_DATA IFLA_INFO_SLAVE_KIND
    IFLA_XDP_FD IFLA_XDP_ATTACHED IFLA_XDP_PROG_ID
    XDP_ATTACHED_NONE XDP_ATTACHED_DRV XDP_ATTACHED_SKB XDP_ATTACHED_HW XDP_ATTACHED_MULTI
    IFLA_TUN_TYPE IFLA_TUN_PI IFLA_TUN_VNET_HDR VETH_INFO_PEER IFLA_GRE_OFLAGS IFLA_GRE_IFLAGS GRE_CSUM
    IFLA_NETKIT_PEER_INFO IFLA_NETKIT_MODE NETKIT_L2
    IFLA_VXLAN_ID IFLA_VXLAN_LINK IFLA_VXLAN_PORT IFLA_VXLAN_UDP_CSUM IFLA_VXLAN_UDP_ZERO_CSUM6_TX
    IFLA_VXLAN_UDP_ZERO_CSUM6_RX IFLA_VXLAN_REMCSUM_TX IFLA_VXLAN_REMCSUM_RX
    IFLA_GENEVE_ID IFLA_GENEVE_PORT IFLA_GENEVE_UDP_CSUM IFLA_GENEVE_UDP_ZERO_CSUM6_TX IFLA_GENEVE_UDP_ZERO_CSUM6_RX
    IFLA_VXLAN_GPE IFLA_BAREUDP_PORT IFLA_BAREUDP_ETHERTYPE ETH_P_MPLS_UC ETH_P_MPLS_MC NETLINK_GENERIC GENL_ID_CTRL
    CTRL_CMD_GETFAMILY CTRL_ATTR_FAMILY_NAME CTRL_ATTR_FAMILY_ID FOU_GENL_VERSION FOU_CMD_GET FOU_ATTR_PORT
    FOU_ATTR_IPPROTO FOU_ATTR_TYPE FOU_ENCAP_GUE
    SOCK_DIAG_BY_FAMILY PACKET_SHOW_INFO PACKET_SHOW_FILTER PACKET_DIAG_INFO PACKET_DIAG_FILTER PDI_VNETHDR
    XDP_SHOW_INFO XDP_DIAG_INFO
    NFNL_SUBSYS_CTNETLINK IPCTNL_MSG_CT_GET CTA_TUPLE_ORIG CTA_TUPLE_REPLY CTA_TUPLE_IP CTA_TUPLE_PROTO
    CTA_IP_V4_SRC CTA_IP_V4_DST CTA_IP_V6_SRC CTA_IP_V6_DST CTA_PROTO_NUM CTA_PROTO_SRC_PORT CTA_PROTO_DST_PORT

    TC_H_CLSACT TC_CLSACT_HANDLE TC_CLSACT_INGRESS TC_CLSACT_EGRESS TC_ACT_SHOT TC_ACT_UNSPEC
    BPF_PROG_QUERY BPF_LINK_CREATE BPF_LINK_UPDATE BPF_LINK_DETACH BPF_TCX_INGRESS BPF_TCX_EGRESS BPF_F_BEFORE
    BPF_F_AFTER BPF_F_LINK BPF_F_REPLACE TCA_CHAIN TCA_BPF_ID
    TCA_KIND TCA_OPTIONS TCA_BPF_OPS_LEN TCA_BPF_OPS TCA_BPF_FD TCA_BPF_NAME TCA_BPF_FLAGS TCA_BPF_FLAG_ACT_DIRECT
    BPF_PROG_TYPE_SCHED_CLS BPF_PROG_TYPE_XDP XDP_PASS BPF_F_PSEUDO_HDR BPF_F_MARK_MANGLED_0
    BPF_FUNC_redirect BPF_FUNC_get_prandom_u32 BPF_FUNC_skb_store_bytes BPF_FUNC_l3_csum_replace
    BPF_FUNC_l4_csum_replace
    BPF_PROG_GET_FD_BY_ID BPF_MAP_GET_FD_BY_ID BPF_OBJ_GET_INFO_BY_FD
    BPF_MAP_TYPE_DEVMAP BPF_MAP_TYPE_DEVMAP_HASH BPF_MAP_TYPE_XSKMAP
    BPF_LD BPF_LDX BPF_ST BPF_STX BPF_JMP BPF_ALU64 BPF_B BPF_H BPF_W BPF_ABS BPF_IND BPF_MEM BPF_MOV BPF_ADD BPF_AND
    BPF_XOR BPF_LSH BPF_RSH BPF_JEQ BPF_JNE BPF_JLT BPF_CALL BPF_EXIT BPF_K BPF_X
    BPF_LEN BPF_MSH BPF_RET BPF_MISC BPF_TAX BPF_JA BPF_JGE BPF_JSET BPF_ALU BPF_SUB BPF_MUL BPF_MOD
    SKF_AD_OFF SKF_AD_PKTTYPE

    SECCOMP_SET_MODE_FILTER SECCOMP_FILTER_FLAG_TSYNC SECCOMP_FILTER_FLAG_SPEC_ALLOW
    SECCOMP_RET_ALLOW SECCOMP_RET_ERRNO SECCOMP_RET_KILL_PROCESS THIS_AUDIT_ARCH __NR_bpf
    CLONE_VM CLONE_FS CLONE_FILES CLONE_SIGHAND CLONE_THREAD CLONE_SYSVSEM CLONE_SETTLS CLONE_PARENT_SETTID
    CLONE_CHILD_CLEARTID CLONE_DETACHED CLONE_NEWNET READ_IMPLIES_EXEC SOL_NETLINK
    PR_SET_NAME PR_GET_NAME PR_SET_VMA PR_SET_TIMERSLACK PR_SET_NO_NEW_PRIVS
    LANDLOCK_CREATE_RULESET_VERSION LANDLOCK_RULE_PATH_BENEATH
    LANDLOCK_ACCESS_FS_WRITE_FILE LANDLOCK_ACCESS_FS_READ_FILE LANDLOCK_ACCESS_FS_READ_DIR
    LANDLOCK_ACCESS_FS_REMOVE_FILE LANDLOCK_ACCESS_FS_MAKE_REG LANDLOCK_ACCESS_FS_MAKE_SYM LANDLOCK_ACCESS_FS_REFER
    LANDLOCK_ACCESS_FS_TRUNCATE LANDLOCK_ACCESS_FS_IOCTL_DEV LANDLOCK_ACCESS_NET_BIND_TCP
    LANDLOCK_ACCESS_NET_CONNECT_TCP LANDLOCK_SCOPE_ABSTRACT_UNIX_SOCKET LANDLOCK_SCOPE_SIGNAL
    _LINUX_CAPABILITY_VERSION_3 CAP_DAC_OVERRIDE CAP_NET_ADMIN CAP_NET_RAW CAP_SYS_ADMIN
    CAP_PERFMON CAP_BPF CAP_SYS_PTRACE
    TP_STATUS_CSUMNOTREADY FSOPEN_CLOEXEC FSMOUNT_CLOEXEC FSCONFIG_CMD_CREATE __NR_fsopen __NR_fsconfig __NR_fsmount
""".split()  # noqa: SIM905 - a list would be one name a line

# What older headers lack, by the version that brought it.  An enumerator cannot be asked for with #ifdef.
NEWER = {
    (5, 2): {"FSCONFIG_CMD_CREATE": 6},
    (5, 4): {"BPF_MAP_TYPE_DEVMAP_HASH": 25},
    (5, 7): {"BPF_LINK_CREATE": 28, "BPF_LINK_UPDATE": 29},
    (5, 8): {"CAP_PERFMON": 38, "CAP_BPF": 39},
    (5, 9): {"BPF_LINK_DETACH": 34},
    (5, 14): {"IFLA_PARENT_DEV_NAME": 56},
    (5, 19): {"IFLA_GRO_MAX_SIZE": 58},
    (6, 3): {"IFLA_GSO_IPV4_MAX_SIZE": 63, "IFLA_GRO_IPV4_MAX_SIZE": 64},
    (6, 6): {
        "BPF_TCX_INGRESS": 46,
        "BPF_TCX_EGRESS": 47,
        "BPF_F_BEFORE": 1 << 3,
        "BPF_F_AFTER": 1 << 4,
        "BPF_F_LINK": 1 << 13,
    },
    (6, 7): {"IFLA_NETKIT_PEER_INFO": 1, "IFLA_NETKIT_MODE": 5, "NETKIT_L2": 0},
}

FILE_RIGHTS = """
    EXECUTE WRITE_FILE READ_FILE READ_DIR REMOVE_DIR REMOVE_FILE MAKE_CHAR MAKE_DIR MAKE_REG MAKE_SOCK MAKE_FIFO
    MAKE_BLOCK MAKE_SYM REFER TRUNCATE IOCTL_DEV
""".split()  # noqa: SIM905 - of Landlock, by their bits

# The same for macros, which a preprocessor can be asked for.
NEWER_MACROS = {
    "__NR_fsopen": 430,  # Linux 5.2
    "__NR_fsconfig": 431,
    "__NR_fsmount": 432,
    "FSOPEN_CLOEXEC": 1,
    "FSMOUNT_CLOEXEC": 1,
    "__NR_landlock_create_ruleset": 444,  # Linux 5.13
    "__NR_landlock_add_rule": 445,
    "__NR_landlock_restrict_self": 446,
    "LANDLOCK_CREATE_RULESET_VERSION": "(1U << 0)",
    **{f"LANDLOCK_ACCESS_FS_{name}": f"(1ULL << {bit})" for bit, name in enumerate(FILE_RIGHTS)},
    "LANDLOCK_ACCESS_NET_BIND_TCP": "(1ULL << 0)",  # Linux 6.7
    "LANDLOCK_ACCESS_NET_CONNECT_TCP": "(1ULL << 1)",
    "LANDLOCK_SCOPE_ABSTRACT_UNIX_SOCKET": "(1ULL << 0)",  # Linux 6.12
    "LANDLOCK_SCOPE_SIGNAL": "(1ULL << 1)",
    "CLONE_DETACHED": "0x00400000",
}

# What a hardened process may still call (pktmend/host/seccomp.py), and the walls it puts up; an architecture that
# lacks one has -1.
SYSCALLS = """
    accept4 access bind brk clock_getres clock_gettime clock_nanosleep clone clone3 close dup dup3 epoll_create1
    epoll_ctl epoll_pwait epoll_wait eventfd2 exit exit_group faccessat faccessat2 fcntl fdatasync fstat fsync
    fchmod ftruncate futex getcwd getdents64 getegid geteuid getgid getpeername getpgid getpgrp getpid getppid getrandom
    getrusage getsockname getsockopt gettid gettimeofday getuid ioctl kill landlock_add_rule landlock_create_ruleset
    landlock_restrict_self lseek lstat madvise membarrier mmap mprotect mremap munmap nanosleep newfstatat open openat
    pipe2 poll ppoll prctl pread64 prlimit64
    pselect6 pwrite64 read readlink readlinkat readv recvfrom recvmmsg recvmsg rename renameat renameat2
    restart_syscall rseq rt_sigaction rt_sigpending rt_sigprocmask rt_sigreturn rt_sigtimedwait sched_getaffinity
    sched_yield seccomp select sendmmsg sendmsg sendto set_robust_list setsockopt shutdown sigaltstack socket
    stat statx sysinfo tgkill time uname unlink unlinkat wait4 waitid write writev
""".split()  # noqa: SIM905

ffi.cdef(
    "\n".join(f"#define {name} ..." for name in [*CONSTANTS, *(f"__NR_{name}" for name in SYSCALLS)])
    + """
struct tpacket_req { unsigned int tp_block_size, tp_block_nr, tp_frame_size, tp_frame_nr; };
struct tpacket_req3 { unsigned int tp_block_size, tp_block_nr, tp_frame_size, tp_frame_nr,
                      tp_retire_blk_tov, tp_sizeof_priv, tp_feature_req_word; };
struct packet_mreq { int mr_ifindex; unsigned short mr_type, mr_alen; unsigned char mr_address[8]; };
struct sock_filter { unsigned short code; unsigned char jt, jf; unsigned int k; };
struct sock_fprog { unsigned short len; struct sock_filter *filter; };
int load_bpf(unsigned int type, const char *instructions, unsigned int count, char *log, unsigned int log_size);
"""
)

ffi.set_source(
    "pktmend._kernel",
    """
#include <errno.h>
#include <sched.h>
#include <stdint.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/personality.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>
#include <asm/socket.h>
#include <linux/audit.h>
#include <linux/bpf.h>
#include <linux/capability.h>
#include <linux/cn_proc.h>
#include <linux/connector.h>
#include <linux/ethtool.h>
#include <linux/filter.h>
#include <linux/fou.h>
#include <linux/genetlink.h>
#include <linux/if.h>
#include <linux/if_arp.h>
#include <linux/if_ether.h>
#include <linux/if_link.h>
#include <linux/if_packet.h>
#include <linux/if_tun.h>
#include <linux/if_tunnel.h>
#include <linux/mount.h>
#if __has_include(<linux/landlock.h>) /* Linux 5.13 */
#include <linux/landlock.h>
#else
#define LANDLOCK_RULE_PATH_BENEATH 1
#endif
#include <linux/net_namespace.h>
#include <linux/netfilter/nfnetlink.h>
#include <linux/netfilter/nfnetlink_conntrack.h>
#include <linux/netlink.h>
#include <linux/packet_diag.h>
#include <linux/pkt_cls.h>
#include <linux/pkt_sched.h>
#include <linux/prctl.h>
#include <linux/rtnetlink.h>
#include <linux/seccomp.h>
#include <linux/sock_diag.h>
#include <linux/sockios.h>
#include <linux/version.h>
#include <linux/veth.h>
#include <linux/virtio_net.h>
#if __has_include(<linux/xdp_diag.h>) /* Linux 5.1 */
#include <linux/xdp_diag.h>
#else
#define XDP_SHOW_INFO 1
#define XDP_DIAG_INFO 1
#endif
#if LINUX_VERSION_CODE < KERNEL_VERSION(5, 7, 0)
#define IFLA_BAREUDP_PORT 1
#define IFLA_BAREUDP_ETHERTYPE 2
#endif
/* The hooks of clsact; their handles are made of two halves. */
#define TC_CLSACT_HANDLE TC_H_MAKE(TC_H_CLSACT, 0)
#define TC_CLSACT_INGRESS TC_H_MAKE(TC_H_CLSACT, TC_H_MIN_INGRESS)
#define TC_CLSACT_EGRESS TC_H_MAKE(TC_H_CLSACT, TC_H_MIN_EGRESS)
#if defined(__x86_64__)
#define THIS_AUDIT_ARCH AUDIT_ARCH_X86_64
#elif defined(__aarch64__)
#define THIS_AUDIT_ARCH AUDIT_ARCH_AARCH64
#else
#define THIS_AUDIT_ARCH 0 /* not tried there: no filter */
#endif
#ifndef PR_SET_VMA /* Linux 5.17 */
#define PR_SET_VMA 0x53564d41
#endif
#ifndef SOL_PACKET
#define SOL_PACKET 263
#endif
#ifndef PACKET_IGNORE_OUTGOING /* Linux 4.20 */
#define PACKET_IGNORE_OUTGOING 23
#endif
#ifndef PACKET_FANOUT_FLAG_IGNORE_OUTGOING /* Linux 5.18 */
#define PACKET_FANOUT_FLAG_IGNORE_OUTGOING 0x4000
#endif
#ifndef AF_XDP /* Linux 4.18, glibc 2.28 */
#define AF_XDP 44
#endif

/* Load a program of count instructions: its descriptor, or -errno with the verifier's words in log. */
static int load_bpf(unsigned int type, const char *instructions, unsigned int count, char *log, unsigned int log_size)
{
    union bpf_attr attr;
    memset(&attr, 0, sizeof attr);
    attr.prog_type = type;
    attr.insns = (uintptr_t)instructions;
    attr.insn_cnt = count;
    attr.license = (uintptr_t)"Apache-2.0";
    attr.log_level = 1;
    attr.log_buf = (uintptr_t)log;
    attr.log_size = log_size;
    long fd = syscall(__NR_bpf, BPF_PROG_LOAD, &attr, sizeof attr);
    return fd < 0 ? -errno : (int)fd;
}
"""
    + "".join(
        f"#if LINUX_VERSION_CODE < KERNEL_VERSION({major}, {minor}, 0)\n#define {name} {value}\n#endif\n"
        for (major, minor), names in NEWER.items()
        for name, value in names.items()
    )
    + "".join(f"#ifndef {name}\n#define {name} {value}\n#endif\n" for name, value in NEWER_MACROS.items())
    + "".join(f"#ifndef __NR_{name}\n#define __NR_{name} -1\n#endif\n" for name in SYSCALLS),
)

if __name__ == "__main__":
    ffi.compile(verbose=True)
