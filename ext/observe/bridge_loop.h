/* bridge_loop.h - is a bridge part of a loop?  What it takes to suspect it, to prove it, and to end it.
 *
 * A frame that comes in again at the port it came in at went round, or somebody has sent the same bytes once more: that makes
 * a suspicion.  The proof is a probe, a frame with a random number that nobody else can know, which left by one port and comes
 * in at the other.  Who sends probes, and when, is not decided here.
 *
 * Rules:
 *   1. One pp_bridge_loop for a bridge, one pp_loop_watch for each of its workers.  What crosses threads is atomic.
 *   2. A batch without suspicious frames costs one memchr() of the version column; frames are hashed at most
 *      PP_LOOP_SAMPLES times in 100 ms, however many there are.  No allocation, no system call, no clock but the frames'.
 *   3. A probe of ours is dropped (PP_DROP_LOOP) where it proves something.  The first one that comes in where it left goes on:
 *      a reflector sends it back once, and a loop may lie beyond the other port.  Probes of others are frames like any other.
 *   4. While the bridge blocks, every frame is dropped, PP_DROP_LOOP.
 *
 * A probe is an Ethernet Configuration Testing Protocol reply (EtherType 0x9000) to the broadcast address, which a storm's
 * frames have too: behind skip count, function and receipt number come the magic, the bridge's id, the probe's number, the
 * port it left by and PP_LOOP_* flags.
 *
 * Source: Digital, Intel, Xerox: The Ethernet, version 2.0, section 8.
 */
#ifndef PP_BRIDGE_LOOP_H
#define PP_BRIDGE_LOOP_H

#include <stdatomic.h>

#include <pktmend/stage.h>

#pragma GCC visibility push(default)

#define PP_LOOP_SAMPLES 128u /* frames of 100 ms that are looked at */
#define PP_LOOP_REMEMBERED 4096u
#define PP_LOOP_PROBE 60u /* bytes of a probe without tags */
#define PP_LOOP_TAGS 8u   /* places of VLAN tags seen */
#define PP_LOOP_STOPS 1u  /* the bridge that sent it blocks if it finds a loop */
#define PP_LOOP_BLOCKS 2u /* and does so now */

typedef struct pp_bridge_loop {
    uint64_t id;                  /* random; the higher one of two stays blocked */
    _Atomic uint32_t blocks;      /* carries nothing */
    _Atomic uint64_t probe[2];    /* number of the probe that left last by each port; 0: none */
    _Atomic uint64_t previous[2]; /* and the one before */
    _Atomic uint64_t proved[2];   /* probes that left by this port and came in at the other */
    _Atomic uint64_t back[2];     /* copies of probes that came in at the port they left by */
    _Atomic uint64_t same[2];     /* number of the last one of these that went on */
    _Atomic uint64_t tag;         /* of the last one that proved something: as tags[] */
    _Atomic uint64_t other_stops; /* highest id of another bridge whose probe said so, since it was taken */
    _Atomic uint64_t other_blocks;
} pp_bridge_loop;

typedef struct pp_loop_watch {
    pp_bridge_loop *bridge;
    uint32_t port;                       /* 0 or 1: the one whose frames these are */
    _Atomic uint64_t frames;             /* seen */
    _Atomic uint64_t repeats;            /* of those looked at, the ones that had come in 10 to 600 ms before */
    _Atomic uint64_t tags[PP_LOOP_TAGS]; /* of frames looked at: outer TPID, TCI, inner TPID, TCI; 0 none */
    /* private */
    uint64_t window_ns;
    uint32_t left; /* of this window's samples */
    uint64_t hash[PP_LOOP_REMEMBERED], time_ns[PP_LOOP_REMEMBERED];
} pp_loop_watch;

/* The stage, behind verify; context is the pp_loop_watch.  Reads: version, verdict, frames.  Writes: verdict, drop. */
pp_stage_fn pp_stage_watch_loop;
/* Write a probe that leaves by that port, without tags; it counts as that port's last one.  number: random, not 0. */
void pp_loop_make_probe(pp_bridge_loop *bridge, uint32_t port, uint64_t number, uint32_t flags, const uint8_t source[6],
                        uint8_t probe[PP_LOOP_PROBE]);

#pragma GCC visibility pop
#endif
