"""Built by cffi from the kernel's headers; _kernel_build.py has the list of names."""

from typing import Final

from _cffi_backend import FFI

class Lib:
    """The kernel's constants; tests/unit/test_kernel_constants.py holds their use to the list."""

    def __getattr__(self, name: str, /) -> int: ...
    def load_bpf(self, kind: int, instructions: bytes, count: int, log: FFI.CData, log_size: int, /) -> int: ...

ffi: Final[FFI]
lib: Final[Lib]
