"""Where packets come from and go to.

afpacket        Ring and Emit: packet sockets with a receive ring, and sending
capture         Capture, Copy, Writer: pcap and pcapng files and pipes
in_python       Frames and Function: a program's own frames, and a function, as the ends of a pipeline
iterate         batches one after another, without a pipeline
bpf_filter      tcpdump's filter language, compiled by libpcap
flow_hash       which worker takes which flow (RSS in a classic BPF program)
link_monitor    follows an interface that goes down, is renamed, or is deleted and made again
interface_lock  one bridge for an interface, across processes
"""
