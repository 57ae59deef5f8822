/* fuzz_copy.c - any bytes through a pipe, with a pause wherever the input says, into a copy of the capture that they are; and
 * once more with what `fix` does between, whatever it was told to repair.
 *
 * Invariants: the copy is the capture up to where reading ended, byte for byte, whatever the pauses; the end is the one that
 * reading it at once comes to.  With repair the copy ends there too, and what differs are the fields of checks that were
 * repaired, and the bit of pcapng's packet flags that says that a checksum is not ready.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "check/classify.h"
#include "check/repair.h"
#include "check/verify.h"
#include "io/reader.h"
#include "../c/columns.h"

enum { ROOM = 16, LONGEST = 16384 }; /* less than a pipe holds */

/* What came out, and with what reading ended. */
typedef struct end {
    size_t length;
    int rc;
} end;

static uint8_t may[LONGEST]; /* by byte of the file: has repair said that it writes there? */

/* What `fix` does with a batch, the first byte of whose chunk is the file's at base. */
static void mend(pp_batch *b, const pp_reader *r, size_t base, uint32_t policy)
{
    if (pp_stage_verify(b, NULL) || pp_stage_classify(b, NULL) || pp_stage_repair(b, &policy))
        abort();
    for (uint32_t i = 0; i < b->count; i++)
        for (unsigned j = 0; j < b->check_count[i]; j++) {
            const pp_check *k = &b->checks[b->check_first[i] + j];
            uint32_t width = (k->flags & PP_CHECK_CRC32C) ? 4 : 2;
            if (!(k->flags & PP_CHECK_REPAIRED))
                continue;
            if (k->offset + width > b->caplen[i] || b->data[i] < r->data)
                abort();
            size_t at = base + (size_t)(b->data[i] - r->data) + k->offset;
            if (at + width > LONGEST)
                abort();
            memset(may + at, 1, width);
        }
}

/* Has the word around this byte lost the bit for "not ready", and nothing else, behind the head of an option for flags? */
static int is_ready_now(const uint8_t *file, const uint8_t *out, size_t size, size_t at)
{
    static const uint8_t bits[2][4] = { { 0, 2, 0, 0 }, { 0, 0, 2, 0 } },
                         heads[2][4] = { { 2, 0, 4, 0 }, { 0, 2, 0, 4 } };
    for (size_t first = at >= 3 ? at - 3 : 0; first <= at && first >= 4 && first + 4 <= size; first++)
        for (int order = 0; order < 2; order++) {
            int is_so = memcmp(file + first - 4, heads[order], 4) == 0;
            for (int i = 0; i < 4; i++)
                is_so &= (file[first + i] & ~bits[order][i]) == out[first + i];
            if (is_so)
                return 1;
        }
    return 0;
}

/* policy: what to repair before copying, UINT32_MAX: do not even look. */
static end copy(const uint8_t *file, size_t size, const uint8_t *pauses, size_t count, uint8_t *out, uint32_t policy)
{
    static pp_batch b;
    static int target = -1;
    int pipes[2], rc = 0;
    size_t given = 0, next = 0;
    pp_reader r;
    pp_ledger ledger = { 0 };
    if (!b.data)
        b = columns(ROOM);
    if (target < 0 && (target = memfd_create("copy", 0)) < 0)
        exit(1);
    if (ftruncate(target, 0) || lseek(target, 0, SEEK_SET) || pipe(pipes) || pp_reader_init(&r, pipes[0]))
        exit(1);
    pp_copy c = { &r, target };
    int is_begun = 0;
    do {
        size_t step = next < count ? (size_t)pauses[next++] + 1 : size - given;
        if (step > size - given)
            step = size - given;
        if (step && write(pipes[1], file + given, step) != (ssize_t)step)
            exit(1);
        given += step;
        if (given == size && pipes[1] >= 0) {
            close(pipes[1]);
            pipes[1] = -1;
        }
        if (!is_begun) { /* as the command does: it knows the format before it makes the copy */
            rc = pp_reader_begin(&r);
            is_begun = rc != 0;
            r.copy_fd = is_begun ? target : -1;
            if (rc <= 0)
                continue;
            rc = 0;
        }
        for (int idle = 0; idle < 2 && rc >= 0;) { /* twice nothing: all that was written is read */
            rc = pp_reader_next(&b, &r);
            idle = rc == 0 ? idle + 1 : 0;
            if (rc > 0 && policy != UINT32_MAX)
                mend(&b, &r, (size_t)lseek(target, 0, SEEK_CUR) - r.copied, policy);
            if (rc > 0 && pp_copy_take(&b, &ledger, &c))
                abort();
        }
    } while (rc >= 0 && (pipes[1] >= 0 || !r.final || !is_begun));
    while (rc >= 0) {
        rc = pp_reader_next(&b, &r);
        if (rc > 0 && policy != UINT32_MAX)
            mend(&b, &r, (size_t)lseek(target, 0, SEEK_CUR) - r.copied, policy);
        if (rc > 0 && pp_copy_take(&b, &ledger, &c))
            abort();
    }
    if (is_begun && pp_copy_finish(&c))
        abort();
    off_t length = lseek(target, 0, SEEK_CUR);
    if (length < 0 || (size_t)length > size || pread(target, out, (size_t)length, 0) != length)
        abort(); /* more than there was */
    pp_reader_free(&r);
    close(pipes[0]);
    if (pipes[1] >= 0)
        close(pipes[1]);
    return (end){ (size_t)length, rc };
}

int LLVMFuzzerTestOneInput(const uint8_t *input, size_t size)
{
    static const uint32_t magics[] = { 0xa1b2c3d4, 0xa1b23c4d, 0xa1b2cd34, 0xd4c3b2a1, 0x0a0d0d0a };
    static uint8_t whole[LONGEST], paused[LONGEST], file[LONGEST];
    if (size < 2 || size > LONGEST)
        return 0;
    size_t count = input[0] % 64, magic = input[1] & 15;
    uint32_t policy = input[1] >> 4 & 3;
    if (count + 2 > size)
        count = size - 2;
    const uint8_t *pauses = input + 2;
    size -= 2 + count;
    memcpy(file, pauses + count, size);
    if (magic < sizeof magics / sizeof magics[0] && size >= sizeof magics[0])
        memcpy(file, &magics[magic], sizeof magics[0]);
    end one = copy(file, size, NULL, 0, whole, UINT32_MAX), two = copy(file, size, pauses, count, paused, UINT32_MAX);
    if (one.rc != two.rc || one.length != two.length || memcmp(whole, file, one.length) != 0 ||
        memcmp(paused, file, two.length) != 0)
        abort();
    if (one.rc == -ENODATA && one.length != size)
        abort(); /* a good end, and bytes are missing */
    memset(may, 0, sizeof may);
    end three = copy(file, size, pauses, count, paused, policy);
    if (three.rc != one.rc || three.length != one.length)
        abort();
    for (size_t i = 0; i < three.length; i++)
        if (paused[i] != file[i] && !may[i] && !is_ready_now(file, paused, three.length, i))
            abort(); /* something else than a checksum */
    return 0;
}
