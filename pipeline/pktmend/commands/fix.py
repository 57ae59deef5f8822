"""`pktmend fix`: repair a capture, file to file."""

from __future__ import annotations

import sys
from typing import TextIO

from pktmend.console.fifo import awaited_reader
from pktmend.console.plural import quantity
from pktmend.console.read_to_end import run_to_end
from pktmend.console.report import check_lines, print_json, words
from pktmend.console.signals import Signals
from pktmend.enums import RepairPolicy
from pktmend.errors import FormatError
from pktmend.packetio.capture import Capture
from pktmend.packetio.capture_file import PCAP, format_of
from pktmend.packetio.capture_writer import Copy, Writer
from pktmend.runtime.pipeline import Pipeline, Stage
from pktmend.runtime.stages import Repair, Verify, classify, count


def run_fix(*, path: str, output: str, repair: str, at_wire: bool, json: bool) -> None:
    """Copy *path* to *output*, completing partial checksums (repair `leaked`) or whatever can be computed (`all`)."""
    signals = Signals()
    policy = RepairPolicy.ALL if repair == "all" else RepairPolicy.UNFINISHED
    stages: list[Stage] = [Verify(expected=True, at_wire=at_wire), classify, count, Repair(policy)]
    wanted = format_of(output)
    with Capture(path) as source:
        if not source.recognise(signals.stop.is_set):  # before what is there already is written over
            raise KeyboardInterrupt
        convert = wanted and wanted != source.file_format
        with awaited_reader(output, signals.stop.is_set):
            sink: Writer | Copy = (
                Writer(output, file_format=wanted, is_aside=wanted == PCAP) if convert else Copy(output, source)
            )
        if isinstance(sink, Writer) and source.file_format == PCAP:
            sink.describe("", source.interfaces[0][0])  # packets or not
        pipeline = Pipeline(source, stages, sink)
        fault: FormatError | None = None
        try:
            run_to_end(pipeline, source, signals)
        except FormatError as error:  # what came before it is written
            fault = error
        finally:
            sink.close()  # of two errors of writing the second says the same
        if fault is not None and not pipeline.counters().packets:
            raise fault  # nothing was read, so nothing can be said
        _report(pipeline, json, sys.stderr if output == "-" else sys.stdout)
        if fault is not None:
            raise fault


def _report(pipeline: Pipeline, json: bool, file: TextIO) -> None:
    d = pipeline.counters()
    if json:
        print_json(
            {
                "summary": {
                    "packets": d.packets,
                    "truncated": d.truncated,
                    "malformed": d.malformed,
                    "repaired": d.repaired,
                    "checks": d.checks,
                }
            },
            file,
        )
        return
    print(f"{quantity(d.packets, 'packet')}; repaired {words(d.repaired)}; found:", file=file)
    print("\n".join(check_lines(d.checks)), file=file, flush=True)
