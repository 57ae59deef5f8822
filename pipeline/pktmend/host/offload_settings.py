"""The offload settings of an interface in a line, as `ethtool -k` groups them: what a capture should remember."""

from __future__ import annotations

from typing import Final

from pktmend.errors import PktmendError
from pktmend.host.ethtool import features_of
from pktmend.host.model import CHECKSUM, SEGMENTATION

GROUPS: Final = {
    "rx": ("rx-checksum",),
    "tx": CHECKSUM,
    "tso": SEGMENTATION,
    "gso": ("tx-generic-segmentation",),
    "gro": ("rx-gro",),
    "lro": ("rx-lro",),
}


def offload_settings(interface: str) -> str:
    """`rx on, tx on, tso on, gso on, gro off, lro off` of an interface in our namespace; "" if it cannot be asked."""
    try:
        active = features_of(interface)
    except (PktmendError, OSError):  # gone, no Ethernet, or a process that may not ask any more
        return ""
    return ", ".join(
        f"{word} {'on' if any(active.get(name, False) for name in names) else 'off'}" for word, names in GROUPS.items()
    )


def interface_comment(interface: str) -> str:
    """Return what a capture says of an interface when it begins; "" if nothing is known."""
    settings = offload_settings(interface)
    return f"pktmend: offload settings when the capture began: {settings}" if settings else ""
