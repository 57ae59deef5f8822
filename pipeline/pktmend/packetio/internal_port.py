"""The internal port of a direction that the kernel's part of cut-through works for: where suspects come to our ring.

    port  --tc ingress: healthy--> the other port
                        suspect--> internal port --ring--> worker --> the other port

A ring on the port itself would see every frame, for taps come before tc: two judges, and two answers.

Rules of this file:
1. The internal port is a TAP of ours that nobody reads or writes: it goes with its descriptor, whatever ends us.
2. It carries nothing but what is redirected to its ingress.  It has no carrier, so no protocol of the host begins on
   it; what reaches it has to be refused behind the taps (KernelJudge.refuse), which is the caller's to attach first.
3. Frames wait for it in the backlog of the processor that redirected them, as do those that are redirected into a veth:
   so a suspect does not overtake the healthy frame before it.

Needs CAP_NET_ADMIN to be made, nothing afterwards.

Source: Linux Documentation/networking/tuntap.rst; net/core/dev.c (enqueue_to_backlog), net/core/filter.c.
"""

from __future__ import annotations

import errno
import fcntl
import os
import struct
from types import TracebackType
from typing import Any, Final

from pktmend._kernel import lib
from pktmend.errors import ConfigError, OSFailure, PrivilegeError
from pktmend.host.interfaces import asking, index_of, require_interface
from pktmend.host.rtnetlink import read_link
from pktmend.packetio.afpacket import be_promiscuous, bind, bound_to, open_packet_socket
from pktmend.packetio.ring import ETHERNET_KINDS, Ring

DEVICE: Final = "/dev/net/tun"
NAME: Final = b"pktmend%d"  # the kernel puts in the first number that is free


class InternalPort:
    """A TAP of ours; a context manager.

    name, index: as the kernel gave them.
    Raises: PrivilegeError without CAP_NET_ADMIN, OSFailure where there are no TAPs.
    """

    def __init__(self) -> None:
        try:
            self._device = os.open(DEVICE, os.O_RDWR | os.O_CLOEXEC)
        except OSError as error:
            raise OSFailure(
                f"opening {DEVICE}: {error.strerror}", "the internal port is a TAP: CONFIG_TUN", error.errno or 0
            ) from error
        try:
            flags = lib.IFF_TAP | lib.IFF_NO_PI | lib.IFF_VNET_HDR
            answer = fcntl.ioctl(self._device, lib.TUNSETIFF, struct.pack("16sH22x", NAME, flags))
            self.name = os.fsdecode(answer[:16].split(b"\0")[0])
            self.index = index_of(self.name)
            fcntl.ioctl(self._device, lib.TUNSETCARRIER, struct.pack("i", 0))
            with asking() as s:
                fcntl.ioctl(s, lib.SIOCSIFFLAGS, struct.pack("16sH22x", os.fsencode(self.name), lib.IFF_UP))
        except OSError as error:
            os.close(self._device)
            kind = PrivilegeError if error.errno in (errno.EPERM, errno.EACCES) else OSFailure
            raise kind(f"making an internal port: {error.strerror}", "needs CAP_NET_ADMIN", error.errno or 0) from error
        self._dropped = 0

    def dropped(self) -> int:
        """Return how many frames found no room on their way to it.  Needs no privilege."""
        link = read_link(self.index)
        if link is not None:
            self._dropped = link.statistics["rx_dropped"]
        return self._dropped

    def is_there(self) -> bool:
        """Is it still there and up?  Somebody may have deleted it."""
        link = read_link(self.index)
        return link is not None and link.is_up

    def close(self) -> None:
        """Take it away.  Idempotent."""
        device, self._device = self._device, -1
        if device >= 0:
            os.close(device)

    def __enter__(self) -> InternalPort:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


class InternalRing(Ring):
    """The ring on an internal port; counters know it by the name of the port whose frames it reads."""

    def __init__(self, internal: InternalPort, port: str, **options: Any) -> None:
        self.port = port
        self._reads_port = False
        super().__init__(internal.name, promiscuous=False, **options)

    @property
    def name(self) -> str:
        """The port's name."""
        return self.port

    def read_port(self) -> None:
        """Read the port itself from now on.  Needs no privilege."""
        self._reads_port = True
        self.follow_port(self.port)

    def follow_port(self, name: str) -> None:
        """Take the port's name, and bind to it again if it is the port that is read."""
        self.port = name
        if self._reads_port:
            self.interface = name
            self.rebind()


class PortAnchor:
    """What a bridge holds of a port that no ring of it is bound to: promiscuous mode, and a socket that sees it go.

    rings: that take the port's new name.
    It offers what the link monitor asks of a socket.  Raises as Ring does.
    """

    def __init__(self, port: str, rings: list[InternalRing]) -> None:
        require_interface(port)
        self.interface = port
        self._rings = rings
        self._socket = open_packet_socket(port)
        try:
            self.rebind()
            kind = bound_to(self._socket)[1]
            if kind not in ETHERNET_KINDS:
                raise ConfigError(
                    f"interface {port!r} carries no Ethernet frames (ARPHRD {kind})", "bridge a veth, tap or NIC"
                )
        except BaseException:
            self._socket.close()
            raise

    def rebind(self) -> None:
        """Bind to the interface of that name, also after the one before was deleted.  Needs no privilege."""
        try:
            bind(self._socket, self.interface, 0)
        except OSError as error:
            raise OSFailure(
                f"binding to {self.interface!r}: {error.strerror}", "", error.errno or 0, self.interface
            ) from error
        be_promiscuous(self._socket, self.interface)
        for ring in self._rings:
            ring.follow_port(self.interface)

    def bound_to(self) -> str:
        """Return the name of the interface that the socket is bound to now; "" if that is gone."""
        return bound_to(self._socket)[0]

    def renamed(self, name: str) -> None:
        """Take the interface's new name."""
        self.interface = name
        for ring in self._rings:
            ring.follow_port(name)

    def close(self) -> None:
        """Close the socket.  Idempotent."""
        self._socket.close()

    def __enter__(self) -> PortAnchor:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()
