/* intake.c - see intake.h. */
#include "run/intake.h"

#include <linux/filter.h>
#include <linux/if_packet.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>

/* PACKET_STATISTICS clears on read: this is its only reader. */
static struct tpacket_stats_v3 statistics_of(int fd)
{
    struct tpacket_stats_v3 s;
    socklen_t size = sizeof s;
    memset(&s, 0, sizeof s);
    if (getsockopt(fd, SOL_PACKET, PACKET_STATISTICS, &s, &size) < 0)
        memset(&s, 0, sizeof s);
    return s;
}

void pp_intake_count(pp_loop *l)
{
    uint64_t before = l->ledger.kernel_drops;
    if (l->source.fd < 0)
        return;
    struct tpacket_stats_v3 s = statistics_of(l->source.fd);
    l->ledger.kernel_seen += s.tp_packets;
    l->ledger.kernel_drops += s.tp_drops;
    if (l->source.losses) {
        l->ledger.unsupported_gso = l->source.losses->unsupported;
        l->ledger.kernel_drops += l->source.losses->unread - l->unread;
        l->unread = l->source.losses->unread;
    }
    if (l->clearing)
        pp_clearing_add(l->clearing, l->ledger.kernel_drops - before);
}

void pp_intake_write_off(pp_loop *l)
{
    uint64_t known = l->ledger.read + l->ledger.kernel_drops;
    if (l->ledger.kernel_seen <= known)
        return;
    l->ledger.kernel_drops += l->ledger.kernel_seen - known;
    if (l->clearing)
        pp_clearing_add(l->clearing, l->ledger.kernel_seen - known);
}

void pp_intake_stop(int fd)
{
    struct sock_filter none = BPF_STMT(BPF_RET | BPF_K, 0);
    struct sock_fprog program = { .len = 1, .filter = &none };
    setsockopt(fd, SOL_SOCKET, SO_ATTACH_FILTER, &program, sizeof program);
}

void pp_intake_heed(pp_loop *l)
{
    struct epoll_event e;
    l->is_suspect |= epoll_wait(l->source.watch_fd, &e, 1, 0) > 0 && !(e.events & EPOLLIN);
}

void pp_intake_watch(pp_loop *l)
{
    struct epoll_event e = { .events = EPOLLIN | EPOLLOUT | EPOLLET };
    epoll_ctl(l->source.watch_fd, EPOLL_CTL_ADD, l->source.fd, &e);
    pp_intake_heed(l); /* that it can be written to is the first edge */
    l->is_watched = l->is_suspect = 1;
}

void pp_intake_unwatch(pp_loop *l)
{
    struct epoll_event e = { 0 };
    epoll_ctl(l->source.watch_fd, EPOLL_CTL_DEL, l->source.fd, &e);
    l->is_watched = 0;
}

/* Go on with another descriptor, which has been taking frames while the one before still did.  What comes between its binding
 * and this count is counted by both: it may count twice, but never not at all. */
static void change_over(pp_loop *l, int fd)
{
    pp_intake_count(l);
    pp_intake_write_off(l);
    pp_intake_stop(l->source.fd);
    l->source.fd = fd;
    l->source.watch_fd = 0;
    l->source.rebuild = NULL;
}

/* Where so few frames came since the source was last known to be empty that none can have been dropped for want of room, and
 * yet some were, nothing that comes finds its way any more. */
int pp_intake_mend(pp_loop *l)
{
    l->is_suspect = 0;
    pp_intake_count(l);
    uint64_t seen = l->ledger.kernel_seen - l->empty_seen, drops = l->ledger.kernel_drops - l->empty_drops;
    l->empty_seen = l->ledger.kernel_seen;
    l->empty_drops = l->ledger.kernel_drops;
    if (!l->source.rebuild || drops == 0 || seen > l->source.room)
        return 0;
    pp_intake_write_off(l); /* before: what is counted afterwards may lie in the new ring and be read */
    pp_intake_count(l);
    int rc = l->source.rebuild(l->source.context);
    if (rc < 0)
        return rc;
    l->ledger.rebuilds++;
    if (rc > 0)
        change_over(l, rc);
    l->empty_drops = l->ledger.kernel_drops;
    return 0;
}
