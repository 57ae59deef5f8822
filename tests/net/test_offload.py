"""`pktmend offload`, judged by `ethtool -k`, with `ethtool -K` on a twin as the model."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from line import inode
from pktmend.testbed.netns import Host, Testbed
from tools import PKTMEND


class Offload:
    """Runs `pktmend offload -i eth0 --netns HOST` with a state file of its own."""

    def __init__(self, host: Host, state: Path) -> None:
        self.host = host
        self.environment = {**os.environ, "XDG_STATE_HOME": str(state)}

    def __call__(
        self, *words: str, interface: str = "eth0", netns: str = "", expect: int = 0
    ) -> subprocess.CompletedProcess[str]:
        done = subprocess.run(
            [
                *PKTMEND,
                "offload",
                "-i",
                interface,
                "--netns",
                netns or self.host.namespace,
                *words,
            ],
            env=self.environment,
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == expect, done.stdout + done.stderr
        return done

    def json(self, *words: str) -> dict[str, Any]:
        answer: dict[str, Any] = json.loads(self(*words, "--json").stdout)["offload"]
        return answer

    def judge(self) -> str:
        return self.host.run("ethtool", "-k", "eth0").stdout


@pytest.fixture
def offload(testbed: Testbed, tmp_path: Path) -> Offload:
    a, b = testbed.host("a"), testbed.host("b")
    testbed.veth(a, "eth0", b, "eth0")
    return Offload(a, tmp_path)


@pytest.mark.parametrize(
    "words", ["tx off", "tso off gro on", "sg off", "rxvlan off rx off", "tx-udp-segmentation off"]
)
def test_set_is_ethtool_and_restore_is_as_before(offload: Offload, testbed: Testbed, words: str) -> None:
    twin = testbed.host("twin")
    testbed.veth(twin, "eth0", twin, "other")
    before = offload.judge()
    twin.run("ethtool", "-K", "eth0", *words.split())
    answer = offload.json("set", *words.split())
    assert offload.judge() == twin.run("ethtool", "-k", "eth0").stdout != before
    assert answer["changed"].keys() == answer["asked"].keys() and not answer["refused"]
    offload("restore")
    assert offload.judge() == before
    assert "nothing to restore" in offload("restore").stdout


def test_what_moved_with_it_is_shown(offload: Offload) -> None:
    answer = offload.json("set", "tx", "off")
    assert answer["asked"]["tx-checksum-ip-generic"] is False
    assert answer["moved"]["tx-tcp-segmentation"] is False and "tx-tcp-segmentation" not in answer["changed"]
    text = offload("show").stdout
    judge = offload.judge()
    assert "\ttx-tcp-segmentation: off" in judge and "\ttx-tcp6-segmentation: off" in judge
    assert "tso  off\n" in text and "partly" not in text  # whatever is left on of tx-tcp-*, by itself it does nothing
    assert "tx   off" in text and "changed by pktmend: tx-checksum-ip-generic was on" in text
    assert "tx-tcp-segmentation: off [requested on]" in offload("show", "--all").stdout
    assert "tx-tcp-segmentation: on, moved with it" in offload("restore").stdout


def test_half_of_tso_is_said(offload: Offload) -> None:
    offload.host.offload("eth0", **{"tx-tcp6-segmentation": False})
    assert "tso  partly: only tx-tcp-segmentation\n" in offload("show").stdout


def test_several_changes_are_undone_to_the_first_state(offload: Offload) -> None:
    before = offload.judge()
    for words in ("tx off", "gro on", "gro off", "tso off", "gro on"):
        offload("set", *words.split())
    assert set(offload.json("show")["changed"]) >= {"tx-checksum-ip-generic", "rx-gro", "tx-tcp-segmentation"}
    offload("restore")
    assert offload.judge() == before


def test_restore_leaves_what_somebody_else_changed(offload: Offload) -> None:
    offload("set", "tx", "off", "gro", "on")
    offload.host.offload("eth0", gro=False)  # somebody else, back to where it was
    offload.host.offload("eth0", rxvlan=False)
    restored = offload.json("restore")
    assert "rx-gro" not in restored["asked"] and restored["asked"]["tx-checksum-ip-generic"] is True
    now = offload.judge()
    assert "generic-receive-offload: off" in now and "rx-vlan-offload: off" in now


def test_a_new_interface_of_the_same_name_is_not_restored(offload: Offload) -> None:
    offload("set", "tx", "off")
    offload.host.run("ip", "link", "delete", "dev", "eth0")
    offload.host.run("ip", "link", "add", "eth0", "type", "veth", "peer", "name", "eth1")
    fresh = offload.judge()
    offload("restore")
    assert offload.judge() == fresh


def test_reached_by_process_id_and_remembered_under_the_same_key(offload: Offload, testbed: Testbed) -> None:
    sleeper = offload.host.spawn("sleep", "60")
    where = inode(f"/run/netns/{offload.host.namespace}")
    while inode(f"/proc/{sleeper.pid}/ns/net") != where:
        pass
    before = offload.judge()
    offload("set", "tx", "off", netns=str(sleeper.pid))
    assert "tx-checksum-ip-generic" in offload.json("show")["changed"]
    offload("restore")
    assert offload.judge() == before


@pytest.mark.parametrize(
    ("words", "code", "says"),
    [
        (["set", "lro", "on"], 2, "lro is fixed"),
        (["set", "bogus", "on"], 2, "'bogus' is neither"),
        (["set", "tx"], 2, "pairs"),
        (["set", "tx", "maybe"], 2, "on or off"),
        (["set"], 2, "pairs"),
        (["show", "tx", "on"], 2, "takes no features"),
    ],
)
def test_refused_with_the_reason(offload: Offload, words: list[str], code: int, says: str) -> None:
    done = offload(*words, expect=code)
    assert says in done.stderr and not done.stdout


def test_interface_or_namespace_that_there_is_not_is_exit_4(offload: Offload) -> None:
    assert "no interface 'eth9'" in offload(interface="eth9", expect=4).stderr
    assert "no network namespace, container or pod 'no-such'" in offload(netns="no-such", expect=4).stderr


def test_without_privilege_nothing_is_changed(offload: Offload) -> None:
    before = offload.judge()
    state = f"XDG_STATE_HOME={offload.environment['XDG_STATE_HOME']}"
    done = offload.host.run(
        "env",
        state,
        "setpriv",
        "--bounding-set=-all",
        "--inh-caps=-all",
        sys.executable,
        "-m",
        "pktmend",
        "offload",
        "-i",
        "eth0",
        "set",
        "tx",
        "off",
        check=False,
    )
    assert done.returncode == 3 and "CAP_NET_ADMIN" in done.stderr
    assert offload.judge() == before


@pytest.mark.parametrize("content", ["{nonsense", "[]", '{"1/2/eth0": {"rx-gro": "on"}}', ""])
def test_broken_state_file_is_named(offload: Offload, content: str) -> None:
    folder = Path(offload.environment["XDG_STATE_HOME"]) / "pktmend"
    folder.mkdir()
    (folder / "offload.json").write_text(content)
    assert str(folder / "offload.json") in offload("set", "tx", "off", expect=4).stderr
