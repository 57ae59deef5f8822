"""The kernel's log: which lines count, by interface.  Lines as Linux 6.1 and 6.18 print them."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from pktmend.errors import OSFailure
from pktmend.host.kernel_log import KMSG, LogCount, Said, count, read_kernel_log

LINES = [
    "3,100,5000000,-;eth1: hw csum failure",
    "4,101,5000100,-;skb len=60 headroom=128 headlen=60 tailroom=0",
    " SUBSYSTEM=net",
    "3,102,7000000,-,caller=T0;[vlan] eth1: hw csum failure",
    "4,103,8000000,-;virtio_net: caps=(0x00000080401fffff, 0x0000000000000000)",
    "4,104,8000001,-;WARNING: CPU: 1 PID: 0 at net/core/dev.c:3377 skb_warn_bad_offload+0xd3/0xe8",
    "4,105,9000000,-;eth0: bad offload",
    "12,106,9000000,-;eth7: hw csum failure",  # facility 1: a program wrote it
    "3,107,9000000,-;eth7: no hw csum failure here",
    "nonsense",
    "3,108",
]


def test_lines_of_the_kernel_are_counted_by_interface() -> None:
    assert count(LINES, 10.0) == [
        LogCount(Said.HW_CSUM_FAILURE, "eth1", 2, 3.0),
        LogCount(Said.BAD_OFFLOAD, "virtio_net", 1, 2.0),
        LogCount(Said.BAD_OFFLOAD, "eth0", 1, 1.0),
    ]


def test_nothing_in_it_is_nothing() -> None:
    assert count([], 1.0) == []


def test_a_record_is_read_at_a_time_and_none_is_waited_for(tmp_path: Path) -> None:
    pipe = tmp_path / "kmsg"
    os.mkfifo(pipe)
    reader = os.open(pipe, os.O_RDWR)  # so that the pipe has a writer, and its end is no end of file
    os.write(reader, "\n".join(LINES).encode())
    assert [each.name for each in read_kernel_log(pipe)] == ["eth1", "virtio_net", "eth0"]
    os.close(reader)


def test_without_a_log_it_says_so(tmp_path: Path) -> None:
    with pytest.raises(OSFailure, match="the kernel's log: No such file"):
        read_kernel_log(tmp_path / "none")


@pytest.mark.skipif(not os.access(KMSG, os.R_OK | os.W_OK), reason="/dev/kmsg is for root")
def test_what_a_program_writes_into_it_does_not_count() -> None:
    """The kernel gives it a facility of its own, whatever it claims."""
    KMSG.write_text("<3>pktmend-test9: hw csum failure\n")
    found = read_kernel_log()
    assert not any(each.name == "pktmend-test9" for each in found) and found == read_kernel_log()
