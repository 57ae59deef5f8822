/* select.h - pick packets by column values; what batch.where() and batch.mark() run on.
 *
 * Rule: only packets that still pass are looked at, so the first verdict wins.
 */
#ifndef PP_SELECT_H
#define PP_SELECT_H

#include <pktmend/stage.h>

#pragma GCC visibility push(default)

/* A negative field accepts anything; port: source or destination of the outermost TCP or UDP header; flags: all of these
 * bits must be set. */
typedef struct pp_select {
    int status, cause, version, protocol, port;
    uint16_t flags;
} pp_select;

/* Write the indices of matching packets to out (room for count); returns how many. */
uint32_t pp_where(const pp_batch *batch, const pp_select *select, uint32_t *out);
/* Give matching packets a verdict; returns how many. */
uint32_t pp_mark(pp_batch *batch, const pp_select *select, uint8_t verdict, uint8_t drop);

#define PP_FILTER_LINKS 16u

/* libpcap's bpf_filter(): nonzero if the program takes the packet.  program is a struct bpf_insn array. */
typedef unsigned int (*pp_bpf_fn)(const void *program, const uint8_t *data, unsigned int wirelen, unsigned int caplen);

/* A capture filter, compiled once for each link type that may turn up; packets of another link type do not match. */
typedef struct pp_filter {
    pp_bpf_fn run;
    uint32_t count;
    uint16_t link[PP_FILTER_LINKS];
    void *program[PP_FILTER_LINKS];
} pp_filter;

/* Does the packet match?  For pp_capture.filter. */
int pp_filter_match(void *filter, uint16_t link, const uint8_t *data, uint32_t wirelen, uint32_t caplen);

#pragma GCC visibility pop
#endif
