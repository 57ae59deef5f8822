"""Help that helps: words that are nearly right, examples that work, pages that the package holds."""

from __future__ import annotations

import ast
import re
import shlex
import subprocess
import sys
from pathlib import Path

import click
import pytest
from test_documents import faults

from installed import leaf_commands
from pktmend._version import VERSION
from pktmend.cli import COMMANDS, pktmend
from pktmend.cli.examples import EXAMPLES
from pktmend.cli.parameter_types import Count, Seconds
from pktmend.commands.bench.generate import options_of
from pktmend.commands.bench.sender import GenerateOptions
from pktmend.commands.pages import TOPICS, text_of
from pktmend.errors import ConfigError
from pktmend.serving.server import parse_address
from tools import ROOT, run_pktmend

LEAKED = ROOT / "examples" / "leaked.pcap"
COMMAND_LINES = [line for examples in EXAMPLES.values() for _, line in examples]
RUNS_HERE = re.compile(r"pktmend (?:check -r|diagnose -r leaked|fix|schema|help|kernels|stages|lab list|example)")
ALL = dict(leaf_commands())


def said(*argv: str) -> tuple[int, str]:
    done = run_pktmend(*argv)
    return done.returncode, done.stderr.decode()


@pytest.mark.parametrize(
    ("argv", "near"),
    [
        ("brigde", "bridge"),
        ("mnoitor -i lo", "monitor"),
        ("bench gne", "gen"),
        ("lab rnu veth", "run"),
        ("doctor --jsn", "--json"),
        ("bridge --unidirr", "--unidir"),
        ("lab run vteh", "veth"),
        ("schema monitr", "monitor"),
        ("help glossry", "glossary"),
        ("help brigde", "bridge"),
        ("example leakd", "leaked"),
        ("offload -i lo set tos off", "tso"),
    ],
)
def test_word_that_is_nearly_right_is_answered_by_the_right_one(argv: str, near: str) -> None:
    code, text = said(*argv.split())
    assert code == 2 and re.search(rf"[Dd]id you mean '{near}'\?|[Dd]id you mean {near}\?", text), text


def test_capture_where_a_command_belongs_is_answered_by_check(tmp_path: Path) -> None:
    (tmp_path / "of a day.pcap").touch()
    code, text = said(f"{tmp_path}/of a day.pcap")
    assert code == 2 and f"did you mean `pktmend check '{tmp_path}/of a day.pcap'`?" in text
    assert "lists them" in said("bench", str(tmp_path / "of a day.pcap"))[1]


def test_word_that_is_near_to_none_is_told_where_all_are() -> None:
    assert "`pktmend --help` lists them" in said("xyzzy")[1]


@pytest.mark.parametrize("option", ["-V", "--version"])
def test_version(option: str) -> None:
    assert run_pktmend(option).stdout.decode() == f"pktmend, version {VERSION}\n"


def test_help_lists_commands_and_topics_and_shows_each() -> None:
    listed = run_pktmend("help").stdout.decode()
    assert all(re.search(rf"^  {name} ", listed, re.MULTILINE) for name in (*COMMANDS, *TOPICS))
    assert not set(TOPICS) & set(COMMANDS)
    assert run_pktmend("help", "bench", "gen").stdout == run_pktmend("bench", "gen", "--help").stdout
    assert b"Glossary" in run_pktmend("help", "glossary").stdout


@pytest.mark.parametrize("topic", TOPICS)
def test_page_reads_as_text(topic: str) -> None:
    text = text_of(topic)
    assert text.startswith("# ") and len(text) > 1000
    assert "<!--" not in text and not re.search(r"\]\([^)]*\.md", text)


def test_every_page_is_a_topic_but_those_for_contributors() -> None:
    pages = {path.name for path in (ROOT / "docs").glob("*.md")}
    assert {page for page, _ in TOPICS.values()} == pages - {"architecture.md"}


@pytest.mark.parametrize("name", ALL)
def test_every_help_has_examples_that_fit_80_columns(name: str) -> None:
    assert 2 <= len(EXAMPLES[name]) <= 3
    text = run_pktmend(*name.split(), "--help").stdout.decode()
    assert text.index("Examples:") and max(map(len, text.splitlines())) <= 80
    assert all(line in text for _, line in EXAMPLES[name])


def test_every_example_is_of_a_command_that_is_there() -> None:
    assert set(EXAMPLES) == {"", *ALL}
    for line in COMMAND_LINES:
        for words in re.findall(r"pktmend ([^|>()]*)", line):
            assert not faults(words), line


@pytest.mark.parametrize("line", [line for line in COMMAND_LINES if RUNS_HERE.match(line) and "bench" not in line])
def test_example_that_needs_no_network_works(tmp_path: Path, line: str) -> None:
    (tmp_path / "leaked.pcap").write_bytes(LEAKED.read_bytes())
    ours = shlex.quote(str(Path(sys.executable).with_name("pktmend")))
    command = re.sub(r"\bpktmend (?=[a-z])", f"{ours} ", line)
    for program in ("tcpdump -vvr -", "less"):
        command = command.replace(f"| {program}", "| cat")
    done = subprocess.run(["bash", "-c", command], cwd=tmp_path, capture_output=True, check=False, timeout=60)
    assert done.returncode in (0, 1) and b"pktmend:" not in done.stderr, done.stderr
    assert done.stdout or ">" in line or "-w" in line


@pytest.mark.parametrize("path", sorted((ROOT / "pipeline").rglob("*.py")), ids=lambda path: path.stem)
def test_no_message_sends_to_a_file_that_the_package_lacks(path: Path) -> None:
    tree = ast.parse(path.read_text())
    prose = {
        id(node.body[0].value)
        for node in ast.walk(tree)
        if isinstance(node, (ast.Module, ast.ClassDef, ast.FunctionDef))
        and node.body
        and isinstance(node.body[0], ast.Expr)
    }
    for node in ast.walk(tree):
        if isinstance(node, ast.Constant) and isinstance(node.value, str) and id(node) not in prose:
            assert not re.search(r"\b(docs|examples|deploy)/\w|README", node.value), (node.lineno, node.value)


def test_topics_that_messages_send_to_are_there() -> None:
    for path in (ROOT / "pipeline").rglob("*.py"):
        for words in re.findall(r"pktmend help ([a-z][\w-]*)", path.read_text()):
            assert words in TOPICS or words in COMMANDS, (path, words)


@pytest.mark.parametrize(
    ("text", "number"), [("500", 500), ("10k", 10_000), ("10K", 10_000), ("1.5M", 1_500_000), ("2G", 2_000_000_000)]
)
def test_count_takes_si_suffixes(text: str, number: int) -> None:
    assert Count(1).convert(text, None, None) == number


@pytest.mark.parametrize("text", ["1.5", "1.0001k", "k", "-1k", "0", "10kk", "10 k", "1e3", "٣k"])
def test_count_refuses_what_is_no_whole_number(text: str) -> None:
    with pytest.raises(click.BadParameter):
        Count(1).convert(text, None, None)


@pytest.mark.parametrize(
    ("text", "seconds"), [("90", 90), ("0.5", 0.5), ("500ms", 0.5), ("10s", 10), ("5m", 300), ("1.5h", 5400)]
)
def test_seconds_take_units(text: str, seconds: float) -> None:
    assert Seconds().convert(text, None, None) == seconds


@pytest.mark.parametrize("text", ["", "m", "5d", "5 m", "1m30s"])
def test_seconds_refuse_what_is_no_time(text: str) -> None:
    with pytest.raises(click.BadParameter):
        Seconds().convert(text, None, None)


@pytest.mark.parametrize(("text", "rate"), [("max", 0), ("500", 500), ("10k", 10_000), ("1.5M", 1_500_000)])
def test_rate_takes_si_suffixes(text: str, rate: float) -> None:
    assert generator_options(text).rate == rate


@pytest.mark.parametrize("text", ["0", "-1", "k", "nan", "10x", "0k"])
def test_rate_refuses_what_is_none(text: str) -> None:
    with pytest.raises(ConfigError, match="10k"):
        generator_options(text)


NOT_OF_FRAMES = ("interface", "interfaces", "netns", "json", "force")


def generator_options(rate: str) -> GenerateOptions:
    context = click.Context(pktmend)
    group = pktmend.get_command(context, "bench")
    assert isinstance(group, click.Group)
    command = group.get_command(click.Context(group), "gen")
    assert command is not None
    given = command.make_context("gen", ["-i", "lo", "--rate", rate]).params
    return options_of(**{name: value for name, value in given.items() if name not in NOT_OF_FRAMES})


@pytest.mark.parametrize(
    ("text", "address"),
    [("9477", ("127.0.0.1", 9477)), (":9477", ("127.0.0.1", 9477)), ("[::]:1", ("::", 1)), ("h:80", ("h", 80))],
)
def test_listen_takes_a_bare_port(text: str, address: tuple[str, int]) -> None:
    assert parse_address(text) == address


@pytest.mark.parametrize("text", ["", "localhost", "70000", ":", "-1"])
def test_listen_refuses_what_is_no_address(text: str) -> None:
    with pytest.raises(ConfigError, match="PORT for"):
        parse_address(text)


def test_example_is_the_capture_itself() -> None:
    assert run_pktmend("example", "leaked").stdout == LEAKED.read_bytes()
    assert run_pktmend("example").stdout == b"leaked\n"


def test_packet_without_a_checksum_is_said_in_words(tmp_path: Path) -> None:
    from scapy.all import ARP, Ether, wrpcap

    wrpcap(str(tmp_path / "x.pcap"), [Ether() / ARP()])
    text = run_pktmend("check", "-r", str(tmp_path / "x.pcap")).stdout.decode()
    assert "1 packet, 0 truncated" in text and "without a checksum 1" in text and "none" not in text


def test_setting_without_effect_is_not_offered(tmp_path: Path) -> None:
    (tmp_path / "x.toml").write_text("xyzzy = 1\n")
    code, text = said("monitor", "-i", "lo", "--config", str(tmp_path / "x.toml"))
    offered = re.findall(r"[\w-]+", text.split("there are: ")[1])
    assert code == 2 and "interfaces" in offered and "n" not in offered
