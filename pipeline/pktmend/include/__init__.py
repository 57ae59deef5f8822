"""Where native stages and C programs find the headers <pktmend/...> and libpktmend.so.

cc $(python -m pktmend.include --cflags) sum.c $(python -m pktmend.include --libs)
PKG_CONFIG_PATH=$(python -m pktmend.include --pkgconfigdir) pkg-config --cflags --libs pktmend
"""

from __future__ import annotations

from pathlib import Path

_PACKAGE = Path(__file__).parent.parent


def include_dir() -> str:
    """Return the folder that holds pktmend/stage.h and the other C headers: for the compiler's -I."""
    packaged = _PACKAGE / "include"
    if (packaged / "pktmend" / "stage.h").exists():
        return str(packaged)
    return str(_PACKAGE.parents[1] / "ext" / "include")  # an editable install


def lib_dir() -> str:
    """Return the folder that holds libpktmend.so, for the linker's -L, and pktmend.pc, for pkg-config."""
    return str(_PACKAGE)
