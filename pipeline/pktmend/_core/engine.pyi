"""Numbers of the engine."""

from typing import Final

ABI: Final[int]
SIZES: Final[dict[str, int]]
