"""A full disk is one line that names the file: a file system of 64 KiB in a mount namespace of its own."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

EXAMPLE = Path(__file__).resolve().parents[2] / "examples" / "leaked.pcap"
LEAKED = EXAMPLE.read_bytes()
PKTMEND = f"{sys.executable} -P -m pktmend"


def on_a_full_disk(folder: Path, command: str) -> subprocess.CompletedProcess[str]:
    """Run *command* where FULL is a file system of 64 KiB and BIG a capture that does not fit."""
    (folder / "full").mkdir()
    (folder / "big.pcap").write_bytes(LEAKED[:24] + LEAKED[24:] * 400)
    script = f"mount -t tmpfs -o size=64k tmpfs {folder}/full || exit 77; {command}"
    done = subprocess.run(
        ["unshare", "-m", "sh", "-c", script.replace("FULL", f"{folder}/full").replace("BIG", f"{folder}/big.pcap")],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    if done.returncode == 77:
        pytest.skip(f"no mount namespace here: {done.stderr}")
    return done


@pytest.mark.parametrize("name", ["x.pcap", "x.pcapng"])
def test_fix_names_the_file(tmp_path: Path, name: str) -> None:
    done = on_a_full_disk(tmp_path, f"{PKTMEND} fix -r BIG -w FULL/{name}")
    assert done.returncode == 4 and not done.stdout
    assert done.stderr == f"pktmend: writing {tmp_path}/full/{name}: No space left on device\n"


def test_fix_names_standard_output(tmp_path: Path) -> None:
    done = on_a_full_disk(tmp_path, f"{PKTMEND} fix -r BIG -w - > FULL/x")
    assert done.returncode == 4 and done.stderr == "pktmend: writing standard output: No space left on device\n"


def test_what_is_left_at_the_end_is_written_or_named(tmp_path: Path) -> None:
    """A capture that stays in the engine's buffer until it is closed."""
    done = on_a_full_disk(
        tmp_path, f"head -c 100000 /dev/zero > FULL/z 2>/dev/null; {PKTMEND} fix -r {EXAMPLE} -w FULL/x.pcapng"
    )
    assert done.returncode == 4 and f"writing {tmp_path}/full/x.pcapng: No space" in done.stderr
