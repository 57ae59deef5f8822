"""Findings and remedies, as both commands report them."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Remedy:
    """What cures: a command, what it does, and what it costs.

    command: shell lines as they can be pasted here, their namespace included; empty where the cure is no command of
             this machine: *effect* then says what to do.
    plain:   the same without pktmend, and for no longer than the interface lasts; empty if there is nothing such.
    undo:    what takes it back exactly; empty if there is nothing such.
    """

    command: str
    effect: str
    side_effect: str = ""
    plain: str = ""
    undo: str = ""

    def as_json(self) -> dict[str, str]:
        """Return the object that --json prints."""
        return {
            "command": self.command,
            "effect": self.effect,
            "side_effect": self.side_effect,
            "plain": self.plain,
            "undo": self.undo,
        }


@dataclass(frozen=True, kw_only=True)
class Finding:
    """One thing found, in English; each command adds what it alone knows.

    name:     stable, for scripts.          title: one line.       meaning: what it means for the user.
    evidence: what was seen.                remedies: the best first.
    """

    name: str
    title: str
    meaning: str
    evidence: tuple[str, ...] = ()
    remedies: tuple[Remedy, ...] = ()
