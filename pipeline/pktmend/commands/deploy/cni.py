"""How each CNI names the node's end of a pod's link, and the tunnel to the other nodes: patterns for `monitor -i`.

Source, each in its project's code:

antrea   pkg/agent/util/net.go: up to 8 letters of the pod's name, "-", 6 digits of a hash; antrea-gw0, and of Open
         vSwitch genev_sys_6081 or vxlan_sys_4789
calico   felix's InterfacePrefix is "cali" by default; vxlan.calico, vxlan-v6.calico, wireguard.cali, tunl0
cilium   pkg/datapath/connector: "lxc" and digits of a hash, veth or netkit; cilium_host, cilium_net, cilium_vxlan,
         cilium_geneve, cilium_wg0
flannel  the CNI plug-in "bridge": pkg/ip/link_linux.go has "veth" and 8 digits; flannel.1, flannel-v6.1, flannel-wg
ovn      OVN-Kubernetes, go-controller/pkg/cni/helper_linux.go: 15 digits of the sandbox's id, on other networks fewer
         and "_" and a number; Kube-OVN, pkg/daemon: 12 digits and "_h", or fewer and "_net1_h"; ovn-k8s-mp0, ovn0,
         genev_sys_6081
"""

from __future__ import annotations

from typing import Final

_DIGIT: Final = "[0-9a-f]"
_OVS_TUNNELS: Final = "*_sys_*"

CNIS: Final[dict[str, tuple[str, ...]]] = {
    "antrea": (f"*-{6 * _DIGIT}", "antrea-*", _OVS_TUNNELS),
    "calico": ("cali*", "*.cali*", "tunl*"),
    "cilium": ("lxc*", "cilium_*"),
    "flannel": ("veth*", "flannel*"),
    "ovn": (f"{8 * _DIGIT}*", "ovn*", _OVS_TUNNELS),
}
