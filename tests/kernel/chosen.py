"""The tests that say on what pktmend runs: those that depend on the kernel or its modules, and of other machines.

Emulation is slow: whatever holds on any kernel is left to `make test`.
"""

from __future__ import annotations

Groups = dict[str, tuple[str, ...]]  # what a table calls them: files and functions below tests/

KERNELS: Groups = {
    "Geneve, FOU, GUE and bareudp: their ports are found": (
        "net/test_tunnel::test_ports_come_from_every_namespace",
        "net/test_tunnel::test_port_of_each_kind_of_receiver",
    ),
    "a port of a kernel bridge or of Open vSwitch's datapath is refused": (
        "net/test_hoststack::test_port_of_another_bridge_is_refused",
    ),
    "netkit: `doctor` reads both ends, `bridge` carries TCP": ("net/test_netkit",),
    "`bridge` carries TCP in Geneve, GRE and IPIP": (
        *(
            f"net/test_tunnel::test_tcp_in_a_tunnel[{kind}-{options}]"
            for kind in ("geneve-udpcsum", "gre-csum", "ipip-{remote}")
            for options in ("plain", "finish")
        ),
        "net/test_tunnel::test_tcp_in_a_tunnel_on_a_port_nobody_knows[geneve-plain]",
    ),
    "`bridge --isolate` by tcx (6.6) and by clsact": (
        "net/test_attachment::test_it_is_there_and_first_until_it_is_closed",
        "net/test_attachment::test_filter_before_it_in_clsact_is_seen",
        "net/test_attachment::test_clsact_goes_behind_a_filter_of_another_kind_and_says_so",
    ),
    "cut-through: the kernel's verifier takes the BPF programs, and known traffic is counted exactly": (
        "net/test_cut_through::test_known_traffic_is_counted_exactly[]",
        "net/test_cut_through::test_known_traffic_is_counted_exactly[--isolate]",
    ),
    "the BPF programs judge and order frames as user space does": (
        "net/test_kernel_judge_order",
        "net/test_kernel_judge::test_healthy_frame_is_carried_and_counted",
        "net/test_kernel_judge::test_suspect_is_left_to_user_space",
    ),
    "`lab run relay`: found by bare `diagnose`, cured": ("net/test_lab::test_case_is_seen_diagnosed_and_cured[relay]",),
    "`lab run netkit`: the same on netkit": ("net/test_lab::test_case_is_seen_diagnosed_and_cured[netkit]",),
}
OTHERS: Groups = {
    **{
        f"Python {version}: the wheel, in a clean environment": (
            f"unit/test_wheel::test_wheel_works_in_a_clean_environment_of[{version}]",
        )
        for version in ("3.11", "3.12", "3.13", "3.14")
    },
    "arm64: the engine's C tests, with NEON, by qemu-user": (
        "unit/test_quality::test_c_tests_pass_on_another_processor[aarch64]",
    ),
    "arm64: the wheel, in Debian's Python for it, by qemu-user": ("unit/test_wheel_aarch64",),
    "s390x (big-endian): the engine's C tests, by qemu-user": (
        "unit/test_quality::test_c_tests_pass_on_another_processor[s390x]",
    ),
    "musl: the engine's C tests; the other C code compiles": (
        "unit/test_quality::test_c_tests_pass_and_modules_compile_with_musl",
    ),
}


def arguments(groups: Groups) -> list[str]:
    """Return their tests as pytest takes them."""
    return [_path(word) for words in groups.values() for word in words]


def group_of(test: str) -> str:
    """Return the group of a test as pytest names it, below tests/; "" if it has none."""
    test = test.replace(".py::", "::", 1)
    for group, words in {**KERNELS, **OTHERS}.items():
        if any(test == word or test.startswith((f"{word}::", f"{word}[")) for word in words):
            return group
    return ""


def _path(word: str) -> str:
    file, colons, function = word.partition("::")
    return f"tests/{file}.py{colons}{function}"
