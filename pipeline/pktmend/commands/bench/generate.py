"""`pktmend bench gen`: send numbered frames and say what left.

The last line says how many checksums left in which state, in the words of `monitor --json`: at the other end of a path
that loses and changes nothing, the counts agree.

Rules of this file:
1. Nothing is sent but to the interface that was named, and not without an end unless that was asked for.
2. The interface of the machine's default route is refused unless forced.
"""

from __future__ import annotations

import ipaddress
import math
import sys
import time
from collections.abc import Sequence
from pathlib import Path

from pktmend.commands.bench.frames import TCP, UDP, V4, V6
from pktmend.commands.bench.sender import GenerateOptions, Sender
from pktmend.console.main_loop import main_loop
from pktmend.console.plural import quantity
from pktmend.console.report import print_json, words
from pktmend.console.signals import Signals
from pktmend.errors import ConfigError
from pktmend.host.interfaces import require_interface

SLICE_MS = 100
PROTOCOLS = {"tcp": (TCP,), "udp": (UDP,), "both": (UDP, TCP)}
VERSIONS = {"4": (4,), "6": (6,), "both": (4, 6)}


def options_of(
    *,
    mix: str,
    versions: str,
    protocol: str,
    flows: int,
    rate: str,
    count: int,
    duration: float,
    damage: Sequence[str],
    offload: bool,
    vlan: int | None,
    to_mac: str,
    source: Sequence[str],
    target: Sequence[str],
) -> GenerateOptions:
    """Return what the command line's words mean.  Raises ConfigError."""
    frames_a_second = _rate(rate)
    try:
        mac = bytes.fromhex(to_mac.replace(":", ""))
    except ValueError:
        mac = b""
    if len(mac) != 6:
        raise ConfigError(f"--to-mac {to_mac}", "six bytes such as 02:00:00:00:00:02")
    (v4_source, v6_source), (v4_target, v6_target) = _addresses("--from", source, 0), _addresses("--to", target, 1)
    return GenerateOptions(
        mix=mix,
        versions=VERSIONS[versions],
        protocols=PROTOCOLS[protocol],
        flows=flows,
        rate=frames_a_second,
        count=count,
        duration=duration,
        vlan=vlan,
        damage=parse_damage(damage),
        offload=offload,
        target_mac=mac,
        v4=(v4_source, v4_target),
        v6=(v6_source, v6_target),
    )


def _rate(text: str) -> float:
    """Return frames a second, 0 for as many as can be."""
    scale = {"k": 1e3, "K": 1e3, "M": 1e6, "G": 1e9}.get(text[-1:], 1.0)
    try:
        rate = 0.0 if text == "max" else float(text[:-1] if scale > 1 else text) * scale
    except ValueError:
        rate = -1.0
    if text != "max" and not rate > 0:
        raise ConfigError(f"--rate {text}", "frames a second above 0, such as 500, 10k or 1M, or max")
    return rate


def _addresses(option: str, texts: Sequence[str], end: int) -> tuple[str, str]:
    """Return the IPv4 and the IPv6 address of one end: those given, and for what is not given one for benchmarks."""
    found = {4: V4[end], 6: V6[end]}
    for text in texts:
        try:
            address = ipaddress.ip_address(text)
        except ValueError:
            raise ConfigError(f"{option} {text}", "an IPv4 or IPv6 address") from None
        found[address.version] = str(address)
    return found[4], found[6]


def refuse_default_route(interface: str) -> None:
    """Raise ConfigError if this machine's default route leads over *interface*."""
    reject = 0x200  # RTF_REJECT: the kernel's own "unreachable" entry, on lo
    for table, column, zero in (("/proc/net/route", 1, "00000000"), ("/proc/net/ipv6_route", 0, "0" * 32)):
        try:
            lines = Path(table).read_text().splitlines()
        except OSError:
            continue
        for line in lines[column:]:  # the first table has a heading
            fields = line.split()
            name = fields[0] if column else fields[-1]
            prefix = fields[7] if column else fields[1]
            if int(fields[3 if column else 8], 16) & reject:
                continue
            if name == interface and fields[column] == zero and prefix in ("00000000", "00"):
                raise ConfigError(f"{interface!r} carries this machine's default route", "--force sends there, too")


def run_generator(interface: str, options: GenerateOptions, *, json: bool, force: bool) -> None:
    """Send until the count or the time is reached, or a signal comes; print what left."""
    signals = Signals()
    require_interface(interface)
    if not force:
        refuse_default_route(interface)
    with Sender(interface, options) as sender:
        print(f"pktmend: sending on {interface}, run {sender.run_id}", file=sys.stderr, flush=True)
        began = time.monotonic()

        def send(seconds: float) -> bool:
            """Send for so long; have all frames been sent?"""
            left = options.count - sender.sent if options.count else 1 << 62
            sender.send(left, math.ceil(seconds * 1000))
            return bool(options.count) and sender.sent >= options.count

        def report() -> None:
            _print(sender, time.monotonic() - began, json=json, progress=not json)

        main_loop(
            signals,
            duration=options.duration,
            tick=SLICE_MS / 1000,
            wait=send,
            on_report=report,
            on_second=report if json else None,
        )
        _print(sender, time.monotonic() - began, json=json, progress=False)


def _print(sender: Sender, seconds: float, *, json: bool, progress: bool) -> None:
    if json:
        print_json(
            {
                "generated": {
                    "interface": sender.interface,
                    "run": sender.run_id,
                    "sent": sender.sent,
                    "octets": sender.sent_bytes,
                    "seconds": round(seconds, 3),
                    "retries": sender.retries,
                    "checks": sender.checks(),
                }
            },
            kind="generated",
        )
        return
    out = sys.stderr if progress else sys.stdout
    rate = sender.sent / seconds if seconds else 0.0
    print(
        f"{sender.interface}: run {sender.run_id}, {quantity(sender.sent, 'frame')}, {sender.sent_bytes} bytes"
        f" in {seconds:.2f} s:"
        f" {rate:.0f} frames/s, {sender.sent_bytes * 8 / seconds / 1e6 if seconds else 0:.1f} Mbit/s",
        file=out,
    )
    for proto, outcomes in sender.checks().items():
        print(f"  {proto:7} {words(outcomes)}", file=out, flush=True)


def parse_damage(texts: Sequence[str]) -> dict[str, float]:
    """Return {kind: share} of `leaked=1%`, `corrupt=0.001`.  Raises ConfigError."""
    found: dict[str, float] = {}
    for text in texts:
        kind, _, share = text.partition("=")
        try:
            found[kind] = float(share[:-1]) / 100 if share.endswith("%") else float(share)
        except ValueError:
            raise ConfigError(f"--damage {text!r}", "KIND=SHARE, such as leaked=1% or corrupt=0.001") from None
    return found
