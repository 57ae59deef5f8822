"""Two or three examples for each command: the end of its --help, and of its section in the manual page.

A command is in it by its words behind `pktmend`; an example is what it is for, and the line.
"""

from __future__ import annotations

from typing import Final

Examples = tuple[tuple[str, str], ...]

EXAMPLES: Final[dict[str, Examples]] = {
    "": (
        ("Is this capture bad, and why", "pktmend diagnose -r FILE.pcap"),
        ("Watch every container's link of a node", "pktmend monitor -i 'veth*'"),
        ("Try it on a capture that comes along", "pktmend example leaked | pktmend check -r - --at wire"),
    ),
    "bridge": (
        ("Repair what passes between two interfaces, until Ctrl-C", "pktmend bridge -i veth-a -I veth-b"),
        (
            "As a service: the host's stack kept away, privileges dropped",
            "pktmend bridge -i eth1 -I eth2 --isolate -Z nobody",
        ),
        ("Try a file of settings", "pktmend bridge --config bridge.toml --check-config"),
    ),
    "monitor": (
        ("Watch every container's link, also those that come later", "pktmend monitor -i 'veth*'"),
        ("Serve metrics for Prometheus on 127.0.0.1", "pktmend monitor -i eth0 --listen 9478"),
        ("Keep the bad packets of five minutes", "pktmend monitor -i eth0 --duration 5m -w bad.pcapng --bad-only"),
    ),
    "check": (
        ("Check a capture that was taken on the wire", "pktmend check -r leaked.pcap --at wire"),
        ("Check every capture in a folder and below", "pktmend check captures/"),
        ("Show in Wireshark what is wrong", "pktmend check -r leaked.pcap --at wire -w annotated.pcapng"),
    ),
    "diagnose": (
        ("Why are the checksums of this capture wrong", "pktmend diagnose -r leaked.pcap"),
        ("Look at a pod's interface for 30 seconds", "pktmend diagnose -i eth0 --netns default/web-0 --duration 30"),
        ("Match packets before and behind a hop that is suspect", "pktmend diagnose -i veth-a -I veth-b"),
    ),
    "fix": (
        ("Complete partial checksums, and leave the rest", "pktmend fix -r leaked.pcap -w fixed.pcap"),
        ("Every capture that is named, into a folder", "pktmend fix leaked.pcap -o fixed"),
        ("Within a pipe", "pktmend example leaked | pktmend fix -r - -w - | tcpdump -vvr -"),
    ),
    "query": (
        ("Which hosts send most that is bad", "pktmend query rows worst-hosts"),
        ("Rows by cause", 'pktmend query rows "select cause, count(*) from rows group by all"'),
    ),
    "doctor": (
        ("Examine every interface of every namespace", "pktmend doctor"),
        ("Examine one, and what is on its path", "pktmend doctor eth0"),
        ("Draw the paths for a wiki", "pktmend doctor --graph mermaid"),
    ),
    "extcap": (
        ("Install it for Wireshark, once", "pktmend extcap --install"),
        ("What Wireshark will list", "pktmend extcap --extcap-interfaces"),
    ),
    "offload": (
        ("Turn two off, in the namespace of a process", "pktmend offload -i eth0 --netns 4711 set tx off tso off"),
        ("Undo it", "pktmend offload -i eth0 --netns 4711 restore"),
        ("Keep it so for links that come later, by rules", "pktmend offload policy offload.toml --watch"),
    ),
    "lab list": (
        ("What there is to reproduce", "pktmend lab list"),
        ("The same for programs", "pktmend lab list --json"),
    ),
    "lab run": (
        ("Break a container's TCP, name the cause, cure it", "pktmend lab run veth"),
        ("Leave the broken set-up for a look around", "pktmend lab run vxlan --keep"),
        ("Every case, one after the other", "pktmend lab run all"),
    ),
    "bench sum": (
        ("The checksum kernels beside other programs' loops", "pktmend bench sum"),
        ("Compare with an earlier run", "pktmend bench sum --compare before.ndjson"),
    ),
    "bench verify": (
        ("Nanoseconds a packet", "pktmend bench verify"),
        ("Save the result", "pktmend bench verify --save before.ndjson"),
    ),
    "bench read": (
        ("Beside tcpdump, tshark and others that are installed", "pktmend bench read"),
        ("More rounds, less noise", "pktmend bench read --rounds 9"),
    ),
    "bench monitor": (
        ("Processor time of a packet", "pktmend bench monitor"),
        ("Only readers with this in their name", "pktmend bench monitor --only tcpdump"),
    ),
    "bench stage": (
        ("What a stage costs the bridge", "pktmend bench stage"),
        ("See that it works, not how fast", "pktmend bench stage --quick"),
    ),
    "bench bridge": (
        ("All bridges that are installed", "pktmend bench bridge"),
        ("The kernel's, drawn as a picture", "pktmend bench bridge --only kernel --picture bridge.svg"),
    ),
    "bench no-drop": (
        ("The highest rate without loss, by size of frame", "pktmend bench no-drop"),
        ("Of one size, more finely", "pktmend bench no-drop --size 64 --resolution 0.005"),
    ),
    "bench ring": (
        ("Sweep the sizes of the ring", "pktmend bench ring"),
        ("Of small packets only", "pktmend bench ring --scenario udp-64"),
    ),
    "bench all": (
        ("All, as a page", "pktmend bench all --markdown results.md"),
        ("See that all work", "pktmend bench all --quick"),
    ),
    "bench gen": (
        ("10,000 frames a second for 10 seconds, one in 100 leaked", "pktmend bench gen -i veth-a --damage leaked=1%"),
        ("A million small frames as fast as can be", "pktmend bench gen -i veth-a --rate max --count 1M"),
    ),
    "bench receive": (
        ("Count what `bench gen` sent, until Ctrl-C", "pktmend bench receive -i veth-b"),
        ("For 20 seconds, as JSON", "pktmend bench receive -i veth-b --duration 20 --json"),
    ),
    "deploy": (
        ("The monitor on every node of a cluster", "pktmend deploy kubernetes --cni calico | kubectl apply -f -"),
        ("What is wrong with the set-up of which node", "pktmend deploy kubernetes doctor | kubectl apply -f -"),
        ("The units of systemd", "pktmend deploy systemd -o /etc/systemd/system"),
    ),
    "stages": (
        ("The stages, and what each costs", "pktmend stages"),
        ("The same for programs", "pktmend stages --json"),
        ("Begin one of your own, in C", "pktmend stages new drop_echo --lang c"),
    ),
    "schema": (
        ("Which commands have a schema", "pktmend schema"),
        ("Print one", "pktmend schema monitor"),
    ),
    "kernels": (
        ("Which of them is in use", "pktmend kernels"),
        ("Try another", "PKTMEND_KERNEL=portable pktmend kernels"),
    ),
    "help": (
        ("What there is to read", "pktmend help"),
        ("A command", "pktmend help bench gen"),
        ("A page", "pktmend help glossary | less"),
    ),
    "completion": (
        ("In this shell alone", "source <(pktmend completion bash)"),
        ("For good, fish", "pktmend completion fish > ~/.config/fish/completions/pktmend.fish"),
        ("For good, zsh: a folder of $fpath", "pktmend completion zsh > ~/.zfunc/_pktmend"),
    ),
    "example": (
        ("Which captures there are", "pktmend example"),
        ("Take one", "pktmend example leaked > leaked.pcap"),
    ),
}
