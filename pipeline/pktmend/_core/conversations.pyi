"""What diagnose takes along."""

from typing import Any, Final

from pktmend._core.stages import NativeStage

DIRECTION_KINDS: Final[tuple[str, ...]]
DIRECTION_FIELDS: Final[tuple[str, ...]]

_End = tuple[bytes, int]

class Conversations:
    def __new__(cls) -> Conversations: ...
    def stage(self) -> NativeStage: ...
    @property
    def lost(self) -> int: ...
    def rows(self) -> list[tuple[int, int, tuple[_End, _End], tuple[tuple[Any, ...], tuple[Any, ...]]]]: ...
