"""The Debian package: what it says fits the tree; with PKTMEND_PACKAGES=1 it is built, used and removed."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from debian_package import INSTALLED, NEEDED
from pktmend._version import VERSION
from tools import ROOT, need

DEBIAN = ROOT / "debian"


def test_changelog_has_the_version_of_the_package() -> None:
    found = re.match(r"pktmend \(([\d.]+)\) unstable; urgency=medium\n", (DEBIAN / "changelog").read_text())
    assert found and found[1] == VERSION


def test_what_is_installed_is_in_the_tree() -> None:
    for name in ("install", "examples", "docs"):
        for line in (DEBIAN / f"pktmend.{name}").read_text().splitlines():
            assert any(ROOT.glob(line.split()[0])), line


def test_every_unit_is_looked_for() -> None:
    units = {path.name for path in (ROOT / "deploy" / "systemd").glob("*.service")}
    assert units == {Path(name).name for name in INSTALLED if name.endswith(".service")}


@pytest.mark.timeout(5400)  # minutes, an hour where others work too
def test_package_is_built_passes_lintian_works_and_leaves_nothing(tmp_path: Path) -> None:
    need(*NEEDED)
    if os.geteuid() or not os.environ.get("PKTMEND_PACKAGES"):
        pytest.skip("takes minutes and fetches 400 MB: as root with PKTMEND_PACKAGES=1")
    done = subprocess.run(
        [sys.executable, ROOT / "tests" / "debian_package.py", tmp_path],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout
    assert "pktmend works here" in done.stdout and list(tmp_path.glob(f"pktmend_{VERSION}_*.deb"))
