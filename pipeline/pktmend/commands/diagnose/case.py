"""What a rule works on: a tap's evidence, the machine around it, and the bad packets that no rule has explained yet."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from shlex import quote
from typing import TYPE_CHECKING, Final

from pktmend.advice.finding import Remedy
from pktmend.commands.diagnose import remedies
from pktmend.commands.diagnose.causes import CAUSES, RootCause
from pktmend.commands.diagnose.decision import Confidence, Fact, Rejected
from pktmend.commands.diagnose.evidence import Tap
from pktmend.commands.diagnose.facts.tap import Rising
from pktmend.commands.diagnose.remedies import End
from pktmend.commands.diagnose.samples import ETHERNET, SLL, SLL2, Sample
from pktmend.enums import Cause

if TYPE_CHECKING:
    from pktmend.commands.diagnose.host_context import HostContext
    from pktmend.host.model import Interface

SURE: Final = 2  # packets by which chance is ruled out: one in 65,536 each
REPEATS: Final = 3  # packets of a flow with the same difference
MOST_ENDS: Final = 4  # for which remedies are given
BRIDGEABLE: Final = (ETHERNET, SLL, SLL2)  # link types behind which there may be Ethernet; a TUN carries IP alone


class Case:
    """One diagnosis under way: *unexplained* shrinks as rules take the samples they explain."""

    def __init__(self, tap: Tap, host: HostContext | None) -> None:
        self.tap = tap
        self.host = host
        self.unexplained = tap.samples()
        self.rejected: list[Rejected] = []
        self.claimed: set[tuple[str, str, int, int]] = set()  # flows of pending packets that a rule has explained
        self._kept = Counter((str(s.proto), str(s.cause)) for s in self.unexplained)

    def take(self, wanted: Callable[[Sample], bool]) -> list[Sample]:
        """Take the unexplained samples that *wanted* accepts."""
        matched: list[Sample] = []
        others: list[Sample] = []
        for s in self.unexplained:
            (matched if wanted(s) else others).append(s)
        self.unexplained = others
        return matched

    def take_causes(self, *causes: Cause) -> list[Sample]:
        """Take the samples of these causes."""
        return self.take(lambda s: s.cause in causes)

    def take_these(self, samples: Iterable[Sample]) -> None:
        """Take exactly these."""
        these = set(samples)
        self.take(lambda s: s in these)

    def claim(self, samples: Iterable[Sample]) -> None:
        """Explain pending packets: no other rule calls those of these flows healthy."""
        self.claimed.update((s.source, s.target, *s.ports) for s in samples)

    @property
    def pending(self) -> list[Sample]:
        """Those of the tap's pending samples that no rule has claimed."""
        return [s for s in self.tap.pending if (s.source, s.target, *s.ports) not in self.claimed]

    def total(self, samples: Iterable[Sample]) -> dict[str, int]:
        """Return {"tcp leaked": 41, ...}: of what the samples show, the number in the whole capture.

        Exact where all samples of a cause were taken together, else the samples' own number.
        """
        found = Counter((str(s.proto), str(s.cause)) for s in samples)
        return {
            f"{proto} {cause}": self.tap.checks.get(proto, {}).get(cause, n) if n == self._kept[proto, cause] else n
            for (proto, cause), n in found.items()
        }

    def reject(self, cause: RootCause, why: Fact) -> None:
        """Remember that *cause* was considered, and why it was dropped."""
        self.rejected.append(Rejected(cause, why))

    def owner(self, address: str, mac: str = "") -> Interface | None:
        """The interface of this machine that has *address*; None offline."""
        return self.host.owner(address, mac) if self.host else None

    def sender(self, s: Sample) -> End:
        """The end that a sample comes from."""
        return End(s.source, self.owner(s.source, s.source_mac))

    def senders(self, samples: Iterable[Sample]) -> list[End]:
        """The ends that these come from, the first few."""
        return [self.sender(s) for s in list({s.source: s for s in samples}.values())[:MOST_ENDS]]

    def rising(self) -> list[Rising]:
        """Error counters that rose meanwhile."""
        return self.host.rising() if self.host else []

    def two_taps(self) -> Remedy:
        """How to find the hop that changes them."""
        where = self.host.tapped if self.host else None
        return remedies.two_taps(self.tap.name if self.tap.is_live else "BEFORE", where)

    def bridge(self, cause: RootCause, samples: Sequence[Sample], *, is_behind: bool = True) -> str | None:
        """Return the bridge command against a root cause, None if there is none.

        is_behind: these samples were seen behind the hop; else the loss lies further on.
        """
        template = CAUSES[cause].bridge
        if not template or not samples or samples[0].link not in BRIDGEABLE:
            return None
        is_incoming = is_behind and not all(s.is_outgoing for s in samples)
        if self.host and self.host.tapped and (is_tun(self.host.tapped) or self._ends_at_tap(samples[0])):
            return None
        return _bridge_command(template, self.host, self._receiver(samples[0]), is_incoming=is_incoming)

    def bridges(
        self, cause: RootCause, samples: Sequence[Sample], senders: Iterable[Interface], *, is_behind: bool = True
    ) -> str | None:
        """The same against a hop, with a line more for each sender here whose super-frames the hop would drop."""
        first = self.bridge(cause, samples, is_behind=is_behind)
        if first is None:
            return None
        more = [
            _bridge_command(CAUSES[cause].bridge, self.host, sender, is_incoming=False)
            for sender in senders
            if not is_tun(sender) and self.host and sender.makes_super_frames and self.host.machine.peer_of(sender)
        ]
        return "\n".join(dict.fromkeys([first, *more]))

    def _ends_at_tap(self, s: Sample) -> bool:
        """Is it for a TAP's own address?  A bridge takes frames between two interfaces, and there is no second one."""
        tapped = self.host.tapped if self.host else None
        return tapped is not None and tapped.tun is not None and self._receiver(s) == tapped

    def _receiver(self, s: Sample) -> Interface | None:
        """The interface of this machine that a packet is for: by its outermost address, else by its MAC address."""
        owner = self.owner(s.outer[1] or s.target)
        if owner is None and self.host is not None and s.target_mac:
            alike = [i for i in self.host.machine.interfaces() if i.mac == s.target_mac]
            owner = alike[0] if len(alike) == 1 else None
        return owner


def is_tun(interface: Interface) -> bool:
    """Does it carry IP packets without Ethernet?  No bridge takes it."""
    return interface.tun is not None and not interface.tun.is_tap


def surely(samples: Sequence[Sample]) -> Confidence:
    """`likely` for few packets, where chance is not ruled out, else `certain`."""
    return Confidence.CERTAIN if len(samples) >= SURE else Confidence.LIKELY


def _bridge_command(template: str, host: HostContext | None, target: Interface | None, *, is_incoming: bool) -> str:
    """Fill in `pktmend bridge`: A the side of the hop, B that of the receiver, whose interface is *target*.

    is_incoming: the packets arrived at the tapped interface from the hop (else they leave there, or the hop lies
    behind).  What is not known here is said in capitals: TO-HOP, a port that the hop is given instead of the
    receiver's; TO-RECEIVER.
    """
    a, b, prefix = "TO-HOP", "TO-RECEIVER", ""
    if host is not None and host.tapped is not None:
        port = host.machine.peer_of(target) if target else None
        if port is None and not is_incoming:
            port = host.tapped
        if port is not None:
            b, prefix = port.name, port.namespace.prefix
        if (
            is_incoming
            and host.tapped != target
            and (port is None or (port.namespace.inode == host.tapped.namespace.inode and port != host.tapped))
        ):
            a = host.tapped.name
    command = template.format(a=quote(a), b=quote(b))
    return f"{prefix} {command}" if prefix else command
