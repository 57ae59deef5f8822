"""Put the plug-in where Wireshark looks for it: a few lines of shell that start this very pktmend."""

from __future__ import annotations

import os
import shlex
import shutil
import subprocess
from pathlib import Path
from typing import Final

from pktmend.errors import OSFailure
from pktmend.host.output_file import write_text
from pktmend.host.own_command import own_command

NAME: Final = "pktmend-extcap"
MODE: Final = 0o755
SECONDS: Final = 30.0
KINDS: Final = ("Personal Extcap path", "Extcap path")  # as `tshark -G folders` has them, the better first


def install(folder: str | None) -> Path:
    """Write the plug-in into *folder*, by default the one that Wireshark says; return the file.  Raises OSFailure."""
    where = Path(folder) if folder is not None else _folder()
    if folder is None:
        where.mkdir(mode=0o755, parents=True, exist_ok=True)
    path = where / NAME
    line = shlex.join(own_command("extcap"))
    write_text(
        str(path),
        f'#!/bin/sh\n# Made by `pktmend extcap --install`; delete it to uninstall.\nexec {line} "$@"\n',
        mode=MODE,
    )
    return path


def _folder() -> Path:
    """Return where Wireshark looks for plug-ins of this user, or of all."""
    if said := os.environ.get("WIRESHARK_EXTCAP_DIR"):
        return Path(said)
    program = shutil.which("tshark") or shutil.which("wireshark")
    if program is None:
        raise OSFailure(
            "neither tshark nor wireshark was found to ask for its folder of plug-ins", "give it: --dir DIR"
        )
    done = subprocess.run([program, "-G", "folders"], capture_output=True, text=True, timeout=SECONDS, check=False)
    folders = dict(line.split(":", 1) for line in done.stdout.splitlines() if ":" in line)
    for kind in KINDS:
        if path := folders.get(kind, "").strip():
            return Path(path)
    raise OSFailure(f"{program} -G folders names no folder of plug-ins", "give it: --dir DIR")
