"""The version of the distribution, the command and the library."""

VERSION = "0.2.0"
