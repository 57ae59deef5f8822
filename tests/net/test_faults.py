"""Faults under traffic: service is back by itself, each event is told once, and the ledger holds."""

from __future__ import annotations

import subprocess
import threading
import time

import frames as f
import pytest
from line import ADDRESSES, Bridge, Line, assert_ledger, open_tap, transfer


def events(bridge: Bridge) -> list[str]:
    """What the bridge said on stderr after its first line."""
    assert bridge.process.stderr is not None
    return bridge.process.stderr.read().decode().splitlines()


def finish(bridge: Bridge) -> tuple[list[dict], list[str]]:  # type: ignore[type-arg]
    """End the bridge; its directions and what it told."""
    bridge.process.terminate()
    told = events(bridge)
    assert bridge.process.wait(5) == 0, told
    bridge._reader.join(2)
    directions = bridge.snapshots[-1]["directions"]
    for d in directions:
        assert_ledger(d)
    return directions, told


def reaches(line: Line, seconds: float = 3) -> float:
    """Ping until b answers; the seconds it took."""
    began = time.monotonic()
    while time.monotonic() - began < seconds:
        if line.a.run("ping", "-c1", "-W1", "-n", "10.7.0.2", check=False).returncode == 0:
            return time.monotonic() - began
    raise AssertionError(f"b is not reached within {seconds} s")


def test_link_down_and_up(line: Line) -> None:
    with line.bridged() as bridge:
        reaches(line)
        pinging = line.a.spawn("ping", "-i", "0.01", "-W1", "10.7.0.2")
        line.node.link("pb", state="down")
        time.sleep(1)
        usage = cpu_seconds(bridge)
        time.sleep(4)
        assert cpu_seconds(bridge) - usage < 0.2  # down: below 5 %, no spinning
        line.node.link("pb", state="up")
        assert reaches(line) < 2
        pinging.kill()
        time.sleep(0.3)  # it looks ten times a second
        directions, told = finish(bridge)
    assert sum("down" in each for each in told) == sum("up" in each for each in told) == 1, told
    assert directions[0]["tx_error"].get("ENETDOWN", 0) > 10


def cpu_seconds(bridge: Bridge) -> float:
    from pathlib import Path

    fields = Path(f"/proc/{bridge.process.pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / 100


def test_rename(line: Line) -> None:
    with line.bridged() as bridge:
        reaches(line)
        line.node.run("ip", "link", "set", "dev", "pb", "name", "other0")
        assert reaches(line) < 2
        transfer(line.a, line.b, 1 << 20)
        time.sleep(0.3)  # it looks ten times a second
        _, told = finish(bridge)
    assert any("called other0" in each for each in told), told


@pytest.mark.parametrize("options", [(), ("--finish", "pb")], ids=["plain", "finish"])
def test_mtu_changes_and_comes_back(line: Line, options: tuple[str, ...]) -> None:
    with line.bridged(*options) as bridge:
        reaches(line)
        for mtu in (900, 1500):
            for host, name in ((line.node, "pb"), (line.b, "eth0"), (line.a, "eth0")):
                host.link(name, mtu=mtu)
            time.sleep(0.5)
            transfer(line.a, line.b, 5 << 20)
        _, told = finish(bridge)
    line.assert_no_checksum_error()
    assert sum("MTU" in each for each in told) == 2, told


@pytest.mark.parametrize("ring", ["v2", "v3"])
def test_deleted_and_made_again(line: Line, ring: str) -> None:
    """The bridge has no privilege any more and binds again all the same."""
    with line.bridged("--ring", ring) as bridge:
        reaches(line)
        line.node.run("ip", "link", "del", "dev", "pb")
        time.sleep(1)
        line.world.veth(line.b, "eth0", line.node, "pb")
        v4, v6 = ADDRESSES["b"]
        line.b.address("eth0", f"{v4}/24", f"{v6}/64")
        line.a.run("ip", "neigh", "flush", "dev", "eth0")  # the new b has another Ethernet address
        time.sleep(0.1)
        assert reaches(line) < 2
        transfer(line.a, line.b, 5 << 20)
        transfer(line.b, line.a, 5 << 20)
        _, told = finish(bridge)
    line.assert_no_checksum_error()
    assert sum("gone" in each for each in told) == sum("bound again" in each for each in told) == 1, told


def test_moved_to_another_namespace_and_back(line: Line) -> None:
    other = line.world.host("other")
    with line.bridged() as bridge:
        reaches(line)
        line.node.run("ip", "link", "set", "dev", "pb", "netns", other.namespace)
        time.sleep(0.5)
        other.run("ip", "link", "set", "dev", "pb", "netns", line.node.namespace)
        line.node.link("pb", state="up")
        assert reaches(line) < 2
        finish(bridge)


def test_peer_and_host_vanish(line: Line) -> None:
    with line.bridged() as bridge:
        reaches(line)
        line.b.link("eth0", state="down")
        time.sleep(0.3)
        line.b.link("eth0", state="up")
        assert reaches(line) < 2
        line.b.run("ip", "link", "del", "dev", "eth0")
        line.a.run("ping", "-c3", "-i0.2", "-W1", "10.7.0.2", check=False)
        finish(bridge)


def test_offloads_toggled_while_running(line: Line) -> None:
    with line.bridged() as bridge:
        fault: list[BaseException] = []

        def stream() -> None:
            try:
                transfer(line.a, line.b, 400 << 20)
            except BaseException as error:
                fault.append(error)

        thread = threading.Thread(target=stream)
        thread.start()
        while thread.is_alive():
            for on in (False, True):
                line.node.offload("pb", tx=on)
                line.a.offload("eth0", tso=on)
                line.b.offload("eth0", gro=on)
                time.sleep(0.1)
        thread.join()
        assert not fault, fault
        finish(bridge)
    line.assert_no_checksum_error()


def test_xdp_program_takes_the_gso_features_away(line: Line) -> None:
    """An XDP_PASS program on the peer of the egress: super-frames still arrive, split by the kernel."""
    source = line.world.folder() / "pass.c"
    source.write_text('__attribute__((section("xdp"), used)) int pass_all(void *c) { return 2; }\n'
                      'char _license[] __attribute__((section("license"), used)) = "GPL";\n')
    program = source.with_suffix(".o")
    compiled = subprocess.run(["clang", "-O2", "-target", "bpf", "-c", str(source), "-o", str(program)], check=False)
    if compiled.returncode:
        pytest.skip("no clang for BPF")
    with line.bridged() as bridge:
        transfer(line.a, line.b, 5 << 20)
        done = line.b.run("ip", "link", "set", "dev", "eth0", "xdpdrv", "obj", str(program), "sec", "xdp", check=False)
        if done.returncode:
            pytest.skip(f"no XDP here: {done.stderr}")
        time.sleep(0.5)
        transfer(line.a, line.b, 20 << 20)
        transfer(line.b, line.a, 20 << 20)
        finish(bridge)
    line.assert_no_checksum_error()


def test_memory_limit_of_64_mebibytes(line: Line) -> None:
    from pathlib import Path

    places = (Path("/sys/fs/cgroup"), Path("/sys/fs/cgroup/memory"))
    top = next((place for place in places if (place / "cgroup.procs").exists()), None)
    if top is None:
        pytest.skip("no memory cgroup")
    group = top / f"pktmend-{line.world.number}-{time.monotonic_ns()}"
    try:
        group.mkdir()
    except OSError as error:
        pytest.skip(f"no memory cgroup: {error}")
    line.world.on_exit(group.rmdir)
    limit = next((group / n for n in ("memory.max", "memory.limit_in_bytes") if (group / n).exists()), None)
    if limit is None:
        pytest.skip("no memory controller")
    limit.write_text(str(64 << 20))
    with line.bridged() as bridge:
        (group / "cgroup.procs").write_text(str(bridge.process.pid))
        transfer(line.a, line.b, 100 << 20)
        finish(bridge)


@pytest.mark.parametrize("workers", [2, 4])
def test_workers_keep_flows_in_order_and_count_together(line: Line, workers: int) -> None:
    with line.bridged("--workers", str(workers)) as bridge:
        for _ in range(4):
            transfer(line.a, line.b, 10 << 20)
            transfer(line.b, line.a, 10 << 20, version=6)
        directions, _ = finish(bridge)
    line.assert_no_checksum_error()
    assert len(directions) == 2 and all(d["sent"] == d["read"] for d in directions)


def test_busy_poll_shortens_the_way_and_ends_when_idle(line: Line) -> None:
    with line.bridged("--busy-poll", "2000") as bridge:
        reaches(line)
        time.sleep(1)
        usage = cpu_seconds(bridge)
        time.sleep(1)
        assert cpu_seconds(bridge) - usage < 0.2
        finish(bridge)


def test_no_capability_is_left_once_it_runs(line: Line) -> None:
    from pathlib import Path

    with line.bridged() as bridge:
        time.sleep(0.2)
        for task in Path(f"/proc/{bridge.process.pid}/task").iterdir():
            status = (task / "status").read_text()
            for kind in ("CapEff", "CapPrm", "CapInh"):
                assert f"{kind}:\t0000000000000000" in status, status
        finish(bridge)


MILLION = 1_000_000


@pytest.mark.parametrize("how", ["plain", "stopped", "shared cpu"])
def test_a_million_numbered_datagrams_are_all_accounted_for(line: Line, how: str) -> None:
    """received + every drop counter = sent; in order; none twice.  The receiver counts on the wire, at b."""
    import signal
    import socket

    count = MILLION if how == "plain" else MILLION // 4
    head = f.raw(f.ether / f.ip4 / f.udp / (b"n" * 4))[:-4]
    head = f.put16(head, 40, 0)  # no UDP checksum: the number changes, the sum need not
    busy = line.node.spawn("taskset", "-c", "0", "sh", "-c", "while :; do :; done") if how == "shared cpu" else None
    with line.bridged("--unidir") as bridge:
        if how == "shared cpu":
            subprocess.run(["taskset", "-a", "-p", "-c", "0", str(bridge.process.pid)], capture_output=True, check=True)
        out, back = open_tap(line.a, "eth0"), open_tap(line.b, "eth0")
        back.setsockopt(socket.SOL_SOCKET, 33, 1 << 30)  # SO_RCVBUFFORCE
        numbers: list[int] = []
        done = threading.Event()

        def receive() -> None:
            back.settimeout(0.3)
            while True:
                try:
                    frame = back.recv(1 << 17)
                except TimeoutError:
                    if done.is_set():
                        return
                    continue
                if frame[:12] == head[:12]:
                    at = 42
                    while at + 4 <= len(frame):
                        numbers.append(int.from_bytes(frame[at : at + 4], "big"))
                        at += 4

        thread = threading.Thread(target=receive)
        thread.start()
        for n in range(count):
            if how == "stopped" and n == count // 3:
                bridge.process.send_signal(signal.SIGSTOP)
                threading.Timer(2, bridge.process.send_signal, [signal.SIGCONT]).start()
            out.send(head + n.to_bytes(4, "big"))
        time.sleep(2.5 if how == "stopped" else 1)
        (d,), _ = finish(bridge)
        done.set()
        thread.join()
        statistics = back.getsockopt(263, 6, 8)  # PACKET_STATISTICS of the receiver's own socket
        lost_behind = int.from_bytes(statistics[4:8], "little")
    if busy is not None:
        busy.kill()
    assert numbers == sorted(set(numbers)), "out of order or twice"
    ends = d["kernel_drops"] + sum(d["dropped"].values()) + sum(d["tx_error"].values()) + d["truncated"] + d["held"]
    assert abs(len(numbers) + lost_behind + ends - count) <= 20, (len(numbers), lost_behind, ends, d)
