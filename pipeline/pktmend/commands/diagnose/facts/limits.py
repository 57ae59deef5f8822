"""What the evidence cannot tell."""

from __future__ import annotations

from pktmend.commands.diagnose.decision import Observation, Sentence
from pktmend.console.plural import quantity


class Limit(Sentence):
    """What would have to be known, or done, to be surer."""

    WRITERS_CLAIM = "the claim is as good as the program that wrote the capture"
    GENEROUS_CLAIM = "kernels before 6.2 also claim it of what only a network card had summed"
    SEED_OVER_CORRUPT = (
        "a flagged packet that holds the right seed over corrupt contents cannot be told from a healthy one by any tap"
    )
    COMPLETED_TWICE = (
        "a complete checksum that a hop completes again leaves the same value; a second tap before the hop (-I) "
        "would tell"
    )
    TAP_BEFORE_TOO = "tap before the hop too (-I) to be certain"
    XDP_MAY_PASS = "an XDP program may also let frames pass: its maps do not tell what it does"
    POINT_UNKNOWN = (
        "the capture holds no mark of the kernel and nothing that shows where it was taken: at the sender "
        "this is healthy; if it was taken beyond, say so with --at wire"
    )
    FIREWALL_LOOKS_ALIKE = (
        "a firewall that drops these connections looks the same in a capture of the sender's side: capture at "
        "the receiver, where a leaked checksum still holds S"
    )
    PROGRAM_MAY_COMPUTE = "a program that computes every checksum anew would repair it; none is known to"
    CARD_MAY_FILL = (
        "some systems (Windows, BSD) leave it to their network card: in a capture of such a "
        "sender it is healthy, and nothing here shows where it was taken; if that was beyond "
        "the sender, say so with --at wire"
    )
    HEADER_CHANGE_LOOKS_ALIKE = "a header field that was changed without an update looks the same"
    SECOND_TAP = "a second tap (-I) shows where it happens and what is changed"
    REPAIRS_BEFORE_NAT = "pktmend bridge repairs them before the NAT only"
    NO_METADATA_BEFORE = "the first capture does not hold the kernel's mark"


class Unchecked(Observation):
    """Checks that could not be made."""

    n: int

    @property
    def text(self) -> str:
        """Say which."""
        return (
            f"{quantity(self.n, 'checksum')} cannot be checked: truncated by the capture, "
            "fragments, quoted in ICMP errors, or lengths that contradict each other"
        )


class CutOff(Observation):
    """The file could not be read to its end."""

    packets: int

    @property
    def text(self) -> str:
        """Say where."""
        return f"the capture is cut off or broken after {quantity(self.packets, 'packet')}; what followed is unknown"
