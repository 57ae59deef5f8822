"""Completion: what a shell is answered, and real shells in a terminal (tmux) whose TAB key is pressed."""

from __future__ import annotations

import itertools
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from pktmend.cli import COMMANDS
from pktmend.cli.completion import SCRIPTS
from pktmend.commands.deploy.kinds import KINDS
from pktmend.commands.lab.cases import NAMES
from pktmend.commands.pages import TOPICS
from pktmend.commands.schema import names
from pktmend.host.interfaces import interfaces
from tools import PATIENCE, ROOT, need, run_pktmend, until

FOLDER = ROOT / "pipeline" / "pktmend" / "commands" / "completion"
OURS = Path(sys.executable).parent
(INSTALL,) = re.findall(
    r"^## Shell completion\n.*?```sh\n(.*?)```", (ROOT / "docs/service.md").read_text(), re.DOTALL | re.M
)
# How each shell begins in these tests, and what it does before the line that is tried.
SHELLS = {
    "bash": ("bash --norc --noprofile", "source ~/.local/share/bash-completion/completions/pktmend"),
    "zsh": ("zsh -f", "fpath+=~/.zfunc && autoload -U compinit && compinit -u -D"),
    "fish": ("fish", "set -g fish_autosuggestion_enabled 0"),  # else it shows before the TAB key what it may be
}
NUMBERS = itertools.count()


def answered(line: str) -> list[str]:
    """Return the words that bash is answered at the end of *line*: a file is `FILE`."""
    words = line.split(" ")
    environment = os.environ | {
        "COMP_WORDS": "\n".join(words),
        "COMP_CWORD": str(len(words) - 1),
        "_PKTMEND_COMPLETE": "bash_complete",
    }
    done = subprocess.run([OURS / "pktmend"], env=environment, capture_output=True, text=True, check=False, timeout=60)
    assert (done.returncode, done.stderr) == (0, "")
    pairs = [row.partition(",") for row in done.stdout.split()]
    return ["FILE" if kind == "file" else word for kind, _, word in pairs]


def test_commands_options_and_choices_are_answered() -> None:
    assert answered("pktmend ") == list(COMMANDS)
    assert answered("pktmend bench g") == ["gen"]
    assert "--unidir" in answered("pktmend bridge --un")
    assert answered("pktmend bridge --repair l") == ["leaked"]
    assert answered("pktmend completion ") == list(SCRIPTS)


@pytest.mark.parametrize(
    "line",
    [
        "check -r ",
        "diagnose -r x.pcap -R ",
        "fix -r ",
        "fix -r x -w x",
        "monitor -i lo -w ",
        "monitor --config ",
        "monitor --picture ",
        "bench sum --save ",
        "bridge --stage ./",
    ],
)
def test_where_a_file_belongs_the_shell_completes_files(line: str) -> None:
    assert answered(f"pktmend {line}") == ["FILE"]


@pytest.mark.parametrize(
    "line", ["check -i ", "bridge -i lo -I ", "monitor -i ", "doctor ", "offload -i ", "bench gen -i "]
)
def test_interfaces_are_answered(line: str) -> None:
    assert sorted(answered(f"pktmend {line}")) == sorted(interfaces())


def test_what_is_in_the_package_is_answered() -> None:
    assert answered("pktmend lab run ") == ["all", *NAMES]
    assert answered("pktmend help ") == [*COMMANDS, *TOPICS]
    assert answered("pktmend help bench r") == ["read", "receive", "ring"]
    assert answered("pktmend schema ") == names()
    assert answered("pktmend example ") == ["leaked"]
    assert answered("pktmend deploy ") == list(KINDS)
    assert answered("pktmend deploy kubernetes d") == ["doctor"]
    assert answered("pktmend deploy systemd bridge ") == ["monitor", "offload"]
    assert answered("pktmend deploy kubernetes --cni c") == ["calico", "cilium"]
    assert answered("pktmend stages ") == ["new"] and answered("pktmend stages new ") == []
    assert answered("pktmend stages new mine --lang c") == ["c", "cython"]
    assert "geneve=" in answered("pktmend check --tunnel ")
    assert "bit-flip=" in answered("pktmend bench gen --damage b")
    assert "root" in answered("pktmend bridge -Z r")


def test_features_are_answered_and_behind_each_on_and_off() -> None:
    assert {"tx", "tso", "tx-tcp-segmentation"} <= set(answered("pktmend offload -i lo set t"))
    assert answered("pktmend offload -i lo set tx ") == ["on", "off"]
    assert answered("pktmend offload -i lo show ") == []


def test_what_cannot_be_looked_up_is_no_message() -> None:
    assert answered("pktmend doctor --netns nosuch ") == []
    assert answered("pktmend offload -i nosuch0 set t") == ["tx", "tso", "txvlan"]
    assert answered("pktmend check -r a -r b -i ") in ([], interfaces())


@pytest.mark.parametrize("shell", SCRIPTS)
def test_script_is_printed_as_it_lies_in_the_package(shell: str) -> None:
    assert run_pktmend("completion", shell).stdout == (FOLDER / SCRIPTS[shell]).read_bytes()


@pytest.mark.parametrize("shell", ["bash", "fish"])
def test_loading_the_script_starts_no_program(shell: str, tmp_path: Path) -> None:
    need(shell)
    path = shutil.which(shell)
    assert path is not None
    environment = {"PATH": str(tmp_path), "HOME": str(tmp_path)}
    argv = [path, *(["--norc"] if shell == "bash" else ["--no-config"]), "-c", f"source {FOLDER / SCRIPTS[shell]}"]
    done = subprocess.run(argv, env=environment, capture_output=True, text=True, check=False, timeout=60)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


class Shell:
    """A shell in a window of tmux, in a folder with two captures."""

    def __init__(self, argv: str, folder: Path, home: Path) -> None:
        self._name = f"pktmend-completion-{os.getpid()}-{next(NUMBERS)}"
        environment = {
            **{name: value for name, value in os.environ.items() if not name.startswith("XDG_")},
            "PATH": f"{OURS}:{os.environ['PATH']}",
            "HOME": str(home),
            "PS1": "> ",
            "LC_ALL": "C.UTF-8",
        }
        self._tmux(
            "-f", "/dev/null", "new-session", "-d", "-x", "100", "-y", "30", "-c", str(folder), argv, env=environment
        )

    def _tmux(self, *argv: str, env: dict[str, str] | None = None) -> str:
        command = ["tmux", "-L", self._name, *argv]
        return subprocess.run(command, env=env, capture_output=True, text=True, timeout=PATIENCE, check=True).stdout

    def keys(self, *keys: str) -> None:
        """Press keys."""
        self._tmux("send-keys", *keys)

    def shows(self, text: str) -> None:
        """Wait until *text* is on the screen."""
        until(lambda: text in self._tmux("capture-pane", "-p"), f"seeing {text!r}")

    def close(self) -> None:
        """End it."""
        subprocess.run(["tmux", "-L", self._name, "kill-server"], capture_output=True, check=False)


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A home where the files of all shells lie where docs/service.md has them put."""
    folder = tmp_path_factory.mktemp("home")
    environment = os.environ | {"PATH": f"{OURS}:{os.environ['PATH']}", "HOME": str(folder)}
    subprocess.run(["sh", "-ec", INSTALL], env=environment, check=True, timeout=60)
    return folder


@pytest.fixture(params=SHELLS)
def shell(request: pytest.FixtureRequest, tmp_path: Path, home: Path) -> Iterator[Shell]:
    need("tmux", request.param)
    for name in ("first.pcap", "second.pcap", "of a day.pcap"):
        (tmp_path / name).touch()
    argv, begin = SHELLS[request.param]
    found = Shell(argv, tmp_path, home)
    try:
        found.keys(f"{begin} && clear && echo rea''dy", "Enter")
        found.shows("ready")
        yield found
    finally:
        found.close()


@pytest.mark.parametrize(
    ("typed", "shown"),
    [
        ("pktmend moni", "pktmend monitor"),
        ("pktmend check -r fi", "pktmend check -r first.pcap"),
        ("pktmend check -r 'of a", "pktmend check -r 'of a day.pcap'"),
        ("pktmend fix -r first.pcap -w sec", "pktmend fix -r first.pcap -w second.pcap"),
        ("pktmend lab run nat-", "pktmend lab run nat-delta"),
        ("pktmend bridge --no-coal", "pktmend bridge --no-coalesce"),
        ("pktmend bridge --repair=lea", "pktmend bridge --repair=leaked"),
        ("pktmend bridge --config=fi", "pktmend bridge --config=first.pcap"),
        ("pktmend help gloss", "pktmend help glossary"),
        ("pktmend bridge --tunnel gene", "pktmend bridge --tunnel geneve="),
    ],
)
def test_tab_key_completes_in_a_real_shell(shell: Shell, typed: str, shown: str) -> None:
    shell.keys("-l", typed)
    shell.keys("Tab")
    shell.shows(shown)
