"""`pktmend diagnose`: why are checksums wrong, and which command cures it?

api, run, options    the same as a function and as a command; examine is what both call
taps                 live interfaces and files -> evidence
evidence             what one tap saw: counts, conversations, a few packets of each kind (samples)
capture_point        where a capture was taken, from what became of partial checksums
rules                evidence -> decisions, by rules_flags, _sctp, _dhcp, _icmp, _partial, _empty, _rewritten, _wrong;
                     case is what they work on, loss what those on lost metadata share
two_taps             two taps: recorded or read, matched (match), compared (pairs); rules_hop says what the hop did,
                     journey what became of packets in general
host_context         the machine around the tap
decision, facts      what a rule decides, as data; what it saw, as data that knows its sentence
finding, show        a decision in English; its text; summary prints findings and what was counted
search               bare `pktmend diagnose`: wait for a drop in any namespace, follow it back, tap both sides of a hop
causes, remedies     the table of root causes; commands with the right interface and namespace
"""
