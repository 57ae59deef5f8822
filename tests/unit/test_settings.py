"""Settings: file, environment and command line, as a user meets them; and that no option can be forgotten."""

from __future__ import annotations

import importlib
import os
import subprocess
import tomllib
from pathlib import Path
from typing import Any

import click
import pytest

from pktmend.cli import COMMANDS
from pktmend.console import settings
from tools import PKTMEND, ROOT

CONFIGURABLE = ("bridge", "monitor")
FILE = """\
# between the switch and web-1
a = "pa"
b = "pb"
repair = "all"
busy-poll = 50
finish = ["pa"]
no-coalesce = true
"""


def run_pktmend(*argv: str, cwd: Path | None = None, **environment: str) -> subprocess.CompletedProcess[str]:
    done = subprocess.run(
        [*PKTMEND, *argv],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
        cwd=cwd,
        env={**os.environ, "PYTHONPATH": str(ROOT), **environment},
    )
    assert "Traceback" not in done.stderr, done.stderr
    return done


def refused(done: subprocess.CompletedProcess[str], code: int = 2) -> str:
    assert done.returncode == code and done.stderr.count("\n") == 1, done.stderr
    return done.stderr


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "bridge.toml"
    path.write_text(FILE)
    return path


def test_command_line_beats_environment_beats_file(file: Path) -> None:
    done = run_pktmend(
        "bridge",
        "--config",
        str(file),
        "--check-config",
        "--repair",
        "none",
        PKTMEND_REPAIR="leaked",
        PKTMEND_BUSY_POLL="70",
        PKTMEND_FINISH="pa pb",
    )
    assert done.returncode == 0
    assert (
        tomllib.loads(done.stdout).items()
        >= {
            "a": "pa",
            "b": "pb",
            "unidir": False,
            "repair": "none",
            "corrupt": "pass",
            "finish": ["pa", "pb"],
            "ring": "v2",
            "workers": 1,
            "busy-poll": 70,
            "no-coalesce": True,
            "json": False,
        }.items()
    )
    origin = {line.split(" = ")[0]: line.split("  # ")[1] for line in done.stdout.splitlines()}
    assert (origin["repair"], origin["busy-poll"]) == ("command line", "PKTMEND_BUSY_POLL")
    assert (origin["a"], origin["no-coalesce"], origin["ring"]) == (str(file), str(file), "default")


def test_what_check_config_shows_is_a_file_that_says_the_same(file: Path) -> None:
    shown = run_pktmend("bridge", "--config", str(file), "--check-config").stdout
    file.write_text(shown)
    again = run_pktmend("bridge", "--config", str(file), "--check-config").stdout
    assert tomllib.loads(again) == tomllib.loads(shown)


def test_config_itself_comes_from_the_environment(file: Path) -> None:
    assert 'a = "pa"' in run_pktmend("bridge", "--check-config", PKTMEND_CONFIG=str(file)).stdout


def test_values_reach_the_command(file: Path) -> None:
    """The bridge says which interface is missing: the one of the file."""
    file.write_text('a = "nosuch0"\nb = "nosuch1"\n')
    assert "nosuch0" in refused(run_pktmend("bridge", "--config", str(file)), 4)
    assert "nosuch2" in refused(run_pktmend("bridge", "--config", str(file), PKTMEND_A="nosuch2"), 4)
    assert "nosuch3" in refused(run_pktmend("bridge", "--config", str(file), "-i", "nosuch3", PKTMEND_A="nosuch2"), 4)
    file.write_text('interfaces = ["nosuch0"]\n')
    assert "nosuch0" in refused(run_pktmend("monitor", "--config", str(file)), 4)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ('a = "x"\nrepiar = "all"\n', ":2: unknown key 'repiar' (did you mean 'repair'?)"),
        ("[bridge]\na = 'x'\n", ":1: unknown key 'bridge' (there are: a, b, unidir"),
        ('"no_coalesce" = true\n', ":1: unknown key 'no_coalesce' (did you mean 'no-coalesce'?)"),
        ("check-config = true\n", ":1: unknown key 'check-config'"),
        ('\n\nrepair = "some"\n', ":3: repair: Invalid enum value 'some'"),
        ("workers = 65\n", ":1: workers: Expected `int` <= 64"),
        ("workers = '2'\n", ":1: workers: Expected `int`, got `str`"),
        ("json = 1\n", ":1: json: Expected `bool`, got `int`"),
        ("finish = 'pa'\n", ":1: finish: Expected `array`, got `str`"),
        ("finish = ['pa', 3]\n", ":1: finish: Expected `str`, got `int`"),
        ("a = 'x\n", "Expected"),
        ("a = 1\na = 2\n", "a"),
    ],
)
def test_mistakes_are_named_with_their_place(tmp_path: Path, text: str, words: str) -> None:
    path = tmp_path / "x.toml"
    path.write_text(text)
    said = refused(run_pktmend("bridge", "--config", str(path), "--check-config"))
    assert said.startswith(f"pktmend: {path}") and words in said, said


def test_file_that_cannot_be_read_is_exit_4(tmp_path: Path) -> None:
    assert "nosuch.toml: No such file" in refused(run_pktmend("bridge", "--config", f"{tmp_path}/nosuch.toml"), 4)
    assert "Is a directory" in refused(run_pktmend("bridge", "--config", str(tmp_path)), 4)
    (tmp_path / "binary").write_bytes(b"a = '\xff'")
    assert "byte 5 is not UTF-8" in refused(run_pktmend("bridge", "--config", f"{tmp_path}/binary"))


def test_environment_is_checked_as_the_command_line_is() -> None:
    done = run_pktmend("bridge", "-i", "x", "-I", "y", "--check-config", PKTMEND_WORKERS="many")
    assert done.returncode == 2 and "--workers" in done.stderr and "many" in done.stderr


def test_what_is_no_file_of_settings_is_one_line(tmp_path: Path) -> None:
    fifo = tmp_path / "fifo"
    os.mkfifo(fifo)
    deep = tmp_path / "deep"
    deep.write_text("stage = " + "[" * 100_000)
    for path, words in ((fifo, "no file of settings"), ("/dev/zero", "no file of settings"), (deep, "nested too deep")):
        assert words in refused(run_pktmend("bridge", "--config", str(path)))


def test_file_that_names_code_must_be_trusted(file: Path) -> None:
    file.chmod(0o666)
    assert run_pktmend("bridge", "--config", str(file), "--check-config").returncode == 0
    file.write_text(FILE + 'stage = ["json:loads"]\n')
    assert "names code: everybody may write to" in refused(
        run_pktmend("bridge", "--config", str(file), "--check-config")
    )
    file.chmod(0o644)
    assert "json:loads" in run_pktmend("bridge", "--config", str(file), "--check-config").stdout


def commands() -> list[click.Command]:
    return [getattr(importlib.import_module(f"pktmend.cli.{COMMANDS[name][0]}"), name) for name in CONFIGURABLE]


@pytest.mark.parametrize("command", commands(), ids=CONFIGURABLE)
def test_every_option_has_a_key_that_its_own_type_takes(command: click.Command, tmp_path: Path) -> None:
    """A file with a value for each: read() takes it, and nothing is left over.  New options are covered too."""
    lines: list[str] = []
    wanted: dict[str, Any] = {}
    for p in command.params:
        if p.name in ("config", "check_config"):
            continue
        kind = p.type
        value: Any = "x"
        if isinstance(kind, click.Choice):
            value = str(kind.choices[-1])
        elif isinstance(kind, click.IntRange):
            value = kind.max if kind.max is not None else kind.min
        elif isinstance(kind, (click.types.IntParamType, click.types.FloatParamType)):
            value = 3
        elif isinstance(kind, click.types.BoolParamType):
            value = True
        text = '"x"' if value == "x" else str(value).lower() if isinstance(value, bool) else repr(value)
        is_list = isinstance(p, click.Option) and p.multiple
        lines.append(f"{settings.key_of(p)} = {f'[{text}]' if is_list else text}")
        wanted[str(p.name)] = [value] if is_list or isinstance(p, click.Argument) else value
    path = tmp_path / "all.toml"
    path.write_text("\n".join(lines))
    assert settings.read(str(path), command) == wanted
    assert len(wanted) == len(command.params) - 2 > 2


def test_interface_names_with_digits_stay_text(tmp_path: Path) -> None:
    path = tmp_path / "x.toml"
    path.write_text('a = "10"\nb = "true"\n')
    shown = run_pktmend("bridge", "--config", str(path), "--check-config").stdout
    assert 'a = "10"' in shown and 'b = "true"' in shown


@pytest.mark.parametrize(
    ("variable", "value", "option"),
    [
        ("PKTMEND_WORKERS", "0", "--workers"),
        ("PKTMEND_RING", "v9", "--ring"),
        ("PKTMEND_UNIDIR", "perhaps", "--unidir"),
        ("PKTMEND_DURATION", "-1", "--duration"),
        ("PKTMEND_FINISH", "wlan0", "--finish"),
        ("PKTMEND_A", "nosuch0", "-i"),
    ],
)
def test_a_wrong_setting_of_the_environment_is_named_as_such(variable: str, value: str, option: str) -> None:
    words = ["-I", "lo"] if option == "-i" else ["-i", "lo", "-I", "eth9"]
    done = subprocess.run(
        [*PKTMEND, "bridge", *words],
        env={**os.environ, variable: value},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode in (2, 4) and value in done.stderr
    assert f"'{option}' (set by {variable})" in done.stderr or f"{option} was set by {variable})" in done.stderr


def test_a_wrong_setting_of_the_file_is_named_as_such(tmp_path: Path) -> None:
    path = tmp_path / "bridge.toml"
    path.write_text("duration = -3.0\nworkers = 2\n")
    command = [*PKTMEND, "bridge", "-i", "lo", "-I", "eth9", "--config", str(path)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 2 and f"--duration was set by {path})" in done.stderr and "--workers" not in done.stderr
    stronger = subprocess.run([*command, "--duration", "-4"], capture_output=True, text=True, check=False)
    assert stronger.returncode == 2 and "-4" in stronger.stderr and "set by" not in stronger.stderr
