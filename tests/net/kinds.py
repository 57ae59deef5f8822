"""Frames of every kind: what switches and routers eat, what ends too early, every place of a checksum."""

from __future__ import annotations

import os
import struct

from scapy.all import ARP, BOOTP, DHCP, IP, LLC, STP, UDP, Dot1AD, Dot1Q, Ether, IPv6, Raw
from scapy.layers.inet6 import ICMPv6MLReport2, ICMPv6ND_NA, ICMPv6ND_NS, IPv6ExtHdrFragment

import frames as f
from carriers import CARRIERS, ETHERNET

ME, ALL = "02:00:00:00:00:01", "ff:ff:ff:ff:ff:ff"
PAYLOAD = bytes(range(256)) * 4


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
    """Frames of 14 to 60 frame: bare headers, IP that ends too early, zeros."""
    head = bytes.fromhex(ALL.replace(":", "") + ME.replace(":", ""))
    whole = {
        "0800": bytes(f.ip4 / f.tcp),
        "86dd": bytes(f.ip6 / f.udp),
        "88b5": bytes(46),
        "8100": b"\0\5\x08\0" * 12,
        "0806": bytes(ARP()),
    }
    return {
        f"{kind}, {size} frame": (head + bytes.fromhex(kind) + rest + bytes(46))[:size]
        for kind, rest in whole.items()
        for size in (14, 15, 18, 20, 33, 34, 41, 42, 54, 57, 58, 60)
        if kind != "8100" or size >= 20
    }  # the kernel throws shorter tagged ones away before anyone sees them


def carried() -> dict[str, bytes]:
    """Every place of a checksum (carriers.py) in an Ethernet frame that fits into the MTU."""
    made = {name: bytes(build(bytes(range(200)))) for name, (link, _, build) in CARRIERS.items() if link == ETHERNET}
    return {
        name: frame[:6] + bytes.fromhex(ME.replace(":", "")) + frame[12:]
        for name, frame in made.items()
        if len(frame) <= 1514
    }
