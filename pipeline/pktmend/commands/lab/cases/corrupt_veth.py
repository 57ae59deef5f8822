"""Incident of 2016: data that a hop has damaged reaches the application, because the kernel is told not to look.

Two causes in a modern kernel, both without any error counted:

1. Verified too early.  A port's GRO verifies each frame and marks it so; a program behind it flips bits; the mark goes
   on through the veth, and the receiver believes it.  A tap sees CSUM_VALID over a sum that is wrong: the mark of the
   veth of 2016, which said so of every frame.
2. Marked as partial.  A program that sends a damaged frame with NEEDS_CSUM makes the receiver take its sum for one
   that is still to be computed.  Seen only where the field is not the seed that such a frame must have.  (A damaged
   frame whose field is the seed looks like a healthy one: there is no checksum in it yet.)
"""

from __future__ import annotations

import socket
import struct

from pktmend._kernel import lib
from pktmend.commands.lab.case import LabCase
from pktmend.testbed import middlebox
from pktmend.testbed.middlebox import Middlebox
from pktmend.testbed.netns import Testbed
from pktmend.testbed.topology import (
    CLIENT,
    TOOLS,
    Contact,
    Topology,
    bridged,
    contact,
    containers,
    offload_off,
    remedied,
    show_diagnosis,
)
from pktmend.testbed.transcript import Transcript

UDP_PORT = 5000
MESSAGE = b"pay 100 to Alice"
NEEDS_CSUM = struct.pack("=BBHHHH", lib.VIRTIO_NET_HDR_F_NEEDS_CSUM, 0, 0, 0, 34, 6)  # of UDP over IPv4


def run(testbed: Testbed, transcript: Transcript) -> None:
    """Let damaged data reach an application in both cases; stop it."""
    topology = containers(testbed)
    flip = middlebox.flip_bits(one_in=64)
    box = Middlebox(topology.node, "port-a", "port-b", back=flip)
    transcript.step(
        "A link flips bits of what b sends; the receiver verifies, TCP sends again, the file arrives intact"
    )
    with offload_off(transcript, (topology.a, "eth0"), (topology.b, "eth0")):  # complete checksums, as behind a NIC
        found = contact(transcript, topology)
        transcript.symptom("where the receiver verifies, damage is dropped", found.same and found.errors > 0)

        transcript.step("The same link behind a port whose GRO has verified the frames: the receiver trusts that mark")
        # merged frames would go on with partial checksums, which is the second case below
        transcript.run(topology.node, "ip", "link", "set", "dev", "port-b", "gro_max_size", "1", check=True)
        transcript.run(topology.node, "ethtool", "-K", "port-b", "gro", "on", check=True)
        found = fetch_and_compare(transcript, topology)
        transcript.symptom("curl succeeds, and what it has got is not what was sent", found.fetches and not found.same)
        transcript.symptom("no checksum error is counted", found.errors == 0)

        show_diagnosis(transcript, topology, topology.a, "-i", "eth0")

        transcript.step("Cure 1, as diagnosed: no port claims that checksums are valid, the receiver verifies them")
        with remedied(transcript, topology.a):
            transcript.cure("gro off at the port that claimed it", fetch_and_compare(transcript, topology).same)

        transcript.step(
            "Cure 2: pktmend bridge in between; it passes damaged frames, but not the claim that they are good"
        )
        box.connect("uplink", "port-b", back=flip)
        with bridged(transcript, topology.node, "port-a", "port-u") as summary:
            transcript.cure("pktmend bridge", fetch_and_compare(transcript, topology).same)
        transcript.cure("and it repairs none of them", "repaired -" in summary.text.split("port-u -> port-a")[1])

        transcript.step("Cure 3: the same with --corrupt drop; the receiver never sees the damage")
        with bridged(transcript, topology.node, "port-a", "port-u", "--corrupt", "drop"):
            found = fetch_and_compare(transcript, topology)
            transcript.cure("pktmend bridge --corrupt drop", found.same and not found.errors)
        box.connect("port-a", "port-b", back=flip)

        transcript.step("The second case: one datagram, damaged, sent on with NEEDS_CSUM")
        got = injected(transcript, topology, box)
        transcript.symptom("a damaged datagram with NEEDS_CSUM reaches the application", got == "damaged")
        with bridged(transcript, topology.node, "port-a", "port-u", "--corrupt", "drop") as summary:
            transcript.cure(
                "pktmend bridge --corrupt drop stops it", injected(transcript, topology, box, out="uplink") == "nothing"
            )
        transcript.cure("because the field is not the seed (bad-seed)", "bad-seed 1" in summary.text)
        box.connect("port-a", "port-b", back=flip)


def fetch_and_compare(transcript: Transcript, topology: Topology) -> Contact:
    """Let a fetch the file and show the digests of what was sent and what was got."""
    found = contact(transcript, topology)
    for name in ("file", "got"):
        transcript.answer(f"sha256 {topology.digest(name)[:32]}...  {'sent by b' if name == 'file' else 'got by a'}")
    return found


def injected(transcript: Transcript, topology: Topology, box: Middlebox, out: str = "port-a") -> str:
    """Let b send a datagram; damage it at port-b, send it out of *out* with NEEDS_CSUM: what does a get?"""
    box.disconnect(*box.ports)

    def tap(interface: str, protocol: int) -> socket.socket:
        s = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, 0)
        s.setsockopt(lib.SOL_PACKET, lib.PACKET_VNET_HDR, 1)
        s.bind((interface, protocol))
        s.settimeout(2)
        return s

    def listen() -> socket.socket:
        s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        s.bind((CLIENT, UDP_PORT))
        s.settimeout(1)
        return s

    with (
        topology.a.call(listen) as application,
        topology.node.call(lambda: tap("port-b", lib.ETH_P_ALL)) as heard,
        topology.node.call(lambda: tap(out, 0)) as injector,
        topology.b.call(lambda: socket.socket(socket.AF_INET, socket.SOCK_DGRAM)) as sender,
    ):
        topology.b.neighbour("eth0", CLIENT, topology.a.hardware_address("eth0"))
        sender.sendto(MESSAGE, (CLIENT, UDP_PORT))
        while MESSAGE not in (frame := heard.recv(4096)):
            pass
        damaged = frame[10:].replace(b"100", b"900")
        injector.send(NEEDS_CSUM + damaged)
        try:
            got = application.recv(100)
        except TimeoutError:
            got = b""
    transcript.say(
        f"  b sent {MESSAGE.decode()!r}; the application in a got {repr(got.decode()) if got else 'nothing'}"
    )
    return "nothing" if not got else "sent" if got == MESSAGE else "damaged"


CASE = LabCase(
    "corrupt-veth",
    "damaged data reaches the application: the kernel claims that it is valid",
    "vouched-for-bad",
    run,
    needs=TOOLS,
)
