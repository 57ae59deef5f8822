#!/bin/sh
# Use what was installed, as somebody new does: `pktmend` and `python` (or PYTHON) of PATH, outside of the tree, without root.
# cibuildwheel runs this after each wheel, for each Python; tests/unit/test_wheel.py for those that are here.
set -eu
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"

ends() { # CODE COMMAND...
    wanted=$1 code=0
    shift
    "$@" >said 2>&1 || code=$?
    if [ "$code" != "$wanted" ]; then
        echo "$* ended with $code, not $wanted:" >&2
        cat said >&2
        exit 1
    fi
}

ends 0 pktmend --version
pktmend example leaked >leaked.pcap
ends 1 pktmend check -r leaked.pcap --at wire
grep -q 'tcp  *leaked 4' said
ends 1 pktmend diagnose -r leaked.pcap
grep -q 'leaked' said
ends 0 pktmend fix -r leaked.pcap -w fixed.pcap
ends 0 pktmend check -r fixed.pcap --at wire
ends 0 pktmend help glossary
ends 0 pktmend kernels
ends 2 pktmend brigde
grep -q "'bridge'" said

"${PYTHON:-python}" - <<'PYTHON'
import pktmend as pm

found = pm.check("leaked.pcap", at_wire=True)
assert (found.packets, found.bad) == (11, 4), found
bad = [packet for packet in pm.read("leaked.pcap", at_wire=True) if packet.status is pm.Status.BAD]
assert [packet.cause for packet in bad] == [pm.Cause.LEAKED] * 4, bad

batch = pm.Frames([packet.frame for packet in bad]).batch()
pm.Verify(at_wire=True)(batch)
assert list(batch.status) == [pm.Status.BAD] * 4
assert batch.mark(pm.Verdict.DROP, status=pm.Status.BAD) == 4 and list(batch.verdict) == [pm.Verdict.DROP] * 4
PYTHON
echo "pktmend works here: $(pktmend --version), $("${PYTHON:-python}" --version)"
