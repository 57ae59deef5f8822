"""`pktmend offload policy`: a policy upon every link of every namespace, now: set it, or say what deviates.

What comes later is for pktmend.commands.offload.watch.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from functools import partial
from typing import Literal

from pktmend.commands.offload.enforce import Efforts, Finding, Tally, enforce, examine, require_here
from pktmend.commands.offload.links import Workloads, workloads_of
from pktmend.commands.offload.memory import Memory, State
from pktmend.commands.offload.rules import Policy, read_policy
from pktmend.console.plural import quantity
from pktmend.console.report import print_json
from pktmend.errors import EXIT_PROBLEMS, OSFailure, PrivilegeError
from pktmend.host.ethtool import feature_names
from pktmend.host.namespaces import Namespace, call, list_namespaces

Mode = Literal["once", "watch", "check"]


def run_policy(*, path: str, mode: Mode, json: bool) -> int:
    """Obey the policy in *path*, or look whether it is obeyed; return the exit code: 1 if something deviates."""
    policy = read_policy(path, feature_names())
    if mode == "watch":
        from pktmend.commands.offload.watch import run_watch

        run_watch(policy, json=json)
        return 0
    if mode == "check":
        tally, unread = everywhere(policy, partial(_examined, policy))
    else:
        with Memory().opened() as state:
            state.released.clear()  # whoever asks for it anew means all
            tally, unread = everywhere(policy, partial(_enforced, policy, state))
    _report(policy, tally, unread, mode, json=json)
    return EXIT_PROBLEMS if any(each.deviates for each in tally.findings) else 0


def _examined(policy: Policy, namespace: Namespace, workloads: Workloads) -> Tally:
    require_here(namespace)
    return examine(policy, namespace, workloads)


def _enforced(policy: Policy, state: State, namespace: Namespace, workloads: Workloads) -> Tally:
    require_here(namespace)
    return enforce(policy, namespace, workloads, state, Efforts())


def everywhere(policy: Policy, look: Callable[[Namespace, Workloads], Tally]) -> tuple[Tally, list[str]]:
    """Call *look* in every namespace; return what it found, and what could not be looked at.

    Raises: PrivilegeError if our own namespace is refused.
    """
    listing = list_namespaces()
    workloads = workloads_of(policy, listing.found)
    total, hidden = Tally(), listing.unreadable
    unread = [f"the namespace of {quantity(hidden, 'process')} (permission denied)"] if hidden else []
    for namespace in listing.found:
        try:
            tally = call(namespace, partial(look, namespace, workloads.get(namespace.inode, ())))
        except PrivilegeError as error:
            if namespace.is_own:
                raise
            unread.append(f"{namespace.label} ({error})")
            continue
        except OSFailure:
            continue  # it has gone meanwhile
        total.links += tally.links
        total.findings += tally.findings
    return total, unread


def say(finding: Finding, *, json: bool) -> None:
    """Tell of one link: as NDJSON on stdout, else what deviates there and what was changed on stderr."""
    if json:
        print_json({"link": finding.as_json()}, kind="link")
    else:
        print(f"pktmend: {finding.line}", file=sys.stderr, flush=True)


def _report(policy: Policy, tally: Tally, unread: list[str], mode: Mode, *, json: bool) -> None:
    changed = sum(bool(each.changed) for each in tally.findings)
    deviating = sum(bool(each.deviates) for each in tally.findings)
    for finding in tally.findings:
        if json:
            say(finding, json=True)
        else:
            print(finding.line)
    for what in unread:
        print(f"pktmend: not looked at: {what}", file=sys.stderr)
    if json:
        counts = {"rules": len(policy.rules), "links": tally.links, "changed": changed, "deviating": deviating}
        print_json({"summary": {**counts, "unread": unread}}, kind="summary")
        return
    done = f"{changed} changed, {deviating} not as they should be" if mode == "once" else f"{deviating} deviate"
    print(f"{quantity(len(policy.rules), 'rule')} on {quantity(tally.links, 'link')}: {done}")
