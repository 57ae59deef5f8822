"""A hop that flips bits: damaged data, which no repair may sign."""

from __future__ import annotations

from pktmend.testbed import middlebox
from pktmend.testbed.middlebox import Hop
from pktmend.testbed.netns import Testbed
from pktmend.testbed.topology import TOOLS, bridged, contact, containers, offload_off, show_diagnosis
from pktmend.testbed.transcript import Case, Transcript


def play(testbed: Testbed, show: Transcript) -> None:
    """Flip bits of what b sends; show that the receiver drops it, and that the bridge does not sign it."""
    site = containers(testbed)
    flip = middlebox.flip_bits(one_in=64)
    show.act("Containers a and b, joined by a link that flips a bit in one of 64 frames of b")
    hop = Hop(site.node, "port-a", "port-b", back=flip)
    with offload_off(show, (site.a, "eth0"), (site.b, "eth0")):  # frames are finished, as those of a NIC are
        resent = site.b.kernel_counters()["TcpRetransSegs"]
        found = contact(show, site)
        show.symptom("the receiver's kernel drops what was damaged", found.errors > 0)
        show.symptom("b sends it again", site.b.kernel_counters()["TcpRetransSegs"] > resent)
        show.symptom("TCP gets everything through in the end", found.pings and found.same)

        show_diagnosis(show, site, site.a, "-i", "eth0")

        show.act("No repair: pktmend bridge behind the link drops what is corrupt, and signs none of it")
        hop.join("uplink", "port-b", back=flip)
        with bridged(show, site.node, "port-a", "port-u", "--corrupt", "drop") as summary:
            show.cure("pktmend bridge --corrupt drop keeps damage from the receiver", contact(show, site).is_sound)
        show.cure("and repairs nothing", "repaired leaked" not in summary.text and "repaired -" in summary.text)

        show.act("Cure: another cable")
        hop.join("port-a", "port-b")
        show.cure("a link that flips no bits", contact(show, site).is_sound)
        hop.join("port-a", "port-b", back=flip)


CASE = Case("bit-errors", "a link that flips bits: damaged data, not an offload", "bit-errors", play, needs=TOOLS)
