"""Built by cffi from the kernel's headers; see _kernel_build.py."""

from typing import Any

ffi: Any
lib: Any
