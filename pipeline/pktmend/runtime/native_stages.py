"""Stages in C of your own: compiled here from their text, or by you.

Whatever comes says for which ABI of <pktmend/stage.h> it was built, and is refused if that is another.
"""

from __future__ import annotations

import importlib.util
import os
import sys
from pathlib import Path
from typing import Any

from pktmend import _core
from pktmend.errors import ConfigError, StageError
from pktmend.host.own_folder import OwnFolder, home
from pktmend.host.trusted_path import require_trusted, sudo_caller
from pktmend.include import include_dir

_SIGNATURE = ("int", ("pp_batch *", "void *"))
_WANTED = "int (*)(pp_batch *, void *)"
_SAY_ABI = (
    "PKTMEND_STAGE(NAME) in C, wrap_native(lib.pktmend_stage_of_NAME) in Python; see `pktmend help writing-stages`"
)

STAGE_CDEF = """
typedef struct pp_batch pp_batch;
typedef struct { uint32_t size; uint32_t abi; int (*run)(pp_batch *, void *); } pktmend_stage;
"""  # for cffi: behind it, `extern const pktmend_stage pktmend_stage_of_NAME;` for each stage


def wrap_native(function: Any, *, context: int = 0, name: str = "") -> _core.NativeStage:
    """Make a stage of a C function that says which <pktmend/stage.h> it was built with.

    function: what PKTMEND_STAGE(NAME) exports, through cffi: `lib.pktmend_stage_of_NAME`; a PyCapsule named
              PKTMEND_CAPSULE around it, which Cython's stage_capsule() makes; a Numba cfunc of numba_stage.SIGNATURE.
    context:  address handed to each call; what it points at is the caller's to keep alive.
    Raises:   ConfigError if it is of another type, or was built for another ABI: then it is never called.
    """
    if type(function).__name__ == "PyCapsule":
        return _core.capsule_stage(function, name or "native", context=context)
    if type(function).__module__.startswith("numba."):
        return _numba_stage(function, name or function.__name__, context)
    return _cffi_stage(function, name or "native", context)


def _cffi_stage(found: Any, name: str, context: int) -> _core.NativeStage:
    """A pktmend_stage, or a pointer at one, as cffi shows it."""
    import _cffi_backend

    try:
        kind = _cffi_backend.typeof(found)
    except TypeError:
        raise ConfigError(
            f"{found!r} is neither a cffi pktmend_stage, a Numba cfunc nor a PyCapsule", _SAY_ABI
        ) from None
    if kind.kind == "pointer":
        kind = kind.item
        if not found:
            raise ConfigError(f"stage {name} is a null pointer", _SAY_ABI)
    if kind.kind == "function":
        _require_signature(kind)
        raise ConfigError(
            f"stage {name}: a bare function does not say for which ABI it was built",
            _SAY_ABI,
        )
    if kind.kind != "struct" or [field for field, _ in kind.fields or ()] != ["size", "abi", "run"]:
        raise ConfigError(f"{found!r} is a {kind.cname}, not a pktmend_stage", _SAY_ABI)
    _require_signature(dict(kind.fields)["run"].type)
    address = int(_cffi_backend.cast(_cffi_backend.new_primitive_type("uintptr_t"), found.run))
    return _core.native_stage(address, name, abi=found.abi, size=found.size, context=context, keep=found)


def _require_signature(function: Any) -> None:
    """Raise ConfigError unless a cffi function type is a stage's."""
    if function.kind != "function":
        raise ConfigError(f"a native stage is {_WANTED}, not {function.cname}")
    arguments = tuple(argument.cname.replace("struct ", "") for argument in function.args)  # a struct or its typedef
    if (function.result.cname, arguments) != _SIGNATURE or function.ellipsis:
        raise ConfigError(f"a native stage is {_WANTED}, not {function.cname}")


def _numba_stage(function: Any, name: str, context: int) -> _core.NativeStage:
    """A Numba cfunc; the record that its first argument points at says for which ABI it was compiled."""
    from pktmend.runtime.numba_stage import built_for

    built = built_for(getattr(function, "_sig", None))
    if built is None:
        raise ConfigError(
            f"a native stage is {_WANTED}, not {getattr(function, '_sig', function)}",
            "@numba.cfunc(pktmend.runtime.numba_stage.SIGNATURE)",
        )
    abi, size = built
    return _core.native_stage(function.address, name, abi=abi, size=size, context=context, keep=function)


def build_native(source: str, function: str, *, name: str = "") -> _core.NativeStage:
    """Compile C *source* with cffi against <pktmend/stage.h> and return its *function* as a stage.

    source:   C text; `<pktmend/stage.h>` is included for it.  Needs a C compiler.
    function: defined by PKTMEND_STAGE(function), or as `int function(pp_batch *, void *)`: it is compiled against this
              very header.
    Returns:  the stage.  The compiled module is kept in the user's cache, by content.
    Raises:   StageError with the compiler's words; ConfigError if the source was made for another ABI.
    """
    import cffi

    headers = sorted((Path(include_dir()) / "pktmend").glob("*.h"))  # another layout is another module
    import hashlib  # only here: it loads OpenSSL

    # the compiler counts lines as the author of the stage does
    text = f'#include <pktmend/stage.h>\n#line 1 "stage {function}"\n{source}\n{_FOUND.format(function=function)}'

    layout = "".join(header.read_text() for header in headers)
    digest = hashlib.sha256(f"{layout}\0{text}\0{sys.implementation.cache_tag}".encode()).hexdigest()
    module = f"_pktmend_stage_{digest[:16]}"
    cache = Path(os.environ.get("XDG_CACHE_HOME") or home() / ".cache") / "pktmend" / "stages"
    built = next(iter(cache.glob(f"{module}.*so")), None)
    if built is None:
        ffi = cffi.FFI()
        ffi.cdef(f"{STAGE_CDEF} int {function}(pp_batch *, void *); const pktmend_stage *pktmend_found(void);")
        ffi.set_source(module, text, include_dirs=[include_dir()])
        OwnFolder(cache, owner=sudo_caller()).close()  # the compiler follows links there
        try:
            built = Path(ffi.compile(tmpdir=str(cache)))
        except Exception as error:
            raise StageError(f"compiling the native stage {function!r}: {error}", stage=function) from error
    built = require_trusted(built, f"stage {function}")  # the cache may be another user's, as with `sudo -E`
    spec = importlib.util.spec_from_file_location(module, built)
    if spec is None or spec.loader is None:
        raise StageError(f"cannot load {built}", stage=function)
    loaded = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(loaded)
    return wrap_native(loaded.lib.pktmend_found(), name=name or function)


# Behind a source: what PKTMEND_STAGE exported, or else the function.  The second declaration is a tentative definition
# (C11 6.9.2): it is that of PKTMEND_STAGE if there is one, and all zero if there is none.
_FOUND = """
const pktmend_stage pktmend_stage_of_{function};
static const pktmend_stage *pktmend_found(void)
{{
    static const pktmend_stage plain = {{ sizeof(pp_batch), PP_ABI, {function} }};
    return pktmend_stage_of_{function}.run ? &pktmend_stage_of_{function} : &plain;
}}
"""
