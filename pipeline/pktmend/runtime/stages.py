"""The stages that come with the engine, and how to bring your own.

A stage is anything that can be called with a batch.  It reads columns, writes columns, returns nothing.
`verify`, `classify`, `count`, `repair` and `drop_corrupt` are ready made, in C; in a pipeline they run without the GIL.
`Verify(...)`, `Repair(...)` and `Classify()` make others with options: a name with a capital is a class, one without
is a stage or a function.

BUILTIN says what each reads, writes and costs.
"""

from __future__ import annotations

import hashlib
import importlib.util
import os
import sys
from pathlib import Path
from typing import Any, Self

from pktmend import _core
from pktmend.enums import RepairPolicy
from pktmend.errors import ConfigError, StageError

_EXPECTED, _AT_WIRE = 1, 2
_SIGNATURE = ("int", ("pp_batch *", "void *"))
_WANTED = "int (*)(pp_batch *, void *)"


class Verify(_core.NativeStage):
    """Find every checksum of each packet and say of each: good, absent, unchecked, pending or bad.

    expected: also compute what a pending checksum will be (costs a pass over the payload).
    at_wire:  the packets were taken beyond the sender: a partial checksum has leaked, even without metadata.

    Reads: frames, flags.  Writes: status, checks, l3, l4, version, protocol.
    """

    __slots__ = ()

    def __new__(cls, *, expected: bool = False, at_wire: bool = False) -> Self:
        return _core.verify_stage((_EXPECTED if expected else 0) | (_AT_WIRE if at_wire else 0), cls)


class Classify(_core.NativeStage):
    """Say why a bad checksum is bad.  In a pipeline each worker remembers witnesses of address translation.

    Called outside of a pipeline, an instance remembers them from batch to batch, for one thread; the ready-made
    `classify`, which all share, knows the batch at hand.

    Reads: checks, frames.  Writes: cause; status of outer checks.
    """

    __slots__ = ()

    def __new__(cls) -> Self:
        return _core.classify_stage(cls, remembers=True)


class Repair(_core.NativeStage):
    """Complete checksums in place, and the status with them.

    policy: a RepairPolicy or its word.  leaked: what is provably partial and lost its metadata.  unfinished: also what
            is pending, for files.  all: whatever can be computed, corruption included.  none: nothing.
    Raises: ConfigError for another word.

    Reads: checks, verdict.  Writes: checksum fields, status.
    """

    __slots__ = ()

    def __new__(cls, policy: RepairPolicy | str = RepairPolicy.LEAKED) -> Self:
        if isinstance(policy, str):
            try:
                policy = RepairPolicy[policy.upper()]
            except KeyError:
                raise ConfigError(f"repair policy {policy!r}", f"one of {', '.join(map(str, RepairPolicy))}") from None
        return _core.repair_stage(int(policy), cls)


verify = Verify()
classify = _core.classify_stage(_core.NativeStage)
count = _core.count_stage()
repair = Repair()
drop_corrupt = _core.drop_corrupt_stage()

# stage: (reads, writes, what its cost grows with)
BUILTIN: dict[_core.NativeStage, tuple[str, str, str]] = {
    verify: ("frames, flags", "status, checks, l3, l4, version, protocol", "every octet that a sum covers"),
    classify: ("checks, frames", "cause; status of outer checks", "packets, and bad checks"),
    count: ("status, checks, flags", "the worker's counters", "checks"),
    drop_corrupt: ("status", "verdict", "packets"),
    repair: ("checks, verdict", "checksum fields, status", "packets, and fields that are written"),
}


def include_dir() -> str:
    """Return the folder that holds pktmend/stage.h, the C header of a native stage."""
    package = Path(__file__).parent.parent
    packaged = package / "include"
    if (packaged / "pktmend" / "stage.h").exists():
        return str(packaged)
    return str(package.parents[1] / "ext" / "include")  # an editable install


def wrap_native(function: Any, *, context: int = 0, name: str = "") -> _core.NativeStage:
    """Make a stage of a C function `int f(pp_batch *, void *)`.

    function: its type is checked: a cffi function pointer; a Numba @cfunc; a PyCapsule named `pktmend.stage/1`, or one
              by which Cython exports a function (module.__pyx_capi__[name]).
    context:  address handed to each call; what it points at is the caller's to keep alive.
    Raises:   ConfigError if the type is another.
    """
    if type(function).__name__ == "PyCapsule":
        return _core.native_stage(function, name or "native", context, keep=function)
    if type(function).__module__.startswith("numba."):
        return _core.native_stage(_numba_address(function), name or function.__name__, context, keep=function)
    try:
        import _cffi_backend

        kind = _cffi_backend.typeof(function)
    except TypeError:
        raise ConfigError(
            f"{function!r} is neither a cffi function, a Numba cfunc nor a PyCapsule", "see docs/stages.md"
        ) from None
    if kind.kind == "pointer" and kind.item.kind == "function":
        kind = kind.item
    if kind.kind != "function":
        raise ConfigError(f"{function!r} is a {kind.cname}, not a function")
    signature = (kind.result.cname, tuple(_plain(argument.cname) for argument in kind.args))
    if signature != _SIGNATURE or kind.ellipsis:
        raise ConfigError(f"a native stage is {_WANTED}, not {kind.cname}")
    pointer = function
    if not isinstance(function, _cffi_backend._CDataBase):
        raise ConfigError("hand over ffi.addressof(lib, name), the function's address, not lib.name")
    address = int(_cffi_backend.cast(_cffi_backend.new_primitive_type("uintptr_t"), pointer))
    return _core.native_stage(address, name or "native", context, keep=function)


def _numba_address(function: Any) -> int:
    """The address of a Numba cfunc of the right type: two pointers in, an int out."""
    signature = getattr(function, "_sig", None)
    if signature is None:
        raise ConfigError(f"{function!r} is not a cfunc", "@numba.cfunc(pktmend.runtime.numba_stage.SIGNATURE)")
    arguments = [str(each) for each in signature.args]
    if str(signature.return_type) != "int32" or len(arguments) != 2 or not all(a.endswith("*") for a in arguments):
        raise ConfigError(
            f"a native stage is {_WANTED}, not {signature}", "pktmend.runtime.numba_stage.SIGNATURE is its type"
        )
    return int(function.address)


def _plain(cname: str) -> str:
    """struct pp_batch and its typedef are the same thing."""
    return cname.replace("struct ", "")


def build_native(source: str, function: str, *, name: str = "") -> _core.NativeStage:
    """Compile C *source* with cffi against <pktmend/stage.h> and return its *function* as a stage.

    source:  C text; `<pktmend/stage.h>` is included for it.  Needs a C compiler.
    Returns: a type-checked stage.  The compiled module is kept in the user's cache, by content.
    Raises:  StageError with the compiler's words; ConfigError for a function of another type or a missing one.
    """
    import cffi

    header = (Path(include_dir()) / "pktmend" / "stage.h").read_text()  # another layout is another module
    digest = hashlib.sha256(f"{header}\0{source}\0{function}\0{sys.implementation.cache_tag}".encode()).hexdigest()
    module = f"_pktmend_stage_{digest[:16]}"
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "pktmend" / "stages"
    built = next(iter(cache.glob(f"{module}.*so")), None)
    if built is None:
        ffi = cffi.FFI()
        ffi.cdef(f"typedef struct pp_batch pp_batch; int {function}(pp_batch *, void *);")
        ffi.set_source(module, "#include <pktmend/stage.h>\n" + source, include_dirs=[include_dir()])
        cache.mkdir(parents=True, exist_ok=True, mode=0o700)
        try:
            built = Path(ffi.compile(tmpdir=str(cache)))
        except Exception as error:
            raise StageError(f"compiling the native stage {function!r}: {error}", stage=function) from error
    spec = importlib.util.spec_from_file_location(module, built)
    if spec is None or spec.loader is None:
        raise StageError(f"cannot load {built}", stage=function)
    loaded = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(loaded)
    return wrap_native(loaded.ffi.addressof(loaded.lib, function), name=name or function)
