"""A DHCP client that reads from a raw socket judges checksums by itself, and an offer that has leaked is not for it.

Where the kernel says so (TP_STATUS_CSUMNOTREADY) such clients accept an offer with a partial checksum; behind a hop
that loses this metadata they drop it, without a word.
"""

from __future__ import annotations

from pktmend.commands.lab.case import LabCase
from pktmend.testbed.middlebox import Middlebox
from pktmend.testbed.netns import Host, Testbed, end
from pktmend.testbed.relay import Relay
from pktmend.testbed.topology import Topology, bridged, containers, remedied
from pktmend.testbed.transcript import Transcript

ASK = ("udhcpc", "-i", "eth0", "-f", "-n", "-q", "-t", "2", "-T", "1", "-A", "0", "-s", "/bin/true")


def run(testbed: Testbed, transcript: Transcript) -> None:
    """Let a client get no lease behind a plain relay; cure it at the server, then by a bridge."""
    topology = containers(testbed)
    transcript.step(
        "A DHCP server (dnsmasq) in b, a client (udhcpc) in a; joined within the kernel, which keeps the metadata"
    )
    topology.a.run("ip", "address", "flush", "dev", "eth0")
    topology.b.spawn(
        "dnsmasq",
        "--keep-in-foreground",
        "--conf-file=/dev/null",
        "--port=0",
        "--interface=eth0",
        "--bind-interfaces",
        "--dhcp-range=10.7.0.50,10.7.0.99,255.255.255.0,2m",
        "--no-ping",
        "--user=root",
        "--log-dhcp",
        f"--log-facility={topology.folder / 'log'}",
        f"--dhcp-leasefile={topology.folder / 'leases'}",
        f"--pid-file={topology.folder / 'pid'}",
    )
    box = Middlebox(topology.node, "port-a", "port-b")
    transcript.symptom("the client gets a lease where the metadata is kept", gets_lease(transcript, topology.a))

    transcript.step("The same behind a copy between two packet sockets")
    box.disconnect("port-a", "port-b")
    relay = Relay(topology.node)
    relay.ports("port-a", "port-b")
    before = offers(topology)
    transcript.symptom("the client gets none where it is lost", not gets_lease(transcript, topology.a))
    transcript.answer(f"dnsmasq meanwhile: DHCPOFFER {offers(topology) - before} times")
    transcript.symptom("though the server has offered one", offers(topology) > before)

    transcript.step("Diagnosis, where the offers arrive")
    asking = topology.a.spawn("udhcpc", "-i", "eth0", "-f", "-t", "99", "-T", "1", "-A", "0", "-s", "/bin/true")
    transcript.diagnose(topology.a, "-i", "eth0")
    end(asking)

    transcript.step("Cure 1, as diagnosed: transmit checksum offload off at the server")
    with remedied(transcript, topology.a):
        transcript.cure("tx off at the server", gets_lease(transcript, topology.a))

    transcript.step("Cure 2: pktmend bridge between the relay and the server; offloads untouched")
    relay.ports("port-a", "uplink")
    with bridged(transcript, topology.node, "port-u", "port-b", "--finish", "port-u"):
        transcript.cure("pktmend bridge", gets_lease(transcript, topology.a))
    relay.ports("port-a", "port-b")


def offers(topology: Topology) -> int:
    """Count the offers in the server's log."""
    return (topology.folder / "log").read_text().count("DHCPOFFER(")


def gets_lease(transcript: Transcript, client: Host) -> bool:
    """Ask for an address; is one given?"""
    return transcript.run(client, *ASK, pick="lease").returncode == 0


CASE = LabCase(
    "dhcp",
    "DHCP offers with a leaked checksum, dropped by a client with a raw socket",
    "dhcp-raw-client",
    run,
    needs=("dnsmasq", "udhcpc", "curl"),
)
