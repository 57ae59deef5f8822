"""Facts of this machine, and the privileges of this process.

    model, machine      every network namespace with its interfaces, peers, offloads and readers, as frozen data
    namespaces          find network namespaces, and call a function in one
    container_ids, container_state, workloads   containers and pods: whose a process or a namespace is
    workload_lookup, neighbours, elsewhere   a namespace by such a name; whose interfaces are; where one is
    interfaces, ethtool   MTU, state and offloads of one interface, by ioctl
    netlink, rtnetlink, conntrack, packet_sockets, snmp, bpf_info   the sources that machine reads
    tcx, tc_filter, clsact   attach a program to an interface, first of all, and keep it there
    privileges, seccomp, landlock   give up what is not needed once the sockets exist
    trusted_path        which files may be executed or believed
    output_path, output_file, own_folder   what may be written to: links, owners, modes

Rules of this package:
1. Facts only, frozen (model.py); what they mean is for diagnose and doctor.
2. What could not be read is None or missing and named in Machine.unread, never guessed.
3. Nothing needs to be installed: netlink, ioctl and /proc.  Without privilege our own namespace is read.
"""
