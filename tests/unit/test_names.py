"""The words in Python carry the numbers of ext/include/pktmend/stage.h."""

from __future__ import annotations

import enum
import re
from pathlib import Path

import pytest

from pktmend import _core, enums, include_dir

HEADER = (Path(include_dir()) / "pktmend" / "stage.h").read_text()


def c_enum(name: str) -> dict[str, int]:
    """Return the constants of an enum as C counts them."""
    found = re.search(rf"enum {name} {{(.*?)}};", HEADER, re.DOTALL)
    assert found, name
    body = re.sub(r"/\*.*?\*/", "", found[1], flags=re.DOTALL)
    values: dict[str, int] = {}
    following = 0
    for item in filter(None, map(str.strip, body.split(","))):
        key, _, value = map(str.strip, item.partition("="))
        following = int(value, 0) if value else following
        values[key] = following
        following += 1
    return values


@pytest.mark.parametrize(
    ("c_name", "prefix", "python"),
    [
        ("pp_status", "PP_STATUS_", enums.Status),
        ("pp_cause", "PP_CAUSE_", enums.Cause),
        ("pp_reason", "PP_REASON_", enums.Reason),
        ("pp_proto", "PP_PROTO_", enums.Proto),
        ("pp_verdict", "PP_VERDICT_", enums.Verdict),
        ("pp_drop", "PP_DROP_", enums.Drop),
        ("pp_packet_flag", "PP_PKT_", enums.PacketFlag),
        ("pp_check_flag", "PP_CHECK_", enums.CheckFlag),
    ],
)
def test_numbers_agree(c_name: str, prefix: str, python: type[enum.IntEnum]) -> None:
    ours = {prefix + member.name: member.value for member in python}
    theirs = {k: v for k, v in c_enum(c_name).items() if not k.endswith("S") or k in ours}
    assert ours == theirs


def test_sizes_agree() -> None:
    assert _core.SIZES["causes"] == len(enums.Cause) and _core.SIZES["protos"] == len(enums.Proto)
    assert _core.SIZES["statuses"] == len(enums.Status) and _core.SIZES["drops"] == len(enums.Drop)
    assert _core.SIZES["reasons"] == len(enums.Reason)
