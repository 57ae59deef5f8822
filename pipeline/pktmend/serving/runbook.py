"""What each alert of deploy/prometheus means and what to do: the page that its runbook_url leads to."""

from __future__ import annotations

from typing import Final, NamedTuple

from pktmend.serving.page import escaped


class Entry(NamedTuple):
    """What an alert means, and what to do, in sentences; commands to type."""

    meaning: str
    action: str
    commands: tuple[str, ...] = ()


ENTRIES: Final[dict[str, Entry]] = {
    "PktmendLeakedChecksums": Entry(
        "Packets carry a partial checksum that no mark announces any more: a hop before the watched interface forwards"
        " bytes and loses the kernel's metadata. Their receiver drops them: ping works, TCP and UDP hang. The alert"
        " asks for five in five minutes and for one in a thousand bad checks, because one corrupt packet in 65,536"
        " looks like this by chance.",
        "Find the hop, then have its sender finish checksums, or put a bridge before it.",
        ("pktmend diagnose -i IFACE", "pktmend doctor", "pktmend bridge -i A -I B"),
    ),
    "PktmendBadChecksums": Entry(
        "Checks are wrong for the cause that is named. corrupt and bit-flip are damage on the way (memory, card, cable,"
        " a faulty hop); the others are mistakes of a program or device that computes checksums.",
        "Look at the packets and at the same flow before and behind the hop. Corruption is never repaired.",
        ("pktmend diagnose -i IFACE", "pktmend monitor -i IFACE -w bad.pcapng --bad-only"),
    ),
    "PktmendVouchedForBad": Entry(
        "The kernel or a device calls packets valid whose checksum is wrong: receivers do not look again, and damaged"
        " data reaches applications.",
        "Switch receive checksum offload off on that interface until driver or kernel are mended.",
        ("ethtool -K IFACE rx off", "pktmend diagnose -i IFACE"),
    ),
    "PktmendNamespaceErrorsElsewhere": Entry(
        "The kernel drops packets for their checksum in this network namespace, and none of the watched interfaces"
        " shows bad ones.",
        "Watch the other interfaces as well.",
        ("pktmend doctor --watch 10", "pktmend monitor -i '*'"),
    ),
    "PktmendPodChecksumErrors": Entry(
        "The kernel of this node drops packets for their checksum inside the namespace of that pod.",
        "Look at the pod's link on the node.",
        ("pktmend doctor --watch 10", "pktmend diagnose -i IFACE"),
    ),
    "PktmendKernelDrops": Entry(
        "The ring was full: the monitor does not see every packet. Nothing is lost for those who communicate.",
        "Give it a larger ring, more workers, or more CPU.",
        ("pktmend monitor -i IFACE -B 131072 --workers 2",),
    ),
    "PktmendNotWriting": Entry(
        "Packets meant for the file of -w are not written: the disk is full or slow, or a pipe is closed.",
        "Make room, then have it open the file again.",
        ("kill -HUP PID",),
    ),
    "PktmendDown": Entry(
        "Nothing answers, or a worker has ended or hangs: nobody watches. This page comes from that process, so it may"
        " be gone as well; `pktmend help monitor` and `pktmend help operating` have the rest.",
        "See what it said last, and start it again.",
        ("journalctl -u 'pktmend-*'", "kubectl -n pktmend logs daemonset/pktmend-monitor --previous"),
    ),
    "PktmendBridgeDropping": Entry(
        "The bridge has lost frames for five minutes: its ring was full (kernel drops), the egress took none (tx_error,"
        " by errno), a super-frame could not be split, or a loop is blocked.",
        "`/` of the bridge shows which of these, in which direction.",
        ("pktmend help operating",),
    ),
    "PktmendBridgeWorkerEnded": Entry(
        "A thread that carries frames has ended or hangs: one direction, or both, stand still. A stage of yours that"
        " does not return is the usual reason.",
        "Restart the bridge; take the stage out, or let it fail softly (--on-error pass).",
        ("systemctl restart pktmend-bridge@NAME", "journalctl -u pktmend-bridge@NAME"),
    ),
    "PktmendBridgeRestarts": Entry(
        "The bridge was started several times within a quarter of an hour: while it is away nothing is carried.",
        "See why it ended.",
        ("journalctl -u pktmend-bridge@NAME",),
    ),
    "PktmendBridgeCutThroughLost": Entry(
        "The kernel carried healthy frames by itself and does so no longer: all go through the ring, which takes more"
        " CPU and delays them. Everything is still repaired.",
        "See what it said; another program's tc filter, or an interface that was made again, are usual. A restart"
        " begins it again.",
        ("tc filter show dev IFACE ingress", "bpftool net show dev IFACE", "systemctl restart pktmend-bridge@NAME"),
    ),
    "PktmendBridgeNotIsolated": Entry(
        "What keeps the host's own stack away from a port (--isolate) is not in force: the host may answer or forward"
        " what the bridge carries.",
        "Find the program that is asked before it.",
        ("tc filter show dev IFACE ingress", "bpftool net show dev IFACE"),
    ),
    "PktmendBridgeLoop": Entry(
        "Another path joins both sides of the bridge: frames go round for ever, or the bridge blocks.",
        "Take one of the paths away, or run spanning tree at both ends.",
        ("pktmend help operating",),
    ),
}


def content() -> str:
    """Return the page's content: an anchor for each alert."""
    parts = ["<h1>pktmend runbook</h1>", "<p>What the alerts mean, and what to do.</p>"]
    for name, entry in ENTRIES.items():
        commands = "".join(f"<li><code>{escaped(each)}</code></li>" for each in entry.commands)
        parts.append(
            f'<h2 id="{escaped(name)}">{escaped(name)}</h2>\n<p>{escaped(entry.meaning)}</p>\n'
            f"<p>{escaped(entry.action)}</p>\n<ul>{commands}</ul>"
        )
    return "\n".join(parts)
