"""`pktmend extcap`."""

from __future__ import annotations

from collections.abc import Iterable

import click

from pktmend.cli.options import Once
from pktmend.errors import ConfigError


@click.command(context_settings={"ignore_unknown_options": True})
@click.option("--install", is_flag=True, help="Put the plug-in where Wireshark looks for it.")
@click.option(
    "--dir", "folder", cls=Once, metavar="DIR", help="Put it into DIR (default: what `tshark -G folders` says)."
)
@click.option("--extcap-interfaces", "lists", is_flag=True, help="List the interfaces of every namespace.")
@click.option("--extcap-version", metavar="VERSION", expose_value=False, help="Say which Wireshark asks.")
@click.option("--extcap-interface", "interface", cls=Once, metavar="WORD", help="Name an interface as it was listed.")
@click.option("--extcap-dlts", "dlts", is_flag=True, help="Print its link type.")
@click.option("--extcap-config", "config", is_flag=True, help="Print the options of a capture.")
@click.option(
    "--extcap-capture-filter", "expression", cls=Once, metavar="EXPRESSION", help="Select packets, as tcpdump."
)
@click.option("--capture", "captures", is_flag=True, help="Capture, until a signal.")
@click.option("--fifo", cls=Once, metavar="FIFO", help="Write pcapng there.")
@click.option("--bad-only", is_flag=True, help="Leave out packets whose checksums are right or pending.")
@click.option(
    "--snaplen", type=click.IntRange(0, 1 << 18), default=0, metavar="BYTES", help="Cut packets; 0 writes all."
)
@click.option("--no-promiscuous", is_flag=True, help="Do not use promiscuous mode.")
def extcap(
    install: bool,
    folder: str | None,
    lists: bool,
    interface: str | None,
    dlts: bool,
    config: bool,
    expression: str | None,
    captures: bool,
    fifo: str | None,
    bad_only: bool,
    snaplen: int,
    no_promiscuous: bool,
) -> None:
    """Capture in Wireshark from any namespace's interface, wrong checksums explained in comments.

    --install once; all else is what Wireshark asks for by itself.
    """
    from pktmend.commands import extcap as command

    if folder is not None and not install:
        raise ConfigError("--dir goes with --install")
    if install:
        path = command.install(folder)
        print(f"{path}: Wireshark lists the interfaces of every namespace from its next start on")
    elif lists:
        _print(command.interface_lines())
    elif interface is None:
        raise ConfigError("extcap needs to know what to do", "--install, or --extcap-interfaces to see what there is")
    elif config:
        _print(command.config_lines())
    elif dlts:
        _print(command.dlt_lines(interface))
    elif captures:
        if fifo is None:
            raise ConfigError("--capture writes to a FIFO", "--fifo FIFO")
        command.capture(
            interface,
            fifo,
            expression=expression or "",
            bad_only=bad_only,
            snaplen=snaplen,
            promiscuous=not no_promiscuous,
        )
    elif expression is not None:
        command.check_filter(interface, expression)
    else:
        raise ConfigError(f"what of {interface}?", "--capture --fifo FIFO, --extcap-dlts or --extcap-config")


def _print(lines: Iterable[str]) -> None:
    print("\n".join(lines), flush=True)
