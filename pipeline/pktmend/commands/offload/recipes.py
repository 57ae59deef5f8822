"""The same change made by another program: what to put into its settings, printed, never written.

Rules of this file:
1. What a recipe cannot say (its program does not know the feature, or the name cannot be written there) is an error.
2. The remarks in it say when it acts, and where it does not reach.

Source: systemd.link(5), udev(7), CNI specification 1.0.0, oci-hooks(5) and the OCI runtime specification, the Compose
specification, containerlab's documentation of nodes.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping, Sequence
from typing import Final

from pktmend.commands.offload.words import GROUPS, pairs_of, word_of
from pktmend.console.suggestion import one_of
from pktmend.errors import ConfigError
from pktmend.host.ethtool import feature_names

SAFE: Final = re.compile(r"[A-Za-z0-9_.:@+-]{1,15}")  # a name that no program's settings could take for more
PATTERN: Final = re.compile(r"[A-Za-z0-9_.:@+*?-]{1,15}")
LINK_KEYS: Final = {  # systemd.link(5), by feature's short word or name
    "rx": ("ReceiveChecksumOffload",),
    "tx": ("TransmitChecksumOffload",),
    "tso": ("TCPSegmentationOffload", "TCP6SegmentationOffload"),
    "tx-tcp-segmentation": ("TCPSegmentationOffload",),
    "tx-tcp6-segmentation": ("TCP6SegmentationOffload",),
    "gso": ("GenericSegmentationOffload",),
    "gro": ("GenericReceiveOffload",),
    "lro": ("LargeReceiveOffload",),
    "rxvlan": ("ReceiveVLANCTAGHardwareAcceleration",),
    "txvlan": ("TransmitVLANCTAGHardwareAcceleration",),
    "rx-gro-hw": ("GenericReceiveOffloadHardware",),
}
CNI_PLUGIN: Final = """\
#!/usr/bin/env python3
# /opt/cni/bin/pktmend-offload, mode 0755: a chained CNI plug-in (CNI's own "tuning" knows no offloads).
# Runs `ethtool -K` in each pod's namespace; its features stand in the entry "offload" of the network's list.
import json, os, subprocess, sys

def fail(code, text):
    json.dump({"cniVersion": version, "code": code, "msg": text}, sys.stdout)
    sys.exit(1)

settings = json.load(sys.stdin)
version = settings.get("cniVersion", "1.0.0")
command = os.environ.get("CNI_COMMAND", "")
if command == "VERSION":
    json.dump({"cniVersion": version, "supportedVersions": ["0.3.1", "0.4.0", "1.0.0", "1.1.0"]}, sys.stdout)
elif command == "ADD":
    if "prevResult" not in settings:
        fail(7, "pktmend-offload is chained: it goes behind the plug-in that makes the interface")
    words = [word for pair in settings.get("offload", {}).items() for word in pair]
    argv = ["nsenter", "--net=" + os.environ["CNI_NETNS"], "ethtool", "-K", os.environ["CNI_IFNAME"], *words]
    done = subprocess.run(argv, capture_output=True, text=True)
    if done.returncode:
        fail(100, "ethtool: " + done.stderr.strip())
    json.dump(settings["prevResult"], sys.stdout)
"""


def run_recipe(kind: str, interface: str | None, words: Sequence[str]) -> None:
    """Print the recipe *kind* for *interface* and the changes *words* (`tx off` if empty)."""
    if kind not in RECIPES:
        raise ConfigError(f"there is no recipe {kind!r}", one_of(kind, RECIPES))
    make, usual, allowed = RECIPES[kind]
    name = interface or usual
    if not allowed.fullmatch(name):
        raise ConfigError(f"{name!r} cannot be written into a recipe", "letters, digits and _ . : @ + -")
    changes = dict(pairs_of(words or ("tx", "off")))
    known = feature_names()
    for word in changes:
        if word not in GROUPS and word not in known:
            raise ConfigError(f"{word!r} is no feature", one_of(word, (*GROUPS, *known)))
    print(make(name, changes), end="")


def _ethtool(name: str, changes: Mapping[str, bool]) -> list[str]:
    return ["ethtool", "-K", name, *(word for key, on in changes.items() for word in (key, word_of(on)))]


def _link(name: str, changes: Mapping[str, bool]) -> str:
    rows = []
    for word, on in changes.items():
        if word not in LINK_KEYS:
            raise ConfigError(
                f"a .link file cannot say {word}", f"it knows {', '.join(LINK_KEYS)}; `recipe udev` can say it"
            )
        rows += [f"{key}={'yes' if on else 'no'}" for key in LINK_KEYS[word]]
    return "\n".join(
        [
            "# /etc/systemd/network/10-pktmend-offload.link",
            "# Acts when udev sees the interface, in the machine's own namespace alone; then: udevadm control --reload",
            "# The first file that matches is the only one: these two lines are those of 99-default.link.",
            "[Match]",
            f"OriginalName={name}",
            "",
            "[Link]",
            "NamePolicy=keep kernel database onboard slot path",
            "MACAddressPolicy=none",
            *rows,
            "",
        ]
    )


def _udev(name: str, changes: Mapping[str, bool]) -> str:
    words = " ".join(_ethtool("$name", changes)[1:])
    return (
        "# /etc/udev/rules.d/90-pktmend-offload.rules; then: udevadm control --reload\n"
        "# Acts when an interface appears in the machine's own namespace; a container's end is out of its sight.\n"
        f'ACTION=="add|move", SUBSYSTEM=="net", KERNEL=="{name}", RUN+="/usr/sbin/ethtool {words}"\n'
    )


def _cni(name: str, changes: Mapping[str, bool]) -> str:
    """The interface is CNI's to name."""
    entry = {"type": "pktmend-offload", "offload": {word: word_of(on) for word, on in changes.items()}}
    return (
        CNI_PLUGIN
        + '# The entry, at the end of "plugins" in /etc/cni/net.d/*.conflist; acts on pods that come later:\n'
        + "#   "
        + json.dumps(entry)
        + "\n"
    )


def _oci_hook(name: str, changes: Mapping[str, bool]) -> str:
    """JSON has no remarks: docs say where it goes."""
    hook = {"path": "/usr/sbin/ethtool", "args": _ethtool(name, changes)}
    value = {"version": "1.0.0", "hook": hook, "when": {"always": True}, "stages": ["createContainer"]}
    return json.dumps(value, indent=2) + "\n"


def _compose(name: str, changes: Mapping[str, bool]) -> str:
    return "\n".join(
        [
            "# Add to compose.yaml, with your service for `web`: a helper that runs once in its namespace, whenever",
            "# that is made anew.  The image needs ethtool; yours stays as it is.",
            "services:",
            "  web-offload:",
            "    image: nicolaka/netshoot",
            '    network_mode: "service:web"',
            "    depends_on: [web]",
            "    cap_drop: [ALL]",
            "    cap_add: [NET_ADMIN]",
            '    restart: "no"',
            f"    command: {json.dumps(_ethtool(name, changes))}",
            "",
        ]
    )


def _containerlab(name: str, changes: Mapping[str, bool]) -> str:
    lines = [
        "# Add to the node in NAME.clab.yml, with yours for `node`; runs in the container once it has started, so its",
        "# image needs ethtool.",
    ]
    if changes == {"tx": False} and name == "eth0":
        lines += ["# Without: containerlab tools disable-tx-offload -c clab-NAME-node"]
    return "\n".join(
        [
            *lines,
            "topology:",
            "  nodes:",
            "    node:",
            "      exec:",
            f"        - {' '.join(_ethtool(name, changes))}",
            "",
        ]
    )


# kind: (what makes it, the interface that it usually is, what may be written there)
RECIPES: Final[dict[str, tuple[Callable[[str, Mapping[str, bool]], str], str, re.Pattern[str]]]] = {
    "link": (_link, "veth*", PATTERN),
    "udev": (_udev, "veth*", PATTERN),
    "cni": (_cni, "eth0", SAFE),
    "oci-hook": (_oci_hook, "eth0", SAFE),
    "compose": (_compose, "eth0", SAFE),
    "containerlab": (_containerlab, "eth1", SAFE),
}
