"""What is printed of a packet: a line for people for each bad check, or one line of JSON."""

from __future__ import annotations

import time
from functools import cache

from pktmend.commands.check.rows import (
    DEPTH,
    EXPECTED,
    FLAGS,
    OFFSET,
    PROTO,
    STATUS,
    STORED,
    CheckRow,
    Row,
)
from pktmend.console.report import rfc3339
from pktmend.console.unread import kind_text
from pktmend.enums import Cause, CheckFlag, Proto, Reason, Status, Unread

BAD = int(Status.BAD)  # an enumeration is slow to compare with


def bad_lines(row: Row) -> list[str]:
    """Return `packet 7: 10.7.0.1:57028 > 10.7.0.2:8080 tcp leaked: field 143f, right c3a9` for each bad check."""
    return [
        f"packet {row.number}: {row.ends.text}{_bad_template(*k[PROTO : DEPTH + 1]) % _fields(k)}"
        for k in row.checks
        if k[STATUS] == BAD
    ]


def all_lines(row: Row) -> list[str]:
    """Return a line for each check, with the packet's time, and one for what was not looked into."""
    when = rfc3339(row.time_ns)
    start = f"{when} packet {row.number}: "
    lines = [start + _template(*k[PROTO : DEPTH + 1]) % (k[OFFSET], *_fields(k)) for k in row.checks]
    if row.unread:
        lines.append(f"packet {row.number}: not looked into: {kind_text(row.unread, row.unread_type)}")
    return lines


def json_line(row: Row, file: str) -> str:
    """Return the packet as `--json` has it.  file: what is added to each line of a file, `,"file":"x.pcap"` or ""."""
    checks = ",".join([_json_template(*k[PROTO : DEPTH + 1]) % (k[OFFSET], *_fields(k)) for k in row.checks])
    seconds, fraction = divmod(row.time_ns, 1_000_000_000)
    unread = f',"unread":"{Unread(row.unread)}"' if row.unread else ""
    interface = f',"interface":{row.interface}' if row.interface else ""
    return (
        f'{{"type":"packet","n":{row.number},"time":"{_second(seconds)}.{fraction:09d}Z","caplen":{row.caplen},"wirelen":{row.wirelen},'
        f'"checks":[{checks}]{unread}{row.ends.json}{interface}{file}}}\n'
    )


@cache
def _has(flags: int) -> tuple[bool, bool]:
    return not flags & CheckFlag.NO_FIELD, bool(flags & CheckFlag.HAS_EXPECTED)


def _fields(k: CheckRow) -> tuple[int, ...]:
    """Return what the templates leave open beside the offset: the field, and what would be right, where these are."""
    has_field, has_expected = _has(k[FLAGS])
    if not has_field:
        return ()
    return (k[STORED], k[EXPECTED]) if has_expected else (k[STORED],)


@cache
def _bad_template(proto: int, status: int, cause: int, reason: int, flags: int, depth: int) -> str:
    has_field, has_expected = _has(flags)
    where = " quoted" if flags & CheckFlag.QUOTED else " inner" if depth else ""
    field = f": field {_digits(flags)}" if has_field else ""
    right = f", right {_digits(flags)}" if has_field and has_expected else ""
    claimed = "; the kernel vouched for it" if flags & CheckFlag.CLAIMED_VALID else ""
    return f"{where} {Proto(proto)} {Cause(cause) if cause else 'bad'}{field}{right}{claimed}"


@cache
def _template(proto: int, status: int, cause: int, reason: int, flags: int, depth: int) -> str:
    has_field, has_expected = _has(flags)
    verdict = str(Status(status)) + (f" ({Cause(cause)})" if cause else "")
    stored = f": stored {_digits(flags)}" if has_field else ""
    expected = f", expected {_digits(flags)}" if has_field and has_expected else ""
    claimed = "; the kernel vouched for it" if flags & CheckFlag.CLAIMED_VALID else ""
    return f"{Proto(proto)} checksum at byte %d is {verdict}{stored}{expected}{claimed}"


@cache
def _json_template(proto: int, status: int, cause: int, reason: int, flags: int, depth: int) -> str:
    has_field, has_expected = _has(flags)
    members = [f'"proto":"{Proto(proto)}","offset":%d,"status":"{Status(status)}"']
    if cause:
        members.append(f'"cause":"{Cause(cause)}"')
    if reason:
        members.append(f'"reason":"{Reason(reason)}"')
    if has_field:
        members.append(f'"stored":"{_digits(flags)}"')
        if has_expected:
            members.append(f'"expected":"{_digits(flags)}"')
    if flags & CheckFlag.QUOTED:
        members.append('"quoted":true')
    if flags & CheckFlag.CLAIMED_VALID:
        members.append('"claimed_valid":true')
    if depth:
        members.append(f'"depth":{depth}')
    return "{" + ",".join(members) + "}"


def _digits(flags: int) -> str:
    return "%08x" if flags & CheckFlag.CRC32C else "%04x"


_last_second = (-1, "")


def _second(seconds: int) -> str:
    global _last_second
    last, text = _last_second  # one read: threads share it
    if last != seconds:
        text = time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(seconds))
        _last_second = (seconds, text)
    return text
