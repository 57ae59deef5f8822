"""The host's own stack and other bridges: what else gets, or answers, the frames of an interface.

    admission   all that is asked and done before a bridge takes two interfaces
    look        would the host answer or carry frames too?  Addresses, forwarding, a master
    claim       one bridge for an interface, across processes
    isolation   a process that keeps the host's stack away while the bridge runs, whatever becomes of it
    ingress     the tc ingress drop that does it, by netlink
"""
