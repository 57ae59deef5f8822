"""The version of the distribution, the command and the library."""

from typing import Final

VERSION: Final = "0.2.0"
