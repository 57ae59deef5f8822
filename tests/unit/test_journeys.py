"""docs/journeys.md and docs/howto.md, as far as they need no network: run from a wheel, outside of this tree."""

from __future__ import annotations

import re
import shutil
import subprocess
from pathlib import Path

import pytest
import yaml

from journeys import BLOCKS, LIVE, PAGE, Done, commands, run
from tools import PKTMEND, ROOT, need

LEAKED = ROOT / "examples" / "leaked.pcap"
OFFLINE = {"example", "capture", "repair", "library"}
PRINTED = {"service", "kubernetes"}  # another machine's: looked through below
HOWTO = (ROOT / "docs" / "howto.md").read_text()
OF_FILES = re.compile(r"^    (pktmend (?:check(?! -i)|fix|diagnose -r|query) [^#\n]*)", re.MULTILINE)


@pytest.fixture
def pktmend(bare: Path) -> Path:
    return bare


def travel(name: str, pktmend: Path, folder: Path) -> list[Done]:
    """Run a block where the example is there already."""
    run("example", pktmend, folder)
    return run(name, pktmend, folder)


def test_every_block_is_run_or_looked_through() -> None:
    assert set(BLOCKS) == OFFLINE | PRINTED | LIVE
    assert PAGE.count("```sh") == len(BLOCKS) and not LIVE & (OFFLINE | PRINTED)


def test_table_has_nine_journeys_each_with_its_section() -> None:
    rows = re.findall(r"^\| \[.*?\]\(#([\w-]+)\) \|", PAGE, re.MULTILINE)
    sections = re.findall(r"^## (.*)$", PAGE, re.MULTILINE)
    assert rows == [re.sub(r"[^\w -]", "", section.lower()).replace(" ", "-") for section in sections]
    assert len(rows) == 9


def test_commands_of_a_block_keep_here_documents_whole() -> None:
    assert commands("a\ncat <<'X'\nb\nX\nc\n") == ["a", "cat <<'X'\nb\nX", "c"]


def test_command_is_the_wheels_and_not_this_trees(pktmend: Path, tmp_path: Path) -> None:
    code = "import pktmend; print(pktmend.__file__)"
    where = subprocess.check_output([pktmend.with_name("python3"), "-c", code], cwd=tmp_path, text=True)
    assert ROOT not in Path(where.strip()).parents and pktmend.parents[1] in Path(where.strip()).parents


def test_example_is_printed(pktmend: Path, tmp_path: Path) -> None:
    (done,) = run("example", pktmend, tmp_path)
    assert done.code == 0 and (tmp_path / "leaked.pcap").read_bytes() == LEAKED.read_bytes()


def test_capture_is_judged(pktmend: Path, tmp_path: Path) -> None:
    """tcpdump -vv calls packets 7, 9, 10 and 11 incorrect."""
    sender, wire, why = travel("capture", pktmend, tmp_path)
    assert (sender.code, wire.code, why.code) == (0, 1, 1)
    assert re.findall(r"^packet (\d+):", wire.text, re.MULTILINE) == ["7", "9", "10", "11"]
    assert "leaked 4" in wire.text and "pending 4" in sender.text and "[metadata-lost, possible]" in why.text


def test_capture_is_repaired(pktmend: Path, tmp_path: Path) -> None:
    need("tcpdump")
    fix, check, others = travel("repair", pktmend, tmp_path)
    assert (fix.code, check.code, others.code) == (0, 0, 0)
    assert others.text == "none is left\n" and "bad" not in check.text


def test_tcpdump_would_have_said_so() -> None:
    """The other program of the journey finds what is wrong where something is."""
    need("tcpdump")
    said = subprocess.run(["tcpdump", "-nvvr", LEAKED], capture_output=True, text=True, check=True).stdout
    assert said.count("incorrect") == 4


def test_library_says_what_the_page_prints(pktmend: Path, tmp_path: Path) -> None:
    (done,) = travel("library", pktmend, tmp_path)
    lines = done.text.splitlines()
    assert lines[0] == "4 of 11" and [line.split()[0] for line in lines[1:]] == ["7", "9", "10", "11"]
    assert all(line.endswith("10.7.0.1 10.7.0.2 leaked") for line in lines[1:])


def test_unit_of_the_service_is_there() -> None:
    unit = re.search(r"enable --now (pktmend-\w+@)(\w+)", BLOCKS["service"])
    assert unit is not None
    text = (ROOT / "deploy" / "systemd" / f"{unit[1]}.service").read_text()
    assert "/etc/pktmend/bridge-%i.toml" in text and f"bridge-{unit[2]}.toml" in BLOCKS["service"]


def test_names_of_the_cluster_are_those_of_the_manifest() -> None:
    objects = list(yaml.safe_load_all((ROOT / "deploy" / "kubernetes" / "daemonset.yaml").read_text()))
    sets = [
        (each["metadata"]["namespace"], each["metadata"]["name"]) for each in objects if each["kind"] == "DaemonSet"
    ]
    named = re.findall(r"kubectl -n (\S+) \S+(?: status)? daemonset/(\S+)", BLOCKS["kubernetes"])
    assert len(named) == 2 and set(named) == set(sets)


REACH = (ROOT / "docs" / "reach.md").read_text()
FOREIGN = re.compile(r"\b(kubectl \w+|docker \w+|podman \w+|crictl \w+)((?: (?!-- )[^|)\n]+)?)")


def options_of_others() -> dict[str, set[str]]:
    """Options that the pages give to programs of container runtimes, by the words of the command."""
    found: dict[str, set[str]] = {}
    for text in (REACH, "".join(f"    {line}\n" for line in BLOCKS["kubernetes"].splitlines())):
        for line in re.findall(r"^    (.*)$", text, re.MULTILINE):
            for command, words in FOREIGN.findall(line):
                own = re.split(r" -- | pktmend ", words)[0]
                found.setdefault(command, set()).update(re.findall(r"(?<=\s)--[a-z-]+", f" {own}"))
    return found


def test_options_of_others_were_found() -> None:
    found = options_of_others()
    assert {"--profile", "--image", "--env"} <= found["kubectl debug"] and found["docker inspect"] == {"--format"}
    assert found["docker run"] == {"--rm", "--network", "--cap-drop", "--cap-add"}


@pytest.mark.parametrize("command", options_of_others())
def test_other_program_has_the_options_that_it_is_given(command: str) -> None:
    program, word = command.split()
    need(program)
    done = subprocess.run([program, word, "--help"], capture_output=True, text=True, check=False, timeout=60)
    if done.returncode:
        pytest.skip(f"{command} --help does not answer here")
    assert {option for option in options_of_others()[command] if option not in done.stdout} == set()


@pytest.mark.parametrize("line", OF_FILES.findall(HOWTO))
def test_howto_of_files_runs(tmp_path: Path, line: str) -> None:
    if "query" in line or " -o rows" in line:
        pytest.importorskip("pyarrow")
        pytest.importorskip("duckdb")
    folder = tmp_path / "captures"
    folder.mkdir()
    for name in ("captures/a.pcap", "out.pcap", "before.pcap", "behind.pcap"):
        shutil.copy(LEAKED, tmp_path / name)
    subprocess.run(
        [*PKTMEND, "check", "-r", LEAKED, "-w", "capture.pcapng"], cwd=tmp_path, capture_output=True, check=True
    )
    (tmp_path / "mine.py").write_text(re.findall(r"```python\n(.*?)```", STAGES, re.DOTALL)[0])
    if "query" in line:
        subprocess.run([*PKTMEND, "check", "captures", "-o", "rows"], cwd=tmp_path, capture_output=True, check=False)
    done = subprocess.run(["bash", "-c", line], cwd=tmp_path, capture_output=True, text=True, check=False, timeout=60)
    assert done.returncode in (0, 1) and done.stdout and "pktmend: " not in done.stderr, (line, done)


STAGES = (ROOT / "docs" / "stages.md").read_text()
