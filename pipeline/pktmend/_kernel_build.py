"""Compile the kernel's packet-socket, TAP and BPF constants and structs out of the kernel's own headers.

What Debian 12's 6.1 headers lack is given a fallback here, with the kernel version that brought it.
Run by setup.py (cffi_modules); the result is the extension pktmend._kernel.
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
    TUNSETIFF TUNSETOFFLOAD IFF_TAP IFF_NO_PI IFF_VNET_HDR TUN_F_CSUM TUN_F_TSO4 TUN_F_TSO6
    BPF_PROG_TYPE_SCHED_CLS BPF_PROG_TYPE_XDP XDP_PASS TC_ACT_OK TC_ACT_SHOT BPF_F_PSEUDO_HDR BPF_F_MARK_MANGLED_0
    BPF_FUNC_redirect BPF_FUNC_get_prandom_u32 BPF_FUNC_skb_store_bytes BPF_FUNC_l3_csum_replace
    BPF_FUNC_l4_csum_replace
    BPF_LD BPF_LDX BPF_ST BPF_STX BPF_JMP BPF_ALU64 BPF_B BPF_H BPF_W BPF_ABS BPF_IND BPF_MEM BPF_MOV BPF_ADD BPF_AND
    BPF_XOR BPF_LSH BPF_RSH BPF_JEQ BPF_JNE BPF_JLT BPF_CALL BPF_EXIT BPF_K BPF_X
""".split()  # noqa: SIM905 - a list would be one name a line

# What a hardened process may still call (pktmend/host/seccomp.py); an architecture that lacks one has -1.
SYSCALLS = """
    accept4 access bind brk clock_getres clock_gettime clock_nanosleep clone clone3 close dup dup3 epoll_create1
    epoll_ctl epoll_pwait epoll_wait eventfd2 exit exit_group faccessat faccessat2 fcntl fdatasync fstat fsync
    ftruncate futex getcwd getdents64 getegid geteuid getgid getpeername getpgid getpgrp getpid getppid getrandom
    getrusage getsockname getsockopt gettid gettimeofday getuid ioctl kill listen lseek lstat madvise membarrier
    mkdirat mmap mprotect mremap munmap nanosleep newfstatat open openat pipe2 poll ppoll prctl pread64 prlimit64
    pselect6 pwrite64 read readlink readlinkat readv recvfrom recvmmsg recvmsg rename renameat renameat2
    restart_syscall rseq rt_sigaction rt_sigpending rt_sigprocmask rt_sigreturn rt_sigtimedwait sched_getaffinity
    sched_yield seccomp select sendmmsg sendmsg sendto set_robust_list setsockopt shutdown sigaltstack socket
    socketpair stat statx sysinfo tgkill time uname unlink unlinkat wait4 waitid write writev
""".split()  # noqa: SIM905

# Classic BPF beyond what is above, and what seccomp and prctl are told.
FILTERS = """
    BPF_LEN BPF_MSH BPF_RET BPF_MISC BPF_TAX BPF_JA BPF_JGE BPF_JSET BPF_ALU BPF_SUB BPF_MUL BPF_MOD
    SECCOMP_SET_MODE_FILTER SECCOMP_FILTER_FLAG_TSYNC SECCOMP_FILTER_FLAG_SPEC_ALLOW
    SECCOMP_RET_ALLOW SECCOMP_RET_ERRNO SECCOMP_RET_KILL_PROCESS
    CLONE_THREAD PR_SET_NAME PR_GET_NAME PR_SET_VMA PR_SET_TIMERSLACK
    SIOCETHTOOL SIOCGIFNAME SIOCGIFINDEX SIOCGIFFLAGS SIOCGIFMTU
    THIS_AUDIT_ARCH
""".split()  # noqa: SIM905

ffi.cdef(
    "\n".join(f"#define {name} ..." for name in [*CONSTANTS, *FILTERS, *(f"__NR_{name}" for name in SYSCALLS)])
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
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>
#include <asm/socket.h>
#include <linux/audit.h>
#include <linux/bpf.h>
#include <linux/filter.h>
#include <linux/if_ether.h>
#include <linux/if_packet.h>
#include <linux/if_tun.h>
#include <linux/pkt_cls.h>
#include <linux/prctl.h>
#include <linux/seccomp.h>
#include <linux/sockios.h>
#include <linux/virtio_net.h>
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
#ifndef VIRTIO_NET_HDR_GSO_UDP_L4 /* Linux 6.2 */
#define VIRTIO_NET_HDR_GSO_UDP_L4 5
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
    + "".join(f"#ifndef __NR_{name}\n#define __NR_{name} -1\n#endif\n" for name in SYSCALLS),
)

if __name__ == "__main__":
    ffi.compile(verbose=True)
