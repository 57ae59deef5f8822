"""Fit a manifest to a place: the image's name, the namespace, the CNI's interfaces.  Text in, text out."""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from pktmend.commands.deploy.cni import CNIS
from pktmend.errors import ConfigError

_LABEL: Final = re.compile(r"[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?")  # RFC 1123, as Kubernetes has it
_IMAGE: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9._:/@-]{0,254}")
_INTERFACES: Final = re.compile(r"^( +interfaces = )\[.*\]$", re.MULTILINE)
_IMAGES: Final = re.compile(r"^( +(?:- )?image: )\S+$", re.MULTILINE)
_NAMESPACES: Final = re.compile(
    r"(^ +namespace: |^kind: Namespace\nmetadata:\n  name: )pktmend(?:-scale)?$", re.MULTILINE
)
_MARKED: Final = (  # lines that are remarks until they are wanted, and one that is another then
    re.compile(r"^( +)# (.*)  # workloads$", re.MULTILINE),
    re.compile(r"^( +)# (workloads = true)$", re.MULTILINE),
    re.compile(r"^( +add: )\[.*\]  # workloads: (.*)$", re.MULTILINE),
)
_COMMANDS: Final = re.compile(r"^(#.* -n )pktmend(?:-scale)?(?= )", re.MULTILINE)


@dataclass(frozen=True)
class Place:
    """What differs from cluster to cluster; "" leaves it as it is.

    workloads: the monitor labels its metrics with pods.
    """

    cni: str = ""
    image: str = ""
    namespace: str = ""
    workloads: bool = False

    def require_valid(self) -> None:
        """Raise ConfigError for a name that would be another thing where it is put."""
        if self.namespace and not _LABEL.fullmatch(self.namespace):
            raise ConfigError(
                f"--namespace {self.namespace!r} is no name of a namespace",
                "a-z, 0-9 and -, at most 63, none at an end",
            )
        if self.image and not _IMAGE.fullmatch(self.image):
            raise ConfigError(f"--image {self.image!r} is no name of an image", "such as registry.example/pktmend:1")

    def fit(self, texts: Sequence[str], where: str) -> list[str]:
        """Return *texts* with its values.

        where: what is asked for, for messages.  Raises: ConfigError if a value has no place in any of them.
        """
        self.require_valid()
        for option, value, pattern, new in (
            ("--cni", self.cni, _INTERFACES, json.dumps(CNIS.get(self.cni, ()))),
            ("--image", self.image, _IMAGES, json.dumps(self.image)),
            ("--namespace", self.namespace, _NAMESPACES, json.dumps(self.namespace)),
        ):
            if value:
                _require_place(option, pattern, texts, where)
                texts = [_put(pattern, new, text) for text in texts]
        if self.workloads:
            for pattern in _MARKED:
                _require_place("--workloads", pattern, texts, where)
                texts = [pattern.sub(r"\1\2", text) for text in texts]
        return [_put(_COMMANDS, self.namespace, text) if self.namespace else text for text in texts]


def _require_place(option: str, pattern: re.Pattern[str], texts: Sequence[str], where: str) -> None:
    if not any(pattern.search(text) for text in texts):
        raise ConfigError(f"{option} has no place in {where}", "it fits `pktmend deploy kubernetes`")


def _put(pattern: re.Pattern[str], new: str, text: str) -> str:
    return pattern.sub(lambda found: found[1] + new, text)
