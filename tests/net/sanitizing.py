"""The extensions built with AddressSanitizer and UndefinedBehaviorSanitizer, beside the tests that do without."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

from tools import ROOT


class Build:
    """A build of the extensions for the sanitizers, under way."""

    def __init__(self) -> None:
        self._folder = Path(tempfile.mkdtemp(prefix="pktmend-sanitized-"))
        self._process = subprocess.Popen(
            [
                "nice",
                sys.executable,
                "setup.py",
                "-q",
                "build_ext",
                "--build-lib",
                str(self._folder),
                "--build-temp",
                str(self._folder / "temp"),
            ],
            cwd=ROOT,
            env={**os.environ, "PKTMEND_SANITIZE": "1", "PKTMEND_WERROR": "1"},
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
        )

    def wait(self) -> Path:
        """Return the folder in which they are."""
        said = self._process.communicate()[1].decode(errors="replace")
        assert self._process.returncode == 0, said[-3000:]
        return self._folder

    def close(self) -> None:
        """End it, and remove what it has made."""
        if self._process.poll() is None:
            self._process.kill()
            self._process.communicate()
        shutil.rmtree(self._folder, ignore_errors=True)
