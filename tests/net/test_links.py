"""What the testbed does to links, judged by iproute2, tc and ethtool."""

from __future__ import annotations

import json
from typing import Any

import pytest

from pktmend._kernel import lib
from pktmend.errors import OSFailure
from pktmend.testbed import bpf
from pktmend.testbed.netns import Host
from pktmend.testbed.offloads import offloads_restored

Ends = tuple[Host, Host]
KINDS = (lib.BPF_PROG_TYPE_XDP, lib.BPF_PROG_TYPE_SCHED_CLS)


def shown(host: Host, *words: str) -> list[dict[str, Any]]:
    """Return what `ip -json` or `tc -json` says."""
    program, *rest = words
    found: list[dict[str, Any]] = json.loads(host.run(program, "-json", *rest).stdout or "[]")
    return found


def test_veth_address_and_settings_are_what_iproute2_shows(ends: Ends) -> None:
    a, b = ends
    (link,) = shown(a, "ip", "-details", "link", "show", "dev", "eth0")
    assert link["linkinfo"]["info_kind"] == "veth" and "UP" in link["flags"] and link["mtu"] == 1500
    assert a.hardware_address("eth0") == link["address"] and a.index("eth0") == link["ifindex"]
    a.link("eth0", mtu=9000, state="down")
    a.address("eth0", "10.7.0.1/24", "fd07::1/64")
    (link,) = shown(a, "ip", "address", "show", "dev", "eth0")
    assert link["mtu"] == 9000 and "UP" not in link["flags"]
    assert {(each["local"], each["prefixlen"]) for each in link["addr_info"]} == {("10.7.0.1", 24), ("fd07::1", 64)}
    assert all(each.get("nodad", each["family"] == "inet") for each in link["addr_info"])
    assert shown(b, "ip", "link", "show", "dev", "eth0")[0]["mtu"] == 1500


def test_a_link_joins_a_bridge_and_leaves_it(ends: Ends) -> None:
    a, _ = ends
    a.run("ip", "link", "add", "br0", "type", "bridge")
    a.link("eth0", master=a.index("br0"))
    assert shown(a, "ip", "link", "show", "dev", "eth0")[0]["master"] == "br0"
    a.link("eth0", master=0)
    assert "master" not in shown(a, "ip", "link", "show", "dev", "eth0")[0]


def test_programs_are_attached_replaced_and_taken_off(ends: Ends) -> None:
    """Off comes first as well as twice: there need not be any."""
    a, _ = ends
    xdp, ingress = KINDS
    for kind in KINDS:
        bpf.detach(a, "eth0", kind)
        for _ in range(2):
            bpf.attach(a, "eth0", kind, bpf.leave(lib.XDP_PASS if kind == xdp else lib.TC_ACT_SHOT))
    assert "prog" in shown(a, "ip", "link", "show", "dev", "eth0")[0]["xdp"]
    programs = [each for each in shown(a, "tc", "filter", "show", "dev", "eth0", "ingress") if "options" in each]
    assert len(programs) == 1 and programs[0]["options"]["direct-action"]
    for _ in range(2):
        bpf.detach(a, "eth0", xdp)
        bpf.detach(a, "eth0", ingress)
    assert "xdp" not in shown(a, "ip", "link", "show", "dev", "eth0")[0]
    assert "clsact" not in a.run("tc", "qdisc", "show", "dev", "eth0").stdout


def test_a_missing_interface_is_named(ends: Ends) -> None:
    a, _ = ends
    for ask in (lambda: a.index("eth7"), lambda: a.link("eth7", mtu=9000), lambda: a.address("eth7", "10.7.0.1/24")):
        with pytest.raises(OSFailure, match="eth7"):
            ask()


def test_offloads_are_put_back_to_what_they_were_also_after_an_error(ends: Ends) -> None:
    """Not to `on`: one was off before, and what depends on another comes back with it."""
    a, b = ends
    a.offload("eth0", tso=False)
    before = {host.name: host.run("ethtool", "-k", "eth0").stdout for host in ends}
    with pytest.raises(ZeroDivisionError), offloads_restored(a.testbed):
        a.offload("eth0", tx=False, tso=True, gro=True)
        b.offload("eth0", tx=False)
        assert all(host.run("ethtool", "-k", "eth0").stdout != before[host.name] for host in ends)
        raise ZeroDivisionError
    assert {host.name: host.run("ethtool", "-k", "eth0").stdout for host in ends} == before
