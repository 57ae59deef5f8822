"""Views of frames of a ring that is dropped without being closed: its memory stays as long as they, and not longer."""

from __future__ import annotations

import sys
from collections.abc import Iterator

import pytest

from pktmend.testbed.netns import Host, Testbed

HEAD = """
import gc, socket
from pktmend import Batch, Ring

def rings():
    return len(open("/proc/net/packet").readlines()) - 1

def send():
    socket.socket(socket.AF_INET, socket.SOCK_DGRAM).sendto(b"x" * SIZE, ("127.0.0.1", 9))

def read(ring, batch):
    while not ring.open().next(batch):
        pass

gc.disable()  # nothing here needs it: no cycle holds a ring
ring = Ring("lo", ring="VERSION")
"""

PROGRAMS = {
    "a dropped ring is given back at once": ("", "assert rings() >= 1; del ring; print(rings())", "0"),
    "a view of a frame holds the memory of its ring": (
        """
send()
batch = Batch(ring.open().capacity)
read(ring, batch)
view = batch.frame(0)
del ring, batch
""",
        "print(view[-1:].tobytes().decode()); view.release(); del view; print(rings())",
        "x\n0",
    ),
    "so does a generator of batches that is left in its midst": (
        """
def first():
    for batch in ring.batches(timeout=20):
        return batch.frame(0)
send()
view = first()
del ring
""",
        "print(view[-1:].tobytes().decode()); view.release(); del view; print(rings())",
        "x\n0",
    ),
    "a batch that is kept keeps nothing of a ring that is closed": (
        """
send()
batch = Batch(ring.open().capacity)
read(ring, batch)
ring.close()
""",
        "print(len(batch), rings())",
        "0 0",
    ),
    "views of one batch are in the way of another, and of closing": (
        """
send()
batch, other = Batch(ring.open().capacity), Batch(ring.open().capacity)
read(ring, batch)
view = batch.frame(0)
for call in (lambda: ring.open().next(other), ring.close):
    try:
        call()
    except BufferError:
        print("refused")
view.release()
ring.open().release(batch)
""",
        "send(); read(ring, other); print(len(batch)); ring.close(); print(len(other), rings())",
        "refused\nrefused\n0\n0 0",
    ),
}


@pytest.fixture
def host() -> Iterator[Host]:
    with Testbed() as testbed:
        yield testbed.host("h")


@pytest.mark.parametrize(("layout", "size"), [("v3", 100), ("v2", 100), ("v2", 9000)])  # the last lies beside the slots
@pytest.mark.parametrize("name", PROGRAMS)
def test_memory_of_a_ring(host: Host, name: str, layout: str, size: int) -> None:
    before, after, want = PROGRAMS[name]
    program = HEAD.replace("VERSION", layout).replace("SIZE", str(size)) + before + after
    done = host.run(sys.executable, "-c", program, timeout=30, check=False)
    assert (done.returncode, done.stdout.strip()) == (0, want), done.stderr
