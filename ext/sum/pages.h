/* pages.h - zeroed memory of which what is never used costs none: tables that stay empty on most of hundreds of interfaces.
 *
 * calloc clears what it takes from the heap, and so touches all of it.
 */
#ifndef PP_PAGES_H
#define PP_PAGES_H

#include <stddef.h>
#include <sys/mman.h>

/* Null: no memory. */
static inline void *pp_pages_new(size_t size)
{
    void *at = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    return at == MAP_FAILED ? NULL : at;
}

static inline void pp_pages_free(void *at, size_t size)
{
    if (at)
        munmap(at, size);
}

#endif
