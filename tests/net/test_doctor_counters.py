"""`pktmend doctor` and what the kernel counts: before, now, and by its reasons of drops."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import threading
from functools import partial
from pathlib import Path

import pytest

from doctoring import doctor, link, names, send_bad, the
from line import Line
from pktmend.testbed.netns import end
from pktmend.testbed.tap import open_tap
from tools import PATIENCE, until

HEAR = """
import socket
s = socket.socket(type=socket.SOCK_DGRAM)
s.bind(("127.0.0.1", 0))
for _ in range(40):
    s.sendto(b"good", s.getsockname())
    s.recv(9)
"""


def test_packets_dropped_for_their_checksum_are_counted(line: Line) -> None:
    line.b.run(sys.executable, "-c", HEAR)
    mac = link(line.b, "eth0")["address"]
    send_bad(line, mac, 50)
    judge = json.loads(line.b.run("nstat", "-a", "-z", "-j", "UdpInCsumErrors").stdout)["kernel"]["UdpInCsumErrors"]
    errors = the(doctor(line.b, expect=0)[0], "checksum-errors")
    assert judge == 50 and errors["evidence"] == ["UdpInCsumErrors 50, 40 received"] and errors["severity"] == "warning"
    assert "50 packets" in errors["title"] and "none of them within the last " in errors["title"]
    assert "since boot" in errors["why"] and "None is rising now" in errors["why"]
    assert errors["remedy"][0]["command"] == f"ip netns exec {line.b.namespace} pktmend diagnose -i eth0"
    assert names(doctor(line.a, "lo", expect=0)[0]) == set()


@pytest.mark.parametrize(("bad", "severity"), [(2, "info"), (3, "problem")])
def test_few_that_are_all_of_what_arrived_are_a_problem(line: Line, bad: int, severity: str) -> None:
    """Three SYNs of a young namespace, all dropped, are more than three in millions."""
    send_bad(line, link(line.b, "eth0")["address"], bad)
    errors = the(doctor(line.b, expect=int(severity == "problem"))[0], "checksum-errors")
    assert errors["severity"] == severity and errors["evidence"] == [f"UdpInCsumErrors {bad}"]
    assert ("All UDP that arrived was lost" in errors["why"]) == (severity == "problem")
    line.b.run(sys.executable, "-c", HEAR)
    assert the(doctor(line.b, expect=0)[0], "checksum-errors")["severity"] == "info"


def test_counters_that_rise_now_are_a_problem(line: Line) -> None:
    """What was counted before is told from what is counted while doctor looks, by sending all the while."""
    mac = link(line.b, "eth0")["address"]
    send_bad(line, mac, 30)
    is_over = threading.Event()

    def keep_sending() -> None:
        while not is_over.is_set():
            send_bad(line, mac, 10)

    sender = threading.Thread(target=keep_sending)
    sender.start()
    try:
        found, _ = doctor(line.b, expect=1)
    finally:
        is_over.set()
        sender.join()
    errors = the(found, "checksum-errors")
    rose = re.fullmatch(r"UdpInCsumErrors (\d+), \+(\d+) now", errors["evidence"][0])
    assert errors["severity"] == "problem" and rose and 0 < int(rose[2]) <= int(rose[1]) - 30
    assert "diagnose" in errors["why"] and errors["remedy"]


def test_without_tracefs_the_counters_are_watched(line: Line) -> None:
    """A mount namespace without tracefs, whatever this machine has mounted."""
    script = (
        f"umount /sys/kernel/tracing 2>/dev/null; umount -R /sys/kernel/debug 2>/dev/null; exec {sys.executable} "
        f"-P -m pktmend doctor eth0 --netns {line.b.namespace} --watch 60 --json"
    )
    watch = subprocess.Popen(["unshare", "-m", "sh", "-c", script], stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    line.testbed.on_exit(lambda: end(watch))
    assert watch.stderr is not None
    told = watch.stderr.readline().decode()
    assert "tracefs is not mounted" in told and "mount -t tracefs" in told and "counters instead" in told
    send_bad(line, link(line.b, "eth0")["address"], 20)
    watch.terminate()  # noticed long before the 60 s are over
    out, _ = watch.communicate(timeout=PATIENCE)
    *found, summary = [json.loads(line_) for line_ in out.decode().splitlines()]
    errors = the([f["finding"] for f in found], "checksum-errors")
    assert errors["evidence"] == ["UdpInCsumErrors 20, +20 now"] and errors["severity"] == "problem"
    assert any("tracefs" in what for what in summary["summary"]["unread"]) and watch.returncode == 1


def test_few_that_are_all_of_what_arrives_now_are_a_problem(line: Line) -> None:
    """Five of five, whatever the namespace has received before; not so where others arrive beside them."""
    line.b.run(sys.executable, "-c", HEAR)
    mac = link(line.b, "eth0")["address"]
    for meanwhile, severity in ((None, "problem"), (HEAR, "info")):
        script = "umount /sys/kernel/tracing 2>/dev/null; umount -R /sys/kernel/debug 2>/dev/null; "
        script += f"exec {sys.executable} -P -m pktmend doctor eth0 --netns {line.b.namespace} --watch 60 --json"
        watch = subprocess.Popen(["unshare", "-m", "sh", "-c", script], stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        line.testbed.on_exit(partial(end, watch))
        assert watch.stderr is not None and "counters instead" in watch.stderr.readline().decode()
        send_bad(line, mac, 5)
        if meanwhile:
            line.b.run(sys.executable, "-c", meanwhile)
        watch.terminate()
        out, _ = watch.communicate(timeout=PATIENCE)
        errors = the([json.loads(row)["finding"] for row in out.decode().splitlines()[:-1]], "checksum-errors")
        assert errors["severity"] == severity and watch.returncode == int(severity == "problem"), errors
        assert ("All UDP that arrived was lost" in errors["why"]) == (severity == "problem")


def test_who_writes_into_a_tap_on_the_same_bridge_is_named(line: Line) -> None:
    line.node.run("ip", "link", "add", "br0", "type", "bridge")
    fd = open_tap(line.node, "tap9", header=True)
    try:
        for port in ("pb", "tap9"):
            line.node.link(port, master=line.node.index("br0"))
        send_bad(line, link(line.b, "eth0")["address"], 5)
        [told] = [each for each in the(doctor(line.b, expect=1)[0], "checksum-errors")["evidence"] if "writes" in each]
    finally:
        os.close(fd)
    assert f"(pid {os.getpid()}) writes what arrives at tap9 (netns {line.node.namespace}), with the virtio" in told


def test_reasons_of_drops_are_watched(line: Line, tmp_path: Path) -> None:
    script = (
        f"mount -t tracefs tracefs /sys/kernel/tracing && exec {sys.executable} -P -m pktmend doctor eth0 "
        f"--netns {line.b.namespace} --watch 60 --json"
    )
    watch = subprocess.Popen(["unshare", "-m", "sh", "-c", script], stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    line.testbed.on_exit(lambda: end(watch))
    mac = link(line.b, "eth0")["address"]
    enabled = f"proc/{watch.pid}/root/sys/kernel/tracing/instances/pktmend-*/events/skb/kfree_skb/enable"
    until(lambda: watch.poll() is not None or any(path.read_text() == "1\n" for path in Path("/").glob(enabled)))
    send_bad(line, mac, 200)
    watch.terminate()  # ends the watching early; what was seen is reported
    out, err = watch.communicate(timeout=PATIENCE)
    if b"mount" in err or b"drop reasons" in err:
        pytest.skip(f"no tracefs or no drop reasons here: {err.decode().strip()}")
    found = [json.loads(line_)["finding"] for line_ in out.decode().splitlines()[:-1]]
    [dropped] = [f for f in found if f["name"] == "dropped-now" and "UDP_CSUM" in f["title"]]
    assert dropped["severity"] == "problem" and watch.returncode == 1
    assert not list(Path("/sys/kernel/tracing").glob("instances/pktmend-*"))
