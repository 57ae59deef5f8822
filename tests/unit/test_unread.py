"""What no parser looked into is counted and named (test_diagnose_unread.py: and never called healthy).

The right values are worked by hand: which of the frames below carries what is written beside each.
"""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from scapy.all import ARP, ICMP, IP, Raw
from scapy.layers.inet6 import IPv6

import frames as f
import tapes
from carriers import nested
from pktmend import Frames, Unread, check, read, verify
from tools import run_pktmend

GOOD = f.raw(f.ether / f.ip4 / f.tcp / f.PAYLOAD)
ESP = f.raw(f.ether / IP(src="10.7.0.1", dst="10.7.0.2", proto=50) / Raw(bytes(64)))


def ethertype(number: int) -> bytes:
    return f.raw(f.ether)[:12] + number.to_bytes(2, "big") + bytes(range(48))


def frames_in_nsh(count: int) -> bytes:
    """Ethernet in NSH (RFC 8300: base header and path, next protocol 3) in Ethernet, the last one LLDP."""
    return (f.raw(f.ether)[:12] + bytes.fromhex("894f 0fc20103 00000101")) * (count - 1) + ethertype(0x88CC)


# frame: the reason, and the number that is not known
KNOWN: dict[str, tuple[bytes, Unread, int]] = {
    "tcp": (GOOD, Unread.NONE, 0),
    "arp": (f.raw(f.ether / ARP()), Unread.NONE, 0),
    "lldp": (ethertype(0x88CC), Unread.NONE, 0),
    "lacp": (ethertype(0x8809), Unread.NONE, 0),
    "ptp": (ethertype(0x88F7), Unread.NONE, 0),
    "eapol": (ethertype(0x888E), Unread.NONE, 0),
    "pppoe discovery": (ethertype(0x8863), Unread.NONE, 0),
    "local experiment": (ethertype(0x88B5), Unread.ETHER_TYPE, 0x88B5),
    "esp": (ESP, Unread.ENCRYPTED, 50),
    "no next header": (f.raw(f.ether / IPv6(nh=59)), Unread.NONE, 0),
    "protocol 253": (f.raw(f.ether / IP(proto=253) / Raw(bytes(40))), Unread.IP_PROTOCOL, 253),
    "ends in its IP header": (GOOD[:30], Unread.MALFORMED, 0),
    "a total length below its header": (f.put16(GOOD, 16, 8), Unread.MALFORMED, 0),
    "nine IPv4 headers": (f.raw(nested(9, bytes(8))), Unread.DEPTH, 0),
    "eight IPv4 headers": (f.raw(nested(8, bytes(8))), Unread.NONE, 0),
    "fifteen Ethernet headers": (frames_in_nsh(15), Unread.NONE, 0),
    "seventeen Ethernet headers": (frames_in_nsh(17), Unread.DEPTH, 0),
    "as many as a frame holds": (frames_in_nsh(2900), Unread.DEPTH, 0),
    "quoted": (f.raw(f.ether / f.ip4 / ICMP(type=3) / IP(proto=253) / Raw(bytes(8))), Unread.NONE, 0),
}


@pytest.mark.parametrize("name", KNOWN)
def test_reason_is_named(name: str) -> None:
    frame, reason, number = KNOWN[name]
    batch = Frames([frame]).batch()
    verify(batch)
    assert (Unread(batch.unread[0]), batch.unread_type[0]) == (reason, number)


def test_what_the_capture_cut_is_truncated_and_not_malformed() -> None:
    batch = Frames([GOOD[:46]], wirelen=len(GOOD)).batch()  # the TCP checksum lies at byte 50
    verify(batch)
    assert Unread(batch.unread[0]) is Unread.TRUNCATED


def test_unknown_link_type_is_counted(tmp_path: Path) -> None:
    path = tapes.pcap(tmp_path / "user.pcap", [(1.0, GOOD), (2.0, GOOD)], link=147)
    assert check(path).unread == {"link-type": 2}
    assert [packet.unread for packet in read(path)] == [Unread.LINK_TYPE] * 2


def test_a_batch_that_is_judged_again_forgets() -> None:
    batch = Frames([ethertype(0x88B5)]).batch()
    verify(batch)
    batch.frame(0)[12:14] = b"\x88\xcc"
    verify(batch)
    assert batch.unread[0] == Unread.NONE


def test_check_says_so_and_leaves_the_exit_code(tmp_path: Path) -> None:
    frames = [GOOD, ethertype(0x88B5), ethertype(0x88B5), ESP]
    path = tapes.pcap(tmp_path / "x.pcap", [(float(i), frame) for i, frame in enumerate(frames)])
    done = run_pktmend("check", "-r", str(path))
    assert done.returncode == 0
    assert b"3 packets were not looked into: 2 EtherType 0x88b5, 1 encrypted (ESP)\n" in done.stdout
    done = run_pktmend("check", "-r", str(path), "--all")
    assert b"packet 2: not looked into: EtherType 0x88b5\n" in done.stdout
    done = run_pktmend("check", "-r", str(path), "--json", "--all")
    *packets, last = map(json.loads, done.stdout.splitlines())
    assert [packet.get("unread") for packet in packets] == [None, "ether-type", "ether-type", "encrypted"]
    assert last["summary"]["unread"] == {"ether-type": 2, "encrypted": 1}


if __name__ == "__main__":
    pytest.main([__file__])
