"""What a case is, and the judge: what may be said of a capture, and what must not."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pktmend

Bytes = bytes | tuple[bytes, bytes]  # one capture, or two taps
NEW_CAUSES = {"misplaced-completion", "rewritten-capture", "not-understood", "path-mtu-black-hole"}
# What an innocent capture must not be said to have.
INNOCENT = (
    "metadata-lost tunnel-inner-unfinished corruption bit-errors nat-without-update double-completion bad-seed"
    " wrong-arithmetic"
)
# What nobody can prove from a single bad sum.
NOT_CERTAIN = "bit-errors:certain corruption:certain wrong-arithmetic:certain nat-without-update:certain"
Said = tuple[str, str]  # cause, confidence


@dataclass(frozen=True)
class Case:
    """A capture, or two, and the right answers."""

    name: str
    make: Callable[[], Bytes]
    any_of: tuple[str, ...]  # one of these is among the causes; none: anything but `never`
    never: tuple[tuple[str, tuple[str, ...]], ...]  # cause, and at which confidences (none: at any)
    also: tuple[str, ...]  # what may be said with certainty beside `any_of`
    why: str
    report: str
    at_wire: bool
    suffix: str
    harmful: tuple[str, ...]  # words that no remedy may hold

    def files(self, folder: Path) -> tuple[Path, ...]:
        """Write the captures."""
        made = self.make()
        parts = made if isinstance(made, tuple) else (made,)
        paths = []
        for number, data in enumerate(parts):
            path = folder / f"{self.name.replace('/', '-')}-{number}{self.suffix}"
            path.write_bytes(data)
            paths.append(path)
        return tuple(paths)


CASES: list[Case] = []


def cause_and_confidence(word: str) -> tuple[str, tuple[str, ...]]:
    """`corruption` at any confidence; `offload-pending:certain,likely` at these."""
    cause, _, confidences = word.partition(":")
    return cause, tuple(confidences.split(",")) if confidences else ()


def case(
    any_of: str,
    never: str = "",
    *,
    why: str,
    report: str = "",
    also: str = "",
    at_wire: bool = False,
    suffix: str = ".pcap",
    harmful: tuple[str, ...] = (),
    variants: Iterable[object] = (),
) -> Callable[[Callable[..., Bytes]], Callable[..., Bytes]]:
    """Register a function that builds a capture, once or once for each of *variants*, which it is given."""

    def register(function: Callable[..., Bytes]) -> Callable[..., Bytes]:
        kind = function.__module__.rpartition(".")[2]
        for variant in variants or (None,):
            name = f"{kind}/{function.__name__}" + ("" if variant is None else f"-{variant}")
            make = function if variant is None else _with(function, variant)
            CASES.append(
                Case(
                    name,
                    make,
                    tuple(any_of.split()),
                    tuple(cause_and_confidence(word) for word in never.split()),
                    tuple(also.split()),
                    why,
                    report,
                    at_wire,
                    suffix,
                    harmful,
                )
            )
        return function

    return register


def _with(function: Callable[..., Bytes], variant: object) -> Callable[[], Bytes]:
    return lambda: function(variant)


def wrong(
    said: Iterable[Said], any_of: Iterable[str], never: Iterable[tuple[str, tuple[str, ...]]], also: Iterable[str] = ()
) -> Iterator[str]:
    """Yield what is wrong with an answer; nothing if it is right."""
    said, any_of = list(said), set(any_of)
    if not said:
        yield "said nothing"
    if any_of and not any_of & {cause for cause, _ in said}:
        yield f"a right answer names {' or '.join(sorted(any_of))}"
    forbidden = dict(never)
    for cause, confidence in said:
        if cause in forbidden and (not forbidden[cause] or confidence in forbidden[cause]):
            yield f"must not say {cause} ({confidence})"
        elif any_of and confidence == "certain" and cause not in any_of | set(also):
            yield f"{cause} is certain, and wrong"


def judge(one: Case, folder: Path) -> tuple[list[str], list[Said]]:
    """Return what is wrong with the product's answer, and the answer."""
    found = pktmend.diagnose(*one.files(folder), at_wire=one.at_wire)
    said = [(str(f.cause), str(f.confidence)) for f in found]
    faults = list(wrong(said, one.any_of, one.never, one.also))
    for finding in found:
        advice = json.dumps([finding.as_json()["diagnosis"][key] for key in ("bridge", "remedy")])
        faults += [f"a remedy that harms: {word}" for word in (*one.harmful, *signs_damage(one)) if word in advice]
    return faults, said


def signs_damage(one: Case) -> tuple[str, ...]:
    """What makes new sums over damaged contents."""
    return ("--repair all",) if one.any_of and {*one.any_of} <= {"corruption", "bit-errors"} else ()
