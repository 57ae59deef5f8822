"""The flows that have most bad packets, as text and for --json."""

from __future__ import annotations

import struct
from collections.abc import Mapping
from typing import Any, Final

from pktmend._core import FLOWS_MOST
from pktmend.console.plural import quantity
from pktmend.enums import Cause
from pktmend.records import Flow, address_text

Flows = Mapping[bytes, tuple[int, int]]
WORST: Final = 5
WORST_OF_A_FILE: Final = 3
_FLOW: Final = struct.Struct("=16s16sHHBBxx")  # struct pp_flow of ext/observe/sample.h


def flow_of(key: bytes) -> Flow:
    """Return the flow that the engine's bytes stand for."""
    source, target, sport, dport, version, protocol = _FLOW.unpack(key)
    width = 4 if version == 4 else 16
    return Flow(version, protocol, source[:width], target[:width], sport, dport)


def worst(flows: Flows, most: int) -> list[tuple[Flow, int, list[str]]]:
    """Return (flow, bad packets, causes) of those that have most; of the same number the order is that of addresses."""
    first = sorted(flows.items(), key=lambda item: (-item[1][0], item[0]))[:most]
    return [(flow_of(key), packets, _words(causes)) for key, (packets, causes) in first]


def worst_json(flows: Flows | None) -> list[dict[str, Any]] | None:
    """Return what --json says; None: there are too many to tell."""
    if flows is None:
        return None
    return [_as_json(flow) | {"bad": packets, "causes": causes} for flow, packets, causes in worst(flows, WORST)]


def worst_lines(flows: Flows | None, most: int) -> list[str]:
    """Return a line for each, and one for the others."""
    if flows is None:
        return [f"  in more than {FLOWS_MOST} flows"]
    lines = [
        f"  {flow} {flow.transport}: {packets} bad ({', '.join(causes)})"
        for flow, packets, causes in worst(flows, most)
    ]
    if len(flows) > most:
        lines.append(f"  and {quantity(len(flows) - most, 'more flow')}")
    return lines


def _words(causes: int) -> list[str]:
    return [str(cause) for cause in Cause if causes >> cause & 1 and cause is not Cause.NONE]


def _as_json(flow: Flow) -> dict[str, Any]:
    if flow.version not in (4, 6):
        return {}
    src, dst = (address_text(flow.version, end) for end in (flow.source, flow.target))
    ports = {"sport": flow.source_port, "dport": flow.target_port} if flow.source_port or flow.target_port else {}
    return {"src": src, "dst": dst, **ports, "protocol": flow.protocol}
