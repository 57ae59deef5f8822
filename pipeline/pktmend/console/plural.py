"""Numbers in sentences for people."""

from __future__ import annotations

from typing import Final

_PLURAL: Final = {"is": "are", "was": "were", "has": "have", "holds": "hold", "differs": "differ"}


def quantity(n: int, words: str) -> str:
    """Return `1 packet is`, `2 packets are` of *words* for one: a noun, and a verb of the table if need be."""
    noun, _, verb = words.rpartition(" ")
    if verb not in _PLURAL:
        noun, verb = words, ""
    if n != 1:
        noun, verb = noun + ("es" if noun.endswith("ss") else "s"), _PLURAL.get(verb, "")
    return f"{n} {noun} {verb}".rstrip()
