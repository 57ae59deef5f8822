"""Print the packets of a capture whose checksum is bad: python ten_lines.py FILE"""

import sys

from pktmend import Status, read

for packet in read(sys.argv[1], at_wire=True):
    if packet.status is Status.BAD:
        ends = f"{packet.src} port {packet.sport} > {packet.dst} port {packet.dport}"
        print(f"{packet.number}: {ends}, {len(packet.frame)} bytes, {packet.cause}")
