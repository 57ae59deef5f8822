"""`pktmend bridge`: carry frames between two interfaces and repair them on the way.

run         the bridge, its options and its life
admission   all that is asked and done before a bridge takes two interfaces
host_use    would the host answer or carry frames too?  Addresses, forwarding, a master
isolation   a process that keeps the host's stack away while the bridge runs, whatever becomes of it
tc_ingress  the tc ingress drop that does it, by netlink
"""
