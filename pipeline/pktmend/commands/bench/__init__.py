"""Measure this machine: `pktmend bench`."""
