"""What the rules see, as data, and the English of it: each fact is a frozen value with a `text`.

counts             numbers in sentences, shared by the others
tap                what one tap holds as a whole; what rose on this machine meanwhile
capture_point      what shows where a capture was taken
partial            partial checksums: leaked or pending, their senders, the hops on their way
flags, protocols   flags that contradict the packet; SCTP, DHCP, ICMP
arithmetic         sums that are miscomputed, over a wrong length, or without one (large-send offload)
crc                SCTP: another sum than CRC32c, headers that were rewritten
wrong, rewritten   sums that are empty, damaged; headers that were rewritten
hop                what a hop did between two taps
limits             what the evidence cannot tell
"""
