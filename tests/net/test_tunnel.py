"""Traffic of containers behind a tunnel: super-frames whose inner packet has the partial checksum."""

from __future__ import annotations

import pytest
from scapy.all import UDP, VXLAN

import frames as f
from line import ADDRESSES, Line, open_tap, seen, transfer
from pktmend.host.tunnel_ports import read_tunnel_ports

MEGABYTE = 1 << 20
INNER = {"a": ("10.9.0.1", "fd09::1"), "b": ("10.9.0.2", "fd09::2")}


def tunnel(line: Line, *kind: str) -> None:
    """Put a tunnel device tun0 between a and b over the line, with the INNER addresses."""
    for host, other in ((line.a, "b"), (line.b, "a")):
        (local, local6), (remote, remote6) = ADDRESSES[host.name], ADDRESSES[other]
        words = [word.format(local=local, remote=remote, local6=local6, remote6=remote6) for word in kind]
        if host.run("ip", "link", "add", "tun0", "type", *words, check=False).returncode:
            pytest.skip(f"this kernel has no {kind[0]}")
        host.link("tun0", state="up")
        host.address("tun0", f"{INNER[host.name][0]}/24", f"{INNER[host.name][1]}/64")


KINDS = [
    ("vxlan", "id", "5", "remote", "{remote}", "dstport", "4789", "udpcsum"),
    ("vxlan", "id", "5", "remote", "{remote}", "dstport", "4789", "noudpcsum"),
    ("vxlan", "id", "5", "remote", "{remote}", "dstport", "7789", "udpcsum"),
    ("geneve", "id", "5", "remote", "{remote}", "udpcsum"),
    ("gre", "local", "{local}", "remote", "{remote}", "csum"),
    ("ipip", "local", "{local}", "remote", "{remote}"),
]


@pytest.mark.parametrize(
    "options", [(), ("--finish", "pa", "--finish", "pb"), ("--repair", "all")], ids=["plain", "finish", "repair-all"]
)
@pytest.mark.parametrize("kind", KINDS, ids=lambda k: f"{k[0]}-{k[-1]}{'-own-port' if '7789' in k else ''}")
def test_tcp_in_a_tunnel(line: Line, kind: tuple[str, ...], options: tuple[str, ...]) -> None:
    tunnel(line, *kind)
    with line.bridged(*options) as bridge:
        for version in (4, 6) if kind[0] != "ipip" else (4,):
            address = INNER["b"][0 if version == 4 else 1]
            transfer(line.a, line.b, 10 * MEGABYTE, version=version, address=address)
            transfer(line.b, line.a, 10 * MEGABYTE, version=version, address=INNER["a"][0 if version == 4 else 1])
        there, back = bridge.stop()
    line.assert_no_checksum_error()
    for direction in (there, back):
        assert direction["dropped"] == {} and direction["tx_error"] == {}, direction
        assert not {"bad", "leaked", "corrupt", "bad-seed"} & set(direction["checks"].get("udp", {})), direction
        assert not {"bad", "leaked", "corrupt", "bad-seed"} & set(direction["checks"]["tcp"]), direction
        assert direction["repaired"] == {} or options == ("--repair", "all")


UNKNOWN = {
    "udpcsum": ("vxlan", "id", "5", "remote", "{remote}", "dstport", "5555", "udpcsum"),
    "noudpcsum": ("vxlan", "id", "5", "remote", "{remote}", "dstport", "7789", "noudpcsum"),
    "over IPv6": ("vxlan", "id", "5", "remote", "{remote6}", "local", "{local6}", "dstport", "5555", "udp6zerocsumtx",
                  "udp6zerocsumrx"),
    "over IPv6, with a sum": ("vxlan", "id", "5", "remote", "{remote6}", "local", "{local6}", "dstport", "5555"),
    "geneve": ("geneve", "id", "5", "remote", "{remote}", "dstport", "16081", "udpcsum"),
}  # fmt: skip


@pytest.mark.parametrize("options", [(), ("--finish", "pa", "--finish", "pb")], ids=["plain", "finish"])
@pytest.mark.parametrize("kind", UNKNOWN)
def test_tcp_in_a_tunnel_on_a_port_nobody_knows(line: Line, kind: str, options: tuple[str, ...]) -> None:
    """Super-frames are split by the kernel's metadata, and what has no outer sum keeps its metadata."""
    tunnel(line, *UNKNOWN[kind])
    with line.bridged(*options) as bridge:
        for version in (4, 6):
            transfer(line.a, line.b, 10 * MEGABYTE, version=version, address=INNER["b"][version == 6])
            transfer(line.b, line.a, 10 * MEGABYTE, version=version, address=INNER["a"][version == 6])
        there, back = bridge.stop()
    line.assert_no_checksum_error()
    for direction in (there, back):
        assert direction["dropped"] == {} and direction["tx_error"] == {}, direction
        assert direction["split"] > 100 and direction["stray_csum_metadata"] == 0, direction
        assert not {"bad", "leaked", "corrupt", "bad-seed"} & set(direction["checks"]["udp"]), direction


def test_ports_come_from_every_namespace(line: Line) -> None:
    """A device that carries nothing: its port is known before the first packet."""
    for port, words in ((15555, ("id", "5")), (15556, ("external", "gpe"))):
        made = line.b.run("ip", "link", "add", f"v{port}", "type", "vxlan", "dstport", str(port), *words, check=False)
        if made.returncode:
            pytest.skip("this kernel has no vxlan")
    found = line.node.call(read_tunnel_ports)
    assert found[15555] == "vxlan" and found[15556] == "vxlan-gpe"


@pytest.mark.parametrize(
    ("words", "port", "kind"),
    [
        (("link", "add", "g0", "type", "geneve", "id", "5", "remote", "10.7.0.9", "dstport", "15558"), 15558, "geneve"),
        (("link", "add", "b0", "type", "bareudp", "dstport", "15559", "ethertype", "ipv4"), 15559, "fou"),
        (("link", "add", "b0", "type", "bareudp", "dstport", "15560", "ethertype", "mpls_uc"), 15560, "mpls"),
        (("fou", "add", "port", "15561", "ipproto", "4"), 15561, "fou"),
        (("fou", "add", "port", "15562", "ipproto", "47"), 15562, "gre"),
        (("fou", "add", "port", "15563", "gue"), 15563, "gue"),
    ],
    ids=lambda v: str(v) if not isinstance(v, tuple) else "",
)
def test_port_of_each_kind_of_receiver(line: Line, words: tuple[str, ...], port: int, kind: str) -> None:
    if line.b.run("ip", *words, check=False).returncode:
        pytest.skip(f"this kernel has no {words[0] if words[0] == 'fou' else words[4]}")
    assert line.node.call(read_tunnel_ports)[port] == kind


def test_named_port_is_taken_by_the_bridge(line: Line) -> None:
    """A damaged inner header is no proof of a tunnel: on this port only --tunnel has it read."""
    packet = (
        f.ether / f.ip4 / UDP(sport=9, dport=15557, chksum=0) / VXLAN(flags=8) / f.ether / f.ip4 / f.tcp / f.PAYLOAD
    )
    frame = f.put16(f.raw(packet), 14 + 20 + 8 + 8 + 14 + 10, 0x1234)
    line.silence()
    for words, bad in (((), False), (("--tunnel", "vxlan=15557"), True)):
        with line.bridged(*words) as bridge, open_tap(line.a, "eth0") as out, open_tap(line.b, "eth0") as back:
            out.send(frame)
            assert seen(back, lambda got: got[:12] == frame[:12]) == frame
            there, _ = bridge.stop()
        assert "good" in there["checks"]["tcp"] if bad else "tcp" not in there["checks"], there["checks"]
        assert len(there["checks"]["ip"]) == 1 + bad
