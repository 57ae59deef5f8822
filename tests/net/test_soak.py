"""A long run at half the best rate with new flows all the time: nothing leaks, the ledger is exact.

What leaks for each frame or flow makes memory grow with them.  Medians of the second and of the last quarter of the run
are compared, and a leak of LEAK bytes a frame is too much: neither a busy machine nor a page more or less decides.

PKTMEND_SOAK_SECONDS=600 for ten minutes.  The kernel's interface counters are the judge of the ledger.
"""

from __future__ import annotations

import os
import socket
import statistics
import threading
import time
from pathlib import Path

import pytest

import frames as f
from flood import AT_ONCE, Flows
from line import Line, open_tap, transfer
from pktmend.testbed.netns import Host
from running import RunningBridge
from tools import until

SECONDS = float(os.environ.get("PKTMEND_SOAK_SECONDS", "10"))
MEBIBYTE = 1 << 20
LEAK = 8  # half of the least that malloc can lose


def packets(host: Host, which: str) -> int:
    """Frames that the kernel counts on eth0: rx_packets or tx_packets."""
    return int(host.run("cat", f"/sys/class/net/eth0/statistics/{which}").stdout)


def memory(bridge: RunningBridge) -> int:
    """Resident memory in bytes."""
    return int(Path(f"/proc/{bridge.process.pid}/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")


def possessions(bridge: RunningBridge) -> tuple[int, int]:
    """Open descriptors and threads."""
    place = Path(f"/proc/{bridge.process.pid}")
    return len(list((place / "fd").iterdir())), len(list((place / "task").iterdir()))


def best_rate(out: socket.socket, flows: Flows, bridge: RunningBridge) -> float:
    """Frames a second that get through when as many come as one socket sends."""
    began, before = time.monotonic(), bridge.directions[0]["sent"]
    while time.monotonic() - began < 1.5:
        flows.send(out, AT_ONCE)
    seen = len(bridge.snapshots)
    until(lambda: len(bridge.snapshots) > seen, "the next snapshot")
    return float((bridge.directions[0]["sent"] - before) / 1.5)


def connections(line: Line, is_over: threading.Event, faults: list[BaseException]) -> None:
    """Short TCP connections, one after the other, in both directions."""
    try:
        while not is_over.is_set():
            transfer(line.a, line.b, 300_000)
            transfer(line.b, line.a, 100_000)
            time.sleep(0.02)
    except BaseException as error:
        faults.append(error)


@pytest.mark.timeout(SECONDS + 120)
@pytest.mark.parametrize("options", [("--cut-through", "off"), ("--no-coalesce",)], ids=["ring only", "cut-through"])
def test_soak(line: Line, options: tuple[str, ...]) -> None:
    line.silence()
    flows = Flows(
        {"absent": f.raw(f.ether / f.ip4 / f.udp / bytes(30)), "leaked": f.leaked(f.ether / f.ip4 / f.udp / bytes(30))}
    )
    is_over = threading.Event()
    faults: list[BaseException] = []
    before = {
        (host.name, which): packets(host, which) for host in (line.a, line.b) for which in ("rx_packets", "tx_packets")
    }
    with line.bridged(*options) as bridge, open_tap(line.a, "eth0") as out:
        until(lambda: bool(bridge.snapshots), "a snapshot")
        rate = best_rate(out, flows, bridge) / 2
        traffic = threading.Thread(target=connections, args=[line, is_over, faults])
        traffic.start()
        samples: list[int] = []
        carried: list[int] = []
        held: list[tuple[int, int]] = []
        began = time.monotonic()
        sent = 0
        while (passed := time.monotonic() - began) < SECONDS:
            if sent < rate * passed:
                sent += flows.send(out, AT_ONCE)
            else:
                time.sleep(0.001)
            if len(samples) < passed * 4:
                samples.append(memory(bridge))
                carried.append(sent)
                held.append(possessions(bridge))
        is_over.set()
        traffic.join()
        assert not faults, faults
        time.sleep(0.5)
        there, back = bridge.stop()
    after = {key: packets(line.a if key[0] == "a" else line.b, key[1]) - n for key, n in before.items()}
    print(
        f"soak: {SECONDS:.0f} s at {rate:.0f} frames/s, {flows.flows} flows, {sent} frames; memory"
        f" {samples[0] / MEBIBYTE:.2f} .. {max(samples) / MEBIBYTE:.2f} .. {samples[-1] / MEBIBYTE:.2f} MiB,"
        f" descriptors {min(held)[0]} .. {max(held)[0]},"
        f" kernel drops {there['kernel_drops']} + {back['kernel_drops']}"
    )
    for d, source, target in ((there, "a", "b"), (back, "b", "a")):
        by_kernel = d.get("cut_through", {"frames": 0})["frames"]
        assert d["arrived"] == after[source, "tx_packets"], d
        assert d["sent_frames"] + by_kernel == after[target, "rx_packets"], d
    assert there["repaired"]["leaked"] > sent // 20 and flows.flows > sent // 20
    # asking for an interface's state opens a socket for a moment
    assert min(held[: len(held) // 2]) == min(held[len(held) // 2 :]) and max(held)[0] <= min(held)[0] + 2, held
    quarter = len(samples) // 4  # by the end of the first one the ring has been gone through
    early, late = slice(quarter, 2 * quarter), slice(-quarter, None)
    grown = statistics.median(samples[late]) - statistics.median(samples[early])
    frames = statistics.median(carried[late]) - statistics.median(carried[early])
    assert grown < LEAK * frames, f"{grown} bytes more after {frames} frames: {samples}"
    line.assert_no_checksum_error()
