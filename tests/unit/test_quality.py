"""The linters, and the tests of other languages: sanitizers, fuzzing, ruff, clang-format, mypy, stubs, spelling.

And what no linter says: files have at most 300 lines, functions fewer than 60.
"""

from __future__ import annotations

import ast
import re
import shutil
import subprocess
import sys
import sysconfig
from collections.abc import Iterator
from pathlib import Path

import pytest

import pktmend
from fuzz.campaign import TARGETS, Campaign
from pktmend._kernel_build import ffi
from tools import ROOT, need

MOST_LINES, MOST_LINES_OF_A_FUNCTION = 300, 59
LANGUAGES = (".py", ".pyi", ".pyx", ".pxd", ".c", ".h")
SOURCES = [
    path
    for pattern in ("pipeline/**/*", "ext/**/*", "examples/**/*", "setup.py")
    for path in sorted(ROOT.glob(pattern))
    if path.suffix in LANGUAGES and "build" not in path.relative_to(ROOT).parts
]


def run(*argv: str, timeout: float = 580) -> str:
    """Run a program in the project's folder; its words are the failure."""
    done = subprocess.run(
        argv, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, timeout=timeout, check=False
    )
    assert done.returncode == 0, done.stdout[-6000:]
    return done.stdout


def test_c_tests_pass_under_asan_and_ubsan(tmp_path: Path) -> None:
    need("make", "cc")
    out = run("make", "-s", "-j2", "-C", "tests/c", f"OUT={tmp_path}", "run")
    assert out.count(" 0 failed") == len(list((ROOT / "tests" / "c").glob("test_*.c")))


def test_c_tests_pass_against_the_library_that_ships(tmp_path: Path) -> None:
    """All but those that call what the library does not show, which the Makefile names."""
    need("make", "cc")
    library = Path(pktmend.__file__).parent / "libpktmend.so"
    out = run("make", "-s", "-j2", "-C", "tests/c", f"OUT={tmp_path}", f"LIBRARY={library}", "shipped")
    assert out.count(" 0 failed") >= len(list((ROOT / "tests" / "c").glob("test_*.c"))) - 3


def test_threads_share_nothing_without_order(tmp_path: Path) -> None:
    """Workers, snapshots, samples and a spool on six threads, under ThreadSanitizer."""
    need("make", "cc")
    assert " 0 failed" in run("make", "-s", "-C", "tests/c", f"OUT={tmp_path}", "tsan")


@pytest.mark.parametrize("arch", ["aarch64", "s390x"])
def test_c_tests_pass_on_another_processor(arch: str, tmp_path: Path) -> None:
    """NEON (aarch64) and the other byte order (s390x), emulated."""
    need("make", f"{arch}-linux-gnu-gcc", f"qemu-{arch}")
    out = run("make", "-s", "-j2", "-C", "tests/c", f"OUT={tmp_path}", f"ARCH={arch}", "cross")
    assert out.count(" 0 failed") == len(list((ROOT / "tests" / "c").glob("test_*.c")))


def test_c_tests_pass_and_modules_compile_with_musl(tmp_path: Path) -> None:
    need("make", "musl-gcc")
    out = run("make", "-s", "-j2", "-C", "tests/c", f"OUT={tmp_path}", "musl")
    assert out.count(" 0 failed") == len(list((ROOT / "tests" / "c").glob("test_*.c"))) - 1  # which the Makefile names
    ffi.emit_c_code(str(tmp_path / "kernel.c"))
    headers = ("-idirafter", f"{tmp_path}/musl/include", f"-I{sysconfig.get_path('include')}")
    run("musl-gcc", "-fsyntax-only", *headers, f"{tmp_path}/kernel.c", *map(str, (ROOT / "ext" / "bench").glob("w*.c")))


@pytest.mark.parametrize("target", TARGETS)
def test_fuzz_target_finds_nothing(fuzzed: Campaign, target: str) -> None:
    need("make", "clang", "setpriv")
    code, said = fuzzed.result(target)
    assert code == 0 and "Done" in said, said[-6000:]


def test_benchmarks_give_right_answers() -> None:
    run(sys.executable, "-m", "pytest", "-q", "bench", "--benchmark-disable", "-p", "no:cacheprovider")


def functions(path: Path) -> Iterator[tuple[str, int]]:
    """Yield (where, lines) of each function, its decorators not counted."""
    text = path.read_text()
    spans = {".c": c_functions, ".h": c_functions, ".pyx": cython_functions, ".pxd": cython_functions}
    for first, last in spans.get(path.suffix, python_functions)(text):
        yield f"{path.relative_to(ROOT)}:{first}", last - first + 1


def python_functions(text: str) -> Iterator[tuple[int, int]]:
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            yield node.lineno, node.end_lineno or node.lineno


def cython_functions(text: str) -> Iterator[tuple[int, int]]:
    """As far as the lines are indented deeper than the first; a signature may close where it began."""
    lines = text.splitlines()
    for first, line in enumerate(lines):
        if not (began := re.match(r"( *)(?:def|cpdef|cdef(?! class))\b.*\(", line)):
            continue
        last = first
        for n in range(first + 1, len(lines)):
            body = lines[n].lstrip()
            if body and len(lines[n]) - len(body) <= len(began[1]) and not body.startswith(")"):
                break
            last = n if body else last
        yield first + 1, last + 1


def c_functions(text: str) -> Iterator[tuple[int, int]]:
    """From the line before a brace at column 0, which is how clang-format has it, to the brace that closes it."""
    first = 0
    for n, line in enumerate(text.splitlines(), 1):
        if line == "{":
            first = n - 1
        elif line == "}" and first:
            yield first, n
            first = 0


def test_files_are_short() -> None:
    lengths = {str(path.relative_to(ROOT)): len(path.read_text().splitlines()) for path in SOURCES}
    assert len(lengths) > 300
    assert {name: lines for name, lines in lengths.items() if lines > MOST_LINES} == {}


def test_functions_are_short() -> None:
    lengths = {suffix: dict[str, int]() for suffix in LANGUAGES}
    for path in SOURCES:
        lengths[path.suffix].update(functions(path))
    assert all(len(lengths[suffix]) > 50 for suffix in (".py", ".pyx", ".c", ".h")), "functions are not found"
    found = {where: lines for each in lengths.values() for where, lines in each.items()}
    assert {where: lines for where, lines in found.items() if lines > MOST_LINES_OF_A_FUNCTION} == {}


def test_ruff() -> None:
    run(sys.executable, "-m", "ruff", "check", ".")


def test_formatters_have_nothing_to_change() -> None:
    run(sys.executable, "-m", "ruff", "format", "--check", ".")
    program = shutil.which("clang-format", path=str(Path(sys.executable).parent)) or shutil.which("clang-format")
    if program is None:
        pytest.skip("not installed: clang-format (the extra `lint`)")
    folders = (ROOT / "ext", ROOT / "tests" / "c", ROOT / "tests" / "fuzz", ROOT / "examples")
    files = [str(path) for folder in folders for path in folder.rglob("*.[ch]") if "build" not in path.parts]
    assert files
    run(program, "--dry-run", "-Werror", *files)


def test_codespell() -> None:
    pytest.importorskip("codespell_lib")
    run(sys.executable, "-m", "codespell_lib")


def test_mypy_strict() -> None:
    run(sys.executable, "-m", "mypy")


def test_stubs_describe_the_extension_modules() -> None:
    """Those in the package that is named are checked too, each with a stub or the failure."""
    run(
        sys.executable,
        "-m",
        "mypy.stubtest",
        "pktmend._core",
        "--ignore-disjoint-bases",
        "--allowlist",
        "tests/stubtest-allow.txt",
        "--ignore-unused-allowlist",
    )
