"""`check -w` and `fix --annotate`: comments as tshark reads them; packets, and all else that a file holds, stay."""

from __future__ import annotations

import os
import random
import struct
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

import frames as f
from pktmend import Capture, Copy, Pipeline, Verify, classify
from tapes import A, B, File, echo, pcap, syns, tcp
from tools import ROOT, frames_in, need, run_pktmend

LEAKED = ROOT / "examples" / "leaked.pcap"
RULES = ROOT / "deploy" / "wireshark" / "colorfilters"
SECTION, COMMENT = 0x0A0D0D0A, 1


def segment(payload: bytes = b"x") -> Any:
    return tcp(A, B, 40000, 80, 1000, 2000, "PA", payload)


def tshark(path: Path, *argv: str, config: Path | None = None) -> list[str]:
    environment = os.environ | ({"WIRESHARK_CONFIG_DIR": str(config)} if config else {})
    done = subprocess.run(
        ["tshark", "-n", "-r", str(path), *argv], capture_output=True, text=True, check=True, env=environment
    )
    return done.stdout.splitlines()


def blocks(data: bytes) -> Iterator[tuple[int, str, bytes]]:
    """Yield (type, byte order, body) of each block; its two lengths have to be the same."""
    at, order = 0, "<"
    while at < len(data):
        if struct.unpack_from("<I", data, at)[0] == SECTION:
            order = "<" if data[at + 8 : at + 12] == b"\x4d\x3c\x2b\x1a" else ">"
        kind, length = struct.unpack_from(f"{order}II", data, at)
        assert struct.unpack_from(f"{order}I", data, at + length - 4)[0] == length
        yield kind, order, data[at + 8 : at + length - 4]
        at += length
    assert at == len(data)


def options(body: bytes, order: str) -> Iterator[tuple[int, bytes]]:
    at = 0
    while at + 4 <= len(body):
        code, length = struct.unpack_from(f"{order}HH", body, at)
        if code == 0:
            return
        yield code, body[at + 4 : at + 4 + length]
        at += 4 + length + -length % 4


def packet(kind: int, order: str, body: bytes) -> tuple[bytes, list[tuple[int, bytes]]]:
    """Return a packet block up to its options, and these."""
    caplen = struct.unpack_from(f"{order}I", body, 12)[0]
    at = 20 + caplen + -caplen % 4
    return body[:at], list(options(body[at:], order))


def ours(option: tuple[int, bytes]) -> bool:
    return option[0] == COMMENT and option[1].startswith(b"pktmend")


def without_ours(data: bytes) -> list[tuple[object, ...]]:
    """Return all blocks of a file, but for our comments and the length of a section."""
    found: list[tuple[object, ...]] = []
    for kind, order, body in blocks(data):
        if kind == 6:
            head, said = packet(kind, order, body)
            found.append((kind, order, head, [o for o in said if not ours(o)]))
        elif kind == SECTION:
            found.append((kind, order, body[:8], [o for o in options(body[16:], order) if not ours(o)]))
        else:
            found.append((kind, order, body))
    return found


@pytest.fixture(scope="module")
def annotated(tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("annotated") / "annotated.pcapng"
    done = run_pktmend("check", "-r", str(LEAKED), "--at", "wire", "-w", str(out))
    assert done.returncode == 1, done.stderr
    return out


def test_tshark_filters_leaked_packets_by_their_comment(annotated: Path) -> None:
    need("tshark", "capinfos")
    fields = ("-T", "fields", "-e", "frame.number", "-e", "frame.comment")
    assert tshark(annotated, "-Y", 'frame.comment contains "leaked"', *fields) == [
        f"{n}\tpktmend: tcp leaked: field 143f, right {right}, byte 50"
        for n, right in ((7, "c3a9"), (9, "bfaf"), (10, "bbaf"), (11, "b7af"))
    ]  # as tshark itself comes to
    assert frames_in(annotated) == frames_in(LEAKED)
    said = subprocess.run(["capinfos", "-k", str(annotated)], capture_output=True, text=True, check=True).stdout
    assert "11 packets, 0 truncated" in said and "leaked 4" in said


def test_colouring_rules_are_understood_and_fit(annotated: Path, tmp_path: Path) -> None:
    need("tshark")
    (tmp_path / "colorfilters").write_bytes(RULES.read_bytes())
    names = tshark(annotated, "--color", "-T", "fields", "-e", "frame.coloring_rule.name", config=tmp_path)
    assert [i for i, name in enumerate(names, 1) if name.startswith("pktmend: partial")] == [7, 9, 10, 11]


def test_filters_of_page_and_rules_are_understood(annotated: Path) -> None:
    need("tshark")
    page = (ROOT / "docs" / "wireshark.md").read_text()
    filters = [line.split("`")[1] for line in page.splitlines() if line.startswith("|") and "| `frame.comment" in line]
    filters += [line.split("@")[2] for line in RULES.read_text().splitlines() if not line.startswith("#")]
    assert len(filters) > 8
    any_of_them = " || ".join(f"({each})" for each in filters)
    assert len(tshark(annotated, "-Y", any_of_them)) == 4  # fails where tshark does not understand one


@pytest.mark.parametrize("order", ["<", ">"])
def test_pcapng_keeps_its_comments_and_all_else(tmp_path: Path, order: str) -> None:
    """Both byte orders in one file, blocks that nobody knows, comments, a section that knows its length."""
    other = ">" if order == "<" else "<"
    file, second = File(order), File(other)
    good, bad = f.raw(segment()), f.leaked(segment())
    file.section(file.option(1, b"a section's own"), file.option(4, b"somebody"), file.option(0, b""))
    file.block(0x1234, b"unknown").interface(1, 0, file.option(2, b"eth0"), file.option(0, b""))
    file.packet(bad, file.option(1, b"a packet's own"), file.option(2, file.pack("I", 1)), file.option(0, b""))
    file.packet(bad).packet(good, file.option(1, b"fine")).block(4, bytes(4))
    second.block(SECTION, second.pack("IHHq", 0x1A2B3C4D, 1, 0, 4711)).interface().packet(bad).packet(
        bad[:50], wirelen=len(bad)
    )
    path, out, again = tmp_path / "in.pcapng", tmp_path / "out.pcapng", tmp_path / "again.pcapng"
    path.write_bytes(file.data + second.data)
    run_pktmend("check", "-r", str(path), "--at", "wire", "-w", str(out))
    made = out.read_bytes()
    assert without_ours(made) == without_ours(path.read_bytes())
    said = [[o for o in packet(*block)[1] if ours(o)] for block in blocks(made) if block[0] == 6]
    assert [len(each) for each in said[:4]] == [1, 1, 0, 1]
    assert all(b"tcp leaked: field" in each[0][1] for each in (said[0], said[1], said[3]))
    sections = [body for kind, _, body in blocks(made) if kind == SECTION]
    assert all(body[8:16] == b"\xff" * 8 for body in sections), "its own length is not true any more"
    run_pktmend("check", "-r", str(out), "--at", "wire", "-w", str(again))
    repeated = [[o for o in packet(*block)[1] if ours(o)] for block in blocks(again.read_bytes()) if block[0] == 6]
    assert repeated == said, "said twice"


def test_any_options_and_sizes_stay(tmp_path: Path) -> None:
    chance = random.Random(7)
    path, out = tmp_path / "in.pcapng", tmp_path / "out.pcapng"
    frames = [make(segment(bytes(size))) for make in (f.raw, f.leaked) for size in range(4)]
    for _ in range(20):
        file = File(chance.choice("<>")).section().interface()
        for _ in range(40):
            have = [
                file.option(chance.choice((1, 2988, 7)), chance.randbytes(chance.randrange(9)))
                for _ in range(chance.randrange(3))
            ]
            file.packet(
                chance.choice(frames), *have, *([file.option(0, b"")] if have and chance.random() < 0.5 else [])
            )
        path.write_bytes(file.data)
        with Capture(path) as source, Copy(out, source, comment="pktmend: a test") as sink:
            Pipeline(source, [Verify(expected=True, at_wire=True), classify], sink).run()
            sink.summarise("pktmend: " + "it was é" * chance.randrange(300))
        assert without_ours(out.read_bytes()) == without_ours(file.data)


def test_filter_and_limit_leave_out_what_was_not_checked(tmp_path: Path) -> None:
    path, out = tmp_path / "in.pcapng", tmp_path / "out.pcapng"
    ping = [frame for _, frame in echo(A, B, 1.0, 2)]
    file = File("<").section().interface()
    for frame in (f.raw(segment()), *ping, f.raw(segment())):
        file.packet(frame)
    path.write_bytes(file.data)
    for argv, expected in ((("-c", "3"), 3), (("icmp",), 4)):
        assert run_pktmend("check", "-r", str(path), "-w", str(out), *argv).returncode == 0
        assert sum(kind == 6 for kind, _, _ in blocks(out.read_bytes())) == expected


def test_simple_packet_blocks_are_counted_not_converted(tmp_path: Path) -> None:
    bad = f.leaked(segment())
    file = File("<").section().interface(1, 0)
    file.block(3, file.pack("I", len(bad)) + bad)
    path, out = tmp_path / "simple.pcapng", tmp_path / "out.pcapng"
    path.write_bytes(file.data)
    done = run_pktmend("check", "-r", str(path), "--at", "wire", "-w", str(out))
    assert b"1 packet without a comment" in done.stderr
    assert without_ours(out.read_bytes()) == without_ours(file.data)


def test_fix_says_what_it_repaired(tmp_path: Path) -> None:
    need("tshark")
    path, out = pcap(tmp_path / "in.pcap", syns(A, B, 1.0, 2)), tmp_path / "out.pcapng"
    assert run_pktmend("fix", "-r", str(path), "-w", str(out), "--annotate", "--at", "wire").returncode == 0
    (first, *rest) = tshark(
        out,
        "-T",
        "fields",
        "-e",
        "frame.comment",
        "-e",
        "tcp.checksum",
        "-o",
        "tcp.check_checksum:TRUE",
        "-e",
        "tcp.checksum.status",
    )
    assert len(rest) == 1
    comment, field, status = first.split("\t")
    assert status == "1" and "tcp leaked (repaired): field was " in comment
    assert f"is {int(field, 16):04x}, byte 50" in comment
    plain = tmp_path / "plain.pcapng"
    run_pktmend("fix", "-r", str(path), "-w", str(plain), "--at", "wire")
    assert b"pktmend: " not in plain.read_bytes(), "only if asked for"


def test_pipe_gets_packets_and_the_summary_goes_to_standard_error() -> None:
    done = run_pktmend("check", "-r", str(LEAKED), "--at", "wire", "-w", "-")
    assert done.stdout[:4] == b"\x0a\x0d\x0d\x0a" and b"leaked 4" in done.stderr
    assert len([kind for kind, _, _ in blocks(done.stdout) if kind == 6]) == 11


@pytest.mark.parametrize(
    ("argv", "words", "code"),
    [
        (("check", "-r", str(LEAKED), "-w", "$T/x.pcap"), b"no place for comments", 2),
        (("fix", "-r", str(LEAKED), "-w", "$T/x.pcap", "--annotate"), b"no place for comments", 2),
        (("check", "$T", "-w", "$T/x.pcapng"), b"-w goes with one capture", 2),
        (("check", "-r", "$T/a", "-w", "$T/a"), b"is the file that is read", 2),
        (("check", "-r", str(LEAKED), "-w", "$T/none/x.pcapng"), b"cannot write", 4),
    ],
)
def test_what_cannot_be_is_refused(tmp_path: Path, argv: tuple[str, ...], words: bytes, code: int) -> None:
    for name in "ab":
        (tmp_path / name).write_bytes(LEAKED.read_bytes())
    done = run_pktmend(*(word.replace("$T", str(tmp_path)) for word in argv))
    assert (done.returncode, words in done.stderr) == (code, True), done.stderr
    assert (tmp_path / "a").read_bytes() == LEAKED.read_bytes()
