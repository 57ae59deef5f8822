"""Files that are written, beside another user who wants to choose what is overwritten, or to read it.

The other user is real: what he plants he plants himself, where the kernel lets him.
"""

from __future__ import annotations

import errno
import os
import shutil
import socket
import stat
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path

import pytest
from test_monitor_writer import Recorder

from pktmend.errors import OSFailure, PrivilegeError
from pktmend.host.output_file import check_output, open_output, write_text
from pktmend.host.own_folder import OwnFolder
from tools import PATIENCE, ROOT, run_pktmend, until

NOBODY = 65534
LEAKED = ROOT / "examples" / "leaked.pcap"
as_root = pytest.mark.skipif(os.geteuid() != 0, reason="needs root, to have another user beside it")
SECRET = b"what was there"


def other(*argv: str | Path) -> None:
    """Run a program as another user."""
    subprocess.run(argv, user=NOBODY, group=NOBODY, extra_groups=[], check=True, timeout=60)


@pytest.fixture
def shared() -> Iterator[Path]:
    """A folder such as /tmp: everybody may put things there, each keeps what is his."""
    folder = Path(tempfile.mkdtemp(dir="/tmp"))
    folder.chmod(0o1777)
    yield folder
    shutil.rmtree(folder)


@pytest.fixture
def victim(tmp_path: Path) -> Path:
    path = tmp_path / "victim"
    path.write_bytes(SECRET)
    return path


def plant_link(path: Path, victim: Path) -> None:
    other("ln", "-s", victim, path)


def plant_link_to_new(path: Path, victim: Path) -> None:
    other("ln", "-s", victim.with_name("new"), path)


def plant_file(path: Path, victim: Path) -> None:
    other("touch", path)


def plant_fifo(path: Path, victim: Path) -> None:
    other("mkfifo", path)


def plant_hard_link(path: Path, victim: Path) -> None:
    """As he can with fs.protected_hardlinks=0; then he needs nothing but the same file system."""
    inner = path.with_name("of-root")
    inner.write_bytes(SECRET)
    path.hardlink_to(inner)


def plant_hard_link_to_link(path: Path, victim: Path) -> None:
    """A link of root's own, given a second name by another user."""
    inner = path.with_name("link-of-root")
    inner.symlink_to(victim)
    os.link(inner, path, follow_symlinks=False)


PLANTS = [plant_link, plant_link_to_new, plant_file, plant_fifo, plant_hard_link, plant_hard_link_to_link]


def writes_fix(path: Path) -> tuple[int, str]:
    done = run_pktmend("fix", "-r", str(LEAKED), "-w", str(path))
    return done.returncode, done.stderr.decode()


def writes_conversion(path: Path) -> tuple[int, str]:
    """To another format, which is written beside it first."""
    with tempfile.TemporaryDirectory() as folder:
        source = f"{folder}/a.pcapng"
        assert run_pktmend("fix", "-r", str(LEAKED), "-w", source).returncode == 0
        done = run_pktmend("fix", "-r", source, "-w", str(path))
    return done.returncode, done.stderr.decode()


def writes_monitor(path: Path) -> tuple[int, str]:
    done = run_pktmend("monitor", "-i", "lo", "--duration", "5", "-w", str(path))
    return done.returncode, done.stderr.decode()


def writes_picture(path: Path) -> tuple[int, str]:
    pytest.importorskip("rich")
    done = run_pktmend("monitor", "-i", "lo", "--duration", "5", "--picture", str(path))
    return done.returncode, done.stderr.decode()


def writes_report(path: Path) -> tuple[int, str]:
    done = run_pktmend("bench", "sum", "--quick", "--save", str(path))
    return done.returncode, done.stderr.decode()


def writes_in_process(path: Path) -> tuple[int, str]:
    try:
        os.close(open_output(str(path)))
    except OSFailure as error:
        return error.exit_code, f"pktmend: {error}\n"
    return 0, ""


WRITERS = [writes_fix, writes_conversion, writes_monitor, writes_picture, writes_report, writes_in_process]
Writer = Callable[[Path], tuple[int, str]]
Plant = Callable[[Path, Path], None]


@as_root
@pytest.mark.parametrize("writer", WRITERS)
@pytest.mark.parametrize("plant", PLANTS)
def test_what_another_user_planted_is_refused(shared: Path, victim: Path, plant: Plant, writer: Writer) -> None:
    path = shared / "out.pcap"
    plant(path, victim)
    before = path.lstat()
    code, said = writer(path)
    assert code == 4 and said.startswith(f"pktmend: cannot write {path}: "), said
    assert said.count("\n") == 1
    assert victim.read_bytes() == SECRET and not victim.with_name("new").exists()
    assert path.lstat().st_ino == before.st_ino and path.lstat().st_size == before.st_size
    if plant is plant_hard_link:
        assert path.read_bytes() == SECRET


@as_root
@pytest.mark.parametrize("mode", [0o1777, 0o777, 0o700])
def test_link_of_another_user_is_refused_in_any_folder_and_on_the_way(shared: Path, victim: Path, mode: int) -> None:
    """In his own folder too, which the kernel's protected_symlinks does not care for."""
    his = shared / "his"
    other("mkdir", his)
    other("chmod", f"{mode:o}", his)
    other("ln", "-s", victim, his / "file")
    other("ln", "-s", victim.parent, his / "folder")
    for path in (his / "file", his / "folder" / "new"):
        with pytest.raises(OSFailure, match="user 65534 has put a symbolic link there") as refused:
            open_output(str(path))
        assert refused.value.errno == errno.EACCES
        with pytest.raises(OSFailure):
            check_output(str(path))
    assert sorted(victim.parent.iterdir()) == [victim] and victim.read_bytes() == SECRET


@as_root
def test_file_in_another_users_own_folder_is_his_to_choose(shared: Path) -> None:
    """Root was told to write there; with one name it is a file of his, and of nobody else."""
    his = shared / "his"
    other("mkdir", his)
    other("touch", his / "file")
    write_text(str(his / "file"), "x")
    assert (his / "file").read_text() == "x"
    os.link(his / "file", his / "second")
    with pytest.raises(OSFailure, match="2 names"):
        open_output(str(his / "file"))


@as_root
def test_user_who_called_sudo_keeps_his_files_but_no_link(
    shared: Path, victim: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    other("touch", shared / "file")
    other("ln", "-s", victim, shared / "link")
    monkeypatch.setenv("SUDO_UID", str(NOBODY))
    write_text(str(shared / "file"), "x")
    with pytest.raises(OSFailure):
        open_output(str(shared / "link"))


def test_own_links_and_root_s_are_followed(tmp_path: Path) -> None:
    (tmp_path / "folder").mkdir()
    (tmp_path / "way").symlink_to("folder")
    (tmp_path / "link").symlink_to("way/../folder/file")
    write_text(str(tmp_path / "link"), "x")
    assert (tmp_path / "folder" / "file").read_text() == "x" and (tmp_path / "link").is_symlink()
    write_text(str(tmp_path / "way" / "file"), "y")
    assert (tmp_path / "folder" / "file").read_text() == "y"


@as_root
def test_own_link_in_a_shared_folder_is_followed(shared: Path, tmp_path: Path) -> None:
    (shared / "link").symlink_to(tmp_path / "file")
    write_text(str(shared / "link"), "x")
    assert (tmp_path / "file").read_text() == "x"


def test_links_without_an_end_are_an_error(tmp_path: Path) -> None:
    (tmp_path / "a").symlink_to("b")
    (tmp_path / "b").symlink_to("a")
    with pytest.raises(OSFailure, match="Too many levels of symbolic links"):
        open_output(str(tmp_path / "a"))


@pytest.mark.parametrize(
    ("name", "number"),
    [
        ("", errno.ENOENT),
        ("no/x", errno.ENOENT),
        ("folder", errno.EISDIR),
        ("x/", errno.EISDIR),
        ("file/x", errno.ENOTDIR),
    ],
)
def test_what_cannot_be_written_says_why(tmp_path: Path, name: str, number: int) -> None:
    (tmp_path / "folder").mkdir()
    (tmp_path / "file").touch()
    path = f"{tmp_path}/{name}" if name else ""
    with pytest.raises(OSFailure, match=f"cannot write {path or repr('')}: ") as error:
        open_output(path)
    assert error.value.errno == number and error.value.exit_code == 4


def test_no_descriptor_is_left(tmp_path: Path) -> None:
    """Neither after a success nor after any failure."""
    (tmp_path / "loop").symlink_to("loop")
    before = os.listdir("/proc/self/fd")  # noqa: PTH208
    for name in ("file", "no/x", "loop", "loop/x", "."):
        with suppress(OSFailure):
            os.close(open_output(str(tmp_path / name)))
        with suppress(OSFailure):
            check_output(str(tmp_path / name))
    assert os.listdir("/proc/self/fd") == before  # noqa: PTH208


@pytest.mark.parametrize("path", ["/dev/null", "/dev/full"])
def test_devices_are_written_to(path: str) -> None:
    os.close(open_output(path))


@pytest.mark.parametrize("name", ["/dev/stdout", "/dev/fd/1", "/proc/self/fd/1"])
def test_standard_output_by_its_names(tmp_path: Path, name: str) -> None:
    done = run_pktmend("fix", "-r", str(LEAKED), "-w", name)
    assert done.returncode == 0 and done.stdout.startswith(LEAKED.read_bytes()[:24])
    with (tmp_path / "out").open("w+b") as out:
        command = [str(Path(sys.executable).with_name("pktmend")), "fix", "-r", str(LEAKED), "-w", name, "--json"]
        assert subprocess.run(command, stdout=out, check=False, timeout=60).returncode == 0


def test_fifo_of_our_own_is_written_to_in_a_shared_folder(shared: Path) -> None:
    os.mkfifo(shared / "fifo")
    reader = os.open(shared / "fifo", os.O_RDONLY | os.O_NONBLOCK)
    fd = open_output(str(shared / "fifo"))
    os.write(fd, b"x")
    assert os.read(reader, 9) == b"x"
    os.close(fd)
    os.close(reader)
    with pytest.raises(OSFailure) as none:
        open_output(str(shared / "fifo"), waits=False)
    assert none.value.errno == errno.ENXIO


def mode_of(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


@pytest.mark.parametrize("umask", [0o000, 0o022, 0o077])
def test_new_files_have_the_mode_whatever_the_umask(tmp_path: Path, umask: int) -> None:
    before = os.umask(umask)
    try:
        assert run_pktmend("fix", "-r", str(LEAKED), "-w", str(tmp_path / "a.pcap")).returncode == 0
        assert run_pktmend("fix", "-r", str(LEAKED), "-w", str(tmp_path / "a.pcapng")).returncode == 0
        assert run_pktmend("fix", "-r", str(LEAKED), "-w", str(tmp_path / "b.pcap"), "--mode", "0640").returncode == 0
    finally:
        os.umask(before)
    assert [mode_of(tmp_path / name) for name in ("a.pcap", "a.pcapng", "b.pcap")] == [0o600, 0o600, 0o640]


def test_existing_file_that_others_can_read_is_replaced(tmp_path: Path) -> None:
    """Who has it open already goes on reading the old one."""
    path = tmp_path / "out.pcap"
    path.write_bytes(SECRET)
    path.chmod(0o644)
    with path.open("rb") as reader:
        assert run_pktmend("fix", "-r", str(LEAKED), "-w", str(path)).returncode == 0
        assert reader.read() == SECRET
    assert mode_of(path) == 0o600 and path.read_bytes() != SECRET


@pytest.mark.parametrize(("before", "after"), [(0o640, 0o640), (0o600, 0o600), (0o664, 0o660)])
def test_existing_file_keeps_what_its_group_may(tmp_path: Path, before: int, after: int) -> None:
    path = tmp_path / "out"
    path.write_bytes(SECRET)
    path.chmod(before)
    os.close(open_output(str(path), append=True))
    assert mode_of(path) == after and path.read_bytes() == SECRET


@pytest.mark.parametrize("word", ["9", "rw", "7777", "-1", "0o1600", ""])
def test_mode_that_is_none_is_misuse(tmp_path: Path, word: str) -> None:
    done = run_pktmend("fix", "-r", str(LEAKED), "-w", str(tmp_path / "x"), f"--mode={word}")
    assert done.returncode == 2 and b"Traceback" not in done.stderr and not (tmp_path / "x").exists()


@as_root
@pytest.mark.parametrize("plant", [plant_link, plant_file, plant_fifo, plant_hard_link])
def test_next_file_of_a_rotation_is_not_a_planted_one(shared: Path, victim: Path, plant: Plant) -> None:
    recorder = Recorder(shared / "x", megabytes=1)
    plant(shared / "x1", victim)
    recorder.writer.open()
    recorder.writer.start()
    until(lambda: recorder.writer.counts().is_writing)
    for _ in range(12):
        recorder.put(1000)
    until(lambda: not recorder.writer.counts().is_writing)
    recorder.writer.close()
    assert len(recorder.events) == 1
    assert recorder.events[0].startswith(f"cannot write {shared}/x1: ") and "watching goes on" in recorder.events[0]
    assert "EACCES" in recorder.writer.counts().not_written
    assert victim.read_bytes() == SECRET and mode_of(shared / "x") == 0o600


def test_files_of_a_rotation_have_the_mode(tmp_path: Path) -> None:
    for mode in (0o600, 0o640):
        folder = tmp_path / f"{mode:o}"
        folder.mkdir()
        recorder = Recorder(folder / "x", megabytes=1, mode=mode)
        recorder.writer.open()
        recorder.writer.start()
        for _ in range(30):
            recorder.put(1000)
        recorder.writer.close()
        files = sorted(folder.iterdir())
        assert len(files) >= 3 and {mode_of(each) for each in files} == {mode}, recorder.events


@as_root
def test_swapping_links_and_files_all_the_time_reaches_nothing_else(shared: Path, victim: Path) -> None:
    """He may do in a folder without the sticky bit what he likes, at any moment."""
    shared.chmod(0o777)
    path, goes_on = shared / "out", shared / "goes on"
    goes_on.touch()
    steps = f"ln -sf {victim} {path}; rm -f {path}; ln -sf /dev/null {path}; mv {path} {path}2"
    swap = f"while [ -e '{goes_on}' ]; do {steps}; done"
    with subprocess.Popen(
        ["sh", "-c", swap], user=NOBODY, group=NOBODY, extra_groups=[], stderr=subprocess.DEVNULL
    ) as swapper:
        end = time.monotonic() + 2
        while time.monotonic() < end:
            with suppress(OSFailure):
                write_text(str(path), "x")
        goes_on.unlink()  # it ends by itself, behind the last program it began
        assert swapper.wait(PATIENCE) == 0
    assert victim.read_bytes() == SECRET


@as_root
def test_folder_for_what_is_remembered_is_ours_or_refused(shared: Path, victim: Path) -> None:
    folder = shared / "pktmend"
    other("mkdir", folder)
    with pytest.raises(PrivilegeError, match="belongs to user 65534"):
        OwnFolder(folder)
    other("rmdir", folder)
    other("ln", "-s", victim.parent, folder)
    with pytest.raises(PrivilegeError, match="symbolic link"):
        OwnFolder(folder)
    folder.unlink()
    with OwnFolder(folder) as own:
        assert mode_of(folder) == 0o700
        own.write("a", b"1")
        own.write("a", b"2")
        assert own.read("a") == b"2" and mode_of(folder / "a") == 0o600
        (folder / "link").symlink_to(victim)
        (folder / "second").hardlink_to(folder / "a")
        for name in ("link", "second"):
            with pytest.raises(PrivilegeError):
                own.read(name)
        os.mkfifo(folder / "fifo")
        own.write("link", b"3")
        assert victim.read_bytes() == SECRET and not (folder / "link").is_symlink()


@as_root
def test_offload_says_whose_its_memory_is(shared: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_STATE_HOME", str(shared))
    other("mkdir", shared / "pktmend")
    done = run_pktmend("offload", "-i", "lo", "restore")
    assert done.returncode == 3 and done.stderr.count(b"\n") == 1
    assert f"cannot use {shared}/pktmend: it belongs to user 65534" in done.stderr.decode()


def test_socket_is_no_output(tmp_path: Path) -> None:
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(tmp_path / "socket"))
        with pytest.raises(OSFailure, match="No such device or address"):
            open_output(str(tmp_path / "socket"))
