"""Repair one capture, file to file, or through pipes."""

from __future__ import annotations

import sys
from contextlib import ExitStack
from typing import TextIO

from pktmend.commands.fix.job import Job, Repaired
from pktmend.console.fifo import awaited_reader
from pktmend.console.plural import quantity
from pktmend.console.printable import printable
from pktmend.console.read_to_end import run_to_end
from pktmend.console.report import check_lines, print_json, words
from pktmend.console.signals import Signals
from pktmend.errors import EXIT_PROBLEMS, ConfigError, FormatError
from pktmend.packetio.capture import Capture
from pktmend.packetio.capture_file import PCAP, format_of
from pktmend.packetio.capture_writer import Copy, Writer
from pktmend.runtime.pipeline import Null, Pipeline


def fix_one(path: str, output: str | None, job: Job, *, json: bool, annotate: bool = False) -> int:
    """Copy *path* to *output*, repaired; return the exit code: 1 if a checksum is still bad.

    annotate: say in comments on packets what was wrong, where *output* is pcapng.
    """
    signals = Signals()
    with ExitStack() as stack:
        source = stack.enter_context(Capture(path, packet_filter=job.expression))
        if not source.recognise(signals.stop.is_set):  # before what is there already is written over
            raise KeyboardInterrupt
        comment = f"pktmend fix of {printable(path)}: what was repaired says so in a comment" if annotate else None
        sink = _sink(source, output or "", job, signals, comment) if not job.is_dry else None
        pipeline = Pipeline(source, job.stages(), sink or Null())
        fault: FormatError | None = None
        try:
            run_to_end(pipeline, source, signals)
        except FormatError as error:  # what came before it is written
            fault = error
        finally:
            if sink is not None:
                if comment is not None:
                    sink.summarise("\n".join([comment, *_lines(Repaired.of(pipeline.counters()), job)]))
                sink.close()  # of two errors of writing the second says the same
        if fault is not None and not pipeline.counters().packets:
            raise fault  # nothing was read, so nothing can be said
        done = Repaired.of(pipeline.counters())
        _report(done, job, json=json, file=sys.stderr if output == "-" and not job.is_dry else sys.stdout)
        if fault is not None:
            raise fault
    return EXIT_PROBLEMS if done.leaves_bad else 0


def _sink(source: Capture, output: str, job: Job, signals: Signals, comment: str | None) -> Writer | Copy:
    wanted = format_of(output)
    if comment is not None and (wanted or source.file_format) == PCAP:
        raise ConfigError(f"--annotate: {output}: a classic pcap has no place for comments", "name it .pcapng")
    convert = wanted and wanted != source.file_format
    if convert and job.expression:
        raise ConfigError(f"{output} is to have another format, and an EXPRESSION", "convert first, or afterwards")
    with awaited_reader(output, signals.stop.is_set):
        sink: Writer | Copy = (
            Writer(output, file_format=wanted, is_aside=wanted == PCAP, mode=job.mode, comment=comment)
            if convert
            else Copy(output, source, mode=job.mode, comment=comment)
        )
    if isinstance(sink, Writer) and source.file_format == PCAP:
        sink.describe("", source.interfaces[0][0])  # packets or not
    return sink


def _report(done: Repaired, job: Job, *, json: bool, file: TextIO) -> None:
    if json:
        dry = {"dry_run": True} if job.is_dry else {}
        print_json({"summary": done.as_json() | dry}, file, kind="summary")
        return
    print("\n".join(_lines(done, job)), file=file, flush=True)


def _lines(done: Repaired, job: Job) -> list[str]:
    return [summary_line(done, job), *check_lines(done.checks), *done.left_lines(job)]


def summary_line(done: Repaired, job: Job) -> str:
    """Return `11 packets; repaired pending 4; found:`."""
    verb = "would repair" if job.is_dry else "repaired"
    return f"{quantity(done.packets, 'packet')}; {verb} {words(done.repaired)}; found:"
