"""Documents against the code: commands and options that they quote, files that they name, links between them.

That a command does what its document says is for the tests that run it (tests/net/test_*doc*.py, test_deploy.py); here
all are read, also those that need another machine.
"""

from __future__ import annotations

import re
import shutil
import subprocess
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import click
import pytest
import yaml

from pktmend.cli import COMMANDS, pktmend
from pktmend.host.snmp import read_counters
from tools import ROOT, need

PAGES = [
    *sorted(ROOT.glob("*.md")),
    *(page for folder in ("docs", "bench", ".github") for page in sorted((ROOT / folder).rglob("*.md"))),
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
NOT_HERE = re.compile(
    r"\b(?:DESIGN|FACTS)\b(?!_)|\b(?:HOUSE|STYLE)\.md\b|(?<!\[)\bdecision \d+|\bsection \d+ of (?!RFC)"
)
FOREIGN = {  # options of other programs that a page names alone
    "iptables": ["--checksum-fill"],
    "tcpdump": ["--dont-verify-checksums"],
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


SOURCES = [
    path
    for folder in ("ext", "pipeline", "tests", "docs", "bench", "examples", "deploy")
    for path in sorted((ROOT / folder).rglob("*"))
    if path.suffix in (".c", ".h", ".py", ".pyi", ".pyx", ".pxd", ".pxi", ".md", ".toml") and path != Path(__file__)
]


def test_no_file_refers_to_a_document_that_is_not_here() -> None:
    found = {name(path): hit[0] for path in SOURCES if (hit := NOT_HERE.search(path.read_text()))}
    assert len(SOURCES) > 300 and not found


def test_architecture_has_a_row_for_each_folder() -> None:
    text = (ROOT / "docs" / "architecture.md").read_text()
    python = {path.parent.name for path in (ROOT / "pipeline" / "pktmend").glob("*/*.py")} - {"include", "_core"}
    engine = {path.name for path in (ROOT / "ext").iterdir() if path.is_dir()} - {"include"}
    assert len(python) > 6 and len(engine) > 6
    assert {name for name in python | engine if not re.search(rf"^\| \d \| .*`{name}/`", text, re.MULTILINE)} == set()


def test_every_decision_is_in_the_index() -> None:
    folder = ROOT / "docs" / "decisions"
    linked = re.findall(r"\]\((\d{4}-[a-z-]+\.md)\)", (folder / "README.md").read_text())
    assert linked == sorted(path.name for path in folder.glob("0*.md"))
    for number, file in enumerate(linked, 1):
        text = (folder / file).read_text()
        assert file.startswith(f"{number:04d}-") and text.startswith(f"# {number}. ")
        assert all(f"\n## {heading}\n" in text for heading in ("Context", "Decision", "Consequences"))


GLOSSARY = (ROOT / "docs" / "glossary.md").read_text()
LEAKED = str(ROOT / "examples" / "leaked.pcap")


def printed(*argv: str) -> str:
    return subprocess.run(argv, capture_output=True, text=True, check=True, timeout=60).stdout


def without_numbers(text: str) -> str:
    return re.sub(r"0x[0-9a-f]{4}", "0xNNNN", text)


def test_glossary_has_what_tcpdump_prints() -> None:
    need("tcpdump")
    shown = set(re.findall(r"cksum 0x\w+ \(incorrect.*?\)", printed("tcpdump", "-nvv", "-r", LEAKED)))
    assert shown
    assert {without_numbers(each) for each in shown} <= set(re.findall(r"`(.*?)`", without_numbers(GLOSSARY)))


def test_glossary_has_what_tshark_prints() -> None:
    need("tshark")
    argv = ("tshark", "-o", "tcp.check_checksum:TRUE", "-r", LEAKED)
    lines = re.findall(r"^ +Checksum: (0x.*)$", printed(*argv, "-V", "tcp"), re.MULTILINE)
    assert lines
    for line in lines:
        assert without_numbers(line.partition(" ")[2]) in without_numbers(GLOSSARY)
    if "matches partial" not in lines[0]:
        assert "[TCP CHECKSUM INCORRECT]" in printed(*argv, "tcp") and "`[TCP CHECKSUM INCORRECT]`" in GLOSSARY


def test_glossary_has_the_kernels_counters() -> None:
    counters = {word for word in read_counters() if word.endswith("InCsumErrors") and not word.startswith("UdpLite6")}
    assert "TcpInCsumErrors" in counters
    assert {word for word in counters if f"`{word}`" not in GLOSSARY} == set()


def test_glossary_names_every_root_cause_that_it_sends_to() -> None:
    from pktmend.commands.diagnose.causes import CAUSES

    named = set(re.findall(r"`([a-z]+(?:-[a-z]+)+)`", GLOSSARY))
    others = {"userspace-tso-enable", "checksum-checks", "no-metadata", "bit-flip"}
    assert {"metadata-lost", "offload-pending", "bad-seed"} <= named
    assert named - others <= set(CAUSES)


def workflow() -> dict[str, Any]:
    loaded: dict[str, Any] = yaml.safe_load((ROOT / ".github" / "workflows" / "ci.yml").read_text())
    return loaded


def test_workflow_calls_what_is_here() -> None:
    """Each step uses an action with a version, or runs a command whose target or program exists."""
    targets = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))
    for job in workflow()["jobs"].values():
        assert job["timeout-minutes"] and job["runs-on"]
        for step in job["steps"]:
            assert ("uses" in step) != ("run" in step)
            if "uses" in step:
                assert re.fullmatch(r"actions/[a-z-]+@v\d+", step["uses"])
            for target in re.findall(r"^make ([a-z-]+)$", step.get("run", ""), re.MULTILINE):
                assert target in targets
            for path in re.findall(r"\.ci/\w+", step.get("run", "")):
                assert (ROOT / path).exists()


def test_workflow_runs_every_python_that_is_promised() -> None:
    said = re.search(r"^\| Python \| ([\d., ]+);", (ROOT / "docs" / "compatibility.md").read_text(), re.MULTILINE)
    assert said and said[1].split(", ") == workflow()["jobs"]["test"]["strategy"]["matrix"]["python"]
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    assert project["requires-python"] == f">={said[1].split(', ')[0]}"


def test_workflow_has_no_fault_that_actionlint_knows() -> None:
    program = shutil.which("actionlint")
    if program is None:
        pytest.skip("not installed: actionlint")
    done = subprocess.run([program], cwd=ROOT, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout) == (0, "")


def test_issue_forms_have_what_github_asks_for() -> None:
    forms = sorted((ROOT / ".github" / "ISSUE_TEMPLATE").glob("*.yml"))
    assert forms
    for path in forms:
        form = yaml.safe_load(path.read_text())
        assert form["name"] and form["description"]
        fields = [field for field in form["body"] if field["type"] != "markdown"]
        assert len({field["id"] for field in fields}) == len(fields)
        assert all(
            field["type"] in ("input", "textarea", "dropdown") and field["attributes"]["label"] for field in fields
        )


def test_hooks_have_the_versions_of_the_lint_extra() -> None:
    lint = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["optional-dependencies"]["lint"]
    (repo,) = yaml.safe_load((ROOT / ".pre-commit-config.yaml").read_text())["repos"]
    asked = {each for hook in repo["hooks"] for each in hook["additional_dependencies"]}
    assert asked <= set(lint) and len(repo["hooks"]) == 4
