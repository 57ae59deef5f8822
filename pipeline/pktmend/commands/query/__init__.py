"""`pktmend query`: ask what `check -o` has written, in SQL."""

from pktmend.commands.query.run import run_query

__all__ = ["run_query"]
