/* reader.c - see reader.h. */
#define _GNU_SOURCE
#include "io/reader.h"

#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "io/annotate.h"

#define CHUNK (1u << 20)

int pp_reader_init(pp_reader *r, int fd)
{
    memset(r, 0, sizeof *r);
    pp_capture_init(&r->capture);
    r->fd = fd;
    r->room = CHUNK;
    r->copy_fd = -1;
    r->to_read = UINT64_MAX;
    r->data = malloc(r->room);
    return r->data ? 0 : -ENOMEM;
}

void pp_reader_free(pp_reader *r)
{
    pp_capture_free(&r->capture);
    free(r->data);
    r->data = NULL;
    r->length = r->at = r->room = r->copied = 0;
}

/* Move what is left to the front and read behind it: 1 something came, 0 nothing now, or -errno.  The end sets final. */
static int refill(pp_reader *r)
{
    struct pollfd p = { .fd = r->fd, .events = POLLIN };
    int n = poll(&p, 1, 0);
    if (n <= 0)
        return n == 0 || errno == EINTR ? 0 : -errno;
    size_t left = r->length - r->at;
    if (r->copy_fd >= 0 && r->copied < r->at) { /* no packet was in it, so the sink was not asked */
        pp_copy copy = { .reader = r, .fd = r->copy_fd };
        int rc = r->annotated ? pp_annotate(r->annotated, NULL) : pp_copy_finish(&copy);
        if (rc < 0)
            return rc;
    }
    if (r->at) {
        memmove(r->data, r->data + r->at, left);
        r->copied -= r->copied < r->at ? r->copied : r->at;
        r->at = 0;
        r->length = left;
    }
    if (left == r->room) {
        uint8_t *more = realloc(r->data, r->room * 2);
        if (!more)
            return -ENOMEM;
        r->data = more;
        r->room *= 2;
    }
    size_t wanted = r->room - left < r->to_read ? r->room - left : (size_t)r->to_read;
    ssize_t got = read(r->fd, r->data + left, wanted);
    if (got < 0)
        return errno == EAGAIN || errno == EINTR ? 0 : -errno;
    if (r->to_read != UINT64_MAX)
        r->to_read -= (uint64_t)got;
    r->length += (size_t)got;
    r->final = got == 0;
    return 1;
}

int pp_reader_begin(pp_reader *r)
{
    pp_batch none = { .capacity = 0 }; /* nothing beyond the file header is looked at */
    while (r->data) {
        size_t consumed = 0;
        int n = pp_capture_next(&r->capture, r->data + r->at, r->length - r->at, r->final, &none, &consumed);
        r->at += consumed;
        if (n < 0 || r->capture.format != PP_CAPTURE_UNKNOWN)
            return n < 0 ? n : r->capture.format;
        n = refill(r);
        if (n <= 0)
            return n;
    }
    return -EBADF;
}

int pp_reader_stretch(pp_reader *r, uint64_t start, uint64_t end, uint64_t before)
{
    int rc = pp_reader_begin(r);
    if (rc < 0)
        return rc;
    if (rc != PP_CAPTURE_PCAP || end < start || r->capture.records || start > INT64_MAX)
        return -EINVAL;
    if (lseek(r->fd, (off_t)start, SEEK_SET) >= 0) {
        r->at = r->length = 0;
        r->to_read = end - start;
        r->final = 0;
    } else if (errno != ESPIPE) {
        return -errno;
    }
    r->capture.offset = start;
    r->capture.records = before;
    return 0;
}

int pp_reader_next(pp_batch *b, void *context)
{
    pp_reader *r = context;
    if (!r->data)
        return -EBADF;
    for (;;) {
        size_t consumed = 0;
        int n = pp_capture_next(&r->capture, r->data + r->at, r->length - r->at, r->final, b, &consumed);
        r->at += consumed;
        if (n != 0)
            return n;
        if (consumed)
            return 0; /* a chunk without packets */
        if (r->final)
            return -ENODATA;
        n = refill(r);
        if (n <= 0)
            return n;
    }
}

void pp_reader_release(void *context) { (void)context; }

int pp_write_all(int fd, const void *data, size_t length)
{
    const uint8_t *p = data;
    while (length) {
        ssize_t n = write(fd, p, length);
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return -errno;
        p += n;
        length -= (size_t)n;
    }
    return 0;
}

int pp_copy_finish(pp_copy *copy)
{
    pp_reader *r = copy->reader;
    int rc = pp_write_all(copy->fd, r->data + r->copied, r->at - r->copied);
    r->copied = r->at;
    return rc;
}

void pp_copy_set_ready(const pp_batch *b, const pp_reader *r)
{
    if (r->capture.format == PP_CAPTURE_PCAPNG)
        for (uint32_t i = 0; i < b->count; i++) /* complete now: "not ready" goes */
            if ((b->flags[i] & PP_PKT_REPAIRED) && (b->flags[i] & PP_PKT_NOT_READY) &&
                b->status[i] != PP_STATUS_PENDING)
                pp_pcapng_set_ready(b->data[i], r->data, r->data + r->at);
}

int pp_copy_take(pp_batch *b, pp_ledger *ledger, void *context)
{
    pp_copy *copy = context;
    pp_copy_set_ready(b, copy->reader);
    int rc = pp_copy_finish(copy);
    if (rc < 0)
        return rc;
    ledger->sent += b->count;
    ledger->sent_frames += b->count;
    return 0;
}
