"""Where packets come from and go to.

ring            Ring: a packet socket with a receive ring
emit            Emit: a packet socket that sends
afpacket        what both sockets share
capture         Capture: pcap and pcapng files and pipes
capture_writer  Copy, Writer: the same, written
capture_file    how such a file is opened
in_python       Frames and Function: a program's own frames, and a function, as the ends of a pipeline
iterate         batches one after another, without a pipeline
bpf_filter      tcpdump's filter language, compiled by libpcap
flow_hash       which worker takes which flow (RSS in a classic BPF program)
link_monitor    follows an interface that goes down, is renamed, or is deleted and made again
interface_lock  one bridge for an interface, across processes
"""
