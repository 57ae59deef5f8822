/* fuzz_copy.c - any bytes through a pipe, with a pause wherever the input says, into a copy of the capture that they are.
 *
 * Invariants: the copy is the capture up to where reading ended, byte for byte, whatever the pauses; the end is the one that
 * reading it at once comes to.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "io/reader.h"
#include "../c/columns.h"

enum { ROOM = 16, LONGEST = 16384 }; /* less than a pipe holds */

/* What came out, and with what reading ended. */
typedef struct end {
    size_t length;
    int rc;
} end;

static end copy(const uint8_t *file, size_t size, const uint8_t *pauses, size_t count, uint8_t *out)
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
            if (rc > 0 && pp_copy_take(&b, &ledger, &c))
                abort();
        }
    } while (rc >= 0 && (pipes[1] >= 0 || !r.final || !is_begun));
    while (rc >= 0) {
        rc = pp_reader_next(&b, &r);
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
    size_t count = input[0] % 64, magic = input[1];
    if (count + 2 > size)
        count = size - 2;
    const uint8_t *pauses = input + 2;
    size -= 2 + count;
    memcpy(file, pauses + count, size);
    if (magic < sizeof magics / sizeof magics[0] && size >= sizeof magics[0])
        memcpy(file, &magics[magic], sizeof magics[0]);
    end one = copy(file, size, NULL, 0, whole), two = copy(file, size, pauses, count, paused);
    if (one.rc != two.rc || one.length != two.length || memcmp(whole, file, one.length) != 0 ||
        memcmp(paused, file, two.length) != 0)
        abort();
    if (one.rc == -ENODATA && one.length != size)
        abort(); /* a good end, and bytes are missing */
    return 0;
}
