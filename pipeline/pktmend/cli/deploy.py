"""`pktmend deploy`."""

from __future__ import annotations

import click

from pktmend.cli.options import Once

CNIS = ("antrea", "calico", "cilium", "flannel", "ovn")


@click.command()
@click.option("-o", "folder", cls=Once, metavar="DIR", help="Write the files to this folder instead.")
@click.option("--force", is_flag=True, help="With -o: write over files that are there.")
@click.option("--cni", type=click.Choice(CNIS), help="Watch the interfaces that this CNI makes.  [default: veth*]")
@click.option("--image", cls=Once, metavar="NAME", help="The image's name, with its registry and tag.")
@click.option("--namespace", cls=Once, metavar="NAME", help="The namespace of Kubernetes.  [default: pktmend]")
@click.option("--workloads", is_flag=True, help="Label the monitor's metrics with pods; it sees the node's processes.")
@click.argument("kind", required=False, metavar="[KIND]")
@click.argument("parts", nargs=-1, metavar="[PART]...")
def deploy(
    folder: str | None,
    force: bool,
    cni: str | None,
    image: str | None,
    namespace: str | None,
    workloads: bool,
    kind: str | None,
    parts: tuple[str, ...],
) -> None:
    """Print the files that run it as a service; without KIND, list them.

    KIND is kubernetes, dask, systemd, prometheus, grafana, container or wireshark.  PART picks files of it; some are
    printed only then.  Nothing is applied.
    """
    from pktmend.commands.deploy.fit import Place
    from pktmend.commands.deploy.run import listed, run_deploy

    if force and folder is None:
        raise click.UsageError("--force goes with -o DIR")
    if kind is None:
        if folder is not None or cni or image or namespace or workloads:
            raise click.UsageError("what shall be deployed?  `pktmend deploy` lists it")
        click.echo(listed())
        return
    place = Place(cni or "", image or "", namespace or "", workloads)
    run_deploy(kind, parts, place, folder=folder or "", force=force)
