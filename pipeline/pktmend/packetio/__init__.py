"""Where packets come from and go to.

ring            Ring: a packet socket with a receive ring
ring_group      rings of one interface that take over from one another
in_parallel     many sockets opened or closed at once
emit            Emit: a packet socket that sends
afpacket        what both sockets share
capture         Capture: pcap and pcapng files and pipes
capture_writer  Copy, Writer: the same, written
capture_file    how such a file is opened
in_python       Frames and Function: a program's own frames, and a function, as the ends of a pipeline
iterate         batches one after another, without a pipeline
bpf_filter      tcpdump's filter language, compiled by libpcap
flow_hash       which worker takes which flow (RSS in a classic BPF program)
kernel_judge    KernelJudge: the BPF programs that carry healthy frames, and their memory; libbpf loads them
internal_port   the TAP at which the rest arrives, and the ring there
link_monitor    follows an interface that goes down, is renamed, or is deleted and made again
interface_lock  one bridge for an interface, across processes
"""
