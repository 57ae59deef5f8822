"""`pktmend diagnose`: why are checksums wrong, and which command cures it?

taps      live interfaces and files -> evidence
evidence  what one tap saw: counts, conversations (talks), a few packets of each kind (samples)
place     where a capture was taken, from what became of unfinished packets
rules     evidence -> findings, in the order of special, leaks, damage, rewritten; case is what they work on
two       two taps: recorded or read, matched (match), compared (pairs); between says what the hop did
surroundings, remedies    the machine around the tap; commands with the right interface and namespace
causes, finding, show     the table of root causes, one finding, its text
"""
