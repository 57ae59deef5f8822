"""What was considered and dropped, for `--explain`."""

from __future__ import annotations

from collections.abc import Iterable

from pktmend.advice.text import wrapped
from pktmend.commands.diagnose.causes import RootCause
from pktmend.commands.diagnose.examine import Examination


def _reasons(found: Examination) -> dict[RootCause, list[str]]:
    """{cause that was dropped: why}, in the order of the table of causes, each reason once.

    A cause that stands after all (at the second tap, for other packets) was not dropped.
    """
    stands = {decision.cause for decision in found.decisions}
    reasons: dict[RootCause, dict[str, None]] = {cause: {} for cause in RootCause}
    for rejected in found.rejected:
        reasons[rejected.cause][rejected.why.text] = None
    return {cause: list(why) for cause, why in reasons.items() if why and cause not in stands}


def rejections_as_json(found: Examination) -> list[dict[str, object]]:
    """Return [{"cause": name, "why": [sentence, ...]}, ...] for the summary of --json."""
    return [{"cause": str(cause), "why": why} for cause, why in _reasons(found).items()]


def text_of_rejections(found: Examination) -> Iterable[str]:
    """Yield lines: each cause that was dropped with its reasons, then the causes that nothing pointed to."""
    reasons = _reasons(found)
    yield "What was considered and dropped"
    for cause, why in reasons.items():
        for sentence in why:
            yield from wrapped(f"{cause}: {sentence}", "  - ", "    ")
    if not reasons:
        yield "  - nothing"
    said = {decision.cause for decision in found.decisions}
    silent = [str(cause) for cause in RootCause if cause not in reasons and cause not in said]
    yield from wrapped(f"Nothing pointed to: {', '.join(silent)}.", "")
