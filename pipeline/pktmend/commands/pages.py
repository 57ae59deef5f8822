"""The pages of documentation that come with the package, and captures to try things on."""

from __future__ import annotations

import re
from typing import Final

from pktmend.console.suggestion import one_of
from pktmend.errors import ConfigError
from pktmend.host.shipped_files import read_shipped, shipped_folder

# topic: (its page, what it is about); no topic has the name of a command, whose options `help` shows
TOPICS: Final = {
    "journeys": ("journeys.md", "nine ways in, from the first command to the last"),
    "howto": ("howto.md", "the shortest way, by what you are"),
    "reach": ("reach.md", "to the packets: namespaces, containers, pods, other hosts"),
    "faq": ("faq.md", "questions, and short answers"),
    "glossary": ("glossary.md", "what your tool's message means, and the words used here"),
    "diagnosis": ("diagnosis.md", "why checksums are wrong, and what cures it"),
    "names": ("names.md", "namespaces, containers and pods by name"),
    "findings": ("doctor.md", "what the doctor finds, and how offloads are changed"),
    "checking": ("check.md", "what check reads, prints and answers"),
    "scale": ("scale.md", "many captures on many machines, rows to query"),
    "watching": ("monitor.md", "the monitor: view, JSON, metrics, files"),
    "wireshark": ("wireshark.md", "comments, filters and colours, and capturing from Wireshark"),
    "reports": ("report.md", "a page to mail, and the drawing of a path"),
    "operating": ("operating.md", "running the bridge: modes, counters, privileges"),
    "service": ("service.md", "units of systemd, containers, Kubernetes, completion"),
    "cut-through": ("cut-through.md", "what the kernel carries by itself"),
    "cases": ("lab.md", "the cases of the lab, one by one"),
    "performance": ("performance.md", "measuring, reading the figures, tuning"),
    "tunnels": ("tunnels.md", "which tunnels are looked into, and where"),
    "verdicts": ("verdicts.md", "where verdicts differ from tshark's"),
    "writing-stages": ("stages.md", "stages in Python, C, Cython and Numba"),
    "python": ("python.md", "the package as a library"),
    "c-library": ("c-library.md", "the engine as a library of C"),
    "compatibility": ("compatibility.md", "what it runs on, and what stays as it is"),
    "limitations": ("limitations.md", "what it cannot do"),
    "security": ("security.md", "threats, and what stands against them"),
}
_REMARK: Final = re.compile(r"<!--.*?-->\n?|^!\[.*?\]\(.*?\)\n?", re.DOTALL | re.MULTILINE)
_LINK: Final = re.compile(r"\[([^\]\n]+)\]\((?:[^)\s]*/)?([\w-]+\.md)?[^)\s]*\)")


def text_of(topic: str) -> str:
    """Return a page as text: links say which topic they lead to."""
    page, _ = TOPICS[topic]
    topics = {name: each for each, (name, _) in TOPICS.items()}
    text = _REMARK.sub("", read_shipped(shipped_folder("pages", "docs") / page).decode())

    def linked(found: re.Match[str]) -> str:
        if "://" in found[0]:
            return found[0]
        other = topics.get(found[2] or "")
        return f"{found[1]} (`pktmend help {other}`)" if other and other != topic else found[1]

    return _LINK.sub(linked, text).rstrip()


def examples() -> list[str]:
    """Return the names of the captures that come along."""
    return sorted(path.stem for path in shipped_folder("captures", "examples").glob("*.pcap"))


def example(name: str) -> bytes:
    """Return the capture of that name.  ConfigError if there is none."""
    if name not in examples():
        raise ConfigError(f"there is no example {name!r}", one_of(name, examples()))
    return read_shipped(shipped_folder("captures", "examples") / f"{name}.pcap")
