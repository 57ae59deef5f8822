"""What the README shows, run as it stands there."""

from __future__ import annotations

import re
import subprocess
import sys

import frames as f
from line import Line, await_reader, open_tap, seen
from pktmend.testbed.netns import Testbed
from tools import PATIENCE, PKTMEND, ROOT

README = (ROOT / "README.md").read_text()
BLOCKS = re.findall(r"```python\n(.*?)```", README, re.DOTALL)


def test_six_line_stage_drops_the_bad_and_passes_the_good() -> None:
    with Testbed() as testbed:
        a, b, node = testbed.host("a"), testbed.host("b"), testbed.host("node")
        testbed.veth(a, "eth0", node, "veth-a")
        testbed.veth(b, "eth0", node, "veth-b")
        program = node.spawn(sys.executable, "-c", BLOCKS[0], stderr=subprocess.PIPE)
        await_reader(node, "veth-a")
        good = f.raw(f.ether / f.ip4 / f.tcp / f.PAYLOAD)
        with open_tap(a, "eth0") as out, open_tap(b, "eth0") as back:
            out.send(f.put16(good, 80, 0x4711))
            out.send(good)
            assert seen(back, lambda got: got[:12] == good[:12]) == good
        assert program.poll() is None


def test_native_stage_compiles_and_runs() -> None:
    from pktmend import Frames, NativeStage, Verdict, verify

    names: dict[str, object] = {}
    exec(BLOCKS[1], names)
    stage = names["drop_udp"]
    assert isinstance(stage, NativeStage)
    batch = Frames([f.raw(f.ether / f.ip4 / f.udp), f.raw(f.ether / f.ip4 / f.tcp)]).batch()
    verify(batch)
    stage(batch)
    assert list(batch.verdict) == [Verdict.DROP, Verdict.PASS]


def test_bridge_command_of_the_readme(line: Line) -> None:
    command = re.search(r"pktmend (bridge -i port-to-switch .*)\n", README)
    assert command is not None
    line.node.run("ip", "link", "set", "dev", "pa", "down")
    line.node.run("ip", "link", "set", "dev", "pb", "down")
    line.node.run("ip", "link", "set", "dev", "pa", "name", "port-to-switch", "up")
    line.node.run("ip", "link", "set", "dev", "pb", "name", "veth-container", "up")
    words = command[1].split()
    bridge = line.node.spawn(*PKTMEND, *words, stderr=subprocess.PIPE)
    assert bridge.stderr is not None and b"bridging" in bridge.stderr.readline()
    line.a.run("ping", "-c1", "10.7.0.2")
    bridge.terminate()
    assert bridge.wait(PATIENCE) == 0
