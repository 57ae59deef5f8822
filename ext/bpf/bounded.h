/* bounded.h - what older verifiers want to see.
 */
#ifndef PP_BPF_BOUNDED_H
#define PP_BPF_BOUNDED_H

/* Keep no more than these bits of a number, right where an address is made of it.  Older verifiers forget the bounds of a
 * number that was put aside, or combined in 32 bits; and what the compiler knows already it would leave out. */
#define BOUNDED(number, bits)                                                                                          \
    do {                                                                                                               \
        __asm__ volatile("" : "+r"(number));                                                                           \
        (number) &= (bits);                                                                                            \
    } while (0)

#endif
