"""Public captures against verdicts of independent programs (see verdicts.jsonl.xz beside them)."""

from __future__ import annotations

import json
import lzma
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from pktmend import Batch, Capture, Cause, Check, Pipeline, Proto, Reason, Status, classify
from pktmend.runtime.stages import Verify


def verdicts(folder: Path) -> dict[str, dict[int, dict[str, Any]]]:
    """Return {file: {packet number: verdict}}."""
    found: dict[str, dict[int, dict[str, Any]]] = {}
    with lzma.open(folder / "verdicts.jsonl.xz", "rt") as file:
        for line in file:
            one = json.loads(line)
            found.setdefault(one["f"], {})[one["n"]] = one
    return found


def ours(path: Path) -> dict[int, list[Check]]:
    """Return the checks of each packet by its number."""
    packets: dict[int, list[Check]] = {}

    def collect(batch: Batch) -> None:
        packets.update((batch.number[i], batch.checks_of(i)) for i in range(len(batch)))

    with Capture(path) as source:
        Pipeline(source, [Verify(expected=True), classify, collect]).run()
    return packets


def agrees(mine: Check, theirs: dict[str, Any], packet: dict[str, Any]) -> bool:
    """Is our check what the independent verdict says, where that verdict follows the RFC?"""
    status, reason = Status(mine.status), Reason(mine.reason)
    if theirs.get("inner"):  # quoted in an ICMP error: theirs judges the quoted packet, ours says that it is quoted
        return status == Status.UNCHECKED and reason in (Reason.QUOTED, Reason.TRUNCATED, Reason.FRAGMENT)
    if reason == Reason.LENGTH and status == Status.UNCHECKED:
        # IP promises more than the frame holds although nothing was cut: theirs sums what is there, ours says so
        return bool(theirs["s"] in ("good", "bad", "unverified"))
    if reason == Reason.FRAGMENT:  # theirs judges a first fragment as if it were whole when the lengths allow it
        return bool(theirs["s"] in ("unverified", "bad"))
    stored = f"{mine.stored:0{mine.width * 2}x}"
    if theirs["s"] == "bad":
        if stored != theirs["v"]:
            return False
        if theirs.get("x") == "partial":
            return status == Status.PENDING and reason == Reason.NO_METADATA
        if theirs.get("x") == "inner":
            return status == Status.PENDING or mine.cause == Cause.INNER_PENDING
        named = {
            "zero": (Cause.NEVER_FILLED, Cause.ILLEGAL_ZERO),
            "swapped": (Cause.BYTE_SWAPPED,),
            "inverted": (Cause.NOT_COMPLEMENTED,),
        }.get(theirs.get("x", ""))
        return (
            status == Status.BAD
            and f"{mine.expected:0{mine.width * 2}x}" == theirs["want"]
            and (named is None or mine.cause in named)
        )
    return (
        status
        == {"good": Status.GOOD, "unverified": Status.UNCHECKED, "not_present": Status.ABSENT, "illegal": Status.BAD}[
            theirs["s"]
        ]
    )


def test_statuses_agree_with_the_independent_verdicts(captures: Path) -> None:
    compared: Counter[str] = Counter()
    wrong = []
    for name, packets in verdicts(captures).items():
        path = captures / name
        found = ours(path)
        shown = {n for n, packet in packets.items() if packet["enc"] != -1}  # others are blocks without a packet
        assert set(found) == shown, name
        for n, packet in packets.items():
            mine = {(str(Proto(k.proto)), k.offset): k for k in found.get(n, [])}
            for theirs in packet["c"]:
                match = mine.get((theirs["p"], theirs["o"]))
                if match is None or not agrees(match, theirs, packet):
                    wrong.append(
                        (
                            name,
                            n,
                            theirs,
                            match and (str(Status(match.status)), str(Cause(match.cause)), str(Reason(match.reason))),
                        )
                    )
                else:
                    compared[theirs["s"]] += 1
    assert not wrong, f"{len(wrong)} differ, first: {wrong[:8]}"
    assert compared["good"] > 5000 and compared["bad"] > 500, compared


def test_lengths_exception_is_only_where_it_belongs(captures: Path) -> None:
    """The status `unchecked (length)` is not a way out: an IPv4 packet has it only if its lengths do contradict."""
    examined = 0
    for name, packets in verdicts(captures).items():
        frames: dict[int, tuple[int, bytes, list[Check]]] = {}

        def collect(batch: Batch, into: dict[int, tuple[int, bytes, list[Check]]] = frames) -> None:
            for i in range(len(batch)):
                into[batch.number[i]] = (batch.wirelen[i], bytes(batch.frame(i)), batch.checks_of(i))

        with Capture(captures / name) as source:
            Pipeline(source, [Verify(), classify, collect]).run()
        for n, (wirelen, frame, checks) in frames.items():
            lengths = [k for k in checks if k.reason == Reason.LENGTH]
            ip = 14
            while frame[ip - 2 : ip] in (b"\x81\x00", b"\x88\xa8"):
                ip += 4
            if not lengths or packets[n]["enc"] != 1 or frame[ip - 2 : ip] != b"\x08\x00" or lengths[0].depth:
                continue
            header, total = (frame[ip] & 15) * 4, int.from_bytes(frame[ip + 2 : ip + 4], "big")
            udp = ip + header + 4
            datagram = int.from_bytes(frame[udp : udp + 2], "big") if frame[ip + 9] == 17 else 0
            assert total > wirelen - ip or datagram > total - header or packets[n].get("malformed"), (name, n)
            examined += 1
    assert examined > 2000


if __name__ == "__main__":
    pytest.main([__file__])
