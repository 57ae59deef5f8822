"""Build the engine, libpktmend.so, and the extension modules that are linked to it.

libpktmend.so             the C of ext/, without ext/bench; what it shows stands in ext/libpktmend.map
pktmend/bpf/*.bpf.o       as they are in ext/bpf, where they were compiled: nothing here needs clang
pktmend._core.*           Cython, a module for each .pyx
pktmend._kernel           cffi over the kernel's headers
pktmend.commands.bench.*  cffi over ext/bench: what `pktmend bench` compares with, and the traffic that it makes

Objects stay in build/, and only what changed is compiled again, several files at a time: also by `pip install -e .`.

One wheel does for every Python from 3.11 on: the modules are built for the Limited API (abi3).

PKTMEND_LIMITED_API=0    builds for this Python alone, as distributions do: calling a stage in Python takes 30 ns less.
PKTMEND_SANITIZE=1       builds all with AddressSanitizer and UndefinedBehaviorSanitizer.
PKTMEND_WERROR=1         makes a warning in the engine an error.
PKTMEND_PROJECT_URL=URL  is where the project lives: what the README links to and shows is looked for there, at the
                         tag of the version, because a page on PyPI has no tree beside it; the wheel names it.
"""

import os
import re
import runpy
import shutil
import sys
import sysconfig
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path

from setuptools import Extension, setup
from setuptools.command.build_ext import build_ext
from setuptools.command.build_py import build_py

ROOT = Path(__file__).parent
ENGINE = ("sum", "parse", "offload", "check", "observe", "run", "io")  # folders of ext/
HEADERS = "ext/include/pktmend"
LIBRARY = "libpktmend.so"
Macros = Sequence[tuple[str, str | None]]
INCLUDE = ["ext", "ext/include", "pipeline"]

SANITIZE = os.environ.get("PKTMEND_SANITIZE", "")
SANITIZERS = ["-fsanitize=address,undefined", "-fno-omit-frame-pointer", "-g1", "-O1"] if SANITIZE else []
# Without the SLP vectoriser: it loads two fields at once that were just stored one by one, which stalls the parser.
FLAGS = ["-std=c11", "-O3", "-fno-tree-slp-vectorize", "-fvisibility=hidden", "-Wall", "-Wextra", *SANITIZERS]
ENGINE_FLAGS = [*FLAGS, "-D_GNU_SOURCE=", "-fno-semantic-interposition", "-Wconversion", "-Wshadow"]
if os.environ.get("PKTMEND_WERROR"):
    ENGINE_FLAGS.append("-Werror")
OLDEST = (3, 11)  # the Python whose Limited API is enough; a free-threaded Python has none
IS_LIMITED = os.environ.get("PKTMEND_LIMITED_API", "1") != "0" and not sysconfig.get_config_var("Py_GIL_DISABLED")
MACROS: list[tuple[str, str | None]] = [("CYTHON_USE_TYPE_SPECS", "1")]  # classes that take attributes: Batch's columns
if IS_LIMITED:
    MACROS.append(("Py_LIMITED_API", f"0x{OLDEST[0]:02X}{OLDEST[1]:02X}0000"))
DIRECTIVES = {
    "language_level": 3,
    "boundscheck": False,
    "wraparound": False,
    "embedsignature": True,
    "auto_pickle": False,
}
PKG_CONFIG = """prefix=${{pcfiledir}}
includedir={includedir}
libdir=${{prefix}}

Name: pktmend
Description: Sum, parse, complete and split packets
Version: {version}
Cflags: -I${{includedir}}
Libs: -L${{libdir}} -Wl,-rpath,${{libdir}} -lpktmend
"""

PROJECT_URL = os.environ.get("PKTMEND_PROJECT_URL", "").rstrip("/")
if PROJECT_URL and not PROJECT_URL.startswith("https://"):
    raise SystemExit(f"PKTMEND_PROJECT_URL={PROJECT_URL} does not begin with https://")
TAG = "v" + runpy.run_path(str(ROOT / "pipeline" / "pktmend" / "_version.py"))["VERSION"]
LINK = re.compile(r"(!?)(\[(?:[^\[\]]|\[[^\[\]]*\])*\]\()([^)\s#]+)")


def address(path: str, *, is_picture: bool = False) -> str:
    """Return where a file of the tree is shown, as code hosts of GitHub's kind have it."""
    kind = "raw" if is_picture else "tree" if (ROOT / path).is_dir() else "blob"
    return f"{PROJECT_URL}/{kind}/{TAG}/{path}"


def description() -> str:
    """Return the README; what it links to in the tree by its address, where the project has one."""
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    if not PROJECT_URL:
        return text
    return LINK.sub(
        lambda m: m[1] + m[2] + (address(m[3], is_picture=bool(m[1])) if (ROOT / m[3]).exists() else m[3]), text
    )


def urls() -> dict[str, str]:
    """Return the addresses of the project, under the names that PyPI knows; none where it has none."""
    if not PROJECT_URL:
        return {}
    return {
        "Homepage": PROJECT_URL,
        "Documentation": address("docs/howto.md"),
        "Changelog": address("CHANGELOG.md"),
        "Issues": f"{PROJECT_URL}/issues",
    }


def sources(folder: str, pattern: str) -> list[str]:
    """Return paths from here, which setuptools wants, sorted."""
    return sorted(str(path.relative_to(ROOT)) for path in (ROOT / folder).glob(pattern))


class build_with_headers(build_py):
    """Put what the package holds of other folders into it: headers, BPF programs, pages, captures, deploy/."""

    def run(self) -> None:
        super().run()
        for folder, files in (
            ("include/pktmend", sources(HEADERS, "*.h")),  # where native stages and C programs find them
            ("bpf", sources("ext/bpf", "*.bpf.o")),
            ("pages", sources("docs", "*.md")),
            ("captures", sources("examples", "*.pcap")),
            *((each, sources(each, "*")) for each in sources("deploy", "*")),
        ):
            target = Path(self.build_lib) / "pktmend" / folder
            target.mkdir(parents=True, exist_ok=True)
            for file in files:
                shutil.copy2(file, target)


class build_with_engine(build_ext):
    """Build the engine first, then link every extension module of the core to it; compile only what changed."""

    def finalize_options(self) -> None:
        stays = self.build_temp is None
        super().finalize_options()
        if stays:  # an editable install would throw it away
            self.build_temp = str(Path("build", f"{sys.implementation.cache_tag}{'-sanitized' if SANITIZE else ''}"))
        self.parallel = self.parallel or len(os.sched_getaffinity(0))

    def build_extensions(self) -> None:
        self._cythonize()
        engine = [source for folder in ENGINE for source in sources(f"ext/{folder}", "*.c")]
        with ThreadPoolExecutor(self.parallel) as pool:
            compiling = pool.map(partial(self._compile, include_dirs=INCLUDE[:2], flags=ENGINE_FLAGS), engine)
            modules = [
                (each, [pool.submit(self._compile_for, each, s) for s in each.sources]) for each in self.extensions
            ]
            library = self._library(self.build_lib)
            self._link(
                list(compiling),
                library,
                [
                    f"-Wl,-soname,{LIBRARY}",
                    "-Wl,-Bsymbolic",
                    "-Wl,--no-undefined-version",
                    "-Wl,--version-script=ext/libpktmend.map",
                    *SANITIZERS,
                    "-pthread",
                ],
            )
            for extension, objects in modules:
                target = Path(self.get_ext_fullpath(extension.name))
                _remove_built(target)
                ours = [str(library), "-Wl,-rpath,$ORIGIN/.."] if extension.name.startswith("pktmend._core.") else []
                self._link([each.result() for each in objects], target, [*ours, *extension.extra_link_args])
        self._write_pkg_config(Path(self.build_lib, "pktmend"), "${prefix}/include")

    def _cythonize(self) -> None:
        import Cython
        from Cython.Build import cythonize

        is_cython = [each.sources[0].endswith(".pyx") for each in self.extensions]
        made = iter(
            cythonize(
                [each for each, yes in zip(self.extensions, is_cython, strict=True) if yes],
                build_dir=str(Path(self.build_temp, f"cython-{Cython.__version__}")),
                include_path=["pipeline"],
                compiler_directives=DIRECTIVES,
                nthreads=self.parallel,
                quiet=True,
            )
        )
        for extension, yes in zip(self.extensions, is_cython, strict=True):
            if yes:
                extension.sources = next(made).sources
                _look_up_flags_in(Path(extension.sources[0]))

    def _compile_for(self, extension: Extension, source: str) -> str:
        return self._compile(
            source,
            include_dirs=extension.include_dirs,
            flags=extension.extra_compile_args,
            macros=extension.define_macros,
        )

    def _compile(self, source: str, *, include_dirs: list[str], flags: list[str], macros: Macros = ()) -> str:
        """Compile *source* unless its object is newer than all that it was made of, and made in the same way."""
        target = Path(self.compiler.object_filenames([source], output_dir=self.build_temp)[0])
        command = target.with_suffix(".cmd")
        made_of = target.with_suffix(".d")
        asked = f"{self.compiler.compiler_so} {include_dirs} {flags} {macros}"
        if not (command.exists() and command.read_text() == asked and _is_newer(target, made_of)):
            command.unlink(missing_ok=True)
            self.compiler.compile(
                [source],
                output_dir=self.build_temp,
                include_dirs=include_dirs,
                macros=list(macros),
                extra_postargs=[*flags, "-MMD", "-MF", str(made_of)],
            )
            command.write_text(asked)
        return str(target)

    def _link(self, objects: list[str], target: Path, arguments: list[str]) -> None:
        self.compiler.link_shared_object(objects, str(target), extra_postargs=arguments)

    def _library(self, root: str) -> Path:
        return Path(root, "pktmend", LIBRARY)

    def _write_pkg_config(self, package: Path, includedir: str) -> None:
        version = self.distribution.get_version()
        (package / "pktmend.pc").write_text(PKG_CONFIG.format(includedir=includedir, version=version))

    def copy_extensions_to_source(self) -> None:
        for extension in self.extensions:
            _remove_built(Path("pipeline", *extension.name.split(".")))
        super().copy_extensions_to_source()
        self.copy_file(str(self._library(self.build_lib)), str(self._library("pipeline")))
        self._write_pkg_config(Path("pipeline", "pktmend"), "${prefix}/../../ext/include")

    def get_outputs(self) -> list[str]:
        root = "pipeline" if self.inplace else self.build_lib
        return [*super().get_outputs(), str(self._library(root)), str(Path(root, "pktmend", "pktmend.pc"))]


def _look_up_flags_in(source: Path) -> None:
    """Have a module for the Limited API take the flags of code objects from ours: it would load all of `inspect`."""
    text = source.read_text()
    ours = text.replace('PyImport_ImportModule("inspect")', 'PyImport_ImportModule("pktmend._core.code_flags")')
    if ours != text:
        source.write_text(ours)


def _remove_built(module: Path) -> None:
    """Remove the module as it was built before, also for another API: that one would be imported in its place."""
    for built in module.parent.glob(f"{module.name.partition('.')[0]}.*.so"):
        built.unlink()


def _is_newer(target: Path, made_of: Path) -> bool:
    """Is *target* newer than every file that the compiler's rule in *made_of* names?"""
    if not (target.exists() and made_of.exists()):
        return False
    made = target.stat().st_mtime
    names = made_of.read_text().replace("\\\n", " ").split(":", 1)[1].split()
    return all(Path(name).exists() and Path(name).stat().st_mtime <= made for name in names)


setup(
    long_description=description(),
    long_description_content_type="text/markdown",
    project_urls=urls(),
    ext_modules=[
        Extension(
            f"pktmend._core.{Path(source).stem}",
            [source],
            include_dirs=INCLUDE,
            define_macros=MACROS,
            extra_compile_args=FLAGS,
            extra_link_args=SANITIZERS,
            py_limited_api=IS_LIMITED,
        )
        for source in sources("pipeline/pktmend/_core", "*.pyx")
    ],
    cffi_modules=[
        "pipeline/pktmend/_kernel_build.py:ffi",
        "ext/bench/peers_build.py:ffi",
        "ext/bench/traffic_build.py:ffi",
    ],
    cmdclass={"build_py": build_with_headers, "build_ext": build_with_engine},
    options={"bdist_wheel": {"py_limited_api": "cp{}{}".format(*OLDEST)}} if IS_LIMITED else {},
)
