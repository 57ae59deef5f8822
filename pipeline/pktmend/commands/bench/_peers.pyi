"""Built by cffi from bench/peers; see build.py there."""

from typing import Any

ffi: Any
lib: Any
