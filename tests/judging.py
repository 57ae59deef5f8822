"""How a test has frames judged, and says what became of them."""

from __future__ import annotations

from typing import Any

from pktmend import Batch, Cause, Check, Frames, PacketFlag, Proto, Reason, Status, Verify, _core, classify

LIVE = int(PacketFlag.METADATA)
PENDING = int(PacketFlag.METADATA | PacketFlag.NOT_READY)
FIRST, SECOND = bytes(range(64)), bytes(range(64, 0, -1))


def judge(frame: bytes, **options: Any) -> list[Check]:
    """Return the checks."""
    return _core.inspect(frame, **{"flags": LIVE, **options})[2]


def judged(
    frame: bytes,
    *,
    link: int = 1,
    flags: int = LIVE,
    wirelen: int | None = None,
    vnet: bytes | None = None,
    expected: bool = False,
) -> Batch:
    """Return the frame as a judged batch of one."""
    batch = Frames([frame], link=link, flags=flags, wirelen=wirelen, vnet=vnet).batch()
    Verify(expected=expected)(batch)
    classify(batch)
    return batch


def verdicts(checks: list[Check]) -> list[str]:
    """Return each check as `tcp1 good`: protocol, depth, status, and cause or reason where there is one."""
    out = []
    for k in checks:
        verdict = [f"{Proto(k.proto)}{k.depth or ''}", str(Status(k.status))]
        verdict += [str(Cause(k.cause))] if k.cause else []
        verdict += [str(Reason(k.reason))] if k.reason else []
        out.append(" ".join(verdict))
    return out
