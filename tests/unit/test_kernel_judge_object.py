"""The compiled programs and their loader: one layout on both sides, the object of the tree, what is said in failure."""

from __future__ import annotations

import ctypes
import errno
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from pktmend.errors import OSFailure
from pktmend.packetio import kernel_judge, libbpf
from tools import ROOT, need

BPF = ROOT / "ext" / "bpf"


def test_layout_is_that_of_the_header(tmp_path: Path) -> None:
    """Sizes and offsets by the C compiler."""
    need("cc")
    lines = []
    for name, kind in kernel_judge.LAYOUT.items():
        lines.append(f'printf("{name} %zu\\n", sizeof(struct {name}));')
        fields = [field[0] for field in kind._fields_ if not field[0].startswith("_")]
        lines += [f'printf("{name}.{each} %zu\\n", offsetof(struct {name}, {each}));' for each in fields]
    headers = ("stddef.h", "stdio.h", "linux/types.h", "bpf/cut_through.h")
    source = "".join(f"#include <{each}>\n" for each in headers) + "int main(void){"
    (tmp_path / "layout.c").write_text(source + "".join(lines) + "}")
    program = tmp_path / "layout"
    subprocess.run(["cc", f"-I{ROOT / 'ext'}", "-o", program, tmp_path / "layout.c"], check=True)
    said = dict(line.split() for line in subprocess.check_output([program], text=True).splitlines())
    for name, kind in kernel_judge.LAYOUT.items():
        assert int(said.pop(name)) == ctypes.sizeof(kind)
        for field in kind._fields_:
            if not field[0].startswith("_"):
                assert int(said.pop(f"{name}.{field[0]}")) == getattr(kind, field[0]).offset
    assert not said


def test_kinds_and_ways_are_those_of_the_header() -> None:
    text = (BPF / "cut_through.h").read_text()
    ways = re.search(r"enum pp_cut_way \{(.*?)\};", text, re.S)
    kinds = re.search(r"enum pp_cut_kind \{(.*?)\};", text, re.S)
    assert ways is not None and kinds is not None
    assert re.findall(r"PP_CUT_(\w+)", ways[1]) == [way.name for way in kernel_judge.Way]
    words = re.findall(r"PP_CUT_(\w+)", kinds[1])
    assert len(words) - 1 == len(kernel_judge.KINDS)
    for word, checks in zip(words, kernel_judge.KINDS, strict=False):
        said = [f"{proto.name}_{status.name}" for proto, status in checks]
        if word in ("SUSPECT", "ARP"):
            assert said == []
        elif word.startswith("ICMP"):
            assert said == [*(["IP_GOOD"] if word == "ICMP" else []), f"{word}_GOOD"]
        else:
            proto, version, status = word[:3], word[3], word[5:]
            assert said == [*(["IP_GOOD"] if version == "4" else []), f"{proto}_{status}"]


def test_object_is_what_the_source_compiles_to(tmp_path: Path) -> None:
    """By the compiler that made it: Debian 12's."""
    need("clang-14", "llvm-strip-14", "make")
    version = subprocess.check_output(["clang-14", "--version"], text=True)
    header = Path("/usr/include/bpf/bpf_helpers.h")
    if "14.0.6" not in version or not header.exists():
        pytest.skip("needs clang 14.0.6 and libbpf-dev, as Debian 12 has them")
    for name in ("bpf", "parse", "sum"):
        shutil.copytree(ROOT / "ext" / name, tmp_path / "ext" / name)
    made = tmp_path / "ext" / "bpf" / "cut_through.bpf.o"
    made.unlink()
    subprocess.run(["make", "-s", "-C", made.parent], check=True)
    assert made.read_bytes() == (BPF / made.name).read_bytes(), "make -C ext/bpf, and commit the object"


def test_object_says_its_licence() -> None:
    """The kernel lets only GPL-compatible programs read its memory."""
    assert b"Dual BSD/GPL\0" in (BPF / "cut_through.bpf.o").read_bytes()


def test_object_is_installed_with_the_package(tmp_path: Path) -> None:
    argv = [sys.executable, "setup.py", "-q", "build_py", "--build-lib", str(tmp_path)]
    subprocess.run(argv, cwd=ROOT, check=True, capture_output=True)
    installed = tmp_path / "pktmend" / "bpf" / "cut_through.bpf.o"
    assert installed.read_bytes() == (BPF / installed.name).read_bytes()


def test_missing_library_is_named_with_its_package(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(libbpf, "LIBRARY", "libbpf.so.none")
    assert "apt install libbpf1" in kernel_judge.obstacle()
    with pytest.raises(OSFailure, match="libbpf1"):
        kernel_judge.KernelJudge()


def test_kernel_without_types_is_named_with_its_option(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(libbpf, "BTF", tmp_path / "vmlinux")
    monkeypatch.setattr(libbpf, "find_library", lambda: (None, None))
    assert "CONFIG_DEBUG_INFO_BTF" in kernel_judge.obstacle()


@pytest.mark.parametrize("release", ["5.14.0-70.el9", "4.19.0", "5.4"])
def test_old_kernel_is_named(monkeypatch: pytest.MonkeyPatch, release: str) -> None:
    monkeypatch.setattr(libbpf.platform, "release", lambda: release)
    assert "5.15" in kernel_judge.obstacle() and release in kernel_judge.obstacle()


@pytest.mark.parametrize("release", ["5.15.0-generic", "6.1.0-56-amd64", "6.18.44", "10.0-rc1"])
def test_new_kernel_is_no_obstacle(monkeypatch: pytest.MonkeyPatch, release: str) -> None:
    monkeypatch.setattr(libbpf.platform, "release", lambda: release)
    assert "newer" not in kernel_judge.obstacle()


def test_missing_capability_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse() -> int:
        raise PermissionError(errno.EPERM, os.strerror(errno.EPERM))

    monkeypatch.setattr(libbpf, "find_library", lambda: (None, None))
    monkeypatch.setattr(libbpf, "BTF", Path("/"))
    monkeypatch.setattr(libbpf, "load_nothing", refuse)
    assert "CAP_BPF" in kernel_judge.obstacle() and "CAP_PERFMON" in kernel_judge.obstacle()


def test_lockdown_is_named(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    state = tmp_path / "lockdown"
    state.write_text("none integrity [confidentiality]\n")
    monkeypatch.setattr(libbpf, "find_library", lambda: (None, None))
    monkeypatch.setattr(libbpf, "BTF", Path("/"))
    monkeypatch.setattr(libbpf, "load_nothing", lambda: os.open("/dev/null", os.O_RDONLY))
    monkeypatch.setattr(libbpf, "has_capabilities", lambda: True)
    monkeypatch.setattr(libbpf, "LOCKDOWN", state)
    assert "locked down" in kernel_judge.obstacle()
    state.write_text("none [integrity] confidentiality\n")
    assert kernel_judge.obstacle() == ""
