"""`pktmend offload`: --keep, --measure and recipes, each run by the program that it is for, where that is here."""

from __future__ import annotations

import json
import os
import shlex
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from pktmend.testbed.netns import Host, Testbed, end
from tools import PKTMEND, left, need, until

TX = "tx-checksum-ip-generic"


def offload(*words: str, state: Path | None = None, expect: int = 0) -> subprocess.CompletedProcess[str]:
    environment = {**os.environ, **({"XDG_STATE_HOME": str(state)} if state else {})}
    argv = [*PKTMEND, "offload", *words]
    done = subprocess.run(argv, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == expect, done.stdout + done.stderr
    return done


@pytest.fixture
def host(testbed: Testbed) -> Host:
    a = testbed.host("a")
    a.run("ip", "link", "add", "eth0", "type", "veth", "peer", "name", "eth1")
    return a


def is_off(host: Host, interface: str = "eth0") -> bool:
    return f"{TX}: off" in host.run("ethtool", "-k", interface).stdout


def test_what_is_kept_is_set_again_on_a_link_that_is_made_anew(host: Host, tmp_path: Path) -> None:
    policy = tmp_path / "etc" / "offload.toml"
    where = ("-i", "eth0", "--netns", host.namespace, "--keep", "--policy", str(policy))
    to = (*where, "set", "tx", "off")
    assert "a rule was added" in offload(*to, state=tmp_path).stdout and is_off(host)
    policy.write_text("# mine\n" + policy.read_text())
    assert "says so already" in offload(*to, state=tmp_path).stdout
    kept = json.loads(offload(*where, "set", "tso", "off", "--json", state=tmp_path).stdout)["offload"]["kept"]
    assert kept["new"] is True and kept["rule"]["interface"] == "eth0" and kept["rule"]["netns"] == host.namespace
    text = policy.read_text()
    assert text.startswith("# mine\n") and text.count("[[rule]]") == 2 and policy.stat().st_mode & 0o777 == 0o644
    host.run("ip", "link", "delete", "dev", "eth0")
    host.run("ip", "link", "add", "eth0", "type", "veth", "peer", "name", "eth1")
    offload("policy", str(policy), "--check", state=tmp_path, expect=1)
    offload("policy", str(policy), state=tmp_path)
    assert is_off(host) and not is_off(host, "eth1")


def test_a_name_that_looks_like_a_pattern_is_kept_as_a_name(host: Host, tmp_path: Path) -> None:
    policy = tmp_path / "offload.toml"
    host.run("ip", "link", "add", "e[0]*", "type", "veth", "peer", "name", "e0x")
    where = ("--netns", host.namespace, "set", "tx", "off", "--keep", "--policy", str(policy))
    offload("-i", "e[0]*", *where, state=tmp_path)
    offload("-i", "e[0]*", "--netns", host.namespace, "restore", state=tmp_path)
    offload("policy", str(policy), state=tmp_path)
    assert is_off(host, "e[0]*") and not is_off(host, "e0x")


def test_nothing_is_set_where_it_could_not_be_kept(host: Host, testbed: Testbed, tmp_path: Path) -> None:
    policy = tmp_path / "offload.toml"
    policy.write_text("[[rule]]\n")
    words = ("set", "tx", "off", "--keep", "--policy", str(policy))
    done = offload("-i", "eth0", "--netns", host.namespace, *words, state=tmp_path, expect=2)
    assert "fits every link" in done.stderr and not is_off(host) and policy.read_text() == "[[rule]]\n"
    policy.unlink()
    program = subprocess.Popen(["unshare", "-n", "sh", "-c", "ip link add eth0 type veth peer eth1; exec sleep 60"])
    testbed.on_exit(lambda: end(program))  # type: ignore[arg-type]
    enter = ("nsenter", "-t", str(program.pid), "-n", "ethtool", "-k", "eth0")
    until(
        lambda: subprocess.run(enter, capture_output=True, check=False).returncode == 0, "a link without a name's help"
    )
    done = offload("-i", "eth0", "--netns", str(program.pid), *words, state=tmp_path, expect=2)
    assert "has no name" in done.stderr and not policy.exists()
    assert f"{TX}: on" in subprocess.run(enter, capture_output=True, text=True, check=False).stdout


def test_price_is_measured_in_a_pair_that_is_gone_afterwards(host: Host, tmp_path: Path) -> None:
    argv = [*PKTMEND, "offload", "-i", "eth0", "--netns", host.namespace, "set", "tx", "off", "--measure", "--json"]
    environment = {**os.environ, "XDG_STATE_HOME": str(tmp_path)}
    program = subprocess.Popen(argv, env=environment, stdout=subprocess.PIPE, text=True)
    price = json.loads(program.communicate()[0])["offload"]["measured"]
    assert price["tso_goes"] is True and price["direction"] == "out of"
    assert price["before_bps"] > 1e6 and price["after_bps"] > 1e6 and is_off(host)
    assert left(program.pid) == []


@pytest.mark.parametrize(
    "words",
    [
        ("set", "tx", "off", "--watch"),
        ("show", "--keep"),
        ("set", "tx", "off", "--policy", "x"),
        ("policy",),
        ("policy", "a", "b"),
        ("recipe",),
        ("recipe", "nonsense"),
        ("recipe", "link", "ntuple", "off"),
        ("recipe", "udev", "-i", 'a"b'),
        ("recipe", "udev", "bogus", "off"),
        ("set", "tx", "off"),
    ],
)
def test_what_does_not_go_together_is_refused(words: tuple[str, ...]) -> None:
    done = offload(*words, expect=2)
    assert done.stderr and not done.stdout


def in_own_mounts(host: Host, script: str) -> str:
    """Run a script in *host* where udev's files are its own."""
    begin = "mount -t tmpfs none /run && mkdir -p /run/udev/rules.d /run/systemd/network"
    return host.run("unshare", "-m", "sh", "-ec", f"{begin}\n{script}").stdout


def test_link_file_is_obeyed_by_udev(host: Host) -> None:
    need("udevadm")
    recipe = offload("recipe", "link", "-i", "eth*", "tx", "off", "tso", "off", "gro", "on").stdout
    said = in_own_mounts(
        host,
        f"printf %s {shlex.quote(recipe)} >/run/systemd/network/10-pktmend-offload.link\n"
        "SYSTEMD_LOG_LEVEL=debug udevadm test-builtin net_setup_link /sys/class/net/eth0 2>&1",
    )
    assert "10-pktmend-offload.link is applied" in said
    assert "10-pktmend-offload.link:" not in said, "a line that udev does not know"
    shown = host.run("ethtool", "-k", "eth0").stdout
    assert f"{TX}: off" in shown and "generic-receive-offload: on" in shown
    assert "tx-tcp6-segmentation: off" in shown


def test_udev_rule_is_run_by_udev(host: Host) -> None:
    need("udevadm")
    recipe = offload("recipe", "udev", "-i", "eth0", "tx", "off").stdout
    said = in_own_mounts(
        host,
        f"printf %s {shlex.quote(recipe)} >/run/udev/rules.d/90-x.rules\n"
        "for i in eth0 eth1; do udevadm test --action=add /sys/class/net/$i 2>&1; done",
    )
    assert "90-x.rules:3 " in said and "Invalid" not in said
    [command] = [line.split("'")[1] for line in said.splitlines() if line.startswith("run: '/usr/sbin/ethtool")]
    host.run(*command.split())
    assert is_off(host) and not is_off(host, "eth1")


def test_cni_plugin_does_as_the_specification_says(host: Host, tmp_path: Path) -> None:
    recipe = offload("recipe", "cni", "tx", "off").stdout
    plugin = tmp_path / "pktmend-offload"
    plugin.write_text(recipe)
    entry = json.loads(recipe.splitlines()[-1].removeprefix("#   "))
    assert entry["type"] == plugin.name
    result = {"cniVersion": "1.0.0", "interfaces": [{"name": "eth0"}]}

    def call(command: str, settings: dict[str, object]) -> tuple[int, str]:
        where = {"CNI_COMMAND": command, "CNI_NETNS": f"/run/netns/{host.namespace}", "CNI_IFNAME": "eth0"}
        done = subprocess.run(
            [sys.executable, str(plugin)],
            input=json.dumps({"cniVersion": "1.0.0", "name": "net", **entry, **settings}),
            env={**os.environ, **where},
            capture_output=True,
            text=True,
            check=False,
        )
        return done.returncode, done.stdout

    assert "1.0.0" in json.loads(call("VERSION", {})[1])["supportedVersions"]
    assert call("CHECK", {"prevResult": result}) == (0, "") and not is_off(host)
    code, out = call("ADD", {"prevResult": result})
    assert code == 0 and json.loads(out) == result and is_off(host)
    assert call("DEL", {"prevResult": result}) == (0, "")
    code, out = call("ADD", {"prevResult": result, "offload": {"bogus": "off"}})
    assert code == 1 and json.loads(out)["code"] >= 100 and "ethtool" in json.loads(out)["msg"]
    assert json.loads(call("ADD", {})[1])["code"] == 7


def test_other_recipes_are_what_their_programs_read(host: Host) -> None:
    hook = json.loads(offload("recipe", "oci-hook", "tx", "off").stdout)
    assert hook.keys() == {"version", "hook", "when", "stages"} and hook["stages"] == ["createContainer"]
    compose = yaml.safe_load(offload("recipe", "compose", "tx", "off").stdout)["services"]["web-offload"]
    lab = yaml.safe_load(offload("recipe", "containerlab", "-i", "eth0", "tx", "off").stdout)
    [node] = lab["topology"]["nodes"].values()
    assert compose["network_mode"] == "service:web" and compose["cap_add"] == ["NET_ADMIN"]
    for argv in (hook["hook"]["args"], compose["command"], node["exec"][0].split()):
        host.run("ethtool", "-K", "eth0", "tx", "on")
        host.run(*argv)
        assert is_off(host)
