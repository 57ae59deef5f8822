"""The root causes: their names, what each means for the user, and whether `pktmend bridge` cures it.

A root cause is about a machine's set-up; the cause of a single bad check (enums.Cause) is about arithmetic.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import Final


class RootCause(StrEnum):
    """What is the matter; the values are those of --json."""

    NOTHING_WRONG = "nothing-wrong"
    NOTHING_SEEN = "nothing-seen"
    OFFLOAD_PENDING = "offload-pending"
    SUPER_FRAMES = "super-frames"
    METADATA_LOST = "metadata-lost"
    TAP_WITHOUT_VNET_HEADER = "tap-without-vnet-header"
    XDP_HOP = "xdp-hop"
    TUNNEL_INNER_UNFINISHED = "tunnel-inner-unfinished"
    NAT_ON_ZERO = "nat-on-zero"
    NAT_WITHOUT_UPDATE = "nat-without-update"
    ICMP_STALE_INNER = "icmp-stale-inner"
    VOUCHED_FOR_BAD = "vouched-for-bad"
    BAD_SEED = "bad-seed"
    DHCP_RAW_CLIENT = "dhcp-raw-client"
    SCTP_WRONG_SUM = "sctp-wrong-sum"
    IP_HEADER_NEVER_FILLED = "ip-header-never-filled"
    DOUBLE_COMPLETION = "double-completion"
    LENGTH_FAULT = "length-fault"
    BIT_ERRORS = "bit-errors"
    CORRUPTION = "corruption"
    NEVER_FILLED = "never-filled"
    WRONG_ARITHMETIC = "wrong-arithmetic"
    REWRITTEN_CAPTURE = "rewritten-capture"
    MISPLACED_COMPLETION = "misplaced-completion"
    NOT_UNDERSTOOD = "not-understood"

    @property
    def is_healthy(self) -> bool:
        """Nothing has to be cured."""
        return CAUSES[self].is_healthy

    @property
    def is_problem(self) -> bool:
        """Something has to be cured: neither healthy, nor without a conclusion."""
        return not CAUSES[self].is_healthy and not CAUSES[self].is_open


@dataclass(frozen=True)
class Meaning:
    """One row of the table.

    bridge: a command that keeps the trouble from the receiver, with A the side that the packets come from and B that of
            the receiver; empty if none does.
    is_open: no conclusion: neither that something is wrong nor that nothing is.
    """

    title: str
    meaning: str
    is_healthy: bool = False
    bridge: str = ""
    is_open: bool = False


FINISH: Final = "pktmend bridge -i {a} -I {b} --finish {a}"
# signs whatever comes: for causes that, once certain, prove that the contents are intact
SIGN: Final = "pktmend bridge -i {a} -I {b} --repair all"
GUARD: Final = "pktmend bridge -i {a} -I {b} --corrupt drop"

CAUSES: Final = {
    RootCause.NOTHING_WRONG: Meaning(
        "Nothing is wrong", "Every checksum that can be checked is right.", is_healthy=True
    ),
    RootCause.NOTHING_SEEN: Meaning(
        "No packet was seen",
        "Nothing can be said: the tap was idle, a filter left nothing, or the packets take another path.",
        is_healthy=True,
    ),
    RootCause.OFFLOAD_PENDING: Meaning(
        "Nothing is wrong: these checksums are pending, not bad",
        "The sender left them to its network card, or to the last hop on the way; the kernel marks "
        "them (CHECKSUM_PARTIAL). Programs that call such packets broken look at them too early.",
        is_healthy=True,
    ),
    RootCause.SUPER_FRAMES: Meaning(
        "Nothing is wrong: these frames are whole super-frames",
        "The stack hands frames over before they are split (TSO, GSO) or after they were coalesced (GRO, LRO). On the "
        "wire they are as long as the MTU allows.",
        is_healthy=True,
    ),
    RootCause.METADATA_LOST: Meaning(
        "A hop lost the mark that checksums are partial",
        "The receiver drops these packets: TCP does not connect, UDP does not arrive. Ping works, because ICMP sums "
        "are always complete.",
        bridge=FINISH,
    ),
    RootCause.TAP_WITHOUT_VNET_HEADER: Meaning(
        "A TAP hands partial checksums to a program that cannot know",
        "The kernel leaves checksums to the TAP device (TUN_F_CSUM), but the program that reads it did not ask for "
        "the virtio-net header (IFF_VNET_HDR), which would say so. What it sends on is dropped by the receiver; ping "
        "works.",
        bridge=FINISH,
    ),
    RootCause.XDP_HOP: Meaning(
        "An XDP program or AF_XDP socket on the way loses the mark",
        "Frames that XDP redirects carry no mark of partial checksums. The receiver drops them; ping works.",
        bridge=FINISH,
    ),
    RootCause.TUNNEL_INNER_UNFINISHED: Meaning(
        "The checksums of a tunnel's packets were never completed",
        "The tunnel works for what is always complete; TCP and UDP within it are dropped, at the end of the tunnel or "
        "behind it. The inner checksum has to be completed first: the outer one covers it.",
        bridge=FINISH,
    ),
    RootCause.NAT_ON_ZERO: Meaning(
        "NAT updated a checksum that was zero",
        "The tunnel sends UDP without a checksum; NAT made a wrong one out of the 0. The receiver drops these packets, "
        "often the first ones of a connection only: delays of 1, 3, 7, ... or 63 seconds.",
        bridge=SIGN,
    ),
    RootCause.NAT_WITHOUT_UPDATE: Meaning(
        "A hop rewrote headers and did not update the checksum",
        "The receiver drops these packets. Their contents are probably intact: the checksum is the one from before "
        "the change.",
        bridge=SIGN,
    ),
    RootCause.ICMP_STALE_INNER: Meaning(
        "ICMP errors quote a packet as it was before NAT",
        "The host cannot match such an error with its connection and ignores it: path MTU discovery and 'port "
        "unreachable' do not work, connections hang instead of failing or adapting.",
    ),
    RootCause.VOUCHED_FOR_BAD: Meaning(
        "The kernel claimed that wrong checksums are valid",
        "Packets marked as verified have wrong checksums: the receiver does not look again, and corrupt data reaches "
        "applications.",
        bridge=GUARD,
    ),
    RootCause.BAD_SEED: Meaning(
        "Packets flagged as partial hold something else than the seed",
        "Their sender asked for completion but left a wrong value to start from. Inside this machine "
        "they are taken without a check, corrupt or not; hardware makes a wrong checksum of them.",
        bridge=GUARD,
    ),
    RootCause.DHCP_RAW_CLIENT: Meaning(
        "A DHCP client gets answers with a partial checksum",
        "DHCP clients read packets past the kernel and check UDP sums themselves. This client discards the offers and "
        "asks again: it gets no address.",
        bridge="pktmend bridge -i {a} -I {b} --finish {b}",
    ),
    RootCause.SCTP_WRONG_SUM: Meaning(
        "SCTP packets carry something else than a CRC32c",
        "The receiver drops these packets: SCTP associations do not come up.",
        bridge=FINISH,
    ),
    RootCause.IP_HEADER_NEVER_FILLED: Meaning(
        "IPv4 headers were sent without a checksum",
        "Every router and receiver drops these packets.",
        bridge=SIGN,
    ),
    RootCause.DOUBLE_COMPLETION: Meaning(
        "Complete checksums are completed a second time",
        "Completing a right checksum turns it back into the bare pseudo-header sum. The receiver drops these packets.",
        bridge="pktmend bridge -i {a} -I {b}",
    ),
    RootCause.LENGTH_FAULT: Meaning(
        "A length is wrong, in a header or under a checksum",
        "Padding or a frame check sequence was summed too, a part of the packet was left out, another length counted, "
        "or headers contradict each other about it. The receiver drops these packets.",
        bridge=SIGN,
    ),
    RootCause.NOT_UNDERSTOOD: Meaning(
        "Packets were not looked into",
        "Their format is not read here, or their contents are encrypted or were cut off by the capture. Whether a "
        "checksum in them is wrong cannot be said.",
        is_open=True,
    ),
    RootCause.BIT_ERRORS: Meaning(
        "Single bits are damaged on the way",
        "A link, a cable, memory or a card flips bits. The receiver drops what the checksum catches; of damage in "
        "several bits, about one packet in 65,536 passes. Repairing checksums would hide it.",
    ),
    RootCause.CORRUPTION: Meaning(
        "Packets are corrupt",
        "Their contents do not fit their checksums, and no single mistake explains it. The receiver drops them, "
        "rightly.",
    ),
    RootCause.NEVER_FILLED: Meaning(
        "The checksum field was left empty",
        "The sender, or a program that crafts packets, left 0 where a checksum is mandatory. The receiver drops these "
        "packets.",
    ),
    RootCause.WRONG_ARITHMETIC: Meaning(
        "Somebody computes checksums wrongly",
        "One mistake in a program, driver or card explains the values: a byte order, a complement, the pseudo header, "
        "the odd last byte, a carry, a difference that repeats. The receiver drops these packets.",
        bridge=SIGN,
    ),
    RootCause.REWRITTEN_CAPTURE: Meaning(
        "Nothing is wrong on the network: this capture was rewritten after it was taken",
        "A program replaced addresses in the file (to anonymise it, or to replay it) and left the checksums as they "
        "were. What went over the wire fitted its checksums.",
        is_healthy=True,
    ),
    RootCause.MISPLACED_COMPLETION: Meaning(
        "Completed checksums are written to the wrong place",
        "The mark of a partial checksum names another place than its field. Whoever obeys it, a card or the kernel, "
        "writes over a port or into payload and leaves the field unfinished: connections go to ports that nobody "
        "asked for, and the receiver drops the packets.",
        bridge="pktmend bridge -i {a} -I {b}",
    ),
}
