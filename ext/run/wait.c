/* wait.c - see wait.h. */
#include "run/wait.h"

#include <poll.h>
#include <sys/socket.h>

#include "run/intake.h"

/* What a loop waits for: input, or room for the batch that it holds. */
static struct pollfd awaited(const pp_loop *l)
{
    if (pp_loop_has_ended(l))
        return (struct pollfd){ .fd = -1 };
    return l->waits ? (struct pollfd){ .fd = l->sink.fd, .events = POLLOUT }
                    : (struct pollfd){ .fd = l->source.fd, .events = POLLIN };
}

/* How long it may be left alone, in ms. */
static int patience(const pp_loop *l)
{
    if (pp_loop_has_ended(l))
        return PP_PUBLISH_NS / 1000000;
    if (l->waits || l->drain_end_ns)
        return l->waits ? 5 : 2; /* a V3 block waits for its timer */
    if (l->source.watch_fd > 0 && !l->is_watched)
        return PP_LOOK_NS / 1000000 + 1;
    return (l->is_clearing ? PP_SETTLE_NS : PP_PUBLISH_NS) / 1000000 + 1;
}

void pp_wait(pp_loop *const *loops, unsigned count)
{
    struct pollfd p[3 * PP_MAX_LOOPS];
    int timeout = PP_PUBLISH_NS / 1000000;
    for (unsigned i = 0; i < count; i++) {
        int is_awake = pp_loop_has_ended(loops[i]) || loops[i]->drain_end_ns;
        int has_watch = !loops[i]->waits && !is_awake && loops[i]->is_watched;
        p[3 * i] = awaited(loops[i]);
        p[3 * i + 1] = (struct pollfd){ .fd = has_watch ? loops[i]->source.watch_fd : -1, .events = POLLIN };
        p[3 * i + 2] = (struct pollfd){ .fd = is_awake ? -1 : loops[i]->wake_fd, .events = POLLIN };
        timeout = patience(loops[i]) < timeout ? patience(loops[i]) : timeout;
    }
    if (poll(p, 3 * count, timeout) <= 0)
        return;
    for (unsigned i = 0; i < count; i++) {
        if (p[3 * i + 1].revents)
            pp_intake_heed(loops[i]);
        if (loops[i]->waits || !(p[3 * i].revents & (POLLERR | POLLHUP)))
            continue;
        int error = 0;
        socklen_t size = sizeof error;
        getsockopt(loops[i]->source.fd, SOL_SOCKET, SO_ERROR, &error, &size); /* reading it clears it */
        loops[i]->ledger.link_events++;
        if (!error && !(p[3 * i].revents & POLLIN))
            poll(&p[3 * i + 2], 1, 10); /* a socket that stays in error must not spin */
    }
}
