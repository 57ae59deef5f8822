"""Documents against the code: commands and options that they quote, files that they name, links between them.

That a command does what its document says is for the tests that run it (tests/net/test_*doc*.py, test_deploy.py); here
all are read, also those that need another machine.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import click
import pytest

from pktmend.cli import COMMANDS, pktmend
from tools import ROOT

PAGES = [
    ROOT / "README.md",
    ROOT / "CHANGELOG.md",
    *(page for folder in ("docs", "bench") for page in sorted((ROOT / folder).glob("*.md"))),
]
DEPLOYED = [
    path
    for path in sorted((ROOT / "deploy").rglob("*"))
    if path.is_file() and path.suffix not in (".json", ".dockerignore")
]
TEXTS = [*PAGES, *DEPLOYED]
FENCED = re.compile(r"^```.*?^```", re.DOTALL | re.MULTILINE)
IN_FENCE = re.compile(r"^ *(?:\w*\$ )?(?:.* && |sudo )?pktmend ([-a-z].*)", re.MULTILINE)  # transcripts hold prose too
INDENTED = re.compile(r"^ {4}(?:\S.* )?pktmend ([-a-z].*)", re.MULTILINE)
INLINE = re.compile(r"`pktmend ([-a-z][^`\n]*)`")
MADE_BY = re.compile(r"^<!-- .*? of:? .*?pktmend ([-a-z].*) -->", re.MULTILINE)
ANYWHERE = re.compile(rf"\bpktmend ((?:{'|'.join(COMMANDS)}) .*)")
END = re.compile(r"\s#|[|;&>)`]| {2,}")  # of a command: for the shell, or where a remark stands in another column
FOREIGN = {  # options of other programs that a page names alone
    "iptables": ["--checksum-fill"],
    "tcprewrite": ["--fixcsum"],
}
PATH = re.compile(r"(?<![\w/.-])(?:ext|pipeline|tests|docs|examples|deploy|bench)/[\w./*-]*\w(?:\.\w+)?")


def name(path: Path) -> str:
    return str(path.relative_to(ROOT))


def options_of(command: click.Command) -> set[str]:
    context = click.Context(command)
    return {
        option
        for p in command.get_params(context)
        if isinstance(p, click.Option)
        for option in (*p.opts, *p.secondary_opts)
    }


def every_command(command: click.Command = pktmend) -> Iterator[click.Command]:
    """Yield *command* and all below it."""
    yield command
    if isinstance(command, click.Group):
        context = click.Context(command)
        for each in command.list_commands(context):
            found = command.get_command(context, each)
            assert found is not None
            yield from every_command(found)


def quoted(path: Path) -> list[str]:
    """Return what stands behind each `pktmend` of a file's code, as far as it is one command."""
    text = re.sub(r"\\\n\s*", " ", path.read_text()).replace("\\|", "/")  # a | in a table
    if path in DEPLOYED:
        found = ANYWHERE.findall(text)
    else:
        prose = FENCED.sub("", text)
        found = [line for block in FENCED.findall(text) for line in IN_FENCE.findall(block)]
        found += INDENTED.findall(prose) + INLINE.findall(prose) + MADE_BY.findall(prose)
    return [END.split(words)[0].strip() for words in found]


def faults(words: str) -> list[str]:
    """Return what is wrong with a command line: its command, or options that are not there."""
    command: click.Command = pktmend
    rest = words.replace("[", " ").replace("]", " ").replace("'", "").split()
    while isinstance(command, click.Group) and rest and not rest[0].startswith("-"):
        found = command.get_command(click.Context(command), rest[0])
        if found is None:
            return [] if rest[0] == "..." else [f"no command {rest[0]}"]
        command = found
        rest = rest[1:]
    known = options_of(command) | {"--help", "-h"}
    given = [word.rstrip(",.").partition("=")[0] for word in rest if re.match(r"--?[a-zA-Z]", word)]
    return [f"{command.name} has no {option}" for option in given if option not in known and option[:2] not in known]


def test_fault_of_a_command_line_is_found() -> None:
    assert faults("bridge -i a -I b --finish=a") == [] == faults("check -r FILE [--at wire] -c5")
    assert faults("bridge -i a --finnish a") == ["bridge has no --finnish"]
    assert faults("bench bridge --quik") == ["bridge has no --quik"]
    assert faults("brigde -i a") == ["no command brigde"] and faults("lab play x") == ["no command play"]


@pytest.mark.parametrize("path", TEXTS, ids=name)
def test_quoted_commands_and_options_are_there(path: Path) -> None:
    wrong = {words: found for words in quoted(path) if (found := faults(words))}
    assert not wrong


def test_commands_were_found() -> None:
    found = {name(path): len(quoted(path)) for path in TEXTS}
    assert found["README.md"] > 20 and all(
        found[f"docs/{page}.md"] > 2
        for page in ("diagnosis", "doctor", "lab", "monitor", "operating", "performance", "service", "stages")
    )
    assert found["deploy/container/Containerfile"] == 2


@pytest.mark.parametrize("path", PAGES, ids=name)
def test_options_that_stand_alone_are_some_commands(path: Path) -> None:
    known = {option for command in every_command() for option in options_of(command)}
    known.update(*FOREIGN.values())
    alone = re.findall(r"`(--[a-z][a-z-]+)[^`\n]*`", FENCED.sub("", path.read_text()))
    assert set(alone) <= known, set(alone) - known


def slugs(page: Path) -> set[str]:
    """The anchors of a page's headings, as GitHub makes them."""
    headings = re.findall(r"^#+ (.*)$", FENCED.sub("", page.read_text()), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


@pytest.mark.parametrize("path", PAGES, ids=name)
def test_links_lead_somewhere(path: Path) -> None:
    for link in re.findall(r"\]\(([^)\s]+)\)", path.read_text()):
        if "://" not in link:
            target, _, anchor = link.partition("#")
            page = path.parent / target if target else path
            assert page.exists(), link
            assert not anchor or anchor in slugs(page), link


@pytest.mark.parametrize("path", TEXTS, ids=name)
def test_files_that_are_named_are_there(path: Path) -> None:
    missing = [found for found in PATH.findall(path.read_text()) if not any(ROOT.glob(found))]
    assert not missing
