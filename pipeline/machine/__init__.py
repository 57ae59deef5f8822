"""What this machine's set-up is: interfaces of every namespace, their peers, offloads, who reads them, counters.

Rules of this package:
1. Facts only, frozen (facts.py); what they mean is for diagnose and doctor.
2. What could not be read is None or missing and named in Machine.unread, never guessed.
3. Nothing needs to be installed: netlink, ioctl and /proc.  Without privilege our own namespace is read.
"""

from pipeline.machine.facts import Interface, Machine, Place, Reader, Tun, kernel_version
from pipeline.machine.read import read_machine

__all__ = ["Interface", "Machine", "Place", "Reader", "Tun", "kernel_version", "read_machine"]
