"""What somebody may have meant by a word that is none of those there are."""

from __future__ import annotations

from collections.abc import Iterable


def did_you_mean(word: str, known: Iterable[str]) -> str:
    """Return `did you mean 'x'?`, or nothing if no known word is near."""
    import difflib  # here: most words need none

    near = difflib.get_close_matches(word, list(known), 1, 0.6)
    return f"did you mean {near[0]!r}?" if near else ""


def one_of(word: str, known: Iterable[str]) -> str:
    """Return a hint: the word that is near, or all there are."""
    words = list(known)
    return did_you_mean(word, words) or f"one of: {', '.join(words)}"
