"""`pktmend offload policy`, judged by `ethtool -k`: what is there, what comes later, and nothing is held or lost."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from line import inode
from pktmend.commands.offload.links import links_with_rules
from pktmend.commands.offload.rules import read_policy
from pktmend.host.ethtool import feature_names
from pktmend.host.namespaces import find_namespace
from pktmend.host.workloads import Workload
from pktmend.testbed.netns import Host, Testbed, end
from tools import PATIENCE, PKTMEND, until

HOSTILE = "a;touch$IFS-x&"
TX = "tx-checksum-ip-generic"


class Policies:
    """Runs `pktmend offload policy` on a file, with a memory of its own; ended with the test."""

    def __init__(self, folder: Path) -> None:
        self.file = folder / "offload.toml"
        self.memory = folder / "state" / "pktmend" / "offload.json"
        self.environment = {**os.environ, "XDG_STATE_HOME": str(folder / "state")}
        self.said: list[str] = []
        self.watching: subprocess.Popen[str] | None = None

    def write(self, *rules: str) -> None:
        self.file.write_text("".join(f"[[rule]]\n{rule}\n" for rule in rules))

    def run(self, *words: str, expect: int = 0) -> subprocess.CompletedProcess[str]:
        argv = [*PKTMEND, "offload", *words]
        done = subprocess.run(argv, env=self.environment, capture_output=True, text=True, check=False)
        assert done.returncode == expect, done.stdout + done.stderr
        return done

    def policy(self, *words: str, expect: int = 0) -> str:
        return self.run("policy", str(self.file), *words, expect=expect).stdout

    def watch(self, *prefix: str) -> None:
        self.watching = subprocess.Popen(
            [*prefix, *PKTMEND, "offload", "policy", str(self.file), "--watch"],
            env=self.environment,
            stderr=subprocess.PIPE,
            text=True,
        )
        self._listener = threading.Thread(target=self._listen, daemon=True)
        self._listener.start()
        self.await_told("watching")

    def _listen(self) -> None:
        assert self.watching is not None and self.watching.stderr is not None
        self.said += (line.rstrip("\n") for line in self.watching.stderr)

    def told(self, words: str) -> int:
        return sum(words in line for line in self.said)

    def await_told(self, words: str) -> None:
        until(lambda: self.told(words) > 0, f"{words!r} in {self.said}")

    def remembered(self) -> dict[str, dict[str, dict[str, bool]]]:
        found: dict[str, dict[str, dict[str, bool]]] = json.loads(self.memory.read_text())
        return found

    def close(self) -> None:
        if self.watching is not None and self.watching.stderr is not None:
            self.watching.kill()
            self.watching.wait()
            self._listener.join()
            self.watching.stderr.close()


@pytest.fixture
def policies(tmp_path: Path) -> Iterator[Policies]:
    policies = Policies(tmp_path)
    yield policies
    policies.close()


def judge(host: Host, interface: str = "eth0") -> str:
    return host.run("ethtool", "-k", interface).stdout


def tx_is_off(shown: str) -> bool:
    return f"{TX}: off" in shown


def add_pair(host: Host, name: str) -> None:
    host.run("ip", "link", "add", name, "type", "veth", "peer", "name", f"{name}p")


def anonymous(testbed: Testbed, *argv: str) -> subprocess.Popen[bytes]:
    """Start a program in a namespace without a name."""
    program = subprocess.Popen(["unshare", "-n", "--", *argv])
    testbed.on_exit(lambda: end(program))
    until(lambda: inode(f"/proc/{program.pid}/ns/net") != inode("/proc/self/ns/net"), "a namespace of its own")
    return program


def inside(pid: int, *argv: str) -> str:
    done = subprocess.run(["nsenter", "-t", str(pid), "-n", *argv], capture_output=True, text=True, check=False)
    return done.stdout


def test_once_is_ethtool_on_what_fits_and_restore_is_as_before(testbed: Testbed, policies: Policies) -> None:
    a, b, twin = testbed.host("a"), testbed.host("b"), testbed.host("twin")
    testbed.veth(a, "eth0", b, "eth0")
    add_pair(a, "other")
    add_pair(twin, "eth0")
    before = {name: judge(a, name) for name in ("eth0", "other", "otherp")}
    theirs = judge(b)
    policies.write(f'interface = "eth*"\nnetns = "{a.namespace}"\ntx = "off"\ngro = true')
    out = policies.policy("--check", expect=1)
    assert f"eth0 (netns {a.namespace}): {TX} on" in out and "1 deviate" in out and judge(a) == before["eth0"]
    assert "1 changed" in policies.policy("--once")
    twin.run("ethtool", "-K", "eth0", "tx", "off", "gro", "on")
    assert judge(a) == judge(twin, "eth0") != before["eth0"]
    assert judge(b) == theirs and judge(a, "other") == before["other"]  # no rule speaks of them
    assert "0 changed" in policies.policy() and "0 deviate" in policies.policy("--check")
    policies.run("-i", "eth0", "--netns", a.namespace, "restore")
    assert judge(a) == before["eth0"]


def test_every_rule_that_fits_holds_and_the_later_one_wins(testbed: Testbed, policies: Policies) -> None:
    a, b = testbed.host("a"), testbed.host("b")
    testbed.veth(a, "eth0", b, "far")
    for name in ("eth1", "eth2"):
        add_pair(a, name)
    here = f'netns = "{a.namespace}"\n'
    policies.write(
        f'{here}interface = ["eth*", "!*p", "!eth2"]\ndriver = "veth"\ntx = "off"\nrxvlan = "off"',
        f'{here}peer = "far"\n"{TX}" = "on"\ngro = "on"',
        f'{here}driver = "tun"\ngro = "on"',
    )
    *changes, summary = map(json.loads, policies.policy("--json").splitlines())
    found = {each["link"]["interface"]: each["link"] for each in changes}
    assert summary["summary"]["changed"] == 2 and found.keys() == {"eth0", "eth1"}
    assert found["eth0"]["rules"] == [1, 2] and found["eth1"]["rules"] == [1]
    assert found["eth0"]["namespace"] == a.namespace
    assert not tx_is_off(judge(a)) and tx_is_off(judge(a, "eth1")) and not tx_is_off(judge(a, "eth2"))
    assert "generic-receive-offload: on" in judge(a) and "generic-receive-offload: off" in judge(a, "eth1")
    policies.run("restore", "--all")
    assert "rx-vlan-offload: on" in judge(a) and not tx_is_off(judge(a, "eth1"))


def test_what_comes_later_is_set_wherever_it_comes(testbed: Testbed, policies: Policies) -> None:
    a = testbed.host("a")
    add_pair(a, "pm0")
    policies.write(f'interface = ["pm*", "!*p"]\nnetns = ["pktmend-{os.getpid()}-*", "!this"]\ntx = "off"')
    with policies.file.open("a") as file:  # for namespaces that have no name
        file.write('[[rule]]\ninterface = ["anon*", "moved*"]\ntx = "off"\n')
    policies.watch()
    assert tx_is_off(judge(a, "pm0")), "set before it says that it watches"
    add_pair(a, "pm1")
    until(lambda: tx_is_off(judge(a, "pm1")), "a link in a namespace that was there")
    b = testbed.host("b")
    add_pair(b, "pm2")
    until(lambda: tx_is_off(judge(b, "pm2")), "a link in a namespace that came later")
    nameless = anonymous(testbed, "sh", "-c", "ip link add anon0 type veth peer name anon1; exec sleep 60")
    until(lambda: tx_is_off(inside(nameless.pid, "ethtool", "-k", "anon0")), "a link in a namespace without a name")
    a.run("ip", "link", "set", "dev", "pm1p", "name", "moved0", "netns", str(nameless.pid))
    until(lambda: tx_is_off(inside(nameless.pid, "ethtool", "-k", "moved0")), "a link that was moved and renamed")
    policies.await_told("moved0 (")  # said behind the deed
    for name in ("pm0", "pm1", "pm2", "anon0", "moved0"):
        assert policies.told(f"{name} (") == 1, policies.said
    assert policies.told("pm0p") == 0 and policies.watching is not None
    policies.watching.send_signal(signal.SIGTERM)
    assert policies.watching.wait(PATIENCE) == 0


def test_a_namespace_that_ends_is_neither_held_nor_remembered(testbed: Testbed, policies: Policies) -> None:
    a = testbed.host("a")
    policies.write(f'interface = "pm*"\nnetns = ["{a.namespace}", ""]\ntx = "off"')
    policies.watch()
    nameless = anonymous(testbed, "sleep", "60")
    a.run("ip", "link", "add", "pm0", "type", "veth", "peer", "name", "pm1", "netns", str(nameless.pid))
    a.run("ip", "link", "add", "pm2", "type", "veth", "peer", "name", "pm3")
    until(lambda: len(policies.remembered()) == 4 if policies.memory.exists() else False, "four links changed")
    end(nameless)
    until(lambda: "pm0" not in a.run("ip", "-o", "link").stdout, "the end of the pair, with the namespace")
    a.run("ip", "link", "delete", "dev", "pm2")
    until(lambda: policies.remembered() == {}, "forgetting")


def test_what_was_restored_stays_until_the_policy_is_read_again(testbed: Testbed, policies: Policies) -> None:
    a = testbed.host("a")
    for name in ("pm0", "pm1"):
        add_pair(a, name)
    before = judge(a, "pm0")
    policies.write(f'interface = "pm?"\nnetns = "{a.namespace}"\ntx = "off"')
    policies.watch()
    a.offload("pm1", tx=True)
    until(lambda: tx_is_off(judge(a, "pm1")), "what others undid is set again")
    policies.run("-i", "pm0", "--netns", a.namespace, "restore")
    a.run("ip", "link", "set", "dev", "pm0", "up")
    add_pair(a, "pm2")
    until(lambda: tx_is_off(judge(a, "pm2")), "a later link: events before it were seen")
    assert judge(a, "pm0") == before
    assert policies.watching is not None
    policies.file.write_text("[[rule]]\ninterfce = 'x'\n")
    policies.watching.send_signal(signal.SIGHUP)
    policies.await_told("the rules in force stay")
    assert policies.told("offload.toml:2: rule 1: unknown key 'interfce' (did you mean 'interface'?)") == 1
    policies.write(f'interface = "pm?"\nnetns = "{a.namespace}"\ntx = "off"', 'interface = "none"\ngro = "on"')
    policies.watching.send_signal(signal.SIGHUP)
    policies.await_told("read again: 2 rules")
    until(lambda: tx_is_off(judge(a, "pm0")), "set anew after a reload")


def test_nobody_fights_for_ever(testbed: Testbed, policies: Policies) -> None:
    a = testbed.host("a")
    add_pair(a, "pm0")
    policies.write(f'interface = "pm0"\nnetns = "{a.namespace}"\ntx = "off"')
    policies.watch()
    for n in range(1, 6):
        until(lambda n=n: policies.told(f"{TX} off") == n, f"set {n} times")  # type: ignore[misc]
        a.offload("pm0", tx=True)
    policies.await_told("somebody else has set it 5 times, it stays")
    assert not tx_is_off(judge(a, "pm0"))


def test_a_moved_link_is_restored_where_it_went(testbed: Testbed, policies: Policies) -> None:
    """A runtime makes a pair on the node, where a rule speaks of it, and gives one end to a container."""
    node, a = testbed.host("node"), testbed.host("a")
    policies.write('interface = "pm*"\nnetns = "this"\ntx = "off"')
    policies.watch("ip", "netns", "exec", node.namespace)
    add_pair(node, "pm0")
    policies.await_told("pm0p:")
    node.run("ip", "link", "set", "dev", "pm0p", "netns", a.namespace)
    key = f"{inode(f'/run/netns/{a.namespace}')}/"
    until(lambda: any(each.startswith(key) for each in policies.remembered()), "its memory goes along")
    assert tx_is_off(judge(a, "pm0p"))
    policies.run("-i", "pm0p", "--netns", a.namespace, "restore")
    assert not tx_is_off(judge(a, "pm0p"))


def test_hostile_names_stay_names(testbed: Testbed, policies: Policies) -> None:
    a = testbed.host("a")
    a.run("ip", "link", "add", HOSTILE, "type", "veth", "peer", "name", "\x1b[31m\u202e")
    policies.write(f'driver = "veth"\nnetns = "{a.namespace}"\ntx = "off"')
    out = policies.policy("--check", expect=1)
    assert HOSTILE in out and "\\x1b[31m\\u202e" in out and "\x1b" not in out
    assert "2 changed" in policies.policy()
    assert tx_is_off(judge(a, HOSTILE)) and tx_is_off(judge(a, "\x1b[31m\u202e"))
    undo = policies.run("-i", HOSTILE, "--netns", a.namespace, "set", "gro", "on").stdout
    assert f"undo: pktmend offload -i '{HOSTILE}' --netns" in undo


def test_containers_and_pods_are_matched_by_their_names(testbed: Testbed, policies: Policies) -> None:
    a = testbed.host("a")
    add_pair(a, "pm0")
    policies.write(
        'interface = "pm0"\ncontainer = "web"\ntx = "off"',
        'interface = "pm0"\npod = "shop/*"\ntx = "off"',
        'interface = "pm0"\npod = "till-?"\ntx = "off"',
        'interface = "pm0"\ncontainer = "0123456789ab"\ntx = "off"',
        'interface = "pm0"\npod = "*"\ntx = "off"',
        'interface = "pm0"\ncontainer = "!web"\ntx = "off"',
    )
    policy = read_policy(str(policies.file), feature_names())
    namespace = find_namespace(a.namespace)

    def fitting(*workloads: Workload) -> list[int]:
        def found() -> list[int]:
            return [rule.number for _, rules in links_with_rules(policy, namespace, workloads) for rule in rules]

        return a.call(found)

    number = "0123456789ab" * 5 + "cdef"
    assert fitting() == [6]
    assert fitting(Workload("docker", number, "web", "", "")) == [1, 4]
    assert fitting(Workload("containerd", "9" * 64, "api", "till-0", "shop")) == [2, 3, 5, 6]


def test_a_process_in_a_containers_control_group_is_found_by_its_id(testbed: Testbed, policies: Policies) -> None:
    number = os.urandom(32).hex()
    root = next(
        (
            p
            for p in (Path("/sys/fs/cgroup/unified"), Path("/sys/fs/cgroup/pids"), Path("/sys/fs/cgroup"))
            if p.is_dir()
        ),
        None,
    )
    if root is None:
        pytest.skip("no control groups")
    group = root / f"docker-{number}.scope"
    try:
        group.mkdir()
    except OSError as error:
        pytest.skip(f"no control group can be made: {error}")
    testbed.on_exit(group.rmdir)
    policies.write(f'container = "{number[:12]}"\ninterface = "pm0"\ntx = "off"')
    policies.watch()
    program = anonymous(testbed, "sleep", "60")
    (group / "cgroup.procs").write_text(str(program.pid))
    inside(program.pid, "ip", "link", "add", "pm0", "type", "veth", "peer", "name", "pm1")
    until(lambda: tx_is_off(inside(program.pid, "ethtool", "-k", "pm0")), "the container's link")
    assert not tx_is_off(inside(program.pid, "ethtool", "-k", "pm1"))


@pytest.mark.parametrize(
    ("text", "says"),
    [
        (
            "[[rule]]\ninterface = 'a'\ntx = 'off'\n\n[[rule]]\nnetns = 'b'\ntxx = 'off'\n",
            ":7: rule 2: unknown key 'txx'",
        ),
        ("[[rule]]\ninterface = 'a'\ntx = 'maybe'\n", ':3: rule 1: tx is \'maybe\': "on" or "off"'),
        ("[[rule]]\ninterface = 'a'\ntx = 1\n", ":3: rule 1: tx is 1"),
        ("[[rule]]\ninterface = 3\ntx = 'off'\n", ":2: rule 1: interface is 3"),
        ("[[rule]]\ninterface = []\ntx = 'off'\n", ":2: rule 1: interface is []"),
        ("\n[[rule]]\ntx = 'off'\n", ":2: rule 1 fits every link"),
        ("[[rule]]\ninterface = 'a'\n", ":1: rule 1 sets nothing"),
        ("[[rules]]\ninterface = 'a'\n", ":1: unknown key 'rules' (did you mean 'rule'?)"),
        ("rule = [{interface = 'a', tx = 'odd'}]\n", "rule 1: tx is 'odd'"),
        ("", "no rules"),
        ("[[rule]\n", "line 1, column"),
    ],
)
def test_a_mistake_is_named_with_its_place(policies: Policies, text: str, says: str) -> None:
    policies.file.write_text(text)
    for mode in ("--check", "--watch"):
        done = policies.run("policy", str(policies.file), mode, expect=2)
        assert says in done.stderr and str(policies.file) in done.stderr, done.stderr
        if mode == "--check" and text:
            break


def test_a_policy_that_others_can_write_is_refused(policies: Policies, tmp_path: Path) -> None:
    policies.write('interface = "none"\ntx = "off"')
    policies.policy("--check")
    policies.file.chmod(0o666)
    assert "everybody may write" in policies.run("policy", str(policies.file), expect=2).stderr
    policies.file.chmod(0o644)
    os.chown(policies.file, 65534, 65534)
    assert "belongs to user 65534" in policies.run("policy", str(policies.file), expect=2).stderr
    assert "No such file" in policies.run("policy", str(tmp_path / "none.toml"), expect=4).stderr
