"""A check as the model of a page: what was found, and the first bad packets of each cause with their bytes.

Reads (the stage): status, checks.  Writes: nothing.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from pktmend import _core
from pktmend.advice.finding import Finding, Remedy
from pktmend.commands.check.found import Found
from pktmend.commands.check.output import ambiguity_lines
from pktmend.commands.check.rows import Rows
from pktmend.console.plural import quantity
from pktmend.console.report import rfc3339
from pktmend.console.unread import unread_text
from pktmend.enums import Cause, CheckFlag, Proto, Reason, Status
from pktmend.report.drawing import Drawing, State, Station, chain
from pktmend.report.packet import ShownPacket
from pktmend.report.page import Chapter, Report, Tone

EACH: Final = 3  # packets of each cause
HEAD: Final = 256  # bytes of each
BAD: Final = int(Status.BAD)
UNFINISHED: Final = "unfinished"


class Keep:
    """The stage: it keeps the first packets of each cause."""

    name = "report"

    def __init__(self) -> None:
        self.packets: dict[str, list[ShownPacket]] = {}
        self._rows = Rows()

    def __call__(self, batch: _core.Batch) -> None:
        """Look."""
        wanted = {word for word in map(_cause, Cause) if len(self.packets.get(word, ())) < EACH}
        statuses = bytes(batch.status)
        if BAD in statuses and wanted:
            self._keep(batch, batch.where(status=BAD), wanted)
        if int(Status.PENDING) in statuses and len(self.packets.get(UNFINISHED, ())) < EACH:
            self._keep(batch, batch.where(status=int(Status.PENDING))[:64], {UNFINISHED})

    def _keep(self, batch: _core.Batch, indices: Sequence[int], wanted: set[str]) -> None:
        causes = bytes(batch.cause)
        for i in indices:
            word = _cause(causes[i]) if UNFINISHED not in wanted else UNFINISHED
            kept = self.packets.get(word, [])
            if word not in wanted or len(kept) >= EACH:
                continue
            for k in batch.checks_of(i):
                if _is_meant(k, word):
                    self.packets.setdefault(word, []).append(self._shown(batch, i, k))
                    break

    def _shown(self, batch: _core.Batch, i: int, k: _core.Check) -> ShownPacket:
        (row,) = self._rows.of(batch, (i,))
        frame = batch.head(i, HEAD)
        inside = [layer for layer in batch.layers_of(i) if layer.l3 <= k.start]
        return ShownPacket.of(
            k,
            inside[-1] if inside else None,
            frame,
            number=row.number,
            time=rfc3339(row.time_ns),
            flow=row.ends.text or "no addresses",
            verdict=f"{Proto(k.proto)} {Cause(k.cause) if k.cause else Status(k.status)}",
            wirelen=row.wirelen,
        )


def _is_meant(k: _core.Check, word: str) -> bool:
    if k.flags & CheckFlag.QUOTED:
        return False
    if word == UNFINISHED:
        return k.status == Status.PENDING and k.reason == Reason.NO_METADATA
    return k.status == Status.BAD


def _cause(cause: int) -> str:
    return str(Cause(cause)) if cause else str(Status.BAD)


def report_of(found: Found, kept: Keep, source: str, *, is_live: bool) -> Report:
    """Return the page's model.  source: the file or interface."""
    unseen = [unread_text(found.kinds)] if found.kinds else []
    if found.truncated:
        unseen.append(f"the rest of {quantity(found.truncated, 'packet')}, which the capture cut")
    bad = found.bad.total()
    tone = Tone.BAD if bad else Tone.UNSURE if found.unfinished or found.kinds else Tone.FINE
    if bad:
        verdict = f"{quantity(bad, 'packet')} of {found.packets} {'has' if bad == 1 else 'have'} a bad checksum"
    elif found.unfinished:
        verdict = f"{quantity(found.unfinished.total(), 'checksum')} unfinished: the file cannot say if that is healthy"
    else:
        verdict = f"No bad checksum in {quantity(found.packets, 'packet')}"
    return Report(
        title=f"pktmend check: {verdict}",
        verdict=verdict,
        tone=tone,
        subject=f"{'Interface' if is_live else 'Capture'} {source}",
        drawing=_drawing(found, source),
        chapters=[*_chapters(found, kept), *_unfinished(found, kept, source)],
        counters=found.checks,
        facts=[(name, str(getattr(found, name))) for name in ("packets", "truncated", "malformed")],
        unseen=unseen,
    )


def _chapters(found: Found, kept: Keep) -> list[Chapter]:
    chapters = []
    for cause, n in found.bad.items():
        shown = kept.packets.get(cause, [])
        chapters.append(
            Chapter(
                finding=Finding(
                    name=cause,
                    title=cause,
                    meaning="",
                    remedies=(
                        Remedy(
                            "", "`pktmend diagnose` on this capture names what in the set-up makes them, and a cure"
                        ),
                    ),
                ),
                tone=Tone.BAD,
                badge=quantity(n, "packet"),
                title=cause,
                meaning=f"The checksum of {quantity(n, 'packet is')} {cause}: see `pktmend help verdicts`.",
                packets=shown,
                packets_left=max(0, n - len(shown)),
                reference="pktmend help glossary",
            )
        )
    return chapters


def _unfinished(found: Found, kept: Keep, source: str) -> list[Chapter]:
    lines = ambiguity_lines(found, source)
    if not lines:
        return []
    shown = kept.packets.get(UNFINISHED, [])
    return [
        Chapter(
            finding=Finding(name=UNFINISHED, title=UNFINISHED, meaning=""),
            tone=Tone.UNSURE,
            badge=quantity(found.unfinished.total(), "checksum"),
            title="Unfinished checksums",
            meaning=" ".join(line.strip() for line in lines),
            packets=shown,
            packets_left=max(0, found.unfinished.total() - len(shown)),
        )
    ]


def _drawing(found: Found, source: str) -> Drawing:
    """Draw what one capture can show: what came to it; where that was made wrong it cannot say."""
    state = State.LOST if found.bad else State.UNSURE if found.unfinished else State.FINE
    said = f"{quantity(found.bad.total(), 'bad packet')} here" if found.bad else ""
    stations = [
        Station("before", "Sender, hops", ("where it went wrong: pktmend diagnose",) if found.bad else ()),
        Station("capture", source, (said,) if said else (), state=state),
        Station("behind", "Receiver", ("drops bad packets",) if found.bad else ()),
    ]
    return chain(f"What came to {source}", stations, [("", state), ("", state)])
