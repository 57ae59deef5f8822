"""Bare `pktmend diagnose`: which packets does the kernel drop for their checksum, and who spoilt them?

run, options, target  the command; what narrows it
watch, offers         wait for the first drop: counters of all namespaces, the kernel's tracepoints; DHCP offers
surroundings          which interfaces lie between who sent it and who dropped it
listen                tap them all at once, for a moment
path                  in which order packets pass them, and between which two they are spoilt
answer                the decisions: those of two taps around that hop, or of one tap if there is none before it
show                  the text and the JSON of what was watched, dropped and passed
"""
