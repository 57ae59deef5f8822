"""Traffic of containers behind a tunnel: super-frames whose inner packet has the partial checksum."""

from __future__ import annotations

import pytest

from line import ADDRESSES, Line, transfer

MEGABYTE = 1 << 20
INNER = {"a": ("10.9.0.1", "fd09::1"), "b": ("10.9.0.2", "fd09::2")}


def tunnel(line: Line, *kind: str) -> None:
    """Put a tunnel device tun0 between a and b over the line, with the INNER addresses."""
    for host, other in ((line.a, "b"), (line.b, "a")):
        (local, local6), (remote, remote6) = ADDRESSES[host.name], ADDRESSES[other]
        words = [word.format(local=local, remote=remote, local6=local6, remote6=remote6) for word in kind]
        if host.run("ip", "link", "add", "tun0", "type", *words, check=False).returncode:
            pytest.skip(f"this kernel has no {kind[0]}")
        host.link("tun0", state="up")
        host.address("tun0", f"{INNER[host.name][0]}/24", f"{INNER[host.name][1]}/64")


KINDS = [
    ("vxlan", "id", "5", "remote", "{remote}", "dstport", "4789", "udpcsum"),
    ("vxlan", "id", "5", "remote", "{remote}", "dstport", "4789", "noudpcsum"),
    ("geneve", "id", "5", "remote", "{remote}", "udpcsum"),
    ("gre", "local", "{local}", "remote", "{remote}", "csum"),
    ("ipip", "local", "{local}", "remote", "{remote}"),
]


@pytest.mark.parametrize(
    "options", [(), ("--finish", "pa", "--finish", "pb"), ("--repair", "all")], ids=["plain", "finish", "repair-all"]
)
@pytest.mark.parametrize("kind", KINDS, ids=lambda k: f"{k[0]}-{k[-1]}")
def test_tcp_in_a_tunnel(line: Line, kind: tuple[str, ...], options: tuple[str, ...]) -> None:
    tunnel(line, *kind)
    with line.bridged(*options) as bridge:
        for version in (4, 6) if kind[0] != "ipip" else (4,):
            address = INNER["b"][0 if version == 4 else 1]
            transfer(line.a, line.b, 10 * MEGABYTE, version=version, address=address)
            transfer(line.b, line.a, 10 * MEGABYTE, version=version, address=INNER["a"][0 if version == 4 else 1])
        there, back = bridge.stop()
    line.assert_no_checksum_error()
    for direction in (there, back):
        assert direction["dropped"] == {} and direction["tx_error"] == {}, direction
        assert not {"bad", "leaked", "corrupt", "bad-seed"} & set(direction["checks"].get("udp", {})), direction
        assert not {"bad", "leaked", "corrupt", "bad-seed"} & set(direction["checks"]["tcp"]), direction
        assert direction["repaired"] == {} or options == ("--repair", "all")


UNKNOWN = {
    "udpcsum": ("vxlan", "id", "5", "remote", "{remote}", "dstport", "5555", "udpcsum"),
    "noudpcsum": ("vxlan", "id", "5", "remote", "{remote}", "dstport", "7789", "noudpcsum"),
    "over IPv6": ("vxlan", "id", "5", "remote", "{remote6}", "local", "{local6}", "dstport", "5555", "udp6zerocsumtx",
                  "udp6zerocsumrx"),
    "over IPv6, with a sum": ("vxlan", "id", "5", "remote", "{remote6}", "local", "{local6}", "dstport", "5555"),
    "geneve": ("geneve", "id", "5", "remote", "{remote}", "dstport", "16081", "udpcsum"),
}  # fmt: skip


@pytest.mark.parametrize("options", [(), ("--finish", "pa", "--finish", "pb")], ids=["plain", "finish"])
@pytest.mark.parametrize("kind", UNKNOWN)
def test_tcp_in_a_tunnel_on_a_port_nobody_knows(line: Line, kind: str, options: tuple[str, ...]) -> None:
    """Super-frames are split by the kernel's metadata, and what has no outer sum keeps its metadata."""
    tunnel(line, *UNKNOWN[kind])
    with line.bridged(*options) as bridge:
        for version in (4, 6):
            transfer(line.a, line.b, 10 * MEGABYTE, version=version, address=INNER["b"][version == 6])
            transfer(line.b, line.a, 10 * MEGABYTE, version=version, address=INNER["a"][version == 6])
        there, back = bridge.stop()
    line.assert_no_checksum_error()
    for direction in (there, back):
        assert direction["dropped"] == {} and direction["tx_error"] == {}, direction
        assert direction["split"] > 100 and direction["stray_csum_metadata"] == 0, direction
        assert not {"bad", "leaked", "corrupt", "bad-seed"} & set(direction["checks"]["udp"]), direction
