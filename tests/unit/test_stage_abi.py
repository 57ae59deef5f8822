"""A native stage says for which <pktmend/stage.h> it was built: one of another ABI is refused by name and never called.

The header of ABI 99 has a column in front of the others: whoever ran a stage of it would hand it the wrong columns.
"""

from __future__ import annotations

import ctypes
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import cffi
import pytest

import frames as f
import pktmend
from pktmend import ConfigError, Frames, Verdict, build_native, verify, wrap_native
from pktmend._core import ABI, CAPSULE
from pktmend.runtime.native_stages import STAGE_CDEF
from pktmend.runtime.stage_loader import load
from tools import ROOT, need

HEADERS = Path(pktmend.include_dir()) / "pktmend"
FRAME = f.raw(f.ether / f.ip4 / f.udp / f.PAYLOAD)
REFUSED = r"stage {} was built for ABI 99 of <pktmend/stage\.h>, this is ABI 2"
DROP_ALL = """
int called;
PKTMEND_STAGE(drop_all)
{
    called++;
    for (uint32_t i = 0; i < batch->count; i++)
        pktmend_drop(batch, i);
    return 0;
}
"""


@pytest.fixture(scope="module", autouse=True)
def cache(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("XDG_CACHE_HOME", str(tmp_path_factory.mktemp("cache")))
        yield


@pytest.fixture(scope="module")
def other_header(tmp_path_factory: pytest.TempPathFactory) -> str:
    """An include directory whose header is of ABI 99."""
    folder = tmp_path_factory.mktemp("include")
    shutil.copytree(HEADERS, folder / "pktmend")
    text = (HEADERS / "stage.h").read_text()
    for old, new in (
        ("#define PP_ABI 2\n", "#define PP_ABI 99\n"),
        (
            "    X(uint8_t *, data, SOURCE, 0, HIDDEN)",
            "    X(uint64_t, hash, SOURCE, 0, READ) X(uint8_t *, data, SOURCE, 0, HIDDEN)",
        ),
    ):
        assert text.count(old) == 1, old
        text = text.replace(old, new)
    (folder / "pktmend" / "stage.h").write_text(text)
    return str(folder)


def compiled(folder: Path, name: str, source: str, include: str, cdef: str = "") -> ModuleType:
    """Compile *source* as one who uses cffi does, and return the module."""
    ffi = cffi.FFI()
    ffi.cdef(f"{STAGE_CDEF} extern const pktmend_stage pktmend_stage_of_drop_all; extern int called; {cdef}")
    ffi.set_source(name, f"#include <pktmend/stage.h>\n{source}", include_dirs=[include])
    ffi.compile(tmpdir=str(folder))
    sys.path.insert(0, str(folder))
    try:
        module: ModuleType = __import__(name)
    finally:
        sys.path.remove(str(folder))
    return module


def dropped(stage: Any) -> list[bool]:
    batch = Frames([FRAME, FRAME[:20]]).batch()
    verify(batch)
    stage(batch)
    return [verdict == Verdict.DROP for verdict in batch.verdict]


def test_cffi_stage_runs_as_its_own_build_made_it(tmp_path: Path) -> None:
    lib = compiled(tmp_path, "_abi_mine", DROP_ALL, pktmend.include_dir()).lib
    assert dropped(wrap_native(lib.pktmend_stage_of_drop_all)) == [True, True]
    assert lib.called == 1


def test_cffi_stage_of_another_abi_is_refused(tmp_path: Path, other_header: str) -> None:
    lib = compiled(tmp_path, "_abi_99", DROP_ALL, other_header).lib
    with pytest.raises(ConfigError, match=REFUSED.format("mine")) as caught:
        wrap_native(lib.pktmend_stage_of_drop_all, name="mine")
    assert "include_dir()" in str(caught.value)
    assert lib.called == 0


def test_bare_cffi_function_is_told_how_to_say_its_abi(tmp_path: Path) -> None:
    source = DROP_ALL + "int bare(pp_batch *b, void *context) { (void)context; return (int)b->count; }"
    built = compiled(tmp_path, "_abi_bare", source, pktmend.include_dir(), "int bare(pp_batch *, void *);")
    with pytest.raises(ConfigError, match=r"stage mine: a bare function does not say.*PKTMEND_STAGE"):
        wrap_native(built.ffi.addressof(built.lib, "bare"), name="mine")
    with pytest.raises(ConfigError, match=r"neither.*PKTMEND_STAGE"):
        wrap_native(built.lib.bare, name="mine")


def test_null_pointer_is_refused() -> None:
    ffi = cffi.FFI()
    ffi.cdef(STAGE_CDEF)
    with pytest.raises(ConfigError, match="stage mine is a null pointer"):
        wrap_native(ffi.cast("pktmend_stage *", 0), name="mine")


def test_built_native_stage_of_another_abi_is_refused() -> None:
    with pytest.raises(ConfigError, match=REFUSED.format("drop_all")):
        build_native(f"#undef PP_ABI\n#define PP_ABI 99\n{DROP_ALL}", "drop_all")


def test_plain_function_is_built_against_the_header_that_is_there() -> None:
    plain = "static int drop(pp_batch *b, void *c) { (void)c; pktmend_drop(b, 1); return 0; }"
    assert dropped(build_native(plain, "drop")) == [False, True]
    assert dropped(build_native(DROP_ALL, "drop_all")) == [True, True]


@pytest.mark.parametrize("bytes_more", [-8, 8])
def test_size_of_an_older_header_is_served_and_of_a_newer_one_is_not(bytes_more: int) -> None:
    """pp_batch only grows at its end: an older stage finds its columns, a newer one might look beyond."""
    source = f"""
static int drop_all(pp_batch *b, void *c) {{ (void)c; b->verdict[1] = PP_VERDICT_DROP; return 0; }}
const pktmend_stage pktmend_stage_of_drop_all = {{ sizeof(pp_batch) + {bytes_more}, PP_ABI, drop_all }};
"""
    if bytes_more < 0:
        assert dropped(build_native(source, "drop_all")) == [False, True]
    else:
        with pytest.raises(ConfigError, match=r"stage drop_all was built for a pp_batch of \d+ bytes.*newer pktmend"):
            build_native(source, "drop_all")


def build_extension(folder: Path, sources: list[str], name: str, include: str) -> Path:
    """Build a Cython or C extension in *folder* as its setup.py would, against *include*."""
    program = (
        "from Cython.Build import cythonize\nfrom setuptools import Extension, setup\n"
        f"setup(name={name!r}, script_args=['-q', 'build_ext', '--inplace'],\n"
        f"      ext_modules=cythonize([Extension({name!r}, {sources!r}, include_dirs=[{include!r}])], quiet=True))\n"
    )
    done = subprocess.run([sys.executable, "-c", program], cwd=folder, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    (built,) = folder.glob(f"{name}.*.so")
    return built


def test_cython_stage_of_another_abi_is_refused(tmp_path: Path, other_header: str) -> None:
    (tmp_path / "wash.pyx").write_text((ROOT / "examples" / "stages" / "cython" / "wash.pyx").read_text())
    built = build_extension(tmp_path, ["wash.pyx"], "wash", other_header)
    with pytest.raises(ConfigError, match=REFUSED.format("wash_dscp")):
        load(f"{built}:wash_dscp")()


def test_function_that_cython_exports_is_told_how_to_say_its_abi(tmp_path: Path) -> None:
    (tmp_path / "bare.pyx").write_text(
        "from pktmend.stage cimport pp_batch\ncdef api int bare(pp_batch *b, void *c) noexcept nogil:\n    return 0\n"
    )
    built = build_extension(tmp_path, ["bare.pyx"], "bare", pktmend.include_dir())
    with pytest.raises(ConfigError, match=r"'pktmend\.stage/2'.*not 'int \(pp_batch \*, void \*\)'.*stage_capsule\(\)"):
        load(f"{built}:bare")()


def test_capsule_of_another_abi_is_refused(tmp_path: Path, other_header: str) -> None:
    (tmp_path / "drop_multicast.c").write_text(
        (ROOT / "examples" / "stages" / "package" / "drop_multicast.c").read_text()
    )
    built = build_extension(tmp_path, ["drop_multicast.c"], "pktmend_drop_multicast", other_header)
    with pytest.raises(ConfigError, match=REFUSED.format("stage")):
        load(f"{built}:stage")()


def capsule(name: bytes, target: int = 1) -> Any:
    make = ctypes.pythonapi.PyCapsule_New
    make.restype, make.argtypes = ctypes.py_object, [ctypes.c_void_p, ctypes.c_char_p, ctypes.c_void_p]
    return make(target, name, None)


def test_capsule_of_abi_1_is_refused_by_its_name() -> None:
    """It was a bare function then: nothing behind the pointer is read."""
    name = b"pktmend.stage/1"
    with pytest.raises(ConfigError, match=r"stage old was built for ABI 1 of .*, this is ABI 2"):
        wrap_native(capsule(name), name="old")


def test_capsule_whose_name_and_content_differ_is_refused() -> None:
    name = CAPSULE.encode()
    content = (ctypes.c_uint32 * 4)(8, 98, 0, 0)
    with pytest.raises(ConfigError, match="stage odd was built for ABI 98"):
        wrap_native(capsule(name, ctypes.addressof(content)), name="odd")


def test_numba_stage_of_another_abi_is_refused() -> None:
    numba = pytest.importorskip("numba")
    from numba import types

    from pktmend.runtime.numba_stage import BATCH

    fields = [("hash", {"type": types.uintp, "offset": 0}), ("abi_99", {"type": types.uint32, "offset": 12})]
    other = types.Record(fields, BATCH.size + 8, aligned=True)
    stage = numba.cfunc(types.int32(types.CPointer(other), types.voidptr))(lambda batch, context: 0)
    with pytest.raises(ConfigError, match=REFUSED.format("mine")):
        wrap_native(stage, name="mine")
    untold = numba.cfunc(types.int32(types.voidptr, types.voidptr))(lambda batch, context: 0)
    with pytest.raises(ConfigError, match=r"int \(\*\)\(pp_batch \*, void \*\), not .*SIGNATURE"):
        wrap_native(untold)


STRICT = ["-Wall", "-Wextra", "-Wpedantic", "-Wshadow", "-Wconversion", "-Werror", "-O2", "-shared", "-fPIC"]


@pytest.mark.parametrize("compiler", [("cc", "c", "c11"), ("c++", "c++", "c++11")], ids=["c", "c++"])
def test_header_compiles_without_a_warning_and_exports_the_stage(
    tmp_path: Path, compiler: tuple[str, str, str]
) -> None:
    command, language, standard = compiler
    need(command)
    source = tmp_path / "stage.src"
    source.write_text(f"#include <pktmend/stage.h>\n{DROP_ALL}")
    flags = [f"-std={standard}", "-x", language, *STRICT, "-fvisibility=hidden", "-I", pktmend.include_dir()]
    done = subprocess.run(
        [command, *flags, str(source), "-o", str(tmp_path / "stage.so")],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    exported = (ctypes.c_uint32 * 2).in_dll(ctypes.CDLL(str(tmp_path / "stage.so")), "pktmend_stage_of_drop_all")
    assert exported[1] == ABI == 2


ACCESS = """
PKTMEND_STAGE(udp) { for (uint32_t i = 0; i < batch->count + 9; i++)
    if (pktmend_transport(batch, i, 17, 8)) pktmend_drop(batch, i); return 0; }
PKTMEND_STAGE(ip) { for (uint32_t i = 0; i < batch->count + 9; i++)
    if (pktmend_network(batch, i, 20)) pktmend_drop(batch, i); return 0; }
PKTMEND_STAGE(packet) { uint32_t n; for (uint32_t i = 0; i < batch->count + 9; i++)
    if (pktmend_packet(batch, i, &n) && n >= 14) pktmend_drop(batch, i); return 0; }
PKTMEND_STAGE(tcp) { for (uint32_t i = 0; i < batch->count + 9; i++)
    if (pktmend_transport(batch, i, 6, 0)) pktmend_drop(batch, i); return 0; }
"""


@pytest.mark.parametrize(("name", "least"), [("packet", 14), ("ip", 14 + 20), ("udp", 14 + 20 + 8), ("tcp", 1000)])
def test_accessors_give_a_header_only_where_all_of_it_was_captured(name: str, least: int) -> None:
    """Cut after every byte; and packets beyond the last are asked for."""
    batch = Frames([FRAME[:cut] for cut in range(len(FRAME) + 1)], wirelen=len(FRAME)).batch()
    verify(batch)
    build_native(ACCESS, name)(batch)
    assert [v == Verdict.DROP for v in batch.verdict] == [cut >= least for cut in range(len(FRAME) + 1)]


def test_edited_packet_is_verified_again_and_numbers_are_those_of_the_wire(tmp_path: Path) -> None:
    from scapy.all import wrpcap

    from pktmend import Capture, Pipeline
    from tools import Collect

    source = """
PKTMEND_STAGE(swap_ports)
{
    for (uint32_t i = 0; i < batch->count; i++) {
        uint8_t *udp = pktmend_transport(batch, i, 17, 8);
        if (!udp || pktmend_get32(udp) != (5000u << 16 | 80u))
            return -5;
        pktmend_put16(udp, 81);
        pktmend_edited(batch, i);
    }
    return 0;
}"""
    wrpcap(str(tmp_path / "x.pcap"), [f.raw(f.ether / f.ip4 / f.udp.copy().__class__(sport=5000, dport=80) / b"x")])
    with Capture(str(tmp_path / "x.pcap")) as capture:
        sink = Collect()
        p = Pipeline(capture, [verify, build_native(source, "swap_ports"), pktmend.count], sink)
        p.run()
    assert sink.frames[0][34:38] == bytes([0, 81, 0, 80])
    assert p.counters().checks["udp"].get("good", 0) == 0  # its sum is of other ports
