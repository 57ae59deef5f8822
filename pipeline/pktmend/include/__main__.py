"""Print what a compiler needs for a program that uses pktmend's C library."""

from __future__ import annotations

import argparse
import shlex

from pktmend.include import include_dir, lib_dir


def main() -> None:
    """Print the flags that are asked for, on one line, quoted for the shell."""
    parser = argparse.ArgumentParser(prog="python -P -m pktmend.include", description=__doc__)
    parser.add_argument("--cflags", action="store_true", help="Print the compiler's flags.")
    parser.add_argument("--libs", action="store_true", help="Print the linker's flags.")
    parser.add_argument("--pkgconfigdir", action="store_true", help="Print the folder of pktmend.pc.")
    wanted = parser.parse_args()
    found = [f"-I{include_dir()}"] if wanted.cflags else []
    if wanted.libs:
        found += [f"-L{lib_dir()}", f"-Wl,-rpath,{lib_dir()}", "-lpktmend"]
    if wanted.pkgconfigdir:
        found.append(lib_dir())
    if not found:
        parser.error("nothing asked for: --cflags, --libs or --pkgconfigdir")
    print(shlex.join(found))


main()
