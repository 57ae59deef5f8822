"""Files that lie outside of the package in the tree and come along in it: pages, captures, what is deployed."""

from __future__ import annotations

from pathlib import Path
from typing import Final

from pktmend.errors import OSFailure

PACKAGE: Final = Path(__file__).resolve().parents[1]


def shipped_folder(installed: str, in_tree: str) -> Path:
    """Return where the files lie: in the package, or beside it in the tree of an editable install."""
    folder = PACKAGE / installed
    return folder if folder.is_dir() else PACKAGE.parents[1] / in_tree


def read_shipped(path: Path) -> bytes:
    """Return what is in one of them.  Raises: OSFailure if the installation is not whole."""
    try:
        return path.read_bytes()
    except OSError as error:
        raise OSFailure(f"{path}: {error.strerror}", "install pktmend again", error.errno or 0, str(path)) from error
