"""Files that are written at the end of something long: whether they can be is found out at its beginning."""

from __future__ import annotations

from pktmend.host.output_file import check_output


def require_writable(path: str) -> None:
    """Raise OSFailure if *path* could not be written now; nothing is made or changed."""
    check_output(path)
