"""`pktmend bridge`: carry frames between two interfaces and repair them on the way.

options     the options, named as on the command line
bridge      the pipelines of both directions
run         from start to summary: signals, events, reports
admission   all that is asked and done before a bridge takes two interfaces
host_use    would the host answer or carry frames too?  Addresses, forwarding, a master
served      what --listen serves: the latest snapshot, health and a page (pktmend.serving)
metrics     a snapshot for Prometheus
sandbox     what bridge and keeper give up once they are set up
keeper      a process that keeps the ports as they should be while the bridge runs, whatever becomes of it:
            keeper_process, keeper_messages (what the two say to each other), kept_port, kept_programs (one of them)
cut_through may the kernel carry what is healthy?  Its programs, in both directions
passage     one direction of it: what the kernel's part is told, where suspects come up, how all is counted
tc_ingress  the tc ingress drop that keeps the host's stack away
"""
