"""Numbers of the engine."""

from typing import Final

ABI: Final[int]

def words() -> dict[str, dict[str, int]]: ...
