"""Odd surroundings: every command in each of them says what is wrong in a line, with a documented exit code.

What is held for all: no traceback, nothing that the interpreter says by itself, no end by a signal, no hanging.
"""

from __future__ import annotations

import itertools
import os
import pty
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from pktmend.testbed.netns import Host, Testbed
from running import RunningBridge
from tools import PATIENCE, ROOT, until

COMMAND = Path(sys.executable).with_name("pktmend")
LEAKED = ROOT / "examples" / "leaked.pcap"
DOCUMENTED = {0, 1, 2, 3, 4, 5, 130, 141}  # docs/compatibility.md; as a shell shows SIGINT and SIGPIPE
UNSAID = ("Traceback", "Exception ignored", "Fatal Python", "core dumped", "ResourceWarning")
FILES = {
    "version": "--version",
    "help": "--help",
    "kernels": "kernels --json",
    "stages": "stages",
    "schema": "schema monitor",
    "check": f"check -r {LEAKED} --all --json",
    "fix": f"fix -r {LEAKED} -w $T/o.pcapng",
    "diagnose": f"diagnose -r {LEAKED}",
    "lab": "lab list",
    "bench": "bench sum --quick --save $T/results",
}
LIVE = {
    "diagnose -i": "diagnose -i pa --duration 0.2",
    "doctor": "doctor --json",
    "offload": "offload -i pa restore",
    "monitor": "monitor -i pa --duration 0.3",
    "monitor -w": "monitor -i pa --duration 0.3 -w $T/m.pcapng --listen :0 --json",
    "monitor pattern": "monitor -i 'p*' --duration 0.3 --workers 2 -v",
    "bridge": "bridge -i pa -I pb --force --duration 0.3 -v",
    "bridge --isolate": "bridge -i pc -I pd --duration 0.3 --isolate -Z nobody --json",
}


@pytest.fixture(scope="module")
def node() -> Iterator[Host]:
    with Testbed() as testbed:
        node, a = testbed.host("node"), testbed.host("a")
        for name in ("pa", "pb", "pc", "pd"):
            testbed.veth(a, f"a{name}", node, name)
        yield node


def run(node: Host, folder: Path, before: str, command: str, behind: str = "") -> tuple[int, str]:
    """Return exit code and standard error of a command in a shell that has changed its surroundings first."""
    folder.mkdir()
    line = f"export T={folder}; cd '{folder}'; {before} {COMMAND} {command} {behind}"
    process = node.spawn("bash", "-c", line, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    _, said = process.communicate(timeout=4 * PATIENCE)
    return process.returncode, said.decode(errors="replace")


def complaints(node: Host, tmp_path: Path, before: str, behind: str = "") -> list[str]:
    """Run all commands; return what is wrong with how they ended."""
    commands = FILES | LIVE
    with ThreadPoolExecutor(3) as pool:
        numbered = enumerate(commands.values())
        ends = pool.map(lambda each: run(node, tmp_path / str(each[0]), before, each[1], behind), numbered)
        return [
            f"{name}: {code}: {said}"
            for name, (code, said) in zip(commands, ends, strict=True)
            if code not in DOCUMENTED or any(word in said for word in UNSAID)
        ]


def mounted(words: str) -> str:
    """Words to put before a command, so that it runs where so much has been mounted."""
    return f"""unshare --mount sh -c '{words}; exec "$@"' sh"""


# The interpreter itself needs five descriptors to come as far as our first line.
@pytest.mark.parametrize("limit", [5, 6, 7, 8, 10, 13, 18, 32])
def test_few_descriptors(node: Host, tmp_path: Path, limit: int) -> None:
    assert complaints(node, tmp_path, f"ulimit -n {limit};") == []


def test_few_descriptors_are_named_with_what_to_do(node: Host, tmp_path: Path) -> None:
    code, said = run(node, tmp_path / "x", "ulimit -n 6;", LIVE["monitor"])
    assert code == 4 and "Too many open files" in said and "ulimit -n" in said and said.count("\n") == 1


@pytest.mark.parametrize(
    "behind", ["<&-", ">&-", "2>&-", "<&- >&- 2>&-", ">/dev/full", ">/dev/full 2>/dev/full", "1</dev/null 2</dev/null"]
)
def test_standard_streams_closed_full_or_not_to_be_written(node: Host, tmp_path: Path, behind: str) -> None:
    assert complaints(node, tmp_path, "", behind) == []


def test_no_file_of_ours_takes_the_place_of_a_closed_stream(node: Host, tmp_path: Path) -> None:
    """What any library prints would go into the capture."""
    code, _ = run(node, tmp_path / "x", "", LIVE["monitor -w"], "<&- >&- 2>&-")
    first = (tmp_path / "x" / "m.pcapng").read_bytes()[:4]
    assert (code, first) == (0, bytes.fromhex("0a0d0d0a"))


@pytest.mark.parametrize(
    "mounts",
    [
        "umount --lazy /proc",
        "mount -t tmpfs none /proc",
        "mount -t tmpfs none /sys",
        "mount -t tmpfs none /dev",
        "mount -t tmpfs -o ro none /tmp; mount -t tmpfs -o ro none /run; export T=/tmp",
        "mount -t tmpfs -o size=4k none /run; head -c 4096 /dev/zero >/run/x; export T=/run",
    ],
    ids=["no-proc", "empty-proc", "no-sys", "no-dev", "read-only", "full"],
)
def test_file_systems_missing_read_only_or_full(node: Host, tmp_path: Path, mounts: str) -> None:
    assert complaints(node, tmp_path, mounted(mounts)) == []


def test_missing_proc_is_named(node: Host, tmp_path: Path) -> None:
    code, said = run(node, tmp_path / "x", mounted("umount --lazy /proc"), LIVE["bridge"])
    assert code == 4 and "needs /proc" in said and said.count("\n") == 1


@pytest.mark.parametrize(
    "environment",
    [
        "env -i",
        "env HOME=/nonexistent TMPDIR=/nonexistent XDG_STATE_HOME=relative",
        "env LC_ALL=POSIX",
        "env LC_ALL=C PYTHONUTF8=0 PYTHONCOERCECLOCALE=0",
        "env LC_ALL=xx_YY.bogus PYTHONIOENCODING=ascii:strict",
        "env PYTHONOPTIMIZE=2 PYTHONUNBUFFERED=1 PYTHONSAFEPATH=1",
        "env PYTHONINSPECT=1",
        "env PYTHONMALLOC=debug PYTHONDONTWRITEBYTECODE=1",
        "env -u TERM COLUMNS=0 LINES=0",
        "env TERM=$'\\e]0;x\\a' COLUMNS=abc LINES=-1",
        "env TERM=xterm COLUMNS=99999999 LINES=99999999 FORCE_COLOR=1",
        "env XDG_STATE_HOME=$'/\\xff' NOTIFY_SOCKET=$'/\\xff' WATCHDOG_USEC=x WATCHDOG_PID=y SUDO_UID=x",
    ],
)
def test_environment(node: Host, tmp_path: Path, environment: str) -> None:
    assert complaints(node, tmp_path, environment) == []


@pytest.mark.parametrize("limit", ["-f 0", "-l 0", "-v 60000", "-v 90000", "-v 130000", "-v 200000", "-v 400000"])
def test_limits_of_file_size_and_memory(node: Host, tmp_path: Path, limit: str) -> None:
    assert complaints(node, tmp_path, f"ulimit {limit};") == []


@pytest.mark.parametrize("command", ["monitor", "bridge"])
def test_too_little_memory_for_threads_is_named(node: Host, tmp_path: Path, command: str) -> None:
    """A thread that has none for its first step is waited for for ever, by Python itself."""
    code, said = run(node, tmp_path / "x", "ulimit -v 250000;", LIVE[command])
    assert code == 4 and "244 MiB of address space" in said and "ulimit -v 262144" in said and said.count("\n") == 1


def test_names_that_are_no_utf8_or_no_names(node: Host, tmp_path: Path) -> None:
    """As arguments, settings, files and interfaces."""
    odd = "$'v\\xff1'"
    node.run("bash", "-c", f"ip link add name {odd} type veth peer name $'v\\xff2'")
    node.run("bash", "-c", f"ip link set dev {odd} up; ip link set dev $'v\\xff2' up")
    long = "0" * 5000
    lines = {
        f"monitor -i {odd} --duration 0.3 --json -w $T/{odd}": 0,
        f"monitor -i {odd} --duration 1.3 -G 1 -w $T/{odd}%s": 0,
        f"bridge -i {odd} -I pb --force --duration 0.3 --isolate": 0,
        f"diagnose -i {odd} --duration 0.2": 0,
        f"doctor {odd}": 0,
        f"offload -i {odd} set tx off": 0,
        f"offload -i {odd} restore --json": 0,
        f"fix -r {LEAKED} -w $T/{odd}.pcapng": 0,
        f"check -r {odd}": 4,
        f"check -r {LEAKED} {odd}": 2,
        f"check -r {LEAKED} --stage {odd}": 2,
        f"offload -i pa --netns {odd}": 4,
        f"bridge -i pa -I pb -Z {odd}": 2,
        f"lab run {odd}": 2,
        f"monitor -i pa --listen {odd}:1": 2,
        f"monitor -i pa --config {odd}": 4,
        "monitor -i pa --config <(sleep 2)": 2,
        "monitor -i pa --config /dev/zero": 2,
        f"monitor -i pa --config <(:) -w $T/{long}": 2,
        f"monitor -i {long}": 4,
        f"check -r {long}": 4,
        "check -i pa -c 99999999999999999999": 2,
        "monitor -i pa -B 99999999999999": 2,
        "monitor -i pa -w $T/x -s 99999999999999": 2,
        "monitor -i ''": 4,
        "bridge -i '' -I ''": 2,
        "offload -i pa --netns 99999999999999999999": 4,
    }
    for number, (line, code) in enumerate(lines.items()):
        found, said = run(node, tmp_path / str(number), f"export XDG_STATE_HOME={tmp_path};", line)
        assert found == code and not any(word in said for word in UNSAID), f"{line}: {found}: {said}"
    for number, name in enumerate(
        ["CONFIG", "DURATION", "WRITE", "LISTEN", "WORKERS", "MODE", "STAGE", "TUNNEL", "USER"]
    ):
        for command in ("monitor -i pa", "bridge -i pa -I pb"):
            line = f"{command} --force --duration 0.1" if command.startswith("bridge") else f"{command} --duration 0.1"
            found, said = run(node, tmp_path / f"{command} {number}", f"env PKTMEND_{name}=$'\\xff'", line)
            assert found in DOCUMENTED and "Traceback" not in said, f"{name}: {found}: {said}"


@pytest.mark.parametrize(
    "content", ["x = " + "[" * 100_000, 'tunnel = ["a\u0000b"]', "workers = 1e400", "a.b.c = 1979-05-27"]
)
@pytest.mark.parametrize("command", ["monitor -i pa --duration 0.1", "bridge -i pa -I pb --force --duration 0.1"])
def test_settings_that_make_no_sense(node: Host, tmp_path: Path, command: str, content: str) -> None:
    (tmp_path / "x.toml").write_text(content)
    code, said = run(node, tmp_path / "x", "", f"{command} --config {tmp_path}/x.toml")
    assert code in (2, 4) and said.startswith(("pktmend: ", "Usage: ")) and "Traceback" not in said, said


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
@pytest.mark.parametrize("name", ["help", "check", "doctor", "monitor -w", "bridge --isolate"])
def test_signal_in_every_phase(node: Host, tmp_path: Path, name: str, number: int) -> None:
    command = (FILES | LIVE)[name].replace("$T", str(tmp_path)).replace("0.3", "0.2")
    for after in itertools.chain(range(0, 200, 40), range(200, 600, 130)):
        process = node.spawn(
            str(COMMAND), *command.split(), stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE
        )
        time.sleep(after / 1000)
        process.send_signal(number)
        _, said = process.communicate(timeout=PATIENCE)
        # before our first line the interpreter may have words of its own for SIGINT
        is_early = b"pktmend/cli/" not in said and number == signal.SIGINT
        assert b"Traceback" not in said or is_early, f"after {after} ms: {said.decode()}"
        assert is_early or process.returncode in DOCUMENTED or process.returncode == -number


@pytest.mark.parametrize("name", ["monitor", "monitor -w", "bridge"])
def test_terminal_that_goes_away(node: Host, tmp_path: Path, name: str) -> None:
    """SIGHUP, and EIO for whatever is written or read from then on; under nohup it goes on until its end."""
    for before in ([], ["env", "--ignore-signal=HUP"]):
        command = LIVE[name].replace("$T", str(tmp_path)).replace("0.3", "3")
        ours, theirs = pty.openpty()
        with (tmp_path / "said").open("wb") as said:
            process = node.spawn(
                *before,
                "setsid",
                "--ctty",
                "--wait",
                *before,
                str(COMMAND),
                *command.split(),
                stdin=theirs,
                stdout=theirs,
                stderr=said,
            )
            os.close(theirs)
            assert os.read(ours, 1) or True
            os.close(ours)
            process.wait(PATIENCE)
        assert b"Traceback" not in (tmp_path / "said").read_bytes()


@pytest.mark.parametrize("argv", [("-i", "pa", "-I", "pb", "--force"), ("-i", "p*")])
def test_running_without_descriptors_goes_on(node: Host, argv: tuple[str, ...]) -> None:
    """It sees what happens to its interfaces once it can ask again, and takes no shortage for a deletion."""
    running = RunningBridge(node, *argv, program=("bridge" if "-I" in argv else "monitor",))
    until(lambda: len(running.snapshots) > 0)
    pid = str(running.process.pid)
    node.run("prlimit", "--pid", pid, "--nofile=3:1024")
    before = len(running.snapshots)
    node.run("ip", "link", "set", "dev", "pa", "down")
    until(lambda: len(running.snapshots) >= before + 2)
    node.run("ip", "link", "set", "dev", "pa", "up")
    until(lambda: len(running.snapshots) >= before + 3)
    node.run("prlimit", "--pid", pid, "--nofile=1024:1024")
    until(lambda: len(running.snapshots) >= before + 5)
    running.process.send_signal(signal.SIGTERM)
    running.listen()
    assert running.process.wait(PATIENCE) == 0
    assert not any("Traceback" in line or "is gone" in line for line in running.said), running.said
