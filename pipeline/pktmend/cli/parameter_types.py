"""Types of options: numbers as people write them, 10k packets and 5m seconds."""

from __future__ import annotations

import re
from decimal import Decimal
from typing import Any, Final

import click

_SUFFIXES: Final = {"": 1, "k": 10**3, "K": 10**3, "M": 10**6, "G": 10**9, "T": 10**12}
_SECONDS: Final = {"": Decimal(1), "ms": Decimal("0.001"), "s": Decimal(1), "m": Decimal(60), "h": Decimal(3600)}
_NUMBER: Final = r"(\d+(?:\.\d+)?)"


def si_number(text: str) -> Decimal | None:
    """Return the number of `500`, `10k`, `1.5M`; None if it is none."""
    found = re.fullmatch(_NUMBER + "([kKMGT]?)", text, re.ASCII)
    return Decimal(found[1]) * _SUFFIXES[found[2]] if found else None


class Count(click.IntRange):
    """A whole number, also with an SI suffix: 10k, 1.5M."""

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> int:
        """Return the number; a fraction of one is refused."""
        if isinstance(value, str) and value[-1:] in tuple("kKMGT"):
            number = si_number(value)
            if number is None or number % 1:
                self.fail(f"{value!r} is no whole number, such as 500, 10k or 1.5M.", param, ctx)
            value = int(number)
        return int(super().convert(value, param, ctx))


class Seconds(click.FloatRange):
    """A time in seconds, also with a unit: 500ms, 90, 5m, 1h."""

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> float:
        """Return seconds."""
        if isinstance(value, str) and value[-1:] in tuple("smh"):
            found = re.fullmatch(_NUMBER + "(ms|s|m|h)", value, re.ASCII)
            if found is None:
                self.fail(f"{value!r} is no time, such as 500ms, 90, 5m or 1h.", param, ctx)
            value = float(Decimal(found[1]) * _SECONDS[found[2]])
        return float(super().convert(value, param, ctx))
