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

The record is that of the engine which is loaded, and says so: a member `abi_2` lies where `abi` does.
"""

from __future__ import annotations

from typing import Any

from numba import carray, njit, types
from numba.core import cgutils
from numba.extending import intrinsic

from pktmend._core import ABI, batch_layout

__all__ = ["BATCH", "SIGNATURE", "built_for", "carray", "column"]

_UNSIGNED = {2: types.uint16, 4: types.uint32, 8: types.uint64}
_POINTERS = {"tally", "checks"}  # beside the columns
_ABI = "abi_"


def _record() -> Any:
    """pp_batch as Numba sees it; pointers are integers there."""
    size, members = batch_layout()
    fields = [
        (name, {"type": types.uintp if is_column or name in _POINTERS else _UNSIGNED[width], "offset": offset})
        for name, offset, width, is_column in members
    ]
    at = {name: offset for name, offset, _, _ in members}["abi"]
    return types.Record([*fields, (f"{_ABI}{ABI}", {"type": types.uint32, "offset": at})], size, aligned=True)


BATCH = _record()
SIGNATURE = types.int32(types.CPointer(BATCH), types.voidptr)


def built_for(signature: Any) -> tuple[int, int] | None:
    """Return the ABI and the size of pp_batch that a cfunc's *signature* was made with; None if it is no stage's."""
    if signature is None or signature.return_type != types.int32 or len(signature.args) != 2:
        return None
    batch, context = signature.args
    if context != types.voidptr or not isinstance(batch, types.CPointer) or not isinstance(batch.dtype, types.Record):
        return None
    abis = [name.removeprefix(_ABI) for name in batch.dtype.fields if name.startswith(_ABI)]
    return (int(abis[0]), batch.dtype.size) if len(abis) == 1 and abis[0].isdecimal() else None


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
