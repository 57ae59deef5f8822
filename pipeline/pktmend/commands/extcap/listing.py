"""What Wireshark asks for before it captures: interfaces, their link type, the options of a capture.

Rules of this file:
1. Names are other people's.  In what is shown, control characters are visible and braces, which end a value of the
   protocol, are parentheses; in what Wireshark hands back, all but letters, digits and a few signs are percent-encoded.
2. A namespace that cannot be entered is left out: there is nothing that could be captured in it.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from typing import Final
from urllib.parse import quote_from_bytes, unquote_to_bytes

from pktmend import _core
from pktmend._version import VERSION
from pktmend.console.printable import printable
from pktmend.errors import OSFailure, PktmendError
from pktmend.host.interfaces import hardware_of
from pktmend.host.namespaces import Namespace, call, list_namespaces
from pktmend.host.rtnetlink import read_links
from pktmend.host.workloads import label_of, workloads

PREFIX: Final = "pktmend"
_WORD: Final = re.compile(rf"{PREFIX}\.(\d+)\.(.+)", re.DOTALL)
ETHERNET: Final = 1


def interface_lines() -> Iterator[str]:
    """Yield a line for the plug-in and one for each interface of each namespace, our own first."""
    yield f"extcap {{version={VERSION}}}{{display=pktmend}}{{help=https://www.wireshark.org}}"
    listing = list_namespaces()
    owners = workloads(listing)
    for namespace in listing.found:
        try:
            links = call(namespace, read_links)
        except (PktmendError, OSError):
            continue
        where = label_of(owners.get(namespace.inode, ())) or namespace.label
        place = "" if namespace.is_own else f", {where}"
        for link in links:
            shown = _value(f"{link.name}{place}: checksums explained (pktmend)")
            yield f"interface {{value={word_of(namespace, link.name)}}}{{display={shown}}}"


def word_of(namespace: Namespace, name: str) -> str:
    """Return what Wireshark calls an interface: `pktmend.4026531840.eth0`."""
    return f"{PREFIX}.{namespace.inode}.{quote_from_bytes(os.fsencode(name), safe='')}"


def find(word: str) -> tuple[Namespace, str]:
    """Return the namespace and the name of an interface that was listed.  Raises OSFailure if it is gone."""
    match = _WORD.fullmatch(word)
    if match is None:
        raise OSFailure(f"{word!r} is no interface of this plug-in", "--extcap-interfaces lists them", subject=word)
    inode, name = int(match[1]), os.fsdecode(unquote_to_bytes(match[2]))
    for namespace in list_namespaces().found:
        if namespace.inode == inode:
            return namespace, name
    raise OSFailure(f"the network namespace of {word!r} is gone", "refresh the list of interfaces", subject=word)


def dlt_lines(word: str) -> Iterator[str]:
    """Yield the link type of an interface.  Raises OSFailure if it is gone."""
    namespace, name = find(word)
    link = call(namespace, lambda: _link(name))
    kind = "EN10MB" if link == ETHERNET else f"LINKTYPE_{link}"
    yield f"dlt {{number={link}}}{{name={kind}}}{{display={'Ethernet' if link == ETHERNET else kind}}}"


def _link(name: str) -> int:
    try:
        return _core.link_of(hardware_of(name))
    except OSError as error:
        raise OSFailure(f"there is no interface {name!r}: {error.strerror}", "", error.errno or 0, name) from error


def config_lines() -> Iterator[str]:
    """Yield the options that Wireshark's dialogue shows."""
    yield (
        "arg {number=0}{call=--bad-only}{display=Bad packets only}{type=boolflag}{default=false}"
        "{tooltip=Leave out packets whose checksums are right or pending}"
    )
    yield (
        "arg {number=1}{call=--snaplen}{display=Bytes of each packet}{type=unsigned}{default=0}"
        "{tooltip=0: all of it; checksums are judged over the whole packet all the same}"
    )
    yield (
        "arg {number=2}{call=--no-promiscuous}{display=No promiscuous mode}{type=boolflag}{default=false}"
        "{tooltip=Only what is sent to this interface}"
    )


def _value(text: str) -> str:
    return printable(text).replace("\n", "\\x0a").replace("{", "(").replace("}", ")")
