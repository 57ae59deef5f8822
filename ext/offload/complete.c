/* complete.c - one pending checksum of a frame; see split.h. */
#include <errno.h>

#include "parse/headers.h"
#include "sum/bytes.h"
#include <pktmend/split.h>
#include <pktmend/sum.h>

int pp_complete(uint8_t *frame, uint32_t length, const pp_vnet *v)
{
    uint32_t field = (uint32_t)v->csum_start + v->csum_offset;
    if (v->csum_start >= length || field + 2 > length)
        return -EINVAL;
    uint16_t sum = (uint16_t)~pp_fold(pp_kernel_active()->sum(frame + v->csum_start, length - v->csum_start));
    if (sum == 0 && v->csum_offset == UDP_SUM)
        sum = 0xffff;
    memcpy(frame + field, &sum, sizeof sum);
    return 0;
}

int pp_complete_crc32c(uint8_t *frame, const pp_check *k)
{
    if (!(k->flags & PP_CHECK_CRC32C) || k->length < k->offset - k->start + 4)
        return -EINVAL;
    uint32_t crc = pp_crc32c_around(frame + k->start, k->length, k->offset - k->start);
    pp_put32(frame + k->offset, crc);
    return 0;
}
