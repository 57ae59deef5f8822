"""What `offload policy --watch` hears of namespaces: nothing that is told once gets lost, and names may come later."""

from __future__ import annotations

import os
import signal
import subprocess
from pathlib import Path

from line import inode
from pktmend.commands.offload.spaces import Spaces
from pktmend.host.namespace_news import NamespaceNews
from pktmend.testbed.netns import Testbed, end
from tools import until


def test_a_mount_is_told_by_read_though_wait_has_seen_it(tmp_path: Path) -> None:
    with NamespaceNews() as news:
        news.wait(0)
        news.read()
        subprocess.run(["mount", "-t", "tmpfs", "none", tmp_path], check=True)
        try:
            assert news.wait(60)
            assert news.read().mounts
        finally:
            subprocess.run(["umount", tmp_path], check=True)
        assert news.wait(60) and news.wait(0)  # however often it waits
        assert news.read().mounts


def test_a_namespace_that_gets_a_name_later_is_looked_at_again(testbed: Testbed) -> None:
    spaces = Spaces()
    spaces.scan()
    program = subprocess.Popen(["unshare", "-n", "--", "sleep", "600"])
    testbed.on_exit(lambda: end(program))
    until(lambda: inode(f"/proc/{program.pid}/ns/net") != inode("/proc/self/ns/net"), "a namespace of its own")
    number = inode(f"/proc/{program.pid}/ns/net")
    assert number in spaces.hear({program.pid}, mounts=False)
    assert spaces.hear({program.pid}, mounts=False) == []
    name = f"pktmend-{os.getpid()}-late"
    subprocess.run(["ip", "netns", "attach", name, str(program.pid)], check=True)
    try:
        assert number in spaces.hear(set(), mounts=True)
        space = spaces.namespace_of(number)
        assert space is not None and (space.name, space.pids) == (name, (program.pid,))
        program.send_signal(signal.SIGKILL)
        program.wait()
        assert inode(space.path) == number  # by its name
    finally:
        subprocess.run(["ip", "netns", "delete", name], check=True)
