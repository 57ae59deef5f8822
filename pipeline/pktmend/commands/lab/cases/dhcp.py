"""A DHCP client that reads from a raw socket judges checksums by itself, and an offer that has leaked is not for it.

With the kernel's note at hand (TP_STATUS_CSUMNOTREADY) such clients take an unfinished offer; behind a hop that loses
the note they drop it, without a word.
"""

from __future__ import annotations

from pktmend.testbed.middlebox import Hop
from pktmend.testbed.netns import Host, Testbed, end
from pktmend.testbed.relay import Relay
from pktmend.testbed.topology import Topology, bridged, containers, remedied
from pktmend.testbed.transcript import Case, Transcript

ASK = ("udhcpc", "-i", "eth0", "-f", "-n", "-q", "-t", "2", "-T", "1", "-A", "0", "-s", "/bin/true")


def play(testbed: Testbed, show: Transcript) -> None:
    """Let a client get no lease behind a plain relay; cure it at the server, then by a bridge."""
    site = containers(testbed)
    show.act("A DHCP server (dnsmasq) in b, a client (udhcpc) in a; joined within the kernel, which keeps its note")
    site.a.run("ip", "address", "flush", "dev", "eth0")
    site.b.spawn(
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
        f"--log-facility={site.folder / 'log'}",
        f"--dhcp-leasefile={site.folder / 'leases'}",
        f"--pid-file={site.folder / 'pid'}",
    )
    hop = Hop(site.node, "port-a", "port-b")
    show.symptom("the client gets a lease where the note is kept", gets_lease(show, site.a))

    show.act("The same behind a copy between two packet sockets")
    hop.part("port-a", "port-b")
    relay = Relay(site.node)
    relay.ports("port-a", "port-b")
    before = offers(site)
    show.symptom("the client gets none where it is lost", not gets_lease(show, site.a))
    show.answer(f"dnsmasq meanwhile: DHCPOFFER {offers(site) - before} times")
    show.symptom("though the server has offered one", offers(site) > before)

    show.act("Diagnosis, where the offers arrive")
    asking = site.a.spawn("udhcpc", "-i", "eth0", "-f", "-t", "99", "-T", "1", "-A", "0", "-s", "/bin/true")
    show.diagnose(site.a, "-i", "eth0")
    end(asking)

    show.act("Cure 1, as diagnosed: transmit checksum offload off at the server")
    with remedied(show, site.a):
        show.cure("tx off at the server", gets_lease(show, site.a))

    show.act("Cure 2: pktmend bridge between the relay and the server; offloads untouched")
    relay.ports("port-a", "uplink")
    with bridged(show, site.node, "port-u", "port-b", "--finish", "port-u"):
        show.cure("pktmend bridge", gets_lease(show, site.a))
    relay.ports("port-a", "port-b")


def offers(site: Topology) -> int:
    """Count the offers in the server's log."""
    return (site.folder / "log").read_text().count("DHCPOFFER(")


def gets_lease(show: Transcript, client: Host) -> bool:
    """Ask for an address; is one given?"""
    return show.run(client, *ASK, pick="lease").returncode == 0


CASE = Case(
    "dhcp",
    "DHCP offers with a leaked checksum, dropped by a client with a raw socket",
    "dhcp-raw-client",
    play,
    needs=("dnsmasq", "udhcpc", "curl"),
)
