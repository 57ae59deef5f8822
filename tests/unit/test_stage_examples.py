"""The stages under examples/stages, each loaded as a user would and judged on frames made by scapy."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import cffi
import pytest
from scapy.all import IP, UDP, Ether, IPv6

import frames as f
import pktmend
from pktmend import Frames, PacketFlag, Status, Verdict, verify, wrap_native
from pktmend.runtime.stage_loader import load
from tools import ROOT

TCP = f.raw(f.ether / f.ip4 / f.tcp)
UDP_5000 = f.raw(f.ether / f.ip4 / f.udp / f.PAYLOAD)
UDP_53 = f.raw(f.ether / f.ip4 / UDP(sport=5000, dport=53) / f.PAYLOAD)
UDP6_5000 = f.raw(f.ether / f.ip6 / f.udp / f.PAYLOAD)
LAST_HOP = f.raw(f.ether / IP(src="10.7.0.1", dst="10.7.0.2", ttl=1) / f.tcp)
HOPS_6 = f.raw(f.ether / IPv6(src="fd07::1", dst="fd07::2", hlim=1) / f.tcp)
MULTICAST = f.raw(Ether(dst="01:00:5e:00:00:fb", src="02:00:00:00:00:01") / f.ip4 / f.udp)
BROADCAST = f.raw(Ether(dst="ff:ff:ff:ff:ff:ff", src="02:00:00:00:00:01") / f.ip4 / f.udp)
MARKED = [
    f.raw(f.ether / IP(src="10.7.0.1", dst="10.7.0.2", tos=tos, id=ident) / f.tcp)
    for tos, ident in ((0xB8, 1), (0xFF, 2), (0x04, 0xFFFF), (0xFC, 0))
]


def kept(stage: Any, *frames: bytes) -> list[bool]:
    """Which of *frames* does the stage let pass?"""
    batch = Frames(frames).batch()
    verify(batch)
    stage(batch)
    return [verdict == Verdict.PASS for verdict in batch.verdict]


@pytest.fixture(autouse=True)
def cache(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path_factory.getbasetemp()))


def test_numpy_stage_drops_what_is_long(stage_examples: Path) -> None:
    stage: Any = load(f"{stage_examples}/numpy_stage.py:DropLong,limit={len(UDP_5000)}")()
    assert kept(stage, TCP, UDP_5000, UDP_5000 + b"x") == [True, True, False]
    assert stage.counters() == {"longest": len(UDP_5000) + 1}
    empty = Frames([]).batch()
    stage(empty)


def test_cffi_stage_drops_one_port(stage_examples: Path) -> None:
    stage = load(f"{stage_examples}/cffi_stage.py:drop_port,port=5000")()
    cut = UDP_5000[:36]
    assert kept(stage, TCP, UDP_5000, UDP_53, UDP6_5000, cut) == [True, False, True, False, True]


def test_numba_stage_drops_the_last_hop(stage_examples: Path) -> None:
    pytest.importorskip("numba")
    stage = load(f"{stage_examples}/numba_stage.py:drop_last_hop")()
    assert isinstance(stage, pktmend.NativeStage)
    assert kept(stage, TCP, LAST_HOP, HOPS_6, LAST_HOP[:30]) == [True, False, True, True]


def test_numba_function_of_another_type_is_refused() -> None:
    numba = pytest.importorskip("numba")
    wrong = numba.cfunc("int32(int32)")(lambda a: a)
    with pytest.raises(pktmend.ConfigError, match=r"a native stage is int \(\*\)\(pp_batch \*, void \*\), not"):
        wrap_native(wrong)


def test_numbas_view_of_the_batch_is_the_compilers(tmp_path: Path) -> None:
    """Offsets as a C compiler has them, against those that pktmend.runtime.numba_stage works out."""
    pytest.importorskip("numba")
    from pktmend.runtime.numba_stage import BATCH

    names = [name for name in BATCH.fields if not name.startswith("abi_")]  # what says so lies where `abi` does
    ffi = cffi.FFI()
    ffi.cdef("extern const size_t offsets[]; extern const size_t size;")
    rows = ", ".join(f"offsetof(pp_batch, {name})" for name in names)
    ffi.set_source(
        "_offsets",
        f"#include <pktmend/stage.h>\nconst size_t offsets[] = {{ {rows} }};\nconst size_t size = sizeof(pp_batch);",
        include_dirs=[pktmend.include_dir()],
    )
    built = Path(ffi.compile(tmpdir=str(tmp_path)))
    program = f"import _offsets; o = _offsets.lib; print(o.size, *[o.offsets[i] for i in range({len(names)})])"
    out = subprocess.run([sys.executable, "-c", program], cwd=built.parent, capture_output=True, text=True, check=True)
    assert [int(n) for n in out.stdout.split()] == [BATCH.size, *(BATCH.offset(name) for name in names)]
    assert len(names) > 20 and BATCH.offset("abi_2") == BATCH.offset("abi")


def test_cython_stage_washes_dscp_and_keeps_the_sum_right(stage_examples: Path) -> None:
    (built,) = stage_examples.glob("cython/wash.*.so")
    stage = load(f"{built}:wash_dscp")()
    wrong = f.put16(MARKED[0], 24, 0x1234)
    batch = Frames([TCP, *MARKED, wrong, UDP6_5000]).batch()
    verify(batch)
    stage(batch)
    washed = [bytes(batch.frame(i)) for i in range(len(batch))]
    flags = list(batch.flags)
    assert washed[0] == TCP and not flags[0] & PacketFlag.EDITED
    for frame, before, flag in zip(washed[1:5], MARKED, flags[1:5], strict=True):
        parsed = Ether(frame)
        parsed[IP].chksum = None  # scapy computes it anew
        assert f.raw(parsed) == frame and frame[15] == before[15] & 3 and flag & PacketFlag.EDITED
    verify(batch)
    assert list(batch.status) == [Status.GOOD] * 5 + [Status.BAD, Status.GOOD]


def test_package_offers_its_capsule_as_an_entry_point(stage_examples: Path) -> None:
    program = (
        f"import sys; sys.path.insert(0, {str(ROOT / 'tests')!r})\n"
        "from pktmend.runtime.stage_loader import load\nimport test_stage_examples as t\n"
        "stage = load('drop-multicast')()\n"
        "print(stage, t.kept(stage, t.TCP, t.MULTICAST, t.BROADCAST, t.MULTICAST[:5]))"
    )
    path = f"{ROOT}:{stage_examples / 'site'}:{ROOT / 'tests' / 'unit'}:{ROOT / 'tests'}"
    done = subprocess.run(
        [sys.executable, "-c", program],
        capture_output=True,
        text=True,
        check=False,
        env={**os.environ, "PYTHONPATH": path},
    )
    assert done.stdout == "<NativeStage drop-multicast> [True, False, True, True]\n", done.stderr


def test_capsule_of_another_kind_is_refused() -> None:
    import datetime

    with pytest.raises(pktmend.ConfigError, match=r"not 'datetime\.datetime_CAPI'"):
        wrap_native(datetime.datetime_CAPI)  # type: ignore[attr-defined]
