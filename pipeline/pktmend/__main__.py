"""`python -P -m pktmend`: the command line, as the command `pktmend`.

Without -P python looks for pktmend in the current folder first, before a line of ours runs: in a folder that is not
yours use the command `pktmend`, which never does.  What is imported from here on is not taken from that folder.
"""

from __future__ import annotations

from pktmend.host.own_command import leave_start_folder

leave_start_folder()

from pktmend.cli import run  # noqa: E402

if __name__ == "__main__":
    run()
