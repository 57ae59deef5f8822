"""Frames of every kind pass unchanged: put on the wire at a, read at b by tcpdump, compared octet by octet."""

from __future__ import annotations

import os
import struct
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import dpkt
import pytest
from scapy.all import ARP, BOOTP, DHCP, IP, LLC, STP, TCP, UDP, VXLAN, Dot1AD, Dot1Q, Ether, IPv6, Raw
from scapy.layers.inet6 import ICMPv6MLReport2, ICMPv6ND_NA, ICMPv6ND_NS, IPv6ExtHdrFragment

import frames as f
from carriers import CARRIERS, ETHERNET
from line import ADDRESSES, Line, open_tap, transfer
from pktmend import Emit, Pipeline, Ring, count, verify
from pktmend.testbed.netns import Host
from tools import PATIENCE, need

ME, ALL = "02:00:00:00:00:01", "ff:ff:ff:ff:ff:ff"
PAYLOAD = bytes(range(256)) * 4


class Trace:
    """What tcpdump has seen."""

    def __init__(self, process: subprocess.Popen[bytes], path: Path, wanted: Callable[[bytes], bool]) -> None:
        self._process, self._path, self._wanted = process, path, wanted

    def frames(self, count: int) -> list[bytes]:
        """End it once it has seen *count* frames of this test; all of them, whole, in order."""
        deadline = time.monotonic() + PATIENCE
        while len(self._seen()) < count and time.monotonic() < deadline:
            time.sleep(0.05)
        time.sleep(0.1)  # more than that would be seen by now
        self._process.terminate()
        self._process.wait(PATIENCE)
        return self._seen()

    def _seen(self) -> list[bytes]:
        with self._path.open("rb") as file:
            try:
                return [octets for _, octets in dpkt.pcap.Reader(file) if self._wanted(octets)]
            except (struct.error, dpkt.Error, ValueError):
                return []  # its last packet is half written


@contextmanager
def watch(host: Host, interface: str = "eth0", source: str = ME) -> Iterator[Trace]:
    """Run tcpdump, which puts a VLAN tag back where it was, on frames that come in from *source*."""
    need("tcpdump")
    mac = bytes.fromhex(source.replace(":", ""))
    path = host.world.folder() / "trace.pcap"
    process = host.spawn(
        "tcpdump",
        "-Z",
        "root",
        "-i",
        interface,
        "-Q",
        "in",
        "-U",
        "--immediate-mode",
        "-B",
        "32768",
        "-s",
        "262144",
        "-w",
        str(path),
        stderr=subprocess.PIPE,
    )
    assert process.stderr is not None and b"listening" in process.stderr.readline()
    yield Trace(process, path, lambda octets: octets[6:12] == mac)


def esp(number: int, sequence: int) -> bytes:
    """What RFC 4303 puts behind the IP header: SPI, sequence number, ciphertext, integrity value."""
    return struct.pack("!II", number, sequence) + os.urandom(96)


def control_plane() -> dict[str, bytes]:
    """Frames that a switch or a router would eat, and those on which networks are built."""
    ether = Ether(src=ME, dst=ALL)
    lldp = b"\x02\x07\x04" + bytes.fromhex("020000000001") + b"\x04\x05\x05eth0" + b"\x06\x02\0\x78" + bytes(2)
    v6 = IPv6(src="fd07::1", dst="ff02::1:ff00:2", hlim=255)
    return {
        "STP": bytes(Ether(src=ME, dst="01:80:c2:00:00:00", type=38) / LLC() / STP(rootid=1)),
        "pause": bytes(Ether(src=ME, dst="01:80:c2:00:00:01", type=0x8808) / Raw(b"\0\1\xff\xff" + bytes(42))),
        "LACP": bytes(Ether(src=ME, dst="01:80:c2:00:00:02", type=0x8809) / Raw(b"\1\1" + bytes(108))),
        "EAPOL": bytes(Ether(src=ME, dst="01:80:c2:00:00:03", type=0x888E) / Raw(b"\2\1\0\0")),
        "LLDP": bytes(Ether(src=ME, dst="01:80:c2:00:00:0e", type=0x88CC) / Raw(lldp)),
        "CDP": bytes(Ether(src=ME, dst="01:00:0c:cc:cc:cc", type=20) / Raw(b"\xaa\xaa\x03\0\0\x0c\x20\0" + bytes(12))),
        "PTP": bytes(Ether(src=ME, dst="01:1b:19:00:00:00", type=0x88F7) / Raw(b"\0\2" + bytes(42))),
        "EtherType of nobody": bytes(Ether(src=ME, dst=ALL, type=0x88B5) / Raw(PAYLOAD)),
        "EtherType ffff": bytes(Ether(src=ME, dst=ALL, type=0xFFFF) / Raw(PAYLOAD)),
        "ARP request": bytes(ether / ARP(hwsrc=ME, psrc="10.7.0.9", pdst="10.7.0.8")),
        "ARP probe": bytes(ether / ARP(hwsrc=ME, psrc="0.0.0.0", pdst="10.7.0.9")),
        "ARP announcement": bytes(ether / ARP(hwsrc=ME, psrc="10.7.0.9", pdst="10.7.0.9")),
        "ARP reply, padded": bytes(ether / ARP(op=2, hwsrc=ME, psrc="10.7.0.9", pdst="10.7.0.8")) + bytes(18),
        "DHCP discover": bytes(
            ether
            / IP(src="0.0.0.0", dst="255.255.255.255")
            / UDP(sport=68, dport=67)
            / BOOTP(xid=7, chaddr=ME)
            / DHCP(options=[("message-type", "discover"), "end"])
        ),
        "DAD": bytes(ether / IPv6(src="::", dst="ff02::1:ff00:2", hlim=255) / ICMPv6ND_NS(tgt="fd07::2")),
        "ND advertisement": bytes(ether / v6 / ICMPv6ND_NA(tgt="fd07::1")),
        "MLD report": bytes(ether / v6 / ICMPv6MLReport2()),
        "ESP": bytes(ether / IP(src="10.7.0.1", dst="10.7.0.2", proto=50) / Raw(esp(7, 1))),
        "ESP over IPv6": bytes(ether / IPv6(src="fd07::1", dst="fd07::2", nh=50) / Raw(esp(7, 2))),
        "ESP in UDP": bytes(
            ether / IP(src="10.7.0.1", dst="10.7.0.2") / UDP(sport=4500, dport=4500, chksum=0) / Raw(esp(7, 3))
        ),
        "AH": bytes(
            ether / IP(src="10.7.0.1", dst="10.7.0.2", proto=51) / Raw(b"\x06\x04\0\0" + esp(7, 4)[:20] + bytes(f.tcp))
        ),
        "IPv4 first fragment": bytes(ether / IP(src="10.7.0.1", dst="10.7.0.2", flags="MF") / UDP() / Raw(PAYLOAD)),
        "IPv4 last fragment": bytes(ether / IP(src="10.7.0.1", dst="10.7.0.2", frag=129, proto=17) / Raw(PAYLOAD)),
        "IPv6 fragment": bytes(ether / v6 / IPv6ExtHdrFragment(offset=8, m=1, nh=17) / Raw(PAYLOAD)),
        "priority tag": bytes(ether / Dot1Q(vlan=0, prio=5) / f.ip4 / f.tcp / Raw(PAYLOAD)),
        "802.1ad": bytes(ether / Dot1AD(vlan=7) / f.ip4 / f.udp / Raw(PAYLOAD)),
        "three tags": bytes(ether / Dot1Q(vlan=1) / Dot1Q(vlan=2) / Dot1Q(vlan=3) / f.ip6 / f.tcp / Raw(PAYLOAD)),
        "tag and DEI": bytes(ether / Dot1Q(vlan=4094, dei=1, prio=7) / f.ip4 / f.udp / Raw(PAYLOAD)),
    }


def tiny() -> dict[str, bytes]:
    """Frames of 14 to 60 octets: bare headers, IP that ends too early, zeros."""
    head = bytes.fromhex(ALL.replace(":", "") + ME.replace(":", ""))
    whole = {
        "0800": bytes(f.ip4 / f.tcp),
        "86dd": bytes(f.ip6 / f.udp),
        "88b5": bytes(46),
        "8100": b"\0\5\x08\0" * 12,
        "0806": bytes(ARP()),
    }
    return {
        f"{kind}, {size} octets": (head + bytes.fromhex(kind) + rest + bytes(46))[:size]
        for kind, rest in whole.items()
        for size in (14, 15, 18, 20, 33, 34, 41, 42, 54, 57, 58, 60)
        if kind != "8100" or size >= 20
    }  # the kernel throws shorter tagged ones away before anyone sees them


def carried() -> dict[str, bytes]:
    """Every place of a checksum (carriers.py) in an Ethernet frame that fits into the MTU."""
    made = {name: bytes(build(bytes(range(200)))) for name, (link, _, build) in CARRIERS.items() if link == ETHERNET}
    return {
        name: octets[:6] + bytes.fromhex(ME.replace(":", "")) + octets[12:]
        for name, octets in made.items()
        if len(octets) <= 1514
    }


WAYS = {
    "plain": (),
    "v3": ("--ring", "v3"),
    "three workers": ("--workers", "3"),
    "one by one": ("--no-coalesce",),
    "finish": ("--finish", "pb"),
    "isolated": ("--isolate",),
}


@pytest.mark.parametrize("way", WAYS)
def test_every_kind_passes_octet_by_octet(line: Line, way: str) -> None:
    line.silence()
    kinds = {**control_plane(), **tiny(), **carried()}
    with line.bridged("--unidir", *WAYS[way]) as bridge, watch(line.b) as trace, open_tap(line.a, "eth0") as out:
        for octets in kinds.values():
            out.send(octets)
            time.sleep(0.0005)
        got = trace.frames(len(kinds))
        (d,) = bridge.stop()
    names = {octets: name for name, octets in kinds.items()}
    changed = [octets[:80].hex() for octets in got if octets not in names]
    assert [name for name, octets in kinds.items() if octets not in got] == [] and changed == []
    if way != "three workers":
        assert [names[octets] for octets in got] == [names[octets] for octets in kinds.values()]  # in order as well
    assert d["read"] == d["sent"] == len(kinds) == len(got) and d["kernel_drops"] == 0
    assert d["repaired"] == {} and d["finished"] == 0


@pytest.mark.parametrize(("mtu", "way"), [(9000, "plain"), (65535, "plain"), (65535, "v3"), (65535, "finish")])
def test_jumbo_frames_pass_octet_by_octet(make_line: Callable[[int], Line], mtu: int, way: str) -> None:
    line = make_line(mtu)
    line.silence()
    ether, wanted = Ether(src=ME, dst=ALL), []
    for size in sorted({1500, 2035, 2036, 4096, 8999, 9000, 32767, 65000, mtu}):
        if size <= mtu:
            wanted.append(bytes(ether / f.ip4 / f.udp / Raw(os.urandom(size - 28)))[: 14 + size])
            wanted.append(bytes(ether / f.ip6 / f.tcp / Raw(os.urandom(size - 72)))[: 14 + size])
            wanted.append(bytes(Ether(src=ME, dst=ALL, type=0x88B5) / Raw(os.urandom(size))))
    with line.bridged("--unidir", *WAYS[way]) as bridge, watch(line.b) as trace, open_tap(line.a, "eth0") as out:
        for octets in wanted:
            out.send(octets)
            time.sleep(0.002)
        got = trace.frames(len(wanted))
        (d,) = bridge.stop()
    assert [len(octets) for octets in got] == [len(octets) for octets in wanted] and got == wanted
    assert d["sent"] == len(wanted) and d["truncated"] == 0


def test_frames_that_the_ring_cut_are_never_sent_on(make_line: Callable[[int], Line]) -> None:
    """Frames above the slot travel through the socket's queue; where that has no room they arrive cut."""
    line = make_line(9000)
    line.silence()
    sent = [
        bytes(Ether(src=ME, dst=ALL) / f.ip4 / f.udp / Raw(bytes([i]) * (8000 if i % 2 else 100))) for i in range(100)
    ]
    with (
        line.node.call(lambda: Ring("pa", ring="v2", outgoing=False)) as ring,
        line.node.call(lambda: Emit("pb", coalesce=False)) as emit,
        watch(line.b) as trace,
        open_tap(line.a, "eth0") as out,
    ):
        ring._socket.setsockopt(1, 8, 1 << 16)  # SO_RCVBUF
        pipeline = line.node.call(lambda: Pipeline(ring, [verify, count], emit))
        for octets in sent:
            out.send(octets)
        pipeline.start()
        pipeline.stop()
        pipeline.wait()
        d = pipeline.counters()
        got = trace.frames(d.sent)
    assert set(got) <= set(sent) and set(sent[::2]) <= set(got)  # whole, and every small one
    assert d.truncated == 100 - len(got) > 10 and d.sent == len(got) and d.read == 100


# --- super-frames ---------------------------------------------------------------------------------


@pytest.mark.parametrize("options", [(), ("--finish", "pb", "--finish", "pa")], ids=["plain", "finish"])
def test_frames_that_the_kernel_has_joined_on_the_way_in(line: Line, options: tuple[str, ...]) -> None:
    """GRO on the bridge's own interfaces: a's MTU-sized segments are read as super-frames."""
    for host in (line.a, line.b):
        host.offload("eth0", tso=False, gso=False)
    for name in ("pa", "pb"):
        line.node.offload(name, gro=True)
    with line.bridged(*options, "--no-coalesce") as bridge:
        for version in (4, 6):
            transfer(line.a, line.b, 20 << 20, version=version)
            transfer(line.b, line.a, 20 << 20, version=version)
        there, back = bridge.stop()
    line.assert_no_checksum_error()
    assert there["super_frames"] > 100 and back["super_frames"] > 100


def test_super_frames_beyond_64_kibibytes(line: Line) -> None:
    """BIG TCP: hosts and bridge ports allow 190,000 octets."""
    limits = {f"{what}{version}_max_size": 190_000 for what in ("gso", "gro") for version in ("", "_ipv4")}
    for host, name in ((line.a, "eth0"), (line.b, "eth0"), (line.node, "pa"), (line.node, "pb")):
        try:
            host.link(name, **limits)
        except Exception as error:
            pytest.skip(f"no BIG TCP here: {error}")
    need("tcpdump")
    big = line.node.spawn(
        "tcpdump",
        "-Z",
        "root",
        "-i",
        "pa",
        "-Q",
        "in",
        "-c",
        "1",
        "-n",
        "greater 70000",
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )
    assert big.stderr is not None
    big.stderr.readline()
    with line.bridged() as bridge:
        for version in (4, 6):
            transfer(line.a, line.b, 60 << 20, version=version)
        there, _ = bridge.stop()
    line.assert_no_checksum_error()
    big.terminate()
    if not big.communicate(timeout=PATIENCE)[0]:
        pytest.skip("this kernel makes no frames beyond 64 KiB on veth")
    assert there["truncated"] == 0 and there["dropped"] == {} and there["tx_error"] == {}, there


# --- a tunnel carried through ---------------------------------------------------------------------


def tunnelled() -> tuple[bytes, bytes, int, int]:
    """VXLAN around TCP: the frame that is right; the same as its sender leaves it; csum_start and csum_offset inside.

    The sender writes the outer sum as if the inner one were complete (LCO); scapy says what is right.
    """
    inner = (
        Ether(src="02:00:00:00:01:01", dst="02:00:00:00:01:02")
        / IP(src="10.9.0.1", dst="10.9.0.2")
        / TCP(sport=1000, dport=2000, flags="A")
        / Raw(bytes(range(200)))
    )
    right = bytes(Ether(src=ME, dst=ALL) / f.ip4 / UDP(sport=9, dport=4789) / VXLAN(vni=5) / inner)
    start = len(right) - 220
    return right, f.put16(right, start + 16, f.seed(inner)), start, 16


@pytest.mark.parametrize("options", [(), ("--finish", "pb")], ids=["plain", "finish"])
def test_leaked_inner_packet_is_repaired_inside_out(line: Line, options: tuple[str, ...]) -> None:
    line.silence()
    right, left, _, _ = tunnelled()
    with line.bridged("--unidir", *options) as bridge, watch(line.b) as trace, open_tap(line.a, "eth0") as out:
        out.send(left)
        assert trace.frames(1) == [right]
        (d,) = bridge.stop()
    assert d["repaired"] == {"leaked": 1}


@pytest.mark.parametrize("options", [(), ("--finish", "pb")], ids=["plain", "finish"])
def test_pending_inner_packet_is_kept_or_finished(line: Line, options: tuple[str, ...]) -> None:
    line.silence()
    right, left, start, offset = tunnelled()
    with (
        line.bridged("--unidir", *options) as bridge,
        open_tap(line.a, "eth0", vnet=True) as out,
        open_tap(line.b, "eth0", vnet=True) as back,
    ):
        out.send(struct.pack("=BBHHHH", f.NEEDS_CSUM, 0, start + 20, 0, start, offset) + left)
        got = back.recv(1 << 16)
        (d,) = bridge.stop()
    if options:
        assert got == bytes(10) + right and d["finished"] == 1
    else:
        assert got[10:] == left and got[0] == f.NEEDS_CSUM and struct.unpack("=HH", got[6:10]) == (start, offset)
    assert d["repaired"] == {} and ADDRESSES["a"][0] == "10.7.0.1"
