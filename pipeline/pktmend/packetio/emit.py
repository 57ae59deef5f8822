"""Emit, a sink: a packet socket that sends.  Its rules are those of afpacket.py."""

from __future__ import annotations

import socket
from types import TracebackType
from typing import Final

from pktmend import _core
from pktmend._kernel import lib
from pktmend.host.ethtool import features_of
from pktmend.host.interfaces import mtu_of, require_interface
from pktmend.packetio.afpacket import ask_large_buffer, bind, bound_to, open_packet_socket, set_option

VNET_LEN: Final = 10  # struct virtio_net_hdr


class Emit:
    """A sink: send each batch out of *interface*, with its virtio-net headers.

    finish:   complete pending checksums and split super-frames to the interface's MTU in user space, for an egress
              whose next hop loses the metadata (a userspace switch, AF_XDP, a plain relay).
    coalesce: coalesce consecutive segments of a flow to super-frames where the interface takes them (not with finish).

    A context manager; close() closes the socket.
    Raises: OSFailure if there is no such interface, PrivilegeError without CAP_NET_RAW.
    """

    def __init__(self, interface: str, *, finish: bool = False, coalesce: bool = False) -> None:
        require_interface(interface)
        self.interface = interface
        self.finish = finish
        self._coalesce = coalesce and not finish
        self._sinks: list[_core.EmitSink] = []
        self._socket = open_packet_socket(interface)
        try:
            set_option(self._socket, lib.PACKET_VNET_HDR, 1, "virtio-net header", interface)
            ask_large_buffer(self._socket, lib.SO_SNDBUFFORCE, socket.SO_SNDBUF)
            bind(self._socket, interface, 0)
        except BaseException:
            self._socket.close()
            raise

    @property
    def name(self) -> str:
        """The interface's name, as counters have it."""
        return self.interface

    def open(self, capacity: int) -> _core.Sink:
        """Return the engine's side for batches of up to *capacity* packets; the socket stays ours."""
        tcp, udp = self.read_offloads()
        sink = _core.EmitSink(
            self._socket.fileno(), capacity, mtu_of(self.interface), self.finish, coalesce_tcp=tcp, coalesce_udp=udp
        )
        self._sinks.append(sink)
        return sink

    def read_offloads(self) -> tuple[bool, bool]:
        """Return whether TCP and UDP segments are to be coalesced: wanted, and the interface splits them again."""
        if not self._coalesce:
            return False, False
        features = features_of(self.interface)
        return features.get("tx-tcp-segmentation", False), features.get("tx-udp-segmentation", False)

    def rebind(self) -> None:
        """Bind to the interface of that name, also after the one before was deleted.  Needs no privilege."""
        bind(self._socket, self.interface, 0)
        self.set_mtu(mtu_of(self.interface))
        self.adapt()

    @property
    def hardware_address(self) -> bytes:
        """The interface's MAC address."""
        return bytes(self._socket.getsockname()[4])[:6].ljust(6, b"\0")

    def send(self, frame: bytes) -> bool:
        """Send one frame that was not read anywhere; False if there is no room, or no way, for it now."""
        try:
            self._socket.send(bytes(VNET_LEN) + frame, socket.MSG_DONTWAIT)
        except OSError:
            return False
        return True

    def bound_to(self) -> str:
        """Return the name of the interface that the socket is bound to now; "" if that is gone."""
        return bound_to(self._socket)[0]

    def renamed(self, name: str) -> None:
        """Take the interface's new name."""
        self.interface = name

    def set_mtu(self, mtu: int) -> None:
        """Use another MTU from the next batch on."""
        for sink in self._sinks:
            sink.set_mtu(mtu)

    def adapt(self) -> None:
        """Coalesce segments, or no longer, as the interface's offloads now are."""
        for sink in self._sinks:
            sink.set_coalesce(*self.read_offloads())

    def close(self) -> None:
        """Close the socket.  Idempotent."""
        self._socket.close()

    def __enter__(self) -> Emit:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()
