"""Built by cffi; see ext/bench/traffic_build.py and traffic.h."""

from typing import Final

from pktmend._kernel import FFI

class Lib:
    TRAFFIC_MARK: int
    TRAFFIC_HEAD: int
    TRAFFIC_DAMAGES: int
    TRAFFIC_OUTCOMES: int
    pktmend_stage_of_traffic_record: FFI.CData
    pktmend_stage_of_traffic_nothing: FFI.CData
    def traffic_new(
        self,
        templates: FFI.CData,
        order: FFI.CData,
        order_length: int,
        flows: int,
        port: int,
        rate: float,
        share: FFI.CData,
        offload: bool,
        /,
    ) -> FFI.CData: ...
    def traffic_free(self, traffic: FFI.CData, /) -> None: ...
    def traffic_send(self, traffic: FFI.CData, fd: int, frames: int, milliseconds: int, /) -> int: ...
    def traffic_bytes(self, traffic: FFI.CData, /) -> int: ...
    def traffic_retries(self, traffic: FFI.CData, /) -> int: ...
    def traffic_count(self, traffic: FFI.CData, proto: int, outcome: int, /) -> int: ...
    def traffic_outcome_name(self, outcome: int, /) -> FFI.CData: ...
    def traffic_damage_name(self, damage: int, /) -> FFI.CData: ...

ffi: Final[FFI]
lib: Final[Lib]
