"""The worker: source, stages, sink."""

from collections.abc import Sequence
from typing import Any

from pktmend._core.clearing import Clearing
from pktmend._core.sinks import Sink
from pktmend._core.sources import Source

class Loop:
    def __new__(
        cls,
        source: Source,
        stages: list[Any],
        sink: Sink,
        limit: int = 0,
        busy_ns: int = 0,
        poll_interval_ns: int = 0,
        on_error: int = 0,
        pooled: bool = False,
        clearing: Clearing | None = None,
    ) -> Loop: ...
    def run(self) -> None: ...
    def raise_fault(self) -> None: ...
    @property
    def sink_failed(self) -> bool: ...
    def stop(self) -> None: ...
    def snapshot(self) -> tuple[dict[str, Any], dict[str, Any]]: ...
    @property
    def has_ended(self) -> bool: ...
    def beats(self) -> int: ...

def run_together(loops: Sequence[Loop]) -> None: ...
