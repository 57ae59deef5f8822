"""Namespaces and the machine's facts, judged by iproute2, ethtool, ss and nstat."""

from __future__ import annotations

import json
import os
import re
import socket
import subprocess
import sys
import threading
from pathlib import Path
from typing import Any

import pytest

from line import NO_PI, TAP, TUN_F_CSUM, VNET_HDR, inode, open_tap, open_tap_device
from pktmend.errors import OSFailure
from pktmend.host.conntrack import read_connections
from pktmend.host.ethtool import read_features
from pktmend.host.machine import read_machine
from pktmend.host.model import Interface, Machine, NamespaceFacts
from pktmend.host.namespaces import call, find_namespace, list_namespaces
from pktmend.host.packet_sockets import xdp_sockets
from pktmend.testbed.netns import Host, Testbed
from tools import need


def ethtool(host: Host, interface: str) -> dict[str, tuple[bool, bool]]:
    """{feature: (active, fixed)} as `ethtool -k` shows it; its summary lines have other names."""
    out = host.run("ethtool", "-k", interface).stdout
    return {
        name: (state == "on", bool(fixed))
        for name, state, fixed in re.findall(r"^\s*([\w-]+): (on|off)( \[fixed\])?", out, re.MULTILINE)
    }


def links(host: Host) -> dict[str, dict[str, Any]]:
    """{name: link} as `ip -d -j link` shows them."""
    return {link["ifname"]: link for link in json.loads(host.run("ip", "-d", "-j", "link").stdout)}


def facts_of(machine: Machine, host: Host) -> NamespaceFacts:
    here = machine.facts_of(find_namespace(host.namespace))
    assert here is not None
    return here


def facts(machine: Machine, host: Host, name: str) -> Interface:
    return next(i for i in facts_of(machine, host).interfaces if i.name == name)


def test_features_are_those_of_ethtool(testbed: Testbed) -> None:
    a, b = testbed.host("a"), testbed.host("b")
    testbed.veth(a, "eth0", b, "eth0")
    a.run("ethtool", "-K", "eth0", "tx", "off", "gro", "on", "rxvlan", "off")
    for name in ("eth0", "lo"):
        judge = ethtool(a, name)
        ours = a.call(lambda name=name: read_features(name))  # type: ignore[misc]
        same = [feature for feature in ours if feature in judge]
        assert len(same) > 40
        assert {f: (ours[f].active, ours[f].is_fixed) for f in same} == {f: judge[f] for f in same}
    machine = read_machine()
    assert not facts(machine, a, "eth0").leaves_checksums and not facts(machine, a, "eth0").makes_super_frames
    assert facts(machine, b, "eth0").leaves_checksums and facts(machine, b, "eth0").makes_super_frames


def test_interfaces_are_those_of_iproute2(testbed: Testbed) -> None:
    a, b = testbed.host("a"), testbed.host("b")
    testbed.veth(a, "eth0", b, "eth0", mtu=9000)
    a.address("eth0", "10.1.0.1/24", "fd01::1/64")
    vxlan = ["type", "vxlan", "local", "10.1.0.1", "remote", "10.1.0.2", "dev", "eth0"]
    a.run("ip", "link", "add", "vx0", *vxlan, "id", "7", "dstport", "4789", "udpcsum")
    a.run("ip", "link", "add", "vx1", *vxlan, "id", "8", "dstport", "4790", "noudpcsum", "udp6zerocsumtx", "remcsumrx")
    a.run("ip", "link", "add", "br0", "type", "bridge")
    a.run("ip", "tuntap", "add", "tap0", "mode", "tap", "vnet_hdr")
    a.run("ip", "tuntap", "add", "tun1", "mode", "tun")
    a.run("ip", "link", "set", "dev", "tap0", "master", "br0")
    a.run("ip", "link", "set", "dev", "eth0", "gso_max_size", "30000", "gso_max_segs", "20")
    judge, machine = links(a), read_machine()
    here = facts_of(machine, a)
    assert {i.name for i in here.interfaces} == set(judge)
    for i in here.interfaces:
        link = judge[i.name]
        info = link.get("linkinfo", {})
        assert (i.index, i.mtu, i.is_up, i.master) == (
            link["ifindex"],
            link["mtu"],
            "UP" in link["flags"],
            link.get("master", ""),
        )
        assert i.kind == info.get("info_kind", "loopback") and i.master_kind == info.get("info_slave_kind", "")
        assert {word: i.sizes[word] for word in ("gso_max_size", "gso_max_segs", "gro_max_size")} == {
            word: link[word] for word in ("gso_max_size", "gso_max_segs", "gro_max_size")
        }
        data = info.get("info_data", {})
        if i.kind == "vxlan":
            assert i.tunnel is not None and i.lower == data["link"]
            assert (i.tunnel["id"], i.tunnel["port"]) == (data["id"], data["port"])
            for word, key in (
                ("udpcsum", "udp_csum"),
                ("udp6zerocsumtx", "udp_zero_csum6_tx"),
                ("udp6zerocsumrx", "udp_zero_csum6_rx"),
            ):
                assert bool(i.tunnel[word]) == data[key], word
            assert bool(i.tunnel["remcsumrx"]) == data.get("remcsum_rx", False)
        if i.kind == "tun":
            assert i.tun is not None
            assert (i.tun.is_tap, i.tun.vnet_hdr, i.tun.packet_info) == (
                data["type"] == "tap",
                data["vnet_hdr"],
                data["pi"],
            )
    addresses = json.loads(a.run("ip", "-j", "address", "show", "dev", "eth0").stdout)[0]["addr_info"]
    assert sorted(facts(machine, a, "eth0").addresses) == sorted(f"{x['local']}/{x['prefixlen']}" for x in addresses)


def test_veth_peer_is_found_in_a_namespace_without_a_name(testbed: Testbed) -> None:
    a = testbed.host("a")
    sleeper = a.spawn("unshare", "-n", "sleep", "60")
    own = inode(f"/run/netns/{a.namespace}")
    while inode(f"/proc/{sleeper.pid}/ns/net") in (own, inode("/proc/self/ns/net")):
        pass
    a.run("ip", "link", "add", "left", "type", "veth", "peer", "name", "right")
    a.run("ip", "link", "set", "dev", "right", "netns", str(sleeper.pid))
    machine = read_machine()
    left = facts(machine, a, "left")
    right = machine.peer_of(left)
    assert right is not None and right.name == "right" and left.peer_is_elsewhere
    assert machine.peer_of(right) == left
    assert right.namespace.prefix == f"nsenter -t {sleeper.pid} -n" and right.namespace.word == str(sleeper.pid)
    shown = json.loads(
        subprocess.run(right.command("ip -j link show dev right").split(), capture_output=True, check=True).stdout
    )
    assert (shown[0]["ifindex"], shown[0]["link_index"]) == (right.index, left.index)
    assert find_namespace(str(sleeper.pid)).inode == right.namespace.inode


def test_veth_pair_inside_one_namespace(testbed: Testbed) -> None:
    a = testbed.host("a")
    testbed.veth(a, "x", a, "y")
    machine = read_machine()
    x, y = facts(machine, a, "x"), facts(machine, a, "y")
    assert machine.peer_of(x) == y and machine.peer_of(y) == x and not x.peer_is_elsewhere


def test_namespaces_are_named_as_ip_netns_names_them(testbed: Testbed) -> None:
    a = testbed.host("a")
    by_name = {n.name: n for n in list_namespaces().found if n.name}
    ours = by_name[a.namespace]
    assert ours.prefix == f"ip netns exec {a.namespace}" and ours.inode == inode(f"/run/netns/{a.namespace}")
    listed = {
        line.split()[0]
        for line in subprocess.run(["ip", "netns"], capture_output=True, text=True, check=True).stdout.splitlines()
    }
    assert a.namespace in listed
    own = list_namespaces().own
    assert own.is_own and own.prefix == "" and own.inode == inode("/proc/self/ns/net")
    inside = call(ours, list_namespaces)
    assert inside.own.name == a.namespace and inside.own.prefix == "" and inside.own.inode == ours.inode


def test_call_moves_a_thread_of_its_own_and_hands_errors_on(testbed: Testbed) -> None:
    a = testbed.host("a")
    before = inode("/proc/thread-self/ns/net")
    where = find_namespace(a.namespace)
    there, name = call(where, lambda: (inode("/proc/thread-self/ns/net"), threading.current_thread().name))
    assert there == where.inode and name != threading.current_thread().name
    assert inode("/proc/thread-self/ns/net") == before
    with pytest.raises(ZeroDivisionError):
        call(where, lambda: 1 // 0)
    for wrong in ("no-such-name", "999999999", "/nowhere/at/all"):
        with pytest.raises(OSFailure, match="no network namespace"):
            find_namespace(wrong)


def test_packet_sockets_and_their_holders_are_those_of_ss(testbed: Testbed) -> None:
    need("ss", "tcpdump")
    a, b = testbed.host("a"), testbed.host("b")
    testbed.veth(a, "eth0", b, "eth0")
    dump = a.spawn("tcpdump", "-Z", "root", "-i", "eth0", "-w", "/dev/null", "tcp", stderr=subprocess.PIPE)
    assert dump.stderr is not None
    dump.stderr.readline()
    with open_tap(a, "eth0", vnet=True) as ours:
        readers = {r.inode: r for r in facts(read_machine(), a, "eth0").readers}
        mine = readers[os.fstat(ours.fileno()).st_ino]
        assert (mine.pid, mine.keeps_metadata, mine.protocol, mine.has_filter) == (os.getpid(), True, 3, False)
        listed = a.run("ss", "-0", "-p", "-n", "-e").stdout
    other = next(r for r in readers.values() if r.pid == dump.pid)
    assert (other.program, other.keeps_metadata, other.has_filter) == ("tcpdump", False, True)
    assert re.search(rf"eth0.*pid={dump.pid}\b.*ino:{other.inode}\b", listed), listed
    assert not facts(read_machine(), b, "eth0").readers


def test_taps_their_header_offloads_and_holders(testbed: Testbed) -> None:
    a = testbed.host("a")
    fds = [open_tap_device(a, "tap0", TAP | NO_PI, TUN_F_CSUM), open_tap_device(a, "tap1", TAP | NO_PI | VNET_HDR)]
    machine = read_machine()
    for name, header, csum in (("tap0", False, True), ("tap1", True, False)):
        tap = facts(machine, a, name)
        assert tap.tun is not None and tap.tun.vnet_hdr is header and tap.tun.pids == (os.getpid(),)
        assert tap.leaves_checksums is csum is ethtool(a, name)["tx-checksum-ip-generic"][0]
    for fd in fds:
        os.close(fd)


def test_counters_are_those_of_nstat(testbed: Testbed) -> None:
    a = testbed.host("a")
    a.run("ping", "-c1", "127.0.0.1")
    ours = facts_of(read_machine(), a).counters
    judge = json.loads(a.run("nstat", "-a", "-z", "-j").stdout)["kernel"]
    groups = ("Ip", "Icmp", "Tcp", "Udp")
    same = {name for name in judge if name.startswith(groups) and name in ours}
    assert len(same) > 100 and ours["IcmpInEchos"] == 1
    assert {name: ours[name] for name in same} == {name: judge[name] for name in same}


def test_connections_that_nat_rewrites(testbed: Testbed) -> None:
    need("nft")
    a, router, b = testbed.host("a"), testbed.host("router"), testbed.host("b")
    testbed.veth(a, "eth0", router, "in")
    testbed.veth(b, "eth0", router, "out")
    for host, name, address in (
        (a, "eth0", "10.1.0.2/24"),
        (router, "in", "10.1.0.1/24"),
        (router, "out", "10.2.0.1/24"),
        (b, "eth0", "10.2.0.2/24"),
    ):
        host.address(name, address)
    a.run("ip", "route", "add", "default", "via", "10.1.0.1")
    router.call(lambda: Path("/proc/sys/net/ipv4/ip_forward").write_text("1"))
    router.run(
        "nft",
        "-f",
        "-",
        input=b"table ip t { chain c { type nat hook postrouting priority 100; oifname out masquerade; }; }\n",
    )
    a.run("ping", "-c1", "10.2.0.2")
    found = router.call(read_connections)
    ping = next(c for c in found if c.protocol == 1)
    assert (ping.original.source, ping.original.target) == ("10.1.0.2", "10.2.0.2")
    assert (ping.reply.source, ping.reply.target) == ("10.2.0.2", "10.2.0.1") and ping.is_rewritten


def test_without_privilege_our_own_namespace_is_read_and_the_rest_is_named() -> None:
    code = (
        "from pktmend.host.machine import read_machine; m = read_machine();"
        "print(sorted(i.name for i in m.namespaces[0].interfaces)); print(m.unread); print(len(m.namespaces))"
    )
    with Testbed() as testbed:
        testbed.host("a")
        done = subprocess.run(
            ["setpriv", "--bounding-set=-all", "--inh-caps=-all", sys.executable, "-c", code],
            capture_output=True,
            text=True,
            check=True,
        )
    names, unread, namespaces = done.stdout.splitlines()
    assert names == str(
        sorted(
            link["ifname"]
            for link in json.loads(subprocess.run(["ip", "-j", "link"], capture_output=True, check=True).stdout)
        )
    )
    assert "CLOSED" in unread and namespaces == "1"


def test_af_xdp_sockets_are_listed_or_counted(testbed: Testbed) -> None:
    a = testbed.host("a")
    assert facts_of(read_machine(), a).hidden_xdp_sockets == 0
    try:
        sockets = [a.call(lambda: socket.socket(44, socket.SOCK_RAW)) for _ in range(3)]  # AF_XDP
    except OSError as error:
        pytest.skip(f"no AF_XDP here: {error}")
    here = facts_of(read_machine(), a)
    listed = a.call(xdp_sockets)[0]
    assert here.hidden_xdp_sockets + len(listed) == 3
    for each in sockets:
        each.close()
