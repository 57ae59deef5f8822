"""libpktmend.so and its headers, as a C program finds and uses them."""

from __future__ import annotations

import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

from pktmend.include import include_dir, lib_dir
from tools import ROOT, need

# Expected values: RFC 1071 section 3 for the sum, RFC 3720 section B.4 for CRC32c, RFC 791 and RFC 9293 for offsets.
PROGRAM = r"""
#include <stdio.h>
#include <string.h>
#include <pktmend/parse.h>
#include <pktmend/split.h>
#include <pktmend/sum.h>

int main(void)
{
    static const uint8_t words[] = { 0x00, 0x01, 0xf2, 0x03, 0xf4, 0xf5, 0xf6, 0xf7 }, zeros[32];
    uint16_t sum = pp_fold(pp_kernel_active()->sum(words, sizeof words));
    uint8_t bytes[2];
    memcpy(bytes, &sum, 2);
    printf("%02x%02x %08x\n", bytes[0], bytes[1], (unsigned)pp_crc32c(0, zeros, sizeof zeros));

    uint8_t frame[14 + 20 + 20] = { [12] = 8, [14] = 0x45, [17] = 40, [23] = 6, [46] = 0x50 };
    pp_check checks[PP_CHECKS_PER_PACKET];
    pp_packet p = { 0 };
    p.data = frame, p.cap = p.wire = sizeof frame, p.link = PP_LINK_ETHERNET, p.checks = checks;
    pp_parse(&p);
    for (int i = 0; i < p.count; i++)
        printf("%u ", (unsigned)checks[i].offset);

    pp_vnet vnet = { 0 };
    vnet.csum_start = 34, vnet.csum_offset = 16;
    memcpy(frame + 34, words, sizeof words);
    int rc = pp_complete(frame, sizeof frame, &vnet);
    printf("%d %02x%02x\n", rc, frame[50], frame[51]);
    return 0;
}
"""
# The last: the complement of ddf2 with the data offset's 5000 added, 2df3.
SAID = "ddf2 8a9136aa\n24 50 0 d20c\n"


def ask(*argv: str) -> list[str]:
    return shlex.split(subprocess.run(argv, capture_output=True, text=True, check=True).stdout)


def with_pkg_config() -> list[str]:
    need("pkg-config")
    where = ask(sys.executable, "-m", "pktmend.include", "--pkgconfigdir")[0]
    return ask("env", f"PKG_CONFIG_PATH={where}", "pkg-config", "--cflags", "--libs", "pktmend")


def with_the_module() -> list[str]:
    return ask(sys.executable, "-m", "pktmend.include", "--cflags", "--libs")


@pytest.mark.parametrize("flags", [with_pkg_config, with_the_module])
def test_c_program_sums_parses_and_completes(flags: object, tmp_path: Path) -> None:
    need("cc")
    source, program = tmp_path / "program.c", tmp_path / "program"
    source.write_text(PROGRAM)
    strict = ("-std=c11", "-Wall", "-Wextra", "-Wpedantic", "-Werror")
    subprocess.run(["cc", *strict, str(source), *flags(), "-o", str(program)], check=True)  # type: ignore[operator]
    assert subprocess.run([program], capture_output=True, text=True, check=True).stdout == SAID


@pytest.mark.parametrize("header", sorted(path.name for path in Path(include_dir(), "pktmend").glob("*.h")))
@pytest.mark.parametrize("compiler", [("cc", "-std=c11", "-x", "c"), ("c++", "-x", "c++")], ids=lambda c: str(c[0]))
def test_header_stands_alone(compiler: tuple[str, ...], header: str) -> None:
    need(compiler[0])
    argv = [*compiler, "-Wall", "-Wextra", "-Werror", "-fsyntax-only", f"-I{include_dir()}", "-"]
    subprocess.run(argv, input=f"#include <pktmend/{header}>\n", text=True, check=True)


@pytest.fixture(scope="module")
def shown() -> dict[str, str]:
    """The version of each symbol that the library shows."""
    need("nm")
    out = subprocess.run(
        ["nm", "-D", "--defined-only", f"{lib_dir()}/libpktmend.so"], capture_output=True, text=True, check=True
    ).stdout
    return dict(re.findall(r" [TDBR] (\w+)@@(\w+)", out))


def test_library_shows_the_interface_and_nothing_else(shown: dict[str, str]) -> None:
    assert {name for name in shown if not name.startswith(("pp_", "pktmend_"))} == set()
    headers = "".join(Path(include_dir(), "pktmend", f"{name}.h").read_text() for name in ("sum", "parse", "split"))
    public = {name for name, version in shown.items() if version == "PKTMEND_1"}
    assert public == {name for name in shown if re.search(rf"\b{name}\b", headers)}
    assert "pp_parse" in public and "pp_coalesce_add" not in shown


def test_library_shows_all_that_the_core_calls(shown: dict[str, str]) -> None:
    """A header without its visibility pragma would be found out at import only."""
    declared = re.findall(r"^    [^(]*\b(pp_\w+)\(", (ROOT / "pipeline/pktmend/_core/engine.pxd").read_text(), re.M)
    headers = "".join(path.read_text() for path in (ROOT / "ext").rglob("*.h"))
    inline = set(re.findall(r"^static inline [^(]*\b(pp_\w+)\(", headers, re.M))
    assert len(declared) > 50
    assert set(declared) - inline <= set(shown)
