/* check.h - the smallest test frame: CHECK counts, says where, goes on; DONE is the exit code. */
#ifndef CHECK_H
#define CHECK_H

#include <inttypes.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static int check_failed, check_passed;

#define CHECK(condition) CHECK_THAT(condition, "%s", "does not hold")
#define CHECK_THAT(condition, ...)                                                                                     \
    do {                                                                                                               \
        if (condition) {                                                                                               \
            check_passed++;                                                                                            \
        } else {                                                                                                       \
            check_failed++;                                                                                            \
            if (check_failed <= 20) {                                                                                  \
                fprintf(stderr, "%s:%d: %s: ", __FILE__, __LINE__, #condition);                                        \
                fprintf(stderr, __VA_ARGS__);                                                                          \
                fputc('\n', stderr);                                                                                   \
            }                                                                                                          \
        }                                                                                                              \
    } while (0)
#define CHECK_EQ(got, want)                                                                                            \
    CHECK_THAT((uint64_t)(got) == (uint64_t)(want), "got 0x%" PRIx64 ", want 0x%" PRIx64, (uint64_t)(got),             \
               (uint64_t)(want))
#define DONE (printf("%s: %d passed, %d failed\n", __FILE__, check_passed, check_failed), check_failed != 0)

#endif
