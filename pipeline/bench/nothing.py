"""Stages that do nothing: what `pktmend bench stage` loads, as --stage pipeline.bench.nothing:in_python."""

from __future__ import annotations

from pipeline._core import Batch
from pipeline._traffic import ffi, lib
from pipeline.stages import native


def in_python(batch: Batch) -> None:
    """Do nothing.  Reads: nothing.  Writes: nothing."""


in_c = native(ffi.addressof(lib, "traffic_nothing"), name="in_c")
