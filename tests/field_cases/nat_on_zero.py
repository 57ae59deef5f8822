"""The incremental update of a sum that was never made."""

from __future__ import annotations

import struct

from field_cases.case import case
from field_cases.leaked import updated
from field_cases.packets import (
    address,
    udp,
)
from field_cases.talk import B, Talk, noise, whole
from field_cases.tunnelled import vxlan
from field_cases.wires import wire

NEW, NEW6 = "203.0.113.77", "2001:db8::77"


@case(
    "nat-on-zero",
    "corruption bit-errors nothing-wrong metadata-lost offload-pending tunnel-inner-unfinished",
    why="VXLAN without an outer sum; the NAT added its difference to the 0",
    variants=("cilium-8472", "4789", "many"),
    report="https://github.com/cilium/cilium/issues/28707",
)
def vxlan_nat_on_zero(kind: str) -> bytes:
    port = 4789 if kind == "4789" else 8472
    value = updated(0, address("10.0.0.5"), address("192.172.28.180"))
    inner = (
        whole(Talk("245.0.1.2", "245.0.0.13", (43332, 6443)), 8).packets
        if kind == "many"
        else Talk("245.0.1.2", "245.0.0.13", (43332, 6443)).syns(5).packets
    )
    if kind == "many":
        inner = [one for one in inner if one[1][15] == 2]
    return wire(
        [(t, vxlan("192.172.28.180", "172.226.130.13", p, port=port, sum_=lambda ps, seg: value)) for t, p in inner]
    )


@case(
    "nat-on-zero",
    "corruption bit-errors nothing-wrong metadata-lost offload-pending nat-without-update:certain",
    why="masquerade updates a sum of 0 by nothing and writes ffff; the last copy leaves with 0 and is taken",
    report="https://github.com/flannel-io/flannel/issues/1266",
)
def vxlan_ffff() -> bytes:
    inner = Talk("10.244.0.0", "10.244.1.7", (33000, 80)).syns(6).packets
    frames = [
        (t, vxlan("172.16.9.99", "172.16.80.252", p, port=8472, sum_=lambda ps, seg: 0xFFFF)) for t, p in inner[:-1]
    ]
    frames.append((inner[-1][0], vxlan("172.16.9.99", "172.16.80.252", inner[-1][1], port=8472)))
    return wire(frames)


@case(
    "nat-on-zero",
    "corruption bit-errors nothing-wrong metadata-lost",
    harmful=("VXLAN", "flannel"),
    why="plain UDP without a sum through such a NAT: each flow has its own value, whatever it carries",
)
def udp_nat_on_zero() -> bytes:
    packets = []
    for n in range(24):
        flow = n % 3
        value = updated(
            0, address("10.0.0.5") + struct.pack("!H", 5000 + flow), address(NEW) + struct.pack("!H", 61000 + 7 * flow)
        )
        packets.append(
            (
                1 + n / 10,
                udp(NEW, B, (61000 + 7 * flow, 9000), noise(100 + n, n), sum_=lambda ps, seg, v=value: v, ident=n),
            )
        )
    return wire(packets)
