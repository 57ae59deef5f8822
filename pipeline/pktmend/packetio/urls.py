"""Files that have a URL: s3://bucket/name, memory://name and whatever else fsspec knows, where it is installed.

A file is opened to read, or written whole: it is there, all of it, once it is closed without an error.
"""

from __future__ import annotations

import errno
import re
from collections.abc import Iterator
from contextlib import contextmanager
from typing import IO, Any, Final

from pktmend.errors import ConfigError, OSFailure

EXTRA: Final = "pip install 'pktmend[cluster]'"
_URL: Final = r"[A-Za-z][A-Za-z0-9+.-]*://"


def is_url(path: str) -> bool:
    """Does it begin with a scheme, as s3://bucket/name does?"""
    return "://" in path and re.match(_URL, path) is not None


def _system(url: str) -> tuple[Any, str]:
    """Return the file system of *url*, and the name in it.  Raises: OSFailure."""
    try:
        from fsspec.core import url_to_fs
    except ImportError:
        raise OSFailure(f"{url} needs fsspec", EXTRA, subject=url) from None
    with _failing("read", url):
        system, name = url_to_fs(url)
        return system, name


@contextmanager
def _failing(verb: str, url: str) -> Iterator[None]:
    """Say of whatever the store's library raises that *url* is what it is about."""
    try:
        yield
    except (OSFailure, ConfigError):
        raise
    except OSError as error:
        words = error.strerror or ("it is not there" if isinstance(error, FileNotFoundError) else str(error))
        number = error.errno or (errno.ENOENT if isinstance(error, FileNotFoundError) else 0)
        raise OSFailure(f"cannot {verb} {url}: {words}", "", number, url) from error
    except ImportError as error:  # s3fs, gcsfs, adlfs
        raise OSFailure(f"cannot {verb} {url}: {error}", "", subject=url) from error
    except Exception as error:  # of a store's own kind
        raise OSFailure(f"cannot {verb} {url}: {type(error).__name__}: {error}", "", subject=url) from error


def open_url(url: str) -> IO[bytes]:
    """Open *url* to read.  Raises: OSFailure."""
    system, name = _system(url)
    with _failing("read", url):
        file: IO[bytes] = system.open(name, "rb")
        return file


def size_of(url: str) -> int:
    """Return the bytes of the file, 0 where the store does not say.  Raises: OSFailure."""
    system, name = _system(url)
    with _failing("read", url):
        return int(system.size(name) or 0)


def read_range(url: str, start: int, end: int) -> bytes:
    """Return the bytes [start, end) of the file, or what there is of them.  Raises: OSFailure."""
    system, name = _system(url)
    with _failing("read", url):
        return bytes(system.cat_file(name, start=start, end=end))


def list_url(url: str) -> list[str]:
    """Return the files that *url* names, as URLs, sorted: itself, those below a folder, or those of a pattern."""
    system, name = _system(url)
    with _failing("read", url):
        if any(letter in name for letter in "*?["):
            found = [each for each in system.glob(name) if system.isfile(each)]
        elif system.isdir(name):
            found = system.find(name)
        else:
            return [url]
        return sorted(system.unstrip_protocol(each) for each in found)


def put_url(local: str, url: str) -> None:
    """Copy the file *local* to *url*.  Raises: OSFailure."""
    system, name = _system(url)
    with _failing("write", url):
        system.makedirs(name.rpartition("/")[0], exist_ok=True)
        system.put_file(local, name)


def remove_url(url: str) -> bool:
    """Remove the file, if it is there; was it?  Raises: OSFailure."""
    system, name = _system(url)
    with _failing("write", url):
        is_there = bool(system.exists(name))
        if is_there:
            system.rm_file(name)
        return is_there
