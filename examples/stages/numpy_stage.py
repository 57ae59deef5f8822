"""A stage with NumPy: columns are arrays without a copy, so a rule over a whole batch is one expression.

pktmend bridge -i A -I B --stage ./numpy_stage.py:DropLong,limit=1400
"""

from __future__ import annotations

import numpy

from pktmend import Batch, Verdict


class DropLong:
    """Drop frames longer than *limit* bytes, super-frames included.  Reads: wirelen.  Writes: verdict."""

    name = "drop-long"

    def __init__(self, limit: int = 1514) -> None:
        self.limit = limit
        self.longest = 0

    def __call__(self, batch: Batch) -> None:
        """Look at one batch.  The arrays must not outlive this call; what is to be kept is copied."""
        length = numpy.asarray(batch.wirelen)
        verdict = numpy.asarray(batch.verdict)
        verdict[length > self.limit] = Verdict.DROP
        self.longest = max(self.longest, int(length.max(initial=0)))

    def counters(self) -> dict[str, int]:
        """Shown with the bridge's own counters."""
        return {"longest": self.longest}
