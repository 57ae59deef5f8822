"""Look at a capture with NumPy, cell by cell: in an editor that knows `# %%`, or python notebook_style.py FILE"""

# %% The file: a capture of leaked packets lies beside this script
import sys
from collections import Counter
from pathlib import Path

import numpy as np

import pktmend as pm

path = sys.argv[1] if len(sys.argv) > 1 else Path(__file__).with_name("leaked.pcap")

# %% Once through it, some thousand packets at a time; np.array copies a column, np.asarray would look into the batch
columns: dict[str, list[np.ndarray]] = {"status": [], "cause": [], "wirelen": [], "time_ns": []}
with pm.Capture(path) as capture:
    for batch in capture.batches(pm.Verify(at_wire=True), pm.classify):
        for name, parts in columns.items():
            parts.append(np.array(getattr(batch, name)))
status, cause, size, time_ns = (np.concatenate(parts) for parts in columns.values())
print(f"{len(status)} packets in {(time_ns.max() - time_ns.min()) / 1e9:.3f} s")

# %% Packets by status, bad ones by cause
for word, count in zip(pm.Status, np.bincount(status, minlength=len(pm.Status)), strict=True):
    if count:
        print(f"  {word!s:10} {count:6}  {count / len(status):6.1%}")
for number, count in zip(*np.unique(cause[status == pm.Status.BAD], return_counts=True), strict=True):
    print(f"    {pm.Cause(number)!s:16} {count}")

# %% The worst flows: here an object for each packet is fast enough
bad = (p for p in pm.read(path, at_wire=True) if p.status is pm.Status.BAD)
worst = Counter((p.src, p.sport, p.dst, p.dport) for p in bad)
for (src, sport, dst, dport), count in worst.most_common(5):
    print(f"  {count:6} bad  {src} port {sport} > {dst} port {dport}")

# %% How large are they, the bad beside all?
edges = np.array([0, 64, 128, 256, 512, 1024, 1519, 1 << 20])
everything, wrong = (np.histogram(each, edges)[0] for each in (size, size[status == pm.Status.BAD]))
for low, high, count, of_these in zip(edges, edges[1:], everything, wrong, strict=False):
    bar = "#" * round(40 * count / max(everything.max(), 1))
    print(f"  {low:5} to {high - 1:7} bytes {count:6}, {of_these} bad  {bar}".rstrip())
