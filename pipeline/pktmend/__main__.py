"""python -P -m pktmend: the command line."""

from pktmend.cli import main

main()
