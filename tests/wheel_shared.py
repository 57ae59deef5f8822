"""The wheel, installed once for all tests of a run that use it as a user would."""

from __future__ import annotations

import shutil
from importlib import metadata
from pathlib import Path

import pytest

from installed import build_wheel, make_environment

_made: dict[tuple[str, ...], Path] = {}


def installed_pktmend(factory: pytest.TempPathFactory, *also: str) -> Path:
    """Return the command of an environment with the wheel, what it depends on, and the distributions *also*."""
    if also not in _made:
        folder = factory.mktemp("wheel")
        command = make_environment(folder / "environment", build_wheel(folder))
        (site,) = command.parents[1].glob("lib/*/site-packages")
        for name in also:
            _copy(name, site)
        _made[also] = command
    return _made[also]


def _copy(name: str, site: Path) -> None:
    """Copy a distribution of Python alone, as it is installed here."""
    for file in metadata.files(name) or ():
        (site / file).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy2(str(file.locate()), site / file)
