"""`pktmend fix`: repair captures, file to file, one or many."""

from pktmend.commands.fix.job import Job, job_of
from pktmend.commands.fix.run import fix_one

__all__ = ["Job", "fix_one", "job_of"]
