"""Which UDP ports carry tunnels: what the engine knows, what the machine has, what somebody says.

The ports are the process's, like the SIMD kernel: all pipelines see the same.  Set them before packets pass.
A tunnel on any other port is recognised where its headers leave no doubt (`pktmend help tunnels`).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from pktmend._core import clear_tunnel_ports, set_tunnel_port, tunnel_kinds, tunnel_of_port
from pktmend.errors import ConfigError

_asked: list[tuple[int, str]] = []  # what this process was told, by its user
_more: set[int] = set()  # ports beside the registered ones


def use_tunnel_ports(ports: Mapping[str, Iterable[int]] | None = None) -> None:
    """Look for tunnels behind these UDP ports too, in all that this process reads from now on.

    ports:  {kind: ports}, kinds being vxlan, vxlan-gpe, geneve, gtpu, teredo, fou (an IP packet and nothing before it),
            gue, gre, mpls, sctp, l2tp, ayiya and capwap; none: what goes there is no tunnel.  They replace those of
            the last call, and come beside the registered ones (4789, 6081, ...); None leaves only these.
    Raises: ConfigError for a kind or a port that is none; then nothing has changed.
    """
    _asked[:] = [(port, kind) for kind, each in (ports or {}).items() if _kind(kind) for port in map(_port, each)]
    _apply({})


def learn_tunnel_ports(words: Iterable[str] | None = None, *, is_live: bool) -> None:
    """Take the ports of --tunnel KIND=PORT, and before them those of this machine's tunnels if packets are live.

    words: None keeps what use_tunnel_ports() was told.
    """
    if words is not None:
        _asked[:] = [_parse(word) for word in words]
    found: dict[int, str] = {}
    if is_live:
        from pktmend.host.tunnel_ports import read_tunnel_ports  # only live: a file needs no netlink

        found = read_tunnel_ports()
    _apply(found)


def tunnel_ports_beside_registered() -> frozenset[int]:
    """Return the ports that the machine's tunnels use, or somebody has named, and no registry has for them."""
    return frozenset(_more)


def _apply(found: Mapping[int, str]) -> None:
    kinds = tunnel_kinds()
    clear_tunnel_ports()
    unknown = {port: kind for port, kind in found.items() if kinds[tunnel_of_port(port)] != kind}
    _more.clear()
    for port, kind in [*unknown.items(), *_asked]:
        set_tunnel_port(port, kinds.index(kind))
        _more.add(port)


def _parse(word: str) -> tuple[int, str]:
    kind, equals, port = word.partition("=")
    try:
        if not equals or not port.isascii() or not port.isdigit():
            raise ConfigError(f"{word!r} names no kind and port")
        _kind(kind)
        return _port(int(port)), kind
    except ConfigError as error:
        raise ConfigError(f"--tunnel {error.detail}", error.hint or "vxlan=5555", options=("tunnel",)) from None


def _kind(word: str) -> int:
    kinds = tunnel_kinds()
    if word not in kinds[1:]:
        raise ConfigError(f"{word!r} is no kind of tunnel", f"there are: {', '.join(kinds[1:])}")
    return kinds.index(word)


def _port(port: int) -> int:
    if not 0 < port <= 65535:
        raise ConfigError(f"{port} is no UDP port", "1 to 65535")
    return port
