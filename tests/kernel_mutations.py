"""Break the kernel's part in one place at a time, and see that the tests of its judgement notice.

Each mutation is a piece of ext/bpf and what it becomes; the program is compiled with clang, loaded, and goes through
the frames of kernel_frames.py, then through a few seconds of kernel_fuzz.py.

    PYTHONPATH=tests:tests/net python tests/kernel_mutations.py [SECONDS]      (root, clang, libbpf-dev)
"""

from __future__ import annotations

import random
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

import kernel_fuzz
from kernel_frames import MUST, MUST_NOT, NOT_EVERYWHERE, over4, payload, tcp
from kernel_judging import Bench, dry_bench, run_program, wire_bench
from pktmend.errors import OSFailure
from pktmend.testbed.netns import Testbed
from tools import ROOT

MUTATIONS: dict[str, tuple[str, str, str]] = {
    # name: (file, piece, what it becomes)
    "any IPv4 header length": ("judge.h", "ip[0] != IP4_PLAIN", "ip[0] >> 4 != 4"),
    "fragments": ("judge.h", "(pp_get16(ip + IP4_FRAGMENT) & IP4_IS_FRAGMENT)", "0"),
    "last fragments": ("judge.h", "& IP4_IS_FRAGMENT)", "& IP_MF)"),
    "first fragments": ("judge.h", "& IP4_IS_FRAGMENT)", "& IP4_FRAGMENT_OFFSET)"),
    "IPv4 header's sum": ("judge.h", "fold(add_words(h, L3, IP4_LEN / 4)) != 0xffff", "0"),
    "IPv6 version": ("judge.h", "ip[0] >> 4 != 6", "0"),
    "TCP header too short": ("judge.h", "header < TCP_LEN ||", ""),
    "TCP header too long": ("judge.h", "|| header > length)", ")"),
    "UDP length": ("judge.h", "|| pp_get16(t + UDP_LENGTH) != length)", ")"),
    "UDP length of any more": ("judge.h", "pp_get16(t + UDP_LENGTH) != length", "pp_get16(t + UDP_LENGTH) > length"),
    "UDP without a sum": ("judge.h", "(t[UDP_SUM] | t[UDP_SUM + 1]) == 0 ||", ""),
    "tunnels": ("judge.h", "|| is_tunnel(config, t, length))", ")"),
    "tunnels on ports of nobody's": (
        "judge.h",
        "(length >= UDP_LEN + TUNNEL_LEAST && pp_may_be_tunnel(udp + UDP_LEN, length - UDP_LEN))",
        "0",
    ),
    "from a tunnel's port": ("judge.h", "is_told(config, pp_get16(udp + PORT_SOURCE))", "0"),
    "to a tunnel's port": ("judge.h", "is_told(config, pp_get16(udp + PORT_TARGET))", "0"),
    "ICMP errors": ("judge.h", "type == ICMP_ECHOREPLY ||", "type == ICMP_ECHOREPLY || type == ICMP_DEST_UNREACH ||"),
    "ICMPv6 errors": ("judge.h", "type == ICMP6_ECHO_REQUEST ||", "type == ICMP6_ECHO_REQUEST || type < 5 ||"),
    "ICMP over IPv6": ("judge.h", "protocol == IPPROTO_ICMPV6 &&", "protocol == IPPROTO_ICMP &&"),
    "the seed": ("judge.h", "|| *(const __u16 *)(t + field) != fold(pseudo)", ""),
    "what the metadata names": ("judge.h", "|| !names_field(ctx, l4, field))", ")"),
    "where the metadata begins": ("skb.h", "(__u32)at == mac + start &&", ""),
    "the metadata's offset": ("skb.h", "&& BPF_CORE_READ(skb, csum_offset) == offset", ""),
    "pending and padded": ("judge.h", "l4 + length != ctx->len ||", ""),
    "pending ICMP": ("judge.h", "if (protocol != IPPROTO_TCP && protocol != IPPROTO_UDP)", "if (0)"),
    "kind of UDP super-frame": ("judge.h", "return is_gso_of(ctx, SKB_GSO_UDP_L4,", "return 1 || is_gso_of(ctx, 0,"),
    "super-frames that are finished": ("judge.h", "if (ctx->gso_size || !can_sum)", "if (!can_sum)"),
    "the sum": ("judge.h", "fold((__u64)sum + pseudo) == 0xffff", "sum >= 0"),
    "the pseudo header": ("judge.h", "__u64 pseudo = addresses +", "__u64 pseudo ="),
    "the protocol in it": ("judge.h", "+ pp_wire16(protocol) +", "+ pp_wire16(IPPROTO_TCP) +"),
    "every second chunk": ("judge.h", "done += CHUNK;", "done += 2 * CHUNK; left -= left >= 2 * CHUNK ? CHUNK : 0;"),
    "the tail": ("judge.h", "if (left)\n        sum =", "if (0)\n        sum ="),
    "the tail's padding": ("judge.h", "*(__u32 *)(s->bytes + ((last + 1) & (ROOM - 4))) = 0;", ""),
    "the end of a short frame": ("judge.h", "(HEAD - l4 + 3) / 4)", "(HEAD - l4 - 8) / 4)"),
    "padding of a short frame": ("judge.h", "l4 + length == ctx->len && ctx->len <= HEAD", "ctx->len <= HEAD"),
    "a short frame that is long": ("judge.h", "ctx->len <= HEAD ?", "ctx->len <= HEAD + 8 ?"),
    "partial ARP": ("judge.h", "is_partial(ctx) || ctx->gso_size ? PP_CUT_SUSPECT : PP_CUT_ARP", "PP_CUT_ARP"),
    "everything else": ("judge.h", "default:\n        return PP_CUT_SUSPECT;", "default:\n        return PP_CUT_ARP;"),
    "partial or not": ("skb.h", "== IP_SUMMED_PARTIAL", ">= 0"),
    "never partial": ("skb.h", "== IP_SUMMED_PARTIAL", "== 4"),
    "kinds counted wrong": ("judge.h", "is_v4 ? PP_CUT_UDP4_PENDING", "!is_v4 ? PP_CUT_UDP4_PENDING"),
    "order: nothing is held": ("cut_through.bpf.c", "&& !is_held(o, &flow)", ""),
    "order: no mark": ("cut_through.bpf.c", "    hold(o, &flow);\n", ""),
    "order: only by ports": ("order.h", "return is_above(slot_of(order, flow->addresses), clear) ||", "return"),
    "order: only by addresses": ("order.h", "(flow->ports < PP_CUT_SLOTS && is_above", "(0 && is_above"),
}  # fmt: skip


def compiled(folder: Path, file: str = "", piece: str = "", other: str = "") -> bytes:
    """Return the object of ext/bpf with one piece of one file replaced.  The piece must be there once."""
    ext = folder / "ext"
    for name in ("bpf", "parse", "sum"):
        shutil.copytree(ROOT / "ext" / name, ext / name)
    if file:
        path = ext / "bpf" / file
        text = path.read_text()
        assert text.count(piece) == 1, f"{file}: {text.count(piece)} x {piece!r}"
        path.write_text(text.replace(piece, other))
    made = ext / "bpf" / "cut_through.bpf.o"
    made.unlink()
    done = subprocess.run(["make", "-s", "-C", str(ext / "bpf")], capture_output=True, text=True, check=False)
    assert made.exists(), done.stderr
    return made.read_bytes()


def fault_of(bench: Bench, image_bench: Bench, seconds: float) -> str:
    """Say what the tests notice of a program, "" if nothing.  bench: on a wire; image_bench: without one."""
    for name, ((frame, vnet), checks) in MUST.items():
        opinion = bench.opinion(frame, vnet)
        if opinion is None or not opinion.is_healthy or opinion.checks != checks:
            return f"must be carried: {name}"
    for name, (frame, vnet) in MUST_NOT.items():
        opinion = bench.opinion(frame, vnet)
        if opinion.is_healthy if opinion else name not in NOT_EVERYWHERE:
            return f"must not: {name}"
    before = image_bench.judge.counts()
    run_program(image_bench.judge.cut, bytes(tcp), gso_size=300)
    if image_bench.judge.counts().frames > before.frames:
        return "must not: a finished super-frame"
    return disorder(image_bench) or by_fuzzing(bench, image_bench, seconds)


def disorder(bench: Bench) -> str:
    """Two flows and a suspect of each kind of slot."""
    judge = bench.judge
    for suspect, good in (
        (bytes(tcp)[:-1] + b"\xff", bytes(tcp)),
        (MUST_NOT["first fragment"][0], bytes(tcp)),
        (MUST_NOT["first fragment"][0], bytes(over4 / payload(0))[:14] + MUST["ping"][0][0][14:]),
    ):
        judge.set_clear(judge.issued)
        for frame in (suspect, good):
            bench.put(frame, None)
        before = judge.counts()
        bench.put(good, None)
        if judge.counts().frames > before.frames:
            return "out of order"
    judge.set_clear(judge.issued)
    return ""


def by_fuzzing(wire: Bench, dry: Bench, seconds: float) -> str:
    rng = random.Random(1)
    try:
        kernel_fuzz.run(dry, rng, seconds / 2, vnet=False)
        kernel_fuzz.run(wire, rng, seconds / 2, vnet=True)
    except AssertionError as error:
        return f"fuzz: {str(error)[:60]}"
    return ""


def verdict(image: bytes, seconds: float) -> str:
    """Say how a program is caught, "" if it is not."""
    try:
        with dry_bench(image) as dry, Testbed() as testbed, wire_bench(testbed, image) as wire:
            return fault_of(wire, dry, seconds)
    except OSFailure as error:
        return f"the verifier: {error}"


def main(seconds: float) -> int:
    escaped = 0
    for name, (file, piece, other) in {"(none)": ("", "", ""), **MUTATIONS}.items():
        with tempfile.TemporaryDirectory() as folder:
            found = verdict(compiled(Path(folder), file, piece, other), seconds)
        print(f"{name:35} {found or '- not noticed'}", flush=True)
        escaped += not found and name != "(none)"
    print(f"{len(MUTATIONS)} mutations, {escaped} not noticed")
    return escaped


if __name__ == "__main__":
    sys.exit(main(float(sys.argv[1]) if len(sys.argv) > 1 else 4.0))
