"""Stages that do nothing: what `pktmend bench stage` loads, as --stage pktmend.commands.bench.nothing:in_python."""

from __future__ import annotations

from pktmend._core import Batch
from pktmend.commands.bench._traffic import lib
from pktmend.runtime.native_stages import wrap_native


def in_python(batch: Batch) -> None:
    """Do nothing.  Reads: nothing.  Writes: nothing."""


in_c = wrap_native(lib.pktmend_stage_of_traffic_nothing, name="in_c")
