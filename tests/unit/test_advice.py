"""What doctor and diagnose share: how remedies read, how interfaces are named."""

from __future__ import annotations

from dataclasses import replace

from pktmend.advice.blind_spots import blind_spot_text
from pktmend.advice.finding import Remedy
from pktmend.advice.place import full_place, names, place
from pktmend.advice.remedies import ovs_tso, tx_off, tx_off_at
from pktmend.advice.text import effect_and_cost, effect_with_cost, remedy_lines, wrapped
from pktmend.host.model import Interface, Unread, UnreadKind
from pktmend.host.namespaces import Namespace

OURS = Interface(Namespace(1, "", is_own=True), 2, "eth0", "veth", True, 1500, "")
THEIRS = replace(OURS, namespace=Namespace(2, "", "web"), name="a b")


def test_text_is_wrapped_at_110_columns_and_never_within_a_word() -> None:
    text = "word " * 30 + "x" * 120 + " tx-checksum-ip-generic"
    lines = wrapped(text, "  - ", "    ")
    assert " ".join(line[4:] for line in lines).split() == text.split()
    assert lines[0].startswith("  - word") and all(line.startswith("    ") for line in lines[1:])
    assert [len(line) > 110 for line in lines] == ["xxx" in line for line in lines]


def test_remedies_that_do_the_same_are_explained_once() -> None:
    remedies = [Remedy("one", "cures", "time"), Remedy("two\nthree", "cures", "time"), Remedy("", "ask for help")]
    assert list(remedy_lines(remedies, "  ", effect_with_cost)) == [
        "  $ one",
        "  $ two",
        "  $ three",
        "      cures. Cost: time.",
        "  * ask for help.",
    ]
    assert list(remedy_lines(remedies[:1], "    ", effect_and_cost)) == [
        "    $ one",
        "        cures",
        "        side effect: time",
    ]


def test_what_can_be_undone_says_so_and_what_does_without_pktmend() -> None:
    remedies = [tx_off(replace(OURS, name=name), "cures") for name in ("a", "b")]
    lines = list(remedy_lines(remedies, "", effect_with_cost))
    assert lines[:2] == ["$ pktmend offload -i a set tx off", "$ pktmend offload -i b set tx off"]
    said = " ".join(line.strip() for line in lines[2:-2])
    assert "`restore`" in said and "--keep" in said and said.endswith("until the interface is made again:")
    assert lines[-2:] == ["    $ ethtool -K a tx off", "    $ ethtool -K b tx off"]


def test_places() -> None:
    assert (place(OURS), full_place(OURS)) == ("eth0", "eth0 (this namespace)")
    assert place(THEIRS) == full_place(THEIRS) == "a b (netns web)"
    assert names([OURS] * 3) == "eth0, eth0, eth0" and names([OURS] * 10).endswith("eth0 and 2 more")


def test_commands_can_be_pasted() -> None:
    theirs = tx_off(THEIRS, "")
    assert theirs.command == "pktmend offload -i 'a b' --netns web set tx off"
    assert theirs.plain == "ip netns exec web ethtool -K 'a b' tx off"
    assert theirs.undo == "pktmend offload -i 'a b' --netns web restore"
    assert tx_off(OURS, "").side_effect == tx_off_at("10.0.0.1").side_effect != ""
    option = "set Open_vSwitch . other_config:userspace-tso-enable=true"
    assert ovs_tso("unix:/var/run/openvswitch/db.sock").command == ovs_tso("").command == f"ovs-vsctl {option}"
    assert ovs_tso("unix:/tmp/a b").command == f"ovs-vsctl --db='unix:/tmp/a b' {option}"


def test_what_could_not_be_looked_at_is_said() -> None:
    closed = Unread(UnreadKind.CLOSED, tuple("abcdef"))
    assert blind_spot_text(closed) == "a, b, c, d and 2 more (entering a namespace needs CAP_SYS_ADMIN)"
    assert blind_spot_text(Unread(UnreadKind.FAILED, ("netns a",), error="gone")) == "netns a (gone)"
    assert "the open sockets of 1 process (permission" in blind_spot_text(
        Unread(UnreadKind.SOCKETS_OF_PROCESSES, (), 1)
    )
    assert "the namespace of 3 processes (" in blind_spot_text(Unread(UnreadKind.NAMESPACES_OF_PROCESSES, (), 3))
