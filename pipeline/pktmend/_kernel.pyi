"""Built by cffi from the kernel's headers; _kernel_build.py has the list of names."""

from typing import Any, Final

from _cffi_backend import FFI as CompiledFFI

class FFI(CompiledFFI):
    """What all of our extensions by cffi have: strings are of char, functions have an address, structs have fields."""

    def new(self, cdecl: str | CompiledFFI.CType, init: object = None) -> Any: ...
    def string(self, cdata: CompiledFFI.CData, maxlen: int = -1) -> bytes: ...
    def addressof(self, of: object, /, *field_or_name: str | int) -> CompiledFFI.CData: ...

class Lib:
    """The kernel's constants; tests/unit/test_kernel_constants.py holds their use to the list."""

    def __getattr__(self, name: str, /) -> int: ...
    def load_bpf(self, kind: int, instructions: bytes, count: int, log: FFI.CData, log_size: int, /) -> int: ...

ffi: Final[FFI]
lib: Final[Lib]
