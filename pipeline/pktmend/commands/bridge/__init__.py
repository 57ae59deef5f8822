"""`pktmend bridge`: carry frames between two interfaces and repair them on the way.

options     the options, named as on the command line
bridge      the pipelines of both directions
run         from start to summary: signals, events, reports
admission   all that is asked and done before a bridge takes two interfaces
host_use    would the host answer or carry frames too?  Addresses, forwarding, a master
isolation   a process that keeps the host's stack away while the bridge runs, whatever becomes of it
tc_ingress  the tc ingress drop that does it, by netlink
"""
