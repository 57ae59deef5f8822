"""Throw-away networks in namespaces, with real programs and the middleboxes that lose or damage checksums.

netns           namespaces, veth pairs and programs, taken down whatever happens
topology        two containers on a node, a web server, and whether they reach each other
transcript      what a run shows: commands, answers, verdicts
links           links, addresses and hooks of a namespace, by rtnetlink
offloads        offloads, recorded and put back
relay, tap, ovs, tunnel   a plain copy, a hypervisor's TAP, Open vSwitch, VXLAN
bpf, middlebox  an eBPF assembler, and NAT or damage as tc and XDP programs
"""
