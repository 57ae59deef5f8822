"""An environment that holds the built wheel and what it depends on: what `pip install pktmend` alone makes."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import venv
import zipfile
from collections.abc import Iterator, Mapping
from importlib import metadata
from pathlib import Path

import click
import pytest

from pktmend.cli import pktmend
from tools import ROOT

DEPENDENCIES = ("cffi", "pycparser", "click", "msgspec")
START = "import sys\nfrom pktmend.cli import main\nsys.exit(main())\n"


def build_wheel(
    folder: Path, *options: str, environment: Mapping[str, str] | None = None, seconds: float = 800
) -> Path:
    """Build the wheel of this tree out of the objects that are compiled already; skip where it cannot be built.

    options: of setup.py, before bdist_wheel's; environment: beside this process's; seconds: it may take.
    """
    egg, base, unpacked = (folder / name for name in ("egg", "base", "unpacked"))
    egg.mkdir()
    steps = ["egg_info", "--egg-base", egg, "build", "--build-base", base, *options]
    last = ["bdist_wheel", "--bdist-dir", unpacked, "--dist-dir", folder]
    done = subprocess.run(
        [sys.executable, "setup.py", "-q", *map(str, [*steps, *last])],
        cwd=ROOT,
        env={**os.environ, **(environment or {})},
        capture_output=True,
        text=True,
        check=False,
        timeout=seconds,
    )
    found = sorted(folder.glob("*.whl"))
    if done.returncode or not found:
        pytest.skip(f"no wheel can be built here: {done.stderr.strip()[-300:]}")
    return found[0]


def make_environment(folder: Path, wheel: Path, *also: str) -> Path:
    """Make an environment with *wheel*, its dependencies and the distributions *also*, as they are installed here.

    Without a network.  Returns: its `pktmend`.
    """
    venv.create(folder, with_pip=False, symlinks=True)
    version = f"python{sys.version_info.major}.{sys.version_info.minor}"
    site = folder / "lib" / version / "site-packages"
    unpack_wheel(wheel, site)
    for name in (*DEPENDENCIES, *also):
        copy_distribution(name, site)
    command = folder / "bin" / "pktmend"
    command.write_text(f"#!{folder / 'bin' / 'python'}\n{START}")
    command.chmod(0o755)
    return command


def unpack_wheel(wheel: Path, site: Path) -> None:
    """Put what is in *wheel* into the folder of packages *site*."""
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(site)


def copy_distribution(name: str, site: Path) -> None:
    """Copy what is installed here under that name."""
    found = metadata.distribution(name)
    for file in found.files or ():
        source = Path(str(found.locate_file(file)))
        if ".." not in file.parts and source.is_file():
            target = site / file
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(source, target)


def leaf_commands(command: click.Command = pktmend, name: str = "") -> Iterator[tuple[str, click.Command]]:
    """Yield every command that is no group, by its words behind `pktmend`."""
    if not isinstance(command, click.Group):
        yield name, command
        return
    context = click.Context(command)
    for each in command.list_commands(context):
        found = command.get_command(context, each)
        assert found is not None
        yield from leaf_commands(found, f"{name} {each}".strip())
