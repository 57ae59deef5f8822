"""Built by cffi from bench/traffic; see build.py there."""

from typing import Any

ffi: Any
lib: Any
