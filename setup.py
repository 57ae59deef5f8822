"""Build the extensions: pktmend._core (Cython over ext/), pktmend._kernel (cffi over the kernel's headers),
pktmend.commands.bench._peers (what `pktmend bench` compares with) and ._traffic (what it sends and counts).

PKTMEND_SANITIZE=1 builds the engine with AddressSanitizer and UndefinedBehaviorSanitizer.
"""

import os
import shutil
from pathlib import Path

from setuptools import Extension, setup
from setuptools.command.build_py import build_py

ROOT = Path(__file__).parent
EXT = ROOT / "ext"
PACKAGE = ROOT / "pipeline" / "pktmend"
ENGINE = (
    "sum",
    "parse",
    "offload",
    "check",
    "observe",
    "run",
    "io",
)  # folders of ext/; bench/ has extensions of its own


class build_with_headers(build_py):
    """Put the public header into the package, where a user's native stage finds it."""

    def run(self) -> None:
        super().run()
        target = Path(self.build_lib) / "pktmend" / "include" / "pktmend"
        target.mkdir(parents=True, exist_ok=True)
        for header in (EXT / "include" / "pktmend").glob("*.h"):
            shutil.copy2(header, target / header.name)


# Without the SLP vectoriser: it loads two fields at once that were just stored one by one, which stalls the parser.
flags = ["-std=gnu11", "-O3", "-fno-tree-slp-vectorize", "-fvisibility=hidden", "-Wall", "-Wextra"]
link = []
if os.environ.get("PKTMEND_SANITIZE"):
    sanitize = ["-fsanitize=address,undefined", "-fno-omit-frame-pointer", "-g1", "-O1"]
    flags += sanitize
    link += sanitize

core = Extension(
    "pktmend._core",
    sources=[
        "pipeline/pktmend/_core.pyx",
        *sorted(str(p.relative_to(ROOT)) for folder in ENGINE for p in (EXT / folder).glob("*.c")),
    ],
    depends=sorted(str(p.relative_to(ROOT)) for p in (*EXT.rglob("*.h"), *PACKAGE.glob("core/*.pxi"))),
    include_dirs=["ext", "ext/include", "pipeline"],
    extra_compile_args=flags,
    extra_link_args=link,
    define_macros=[("CYTHON_USE_TYPE_SPECS", "0")],
)

setup(
    ext_modules=[core],
    cffi_modules=[
        "pipeline/pktmend/_kernel_build.py:ffi",
        "ext/bench/peers_build.py:ffi",
        "ext/bench/traffic_build.py:ffi",
    ],
    cmdclass={"build_py": build_with_headers},
)
