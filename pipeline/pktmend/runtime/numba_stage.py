"""pp_batch for Numba: the type of a stage compiled with @cfunc, and its columns as arrays.

    from numba import cfunc
    from numpy import uint8
    from pktmend.runtime import numba_stage

    @cfunc(numba_stage.SIGNATURE)
    def drop_udp(batch, context):
        b = numba_stage.carray(batch, 1)[0]
        protocol = numba_stage.column(b.protocol, b.count, uint8)
        ...
        return 0

`batch` points at the pp_batch of <pktmend/stage.h>, whose columns are addresses; `column` makes an array of one.
Nothing here checks bounds: that is the price of compiled code.  Needs numba.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import cffi
from numba import carray, njit, types
from numba.core import cgutils
from numba.extending import intrinsic

from pktmend.runtime.stages import include_dir

__all__ = ["BATCH", "SIGNATURE", "carray", "column"]


def _record() -> Any:
    """<pktmend/stage.h>, read by cffi, as the record that Numba sees; pointers are integers there."""
    header = re.sub(r"/\*.*?\*/", "", (Path(include_dir()) / "pktmend" / "stage.h").read_text(), flags=re.DOTALL)
    struct = re.search(r"typedef struct pp_batch {.*?} pp_batch;", header, re.DOTALL)
    if struct is None:
        raise RuntimeError(f"no pp_batch in {include_dir()}/pktmend/stage.h")
    ffi = cffi.FFI()
    ffi.cdef(f"typedef struct pp_check pp_check; typedef struct pp_tally pp_tally; {struct[0]}")
    sizes = {2: types.uint16, 4: types.uint32, 8: types.uint64}
    return types.Record.make_c_struct(
        [
            (name, types.uintp if field.type.kind == "pointer" else sizes[ffi.sizeof(field.type)])
            for name, field in ffi.typeof("pp_batch").fields
        ]
    )


BATCH = _record()
SIGNATURE = types.int32(types.CPointer(BATCH), types.voidptr)


@intrinsic
def _pointer(typing: Any, address: Any) -> Any:
    """The address as a pointer."""

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        return builder.inttoptr(arguments[0], cgutils.voidptr_t)

    return types.voidptr(types.uintp), generate


@njit
def column(address: Any, count: Any, dtype: Any) -> Any:
    """Return the array of *count* values of *dtype* that lies at *address*."""
    return carray(_pointer(address), count, dtype)
