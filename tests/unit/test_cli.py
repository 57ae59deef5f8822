"""The command line as a user meets it: exit codes, one clear line of error, NDJSON (docs/compatibility.md)."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
from dataclasses import MISSING, fields
from pathlib import Path

import click
import pytest
from scapy.all import wrpcap

import frames as f
from pktmend.cli import pktmend
from pktmend.cli.options import split_interface, take_interfaces
from pktmend.commands.bridge.options import BridgeOptions
from pktmend.errors import ConfigError
from tools import PKTMEND, ROOT, run_pktmend

LEAKED = ROOT / "examples" / "leaked.pcap"


def one_line(done: subprocess.CompletedProcess[bytes]) -> str:
    """Return stderr, which is a single line."""
    text = done.stderr.decode()
    assert text.count("\n") == 1 and "Traceback" not in text, text
    return text


def test_check_calls_a_senders_capture_fine() -> None:
    done = run_pktmend("check", "-r", str(LEAKED))
    assert done.returncode == 0
    assert b"pending 4" in done.stdout and b"bad" not in done.stdout


def test_check_at_wire_shows_each_leaked_packet() -> None:
    done = run_pktmend("check", "-r", str(LEAKED), "--at", "wire")
    assert done.returncode == 1
    assert done.stdout.count(b" 10.7.0.1:57028 > 10.7.0.2:8080 tcp leaked: field 143f, right ") == 4


def test_check_json_all_is_as_designed(tmp_path: Path) -> None:
    packet = f.ether / f.ip4 / f.tcp / f.PAYLOAD
    path = tmp_path / "x.pcap"
    wrpcap(str(path), [f.raw(packet), f.leaked(packet), f.put16(f.raw(packet), 90, 0x4711)], linktype=1)
    right = f.raw(packet)[50:52].hex()
    done = run_pktmend("check", "-r", str(path), "--json", "--all", "--at", "wire")
    assert done.returncode == 1
    *packets, summary = map(json.loads, done.stdout.splitlines())
    assert [p["n"] for p in packets] == [1, 2, 3]
    assert all(p["caplen"] == p["wirelen"] == len(f.raw(packet)) for p in packets)
    assert packets[0]["checks"][1] == {
        "proto": "tcp",
        "offset": 50,
        "status": "good",
        "stored": right,
        "expected": right,
    }
    assert packets[1]["checks"][1] == {
        "proto": "tcp",
        "offset": 50,
        "status": "bad",
        "cause": "leaked",
        "stored": f"{f.seed(packet):04x}",
        "expected": right,
    }
    assert packets[2]["checks"][1]["cause"] == "corrupt"
    assert summary == {
        "type": "summary",
        "summary": {
            "packets": 3,
            "truncated": 0,
            "malformed": 0,
            "checks": {"ip": {"good": 3}, "tcp": {"good": 1, "leaked": 1, "corrupt": 1}},
            "unread": {},
            "worst_flows": summary["summary"]["worst_flows"],
        },
    }
    assert sum(flow["bad"] for flow in summary["summary"]["worst_flows"]) == 2


def test_check_reads_standard_input() -> None:
    done = run_pktmend("check", "-r", "-", stdin=LEAKED.read_bytes())
    assert done.returncode == 0 and b"11 packets" in done.stdout


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"", "empty"),
        (b"GIF89a and more", "byte 0"),
        (LEAKED.read_bytes()[:-3], "byte"),
    ],
)
def test_what_is_no_capture_is_exit_5_and_says_where(tmp_path: Path, content: bytes, words: str) -> None:
    path = tmp_path / "x.pcap"
    path.write_bytes(content)
    done = run_pktmend("check", "-r", str(path))
    assert done.returncode == 5
    assert words in one_line(done)


def test_truncated_capture_still_reports_what_came_before(tmp_path: Path) -> None:
    path = tmp_path / "x.pcap"
    path.write_bytes(LEAKED.read_bytes()[:-3])
    assert b"10 packets" in run_pktmend("check", "-r", str(path)).stdout


def test_a_file_without_its_option_is_understood(tmp_path: Path) -> None:
    (tmp_path / "x.pcap").write_bytes(LEAKED.read_bytes())
    done = run_pktmend("diagnose", str(tmp_path / "x.pcap"))
    assert done.returncode == 2 and f"did you mean -r {tmp_path}/x.pcap?" in one_line(done)


@pytest.mark.parametrize("command", ["check", "diagnose"])
def test_an_interface_without_its_option_is_understood(command: str) -> None:
    done = run_pktmend(
        command, "lo", "-c", "0"
    )  # a mistake further on: that it is an interface is no question any more
    assert done.returncode == 2 and b"'-c'" in done.stderr
    assert "pktmend monitor -i any" in one_line(run_pktmend(command, "any"))
    assert "not both" in one_line(run_pktmend(command, "-i", "lo", "-r", "x"))
    assert "did you mean" not in one_line(run_pktmend(command, "tcp", "port", "80"))


@pytest.mark.parametrize("given", [(None, None), ("a", None), (None, "b"), ("a", "b")])
def test_options_and_words_name_the_same_interfaces(given: tuple[str | None, ...]) -> None:
    words = tuple(name for name, option in zip("ab", given, strict=True) if option is None)
    assert take_interfaces("bridge", given, words) == ("a", "b")
    with pytest.raises(ConfigError, match="a, b, c were given"):
        take_interfaces("bridge", given, (*words, "c"))
    if words:
        with pytest.raises(ConfigError, match="-i IFACE -I IFACE"):
            take_interfaces("bridge", given, words[1:])


def test_a_word_is_an_interface_unless_a_file_has_its_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert split_interface(None, ("lo", "tcp")) == ("lo", ("tcp",))
    assert split_interface("eth9", ("lo",)) == ("eth9", ("lo",))
    assert split_interface(None, ("tcp",)) == (None, ("tcp",))
    Path("lo").touch()
    assert split_interface(None, ("lo",)) == (None, ("lo",))


@pytest.mark.parametrize("argv", [("check",), ("diagnose",), ("fix", "-w", "out.pcap")])
def test_nothing_is_reported_of_what_is_no_capture(tmp_path: Path, argv: tuple[str, ...]) -> None:
    (tmp_path / "x").write_text("hello world, this is not a capture")
    out = [str(tmp_path / word) if word == "out.pcap" else word for word in argv[1:]]
    done = run_pktmend(argv[0], "-r", str(tmp_path / "x"), *out)
    assert done.returncode == 5 and not done.stdout and "not a capture" in one_line(done)


def test_missing_file_and_interface_are_exit_4() -> None:
    assert "/nonexistent" in one_line(done := run_pktmend("check", "-r", "/nonexistent")) and done.returncode == 4
    done = run_pktmend("monitor", "-i", "nosuch0")
    names = [name for _, name in socket.if_nameindex()]
    text = one_line(done)
    assert done.returncode == 4 and "nosuch0" in text and all(name in text for name in names)


@pytest.mark.parametrize(
    "argv",
    [
        ("bridge", "-i", "lo", "-I", "lo"),
        ("bridge", "-i", "lo"),
        ("bridge", "-i", "lo", "-I", "eth9", "--finish", "wlan0"),
        ("check",),
        ("check", "-r", "x", "-i", "lo"),
        ("check", "-c", "0", "-i", "lo"),
        ("monitor", "-i", "lo", "--duration", "-1"),
        ("monitor", "-i", "lo", "-i", "lo"),
        ("monitor", "-i", "lo", "--bad-only"),
        ("monitor", "-i", "lo", "-w", "x", "-W", "3"),
        ("monitor", "-i", "lo", "-w", "-", "--json"),
        ("monitor", "-i", "lo", "--listen", "localhost"),
        ("monitor", "-i", "lo", "not", "a", "filter"),
        ("monitor", "-i", "lo", "-i", "eth0", "-c", "5"),
        ("schema", "nonsense"),
        ("bridge", "-i", "lo", "-I", "x", "--repair", "some"),
        ("nonsense",),
    ],
)
def test_misuse_is_exit_2_without_a_traceback(argv: tuple[str, ...]) -> None:
    done = run_pktmend(*argv)
    assert done.returncode == 2
    assert done.stderr and b"Traceback" not in done.stderr


def test_missing_privilege_is_exit_3_and_names_the_capability() -> None:
    if os.geteuid() != 0:
        done = run_pktmend("monitor", "-i", "lo", "--duration", "1")
    else:  # drop everything; the interpreter may lie where only root can look, so keep its directory open to us
        command = [*PKTMEND, "monitor", "-i", "lo", "--duration", "1"]
        done = subprocess.run(
            ["setpriv", "--bounding-set=-net_raw", "--inh-caps=-net_raw", *command],
            capture_output=True,
            timeout=60,
            check=False,
        )
    assert done.returncode == 3
    assert "CAP_NET_RAW" in one_line(done)


def test_kernels_lists_portable_and_one_active() -> None:
    rows = [json.loads(line) for line in run_pktmend("kernels", "--json").stdout.splitlines()]
    assert rows[0]["kernel"] == "portable" and rows[0]["supported"]
    assert sum(row["active"] for row in rows) == 1


def test_kernel_is_forced_by_the_environment() -> None:
    command = Path(sys.executable).with_name("pktmend")
    done = subprocess.run(
        [command, "kernels"],
        env={**os.environ, "PKTMEND_KERNEL": "portable"},
        capture_output=True,
        text=True,
        check=True,
    )
    assert "portable  supported, active" in done.stdout


def test_variable_that_names_no_kernel_is_named_itself() -> None:
    command = Path(sys.executable).with_name("pktmend")
    done = subprocess.run(
        [command, "kernels"], env={**os.environ, "PKTMEND_KERNEL": "foo"}, capture_output=True, check=False
    )
    text = one_line(done)
    assert done.returncode == 2
    assert text.startswith("pktmend: PKTMEND_KERNEL: SIMD kernel 'foo' is not known (there are: portable")


@pytest.mark.parametrize(
    ("argv", "option"),
    [
        (("check", "-r", "a", "-r", "b"), "-r"),
        (("check", "-i", "a", "-i", "b"), "-i"),
        (("diagnose", "-r", "a", "-rb"), "-r"),
        (("diagnose", "-i", "a", "-I", "c", "-i", "b"), "-i"),
        (("diagnose", "-i", "x", "-I", "a", "-I", "b"), "-I"),
        (("diagnose", "-r", "x", "-R", "a", "-R", "b"), "-R"),
        (("fix", "-r", "a", "-r", "b", "-w", "x"), "-r"),
        (("fix", "-r", "x", "-w", "a", "-w", "b"), "-w"),
        (("monitor", "-i", "lo", "-w", "a", "-w", "b"), "-w"),
        (("bridge", "-i", "a", "-i", "b"), "-i"),
        (("bridge", "-i", "x", "-I", "a", "-I", "b"), "-I"),
        (("offload", "-i", "a", "-i", "b"), "-i"),
        (("offload", "-i", "x", "--netns", "a", "--netns=b"), "--netns"),
        (("bench", "gen", "-i", "a", "-i", "b"), "-i"),
        (("bench", "receive", "-i", "a", "-i", "b"), "-i"),
    ],
)
def test_what_there_can_be_one_of_is_not_given_twice(argv: tuple[str, ...], option: str) -> None:
    done = run_pktmend(*argv)
    assert done.returncode == 2
    assert f"takes one {option}: a and b were given" in one_line(done)


def test_help_names_every_command() -> None:
    text = run_pktmend("--help").stdout.decode()
    assert all(name in text for name in ("bridge", "monitor", "check", "kernels"))


def test_check_all_calls_good_what_is_good() -> None:
    done = run_pktmend("check", "-r", str(LEAKED), "--all", "--at", "wire")
    assert b"ip checksum at byte 24 is good: stored" in done.stdout
    assert done.stdout.count(b" is bad (") == 4


@pytest.mark.parametrize("argv", [("check",), ("diagnose",)])
def test_two_sources_are_one_too_many(argv: tuple[str, ...]) -> None:
    done = run_pktmend(*argv, "-r", str(LEAKED), "-i", "lo")
    assert done.returncode == 2
    assert "not both" in one_line(done)


def test_diagnose_says_nothing_of_what_is_no_capture(tmp_path: Path) -> None:
    path = tmp_path / "x"
    path.write_bytes(b"root:x:0:0:root:/root:/bin/bash\n")
    done = run_pktmend("diagnose", "-r", str(path))
    assert done.returncode == 5
    assert done.stdout == b""
    assert str(path) in one_line(done)


@pytest.mark.parametrize("argv", [("check", "-r", str(LEAKED)), ("kernels",), ("schema", "monitor")])
def test_full_disk_behind_standard_output_is_one_line(argv: tuple[str, ...]) -> None:
    with Path("/dev/full").open("w") as full:
        done = subprocess.run([*PKTMEND, *argv], stdout=full, stderr=subprocess.PIPE, check=False)
    assert done.returncode == 4
    assert done.stderr == b"pktmend: writing standard output: No space left on device\n"


def every_command() -> list[tuple[str, click.Command]]:
    """All commands by their full name."""

    def below(name: str, command: click.Command) -> list[tuple[str, click.Command]]:
        if not isinstance(command, click.Group):
            return [(name, command)]
        context = click.Context(command)
        found = ((each, command.get_command(context, each)) for each in command.list_commands(context))
        return [pair for each, sub in found if sub is not None for pair in below(f"{name} {each}".strip(), sub)]

    return below("", pktmend)


@pytest.mark.parametrize(
    ("name", "command"), every_command(), ids=lambda value: value if isinstance(value, str) else ""
)
def test_every_option_says_what_it_does(name: str, command: click.Command) -> None:
    for p in command.params:
        if isinstance(p, click.Option):
            assert p.help and p.help[0].isupper() and p.help[-1] in ".)]", f"{name} {p.opts}: {p.help}"


def test_an_option_of_bridge_is_a_field_with_the_same_default() -> None:
    command = pktmend.get_command(click.Context(pktmend), "bridge")
    assert command is not None
    options = command.make_context("bridge", ["-i", "x", "-I", "y"]).params
    del options["check_config"], options["netns"], options["interfaces"]  # where it runs, and another way to -i and -I
    assert options == {"a": "x", "b": "y"} | {
        each.name: each.default for each in fields(BridgeOptions) if each.default is not MISSING
    }
