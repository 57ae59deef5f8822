"""Sums, and the SIMD kernels that make them."""

from typing_extensions import Buffer

from pktmend.records import Kernel

def checksum(data: Buffer, initial: int = 0) -> int:
    """Return the Internet checksum of *data* (RFC 1071).

    data:     any C-contiguous buffer, any alignment.
    initial:  unfolded sum to start from, e.g. of a pseudo header, as 16-bit words in network order.
    Returns:  16 bits; 0 means "verifies" when the field is included.
    Raises:   BufferError if data is not contiguous, ConfigError if initial is negative.
    """

def crc32c(data: Buffer, initial: int = 0) -> int: ...
def kernels() -> list[Kernel]: ...
def use_kernel(name: str | None = None) -> None: ...
def kernel_address(name: str | None = None) -> int: ...
def self_test() -> None: ...
