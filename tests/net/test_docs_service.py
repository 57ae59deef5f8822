"""docs/stages.md and docs/service.md, run as they stand there."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from line import Line
from tools import ROOT

STAGES = (ROOT / "docs" / "stages.md").read_text()
SERVICE = (ROOT / "docs" / "service.md").read_text()


def blocks(text: str, language: str) -> list[str]:
    return re.findall(rf"```{language}\n(.*?)```", text, re.DOTALL)


def files(text: str) -> dict[str, str]:
    """The blocks that are files, by name."""
    return dict(re.findall(r"<!-- file: (\S+) -->\n```\w+\n(.*?)```", text, re.DOTALL))


def transcripts(text: str) -> dict[str, str]:
    """What the documentation says that a command prints."""
    return dict(re.findall(r"<!-- transcript of: (.*?) -->\n```\n(.*?)```", text, re.DOTALL))


@pytest.fixture
def desk(tmp_path: Path, stage_examples: Path) -> Path:
    """A folder with the examples, the files of the documents, and programs `pktmend`, `pip` and `python` in bin."""
    folder = tmp_path / "desk"
    shutil.copytree(stage_examples, folder)
    shutil.rmtree(folder / "site")
    for name, text in {**files(STAGES), **files(SERVICE)}.items():
        (folder / name).write_text(text)
    shutil.copy(ROOT / "examples" / "leaked.pcap", folder)
    (folder / "bin").mkdir()
    for name, command in {
        "pktmend": "$PYTHON -P -m pktmend",
        "python": "$PYTHON",
        "pip": f"$PYTHON -m pip -q --disable-pip-version-check install --no-index --no-deps --target {folder}/site",
    }.items():
        words = '"${@:2}"' if name == "pip" else '"$@"'
        (folder / "bin" / name).write_text(f"#!/bin/bash\nPYTHON={sys.executable}\nexec {command} {words}\n")
        (folder / "bin" / name).chmod(0o755)
    return folder


def environment(desk: Path) -> dict[str, str]:
    return {
        **os.environ,
        "PATH": f"{desk / 'bin'}:{os.environ['PATH']}",
        "PYTHONPATH": f"{ROOT}:{desk / 'site'}",
        "XDG_CACHE_HOME": str(desk / "cache"),
    }


def test_commands_of_the_stages_page_run(line: Line, desk: Path) -> None:
    """All at once, for a second each, on interfaces of the names that the page uses."""
    pytest.importorskip("numba")  # one of them is a stage in Numba
    for old, new in (("pa", "A"), ("pb", "B")):
        line.node.run("ip", "link", "set", "dev", old, "down")
        line.node.run("ip", "link", "set", "dev", old, "name", new, "up")
    variables = {**environment(desk), "PKTMEND_DURATION": "1", "PKTMEND_FORCE": "1"}
    commands = [command for block in blocks(STAGES, "sh") for command in block.strip().splitlines()]
    assert len(commands) == 5
    running = []
    for command in commands:
        argv = line.node.argv(["env", *(f"{k}={v}" for k, v in variables.items()), "bash", "-c", command])
        running.append(subprocess.Popen(argv, cwd=desk, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True))
    for command, process in zip(commands, running, strict=True):
        out, err = process.communicate(timeout=60)
        assert process.returncode == 0 and "  stage " in out and "failed" not in out, (command, out, err)


def test_python_of_the_stages_page_runs(desk: Path) -> None:
    blocks_of_python = blocks(STAGES, "python")
    done = subprocess.run(
        [sys.executable, "-c", blocks_of_python[1]],
        cwd=desk,
        capture_output=True,
        text=True,
        env=environment(desk),
        check=True,
    )
    assert done.stdout.strip() == blocks_of_python[1].rstrip().rpartition("# ")[2]


def test_entry_point_of_the_stages_page_is_the_examples(desk: Path) -> None:
    (lines,) = blocks(STAGES, "toml")
    assert lines in (desk / "package" / "pyproject.toml").read_text()


def test_table_of_builtin_stages_is_what_the_command_prints(desk: Path) -> None:
    """All but the times."""
    command = "pktmend stages"
    shown = transcripts(STAGES)[command]
    done = subprocess.run(command.split(), capture_output=True, text=True, env=environment(desk), check=True)

    def without_times(text: str) -> list[list[str]]:
        return [
            [cell for cell in re.split(r"  +", line) if not re.fullmatch(r"\d+\.\d", cell)]
            for line in text.strip().splitlines()
        ]

    assert without_times(done.stdout)[: len(without_times(shown))] == without_times(shown)


def test_stage_is_tried_on_a_capture_as_the_page_shows(desk: Path) -> None:
    command = next(command for command in transcripts(STAGES) if "check" in command)
    done = subprocess.run(command.split(), cwd=desk, capture_output=True, text=True, env=environment(desk), check=False)
    times = r"[\d.]+ s, \d+ ns"
    assert re.sub(times, "", done.stdout) == re.sub(times, "", transcripts(STAGES)[command])
    assert done.returncode == 1


def test_transcripts_of_the_service_page(desk: Path) -> None:
    (desk / "bridge-typo.toml").write_text('a = "port-web"\nfinsh = ["port-web"]\n')
    shown = transcripts(SERVICE)
    assert len(shown) == 2
    for command, text in shown.items():
        done = subprocess.run(
            ["bash", "-c", command], cwd=desk, capture_output=True, text=True, env=environment(desk), check=False
        )
        printed = (done.stdout + done.stderr).splitlines()
        assert text.splitlines() == printed, done.stdout + done.stderr


def test_completion_of_the_service_page(desk: Path) -> None:
    (command,) = blocks(SERVICE, "sh")
    load = ". ~/.local/share/bash-completion/completions/pktmend"
    complete = 'COMP_WORDS=(pktmend bri) COMP_CWORD=1; $(complete -p pktmend | sed "s/.*-F \\([^ ]*\\).*/\\1/") pktmend'
    program = f"{command}\n{load}\n{complete}; echo ${{COMPREPLY[*]}}"
    home = environment(desk) | {"HOME": str(desk)}
    done = subprocess.run(["bash", "-c", program], capture_output=True, text=True, env=home, check=True)
    assert done.stdout.split() == ["bridge"], done.stderr


@pytest.mark.parametrize("page", ["stages.md", "service.md"])
def test_links_lead_somewhere(page: str) -> None:
    path = ROOT / "docs" / page
    for target in re.findall(r"\]\(([^)#:]+)\)", path.read_text()):
        assert (path.parent / target).exists(), target
