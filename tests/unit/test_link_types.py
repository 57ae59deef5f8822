"""Links and tags that few captures have: what lies in them is found, judged and completed; what cannot be read is said.

Frames and sums come from scapy or are put together by hand (links.py); tshark says where each checksum lies and that
it is right, but for the links that it does not know.
"""

from __future__ import annotations

import subprocess
from pathlib import Path
from xml.etree import ElementTree

import pytest
from scapy.all import Dot11

import frames as f
import tapes
from carriers import tcp4
from judging import FIRST, SECOND, judge, verdicts
from links import LINKS, aggregate, attribute, dot11, framed, llc, nflog, ppi, radiotap, typed, v4
from pktmend import Frames, Proto, Reason, Status, Unread, _core, verify
from pktmend._core.sources import link_of
from tools import frames_in, need, run_pktmend

# What tshark 4.0 has no dissector for, or not in this place.
UNKNOWN_TO_TSHARK = {
    "EDSA",
    "PPP over Ethernet",
    "NFLOG, big-endian",  # it knows the byte order from the file's
    "SLL2 of 802.11",
    "DSA",
    "EDSA link",
    "Broadcom's tag",
    "Broadcom's tag in front",
    "pppd",
    "HDLC with a direction",
    "Frame Relay with a direction",
    "MPLS link",
    "IPoIB as Linux has it",
    "SLIP",
    "Ethernet with a preamble",
    "netANALYZER",
    "null of Windows",
}
# What tshark counts from elsewhere: it takes a header off first, or puts a packet together.
MOVED_BY_TSHARK = {"PPP with a direction": 1, "SunATM": 4, "PPP multilink": 8}


def unread(frame: bytes, link: int = 1) -> Unread:
    batch = Frames([frame], link=link).batch()
    verify(batch)
    return Unread(batch.unread[0])


def seen_by_tshark(path: Path) -> list[tuple[str, int, str]]:
    """Return (protocol, offset, status) of each checksum; status 1: right."""
    on = [x for p in ("ip", "tcp") for x in ("-o", f"{p}.check_checksum:TRUE")]
    command = ["tshark", "-n", "-r", str(path), *on, "-T", "pdml"]
    text = subprocess.run(command, capture_output=True, text=True, timeout=60, check=True).stdout
    found: list[tuple[str, int, str]] = []
    for field in ElementTree.fromstring(text).iter("field"):
        proto, _, name = field.get("name", "").partition(".")
        if proto in ("ip", "tcp") and name == "checksum":
            found.append((proto, int(field.get("pos", "")), ""))
        elif proto in ("ip", "tcp") and name == "checksum.status":
            found[-1] = (*found[-1][:2], field.get("show", ""))
    return found


@pytest.mark.parametrize("name", LINKS)
def test_right_sum_is_good_and_anothers_is_bad(name: str) -> None:
    link, layout, build = LINKS[name]
    right, other = build(FIRST), build(SECOND)
    checks = judge(right, link=link)
    assert [str(Proto(k.proto)) for k in checks] == layout.split()
    assert all(k.status == Status.GOOD for k in checks), verdicts(checks)
    assert unread(right, link) is Unread.NONE
    k = checks[-1]
    field = slice(k.offset, k.offset + k.width)
    damaged = judge(other[: field.start] + right[field] + other[field.stop :], link=link)[-1]
    assert damaged.status == Status.BAD and damaged.expected == int.from_bytes(other[field], "big")


@pytest.mark.parametrize("name", [name for name in LINKS if name not in UNKNOWN_TO_TSHARK])
def test_tshark_finds_the_same_sums_in_the_same_places(name: str, tmp_path: Path) -> None:
    need("tshark")
    link, _, build = LINKS[name]
    frame = build(FIRST)
    mine = [(str(Proto(k.proto)), k.offset, "1") for k in judge(frame, link=link)]
    moved = MOVED_BY_TSHARK.get(name, 0)
    theirs = seen_by_tshark(tapes.pcap(tmp_path / "x.pcap", [(1.0, frame)], link=link))
    assert mine == [(proto, offset + moved, status) for proto, offset, status in theirs]


@pytest.mark.parametrize("name", LINKS)
def test_fix_completes_what_leaked_and_nothing_else(name: str, tmp_path: Path) -> None:
    link, _, build = LINKS[name]
    right = build(FIRST)
    k = judge(right, link=link)[-1]
    leaked = f.put16(right, k.offset, k.seed)
    path, to = tapes.pcap(tmp_path / "leaked.pcap", [(1.0, leaked)], link=link), tmp_path / "fixed.pcap"
    done = run_pktmend("fix", "--at", "wire", "-r", str(path), "-w", str(to))
    assert done.returncode == 0, done.stderr
    assert frames_in(to) == [right]


@pytest.mark.parametrize("name", [name for name in LINKS if name != "MPLS link"])  # which says nothing of what follows
def test_no_prefix_of_a_frame_is_read_beyond_its_end_or_called_read(name: str) -> None:
    """Cut by the capture before its last sum, a frame is never taken for one that was looked into."""
    link, _, build = LINKS[name]
    frame = build(FIRST)
    last = judge(frame, link=link)[-1].offset
    for size in range(1, last + 2):
        batch = Frames([frame[:size]], link=link, wirelen=len(frame)).batch()
        verify(batch)
        assert batch.unread[0] != Unread.NONE, size


# what cannot be read: link, frame, reason
CCMP = b"\1\0\0\x20\0\0\0\0"
UNREADABLE: dict[str, tuple[int, bytes, Unread]] = {
    "802.11, protected": (105, dot11(CCMP + bytes(range(80)), FCfield=0x42), Unread.ENCRYPTED),
    "802.11, a later fragment": (105, dot11(llc(FIRST), FCfield=2, SC=1), Unread.ENCAPSULATION),
    "radiotap, received damaged": (127, radiotap(dot11(llc(FIRST), FCfield=2), flags="badFCS"), Unread.DAMAGED),
    "radiotap of version 1": (127, b"\1\0\x08\0\0\0\0\0" + dot11(llc(FIRST), FCfield=2), Unread.ENCAPSULATION),
    "PPI with USB": (192, ppi(bytes(64), 189), Unread.LINK_TYPE),
    "USB": (189, bytes(64), Unread.LINK_TYPE),
    "802.15.4": (195, bytes(64), Unread.LINK_TYPE),
    "MACsec, encrypted": (1, typed(0x88E5, b"\x0c\0\0\0\0\1", FIRST), Unread.ENCRYPTED),
    "SNAP of another organization": (
        1,
        f.raw(f.ether)[:12] + b"\0\x30\xaa\xaa\3\x12\x34\x56\x08\0" + v4(FIRST),
        Unread.ETHER_TYPE,
    ),
    "PPP, compressed": (9, b"\xff\3\0\xfd" + bytes(40), Unread.ENCAPSULATION),
    "PPP multilink, a part": (9, b"\xff\3\0\x3d\x80\0\0\1\0\x21" + v4(FIRST), Unread.ENCAPSULATION),
    "batman fragment": (1, framed(0x4305, b"\x41\x0f" + bytes(18), FIRST), Unread.ENCAPSULATION),
    "seventeen tags": (1, f.raw(f.ether)[:12] + b"\x89\x26\0\0\0\0" * 17 + b"\x08\0" + v4(FIRST), Unread.DEPTH),
    "preempted frame": (274, b"\x55" * 7 + b"\xe6" + f.raw(f.ether / tcp4 / FIRST), Unread.ENCAPSULATION),
}
# what has no internet checksum in it
PLAIN: dict[str, tuple[int, bytes]] = {
    "802.11 beacon": (105, f.raw(Dot11(type=0, subtype=8)) + bytes(40)),
    "802.11 acknowledgement": (105, f.raw(Dot11(type=1, subtype=13))),
    "802.11 null function": (105, f.raw(Dot11(type=2, subtype=4))),
    "radiotap without a frame": (127, b"\0\0\x08\0\0\0\0\0"),
    "spanning tree": (1, f.raw(f.ether)[:12] + b"\0\x26\x42\x42\3" + bytes(35)),
    "CDP": (1, f.raw(f.ether)[:12] + b"\0\x28\xaa\xaa\3\0\0\x0c\x20\0" + bytes(32)),
    "IS-IS": (1, f.raw(f.ether)[:12] + b"\0\x28\xfe\xfe\3\x83" + bytes(36)),
    "LCP": (9, b"\xff\3\xc0\x21" + bytes(20)),
    "OGM of batman": (1, f.raw(f.ether)[:12] + b"\x43\x05\4\x0f" + bytes(44)),
}


@pytest.mark.parametrize("name", UNREADABLE)
def test_what_cannot_be_read_is_said(name: str) -> None:
    link, frame, reason = UNREADABLE[name]
    assert not judge(frame, link=link) and unread(frame, link) is reason


@pytest.mark.parametrize("name", PLAIN)
def test_what_has_no_checksum_is_understood(name: str) -> None:
    link, frame = PLAIN[name]
    assert not judge(frame, link=link) and unread(frame, link) is Unread.NONE


def test_decrypted_frame_with_its_mark_is_read() -> None:
    """Cards decrypt and leave the bit, with the vector of CCMP or without (what Wireshark asks its user for)."""
    for vector in (b"", CCMP):
        checks = judge(dot11(vector + llc(FIRST), FCfield=0x42), link=105)
        assert verdicts(checks) == ["ip good", "tcp good"]


def test_first_fragment_of_a_wireless_frame_is_not_judged() -> None:
    body = llc(FIRST)
    checks = judge(dot11(body[: len(body) // 2], FCfield=0x06), link=105)
    assert [(k.status, k.reason) for k in checks] == [
        (Status.GOOD, Reason.NONE),
        (Status.UNCHECKED, Reason.FRAGMENT),
    ]


def test_packet_that_nflog_cut_is_truncated_and_not_contradictory() -> None:
    frame = nflog(2, v4(FIRST)[:60])
    flags, _, checks = _core.inspect(frame, link=239)
    assert [(k.status, k.reason) for k in checks] == [
        (Status.GOOD, Reason.NONE),
        (Status.UNCHECKED, Reason.TRUNCATED),
    ]
    assert "MALFORMED" not in str(flags)
    assert unread(nflog(2, v4(FIRST)[:36]), 239) is Unread.TRUNCATED


def test_nflog_without_a_packet_has_none() -> None:
    assert not judge(b"\2\0\0\7" + attribute(10, b"only a prefix\0"), link=239)


def test_aggregate_that_promises_more_than_it_has_ends_there() -> None:
    frame = dot11(aggregate(FIRST), qos=b"\x80\0", FCfield=2)
    whole = judge(frame, link=105)
    assert verdicts(judge(f.put16(frame, 26 + 12, 9000), link=105)) == []
    assert len(whole) == 3


def test_monitor_interfaces_are_read_as_what_they_are() -> None:
    """ARPHRD_IEEE80211 801, _PRISM 802, _RADIOTAP 803 of <linux/if_arp.h>."""
    assert [link_of(kind) for kind in (1, 801, 802, 803, 65534)] == [1, 105, 119, 127, 101]


if __name__ == "__main__":
    pytest.main([__file__])
