/* test_spool.c - blocks through a small ring to a file: all of them or counted, whole ones only, a failing write included. */
#define _GNU_SOURCE /* F_SETPIPE_SZ */
#include "io/spool.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <sys/resource.h>
#include <unistd.h>

#include "check.h"
#include "columns.h"

enum { PUT, FULL, STOPPED };

static uint8_t frame[2048];

static uint64_t count_of(const pp_spool *s, unsigned which)
{
    uint64_t n[3];
    pp_spool_counts(s, &n[PUT], &n[FULL], &n[STOPPED]);
    return n[which];
}

static pp_batch batch_of(uint32_t count, uint32_t caplen)
{
    pp_batch b = columns(count);
    b.count = count;
    for (uint32_t i = 0; i < count; i++) {
        b.data[i] = frame;
        b.caplen[i] = b.wirelen[i] = caplen;
        b.link[i] = 1;
        b.flags[i] = PP_PKT_METADATA;
        b.status[i] = i % 4 ? PP_STATUS_GOOD : PP_STATUS_BAD;
    }
    return b;
}

/* Blocks of the file, read by nothing of ours; -1 if they do not end where the file does. */
static long blocks_in(const char *path, uint32_t length)
{
    FILE *f = fopen(path, "rb");
    long n = 0;
    uint32_t head[2], tail;
    while (fread(head, 4, 2, f) == 2) {
        if (head[0] != 6 || head[1] != length || fseek(f, (long)head[1] - 12, SEEK_CUR) || fread(&tail, 4, 1, f) != 1 ||
            tail != head[1])
            n = -1000000;
        n++;
    }
    fclose(f);
    return n;
}

static void test_wraps_and_counts(const char *path)
{
    pp_spool s;
    pp_batch b = batch_of(7, 61); /* 28 + 61 + 3 + 12 + 4 = 108 bytes: does not divide 4096 */
    uint64_t packets = 0;
    int fd = open(path, O_RDWR | O_CREAT | O_TRUNC, 0600);
    CHECK_EQ(pp_spool_init(&s, 5000), (uint64_t)-EINVAL);
    CHECK_EQ(pp_spool_init(&s, 4096), 0);
    for (unsigned turn = 0; turn < 1000; turn++) {
        pp_spooled done;
        CHECK_EQ(pp_stage_spool(&b, &s), 0);
        CHECK_EQ(pp_spool_drain(&s, fd, turn % 3 ? UINT64_MAX : 109, &done), 0); /* 109: reached by the second block */
        packets += done.packets;
        CHECK_EQ(done.bytes, done.packets * 108);
    }
    CHECK_EQ(packets + count_of(&s, FULL) + pp_spool_discard(&s), 7000);
    CHECK_EQ(count_of(&s, PUT) + count_of(&s, FULL), 7000);
    CHECK_EQ(blocks_in(path, 108), (long)packets);
    close(fd);
    pp_spool_free(&s);
    columns_free(&b);
}

static void test_limit_is_passed_by_one_block_at_most(const char *path)
{
    pp_spool s;
    pp_spooled done;
    pp_batch b = batch_of(10, 61);
    int fd = open(path, O_RDWR | O_CREAT | O_TRUNC, 0600);
    pp_spool_init(&s, 4096);
    pp_stage_spool(&b, &s);
    pp_spool_drain(&s, fd, 216, &done);
    CHECK_EQ(done.packets, 2);
    pp_spool_drain(&s, fd, 217, &done);
    CHECK_EQ(done.packets, 3);
    close(fd);
    pp_spool_free(&s);
    columns_free(&b);
}

static void test_full_refuses_and_only_bad_selects(void)
{
    pp_spool s;
    pp_batch b = batch_of(400, 61);
    pp_spool_init(&s, 4096);
    s.only_bad = 1;
    pp_stage_spool(&b, &s); /* 100 are bad, 37 fit */
    CHECK_EQ(count_of(&s, PUT), 37);
    CHECK_EQ(count_of(&s, FULL), 63);
    pp_spool_stop(&s, 1);
    pp_stage_spool(&b, &s);
    CHECK_EQ(count_of(&s, STOPPED), 100);
    CHECK_EQ(pp_spool_discard(&s), 37);
    pp_spool_stop(&s, 0);
    pp_stage_spool(&b, &s);
    CHECK_EQ(count_of(&s, PUT), 74);
    pp_spool_free(&s);
    columns_free(&b);
}

/* A limit on the file's size (EFBIG) lets part of a block through: whole ones are counted, the rest stays. */
static void test_failed_write_counts_whole_blocks(const char *path)
{
    pp_spool s;
    pp_spooled done;
    pp_batch b = batch_of(10, 61);
    struct rlimit before, small;
    int fd = open(path, O_RDWR | O_CREAT | O_TRUNC, 0600);
    pp_spool_init(&s, 4096);
    pp_stage_spool(&b, &s);
    getrlimit(RLIMIT_FSIZE, &before);
    small = before;
    small.rlim_cur = 500; /* 4 blocks are 432 bytes */
    setrlimit(RLIMIT_FSIZE, &small);
    CHECK_EQ(pp_spool_drain(&s, fd, UINT64_MAX, &done), (uint64_t)-EFBIG);
    setrlimit(RLIMIT_FSIZE, &before);
    CHECK_EQ(done.packets, 4);
    CHECK_EQ(done.bytes, 432);
    CHECK_EQ(lseek(fd, 0, SEEK_END), 500);
    CHECK_EQ(pp_spool_discard(&s), 6);
    close(fd);
    pp_spool_free(&s);
    columns_free(&b);
}

static void test_failed_write_takes_nothing_out(void)
{
    pp_spool s;
    pp_spooled done;
    pp_batch b = batch_of(64, 1501);
    int ends[2];
    CHECK_EQ(pipe(ends), 0);
    pp_spool_init(&s, 1 << 17);
    pp_stage_spool(&b, &s);
    close(ends[0]);
    CHECK_EQ(pp_spool_drain(&s, ends[1], UINT64_MAX, &done), (uint64_t)-EPIPE);
    CHECK_EQ(done.bytes, 0);
    CHECK_EQ(pp_spool_discard(&s), 64);
    close(ends[1]);
    pp_spool_free(&s);
    columns_free(&b);
}

static void *give_up_soon(void *context)
{
    usleep(50000);
    pp_spool_give_up(context);
    return NULL;
}

/* A full pipe: what it took is counted, in whole blocks, and the rest is still in. */
static void test_reader_that_hangs_is_given_up(void)
{
    pp_batch b = batch_of(64, 1400);
    pp_spool s;
    pp_spooled done;
    pthread_t thread;
    int ends[2];
    CHECK_EQ(pipe(ends), 0);
    int room = fcntl(ends[1], F_SETPIPE_SZ, 16384);
    pp_spool_init(&s, 1 << 17);
    pp_stage_spool(&b, &s);
    uint64_t block = s.head / 64;
    pthread_create(&thread, NULL, give_up_soon, &s);
    CHECK_EQ(pp_spool_drain(&s, ends[1], UINT64_MAX, &done), (uint64_t)-ETIMEDOUT);
    pthread_join(thread, NULL);
    CHECK_EQ(done.packets, (uint64_t)room / block);
    CHECK_EQ(done.bytes, done.packets * block);
    CHECK_EQ(pp_spool_discard(&s), 64 - done.packets);
    close(ends[0]);
    close(ends[1]);
    pp_spool_free(&s);
    columns_free(&b);
}

static void *produce(void *context)
{
    pp_batch b = batch_of(16, 1000);
    for (unsigned i = 0; i < 2000; i++)
        pp_stage_spool(&b, context);
    columns_free(&b);
    return NULL;
}

static void test_producer_and_consumer_at_once(const char *path)
{
    pp_spool s;
    pthread_t thread;
    uint64_t packets = 0;
    int fd = open(path, O_RDWR | O_CREAT | O_TRUNC, 0600);
    pp_spool_init(&s, 1 << 16);
    pthread_create(&thread, NULL, produce, &s);
    for (unsigned i = 0; i < 300; i++) {
        pp_spooled done;
        CHECK_EQ(pp_spool_drain(&s, fd, UINT64_MAX, &done), 0);
        packets += done.packets;
    }
    pthread_join(thread, NULL);
    packets += pp_spool_discard(&s);
    CHECK_EQ(packets, count_of(&s, PUT));
    CHECK_EQ(count_of(&s, PUT) + count_of(&s, FULL), 32000);
    CHECK(blocks_in(path, 28 + 1000 + 12 + 4) >= 0);
    close(fd);
    pp_spool_free(&s);
}

int main(void)
{
    char path[] = "/tmp/pktmend-spool-XXXXXX";
    signal(SIGPIPE, SIG_IGN);
    signal(SIGXFSZ, SIG_IGN);
    for (unsigned i = 0; i < sizeof frame; i++)
        frame[i] = (uint8_t)(i * 7);
    close(mkstemp(path));
    test_wraps_and_counts(path);
    test_limit_is_passed_by_one_block_at_most(path);
    test_full_refuses_and_only_bad_selects();
    test_failed_write_counts_whole_blocks(path);
    test_failed_write_takes_nothing_out();
    test_reader_that_hangs_is_given_up();
    test_producer_and_consumer_at_once(path);
    unlink(path);
    return DONE;
}
