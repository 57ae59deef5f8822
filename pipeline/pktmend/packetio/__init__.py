"""Where packets come from and go to.

afpacket        Ring and Emit: packet sockets with a receive ring, and sending
capture         Capture, Copy, Writer: pcap and pcapng files and pipes
bpf_filter      tcpdump's filter language, compiled by libpcap
flow_hash       which worker takes which flow (RSS in a classic BPF program)
link_monitor    follows an interface that goes down, is renamed, or is deleted and made again
interface_lock  one bridge for an interface, across processes
"""
