"""`pktmend check`: every checksum of captures, or of the next packets of an interface, and the bad packets."""

from pktmend.commands.check.hand_on import HandOn
from pktmend.commands.check.run import run_check
from pktmend.commands.check.work import RowsTo

__all__ = ["HandOn", "RowsTo", "run_check"]
