"""`pktmend kernels`."""

from __future__ import annotations

import click


@click.command()
@click.option("--json", is_flag=True, help="Print NDJSON, one object a kernel.")
def kernels(json: bool) -> None:
    """List the SIMD kernels of the checksum engine."""
    import pktmend
    from pktmend.console.report import print_json

    for name, supported, active in pktmend.kernels():
        if json:
            print_json({"kernel": name, "supported": supported, "active": active}, kind="kernel")
        else:
            print(f"{name:10}{'supported' if supported else 'not on this machine'}{', active' if active else ''}")
