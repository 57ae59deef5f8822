"""Build the extensions: pipeline._core (Cython over ext/*.c), pipeline._kernel (cffi over the kernel's headers),
pipeline._peers (what `pktmend bench` compares with) and pipeline._traffic (what it sends and counts).

PKTMEND_SANITIZE=1 builds the engine with AddressSanitizer and UndefinedBehaviorSanitizer.
"""

import os
import shutil
from pathlib import Path

from setuptools import Extension, setup
from setuptools.command.build_py import build_py

ROOT = Path(__file__).parent
EXT = ROOT / "ext"


class build_with_headers(build_py):
    """Put the public header into the package, where a user's native stage finds it."""

    def run(self) -> None:
        super().run()
        target = Path(self.build_lib) / "pipeline" / "include"
        target.mkdir(parents=True, exist_ok=True)
        shutil.copy2(EXT / "pp.h", target / "pp.h")


# Without the SLP vectoriser: it loads two fields at once that were just stored one by one, which stalls the parser.
flags = ["-std=gnu11", "-O3", "-fno-tree-slp-vectorize", "-fvisibility=hidden", "-Wall", "-Wextra"]
link = []
if os.environ.get("PKTMEND_SANITIZE"):
    sanitize = ["-fsanitize=address,undefined", "-fno-omit-frame-pointer", "-g1", "-O1"]
    flags += sanitize
    link += sanitize

core = Extension(
    "pipeline._core",
    sources=["pipeline/_core.pyx", *sorted(str(p.relative_to(ROOT)) for p in EXT.glob("*.c"))],
    depends=sorted(str(p.relative_to(ROOT)) for p in (*EXT.glob("*.h"), *(ROOT / "pipeline").glob("core/*.pxi"))),
    include_dirs=["ext"],
    extra_compile_args=flags,
    extra_link_args=link,
    define_macros=[("CYTHON_USE_TYPE_SPECS", "0")],
)

setup(
    ext_modules=[core],
    cffi_modules=["pipeline/_kernel_build.py:ffi", "bench/peers/build.py:ffi", "bench/traffic/build.py:ffi"],
    cmdclass={"build_py": build_with_headers},
)
