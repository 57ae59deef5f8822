"""`pktmend extcap`: a plug-in of Wireshark that lists interfaces of every namespace and captures annotated packets.

Source: Wireshark's doc/extcap.adoc (man 4 extcap) and Developer's Guide section 8.2, "Adding Capture Interfaces And Log
Sources Using Extcap".
"""

from pktmend.commands.extcap.capture import capture, check_filter
from pktmend.commands.extcap.install import install
from pktmend.commands.extcap.listing import config_lines, dlt_lines, interface_lines

__all__ = ["capture", "check_filter", "config_lines", "dlt_lines", "install", "interface_lines"]
