"""What there is to deploy: kinds, and the parts of each, which are a file each."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import Final


@dataclass(frozen=True)
class Part:
    """One file.

    path: of what it is made of, below the folder of all that is deployed.
    what: a few words for the list.
    is_asked: it is left out unless it is named.
    head: of a file that is made of another: what comes before that one's groups, which move in by two columns.
    file: what it is called where it is written to; by default as in *path*.
    """

    name: str
    path: str
    what: str
    is_asked: bool = False
    head: str = ""
    file: str = ""

    @property
    def written_as(self) -> str:
        """What it is called where it is written to."""
        return self.file or PurePosixPath(self.path).name


PROMETHEUS_RULE: Final = """\
# The alerts for the Prometheus operator, made of pktmend.rules.yml:      kubectl apply -f prometheusrule.yaml
# An operator that selects rules by label (its `ruleSelector`) wants that label below.
apiVersion: monitoring.coreos.com/v1
kind: PrometheusRule
metadata:
  name: pktmend
  namespace: pktmend
  labels:
    app.kubernetes.io/name: pktmend
spec:
"""
RULES: Final = "prometheus/pktmend.rules.yml"

KINDS: Final[dict[str, tuple[Part, ...]]] = {
    "kubernetes": (
        Part("monitor", "kubernetes/daemonset.yaml", "the monitor on every node, with metrics"),
        Part("podmonitor", "kubernetes/podmonitor.yaml", "the Prometheus operator scrapes it", True),
        Part("rules", RULES, "the alerts, for the Prometheus operator", True, PROMETHEUS_RULE, "prometheusrule.yaml"),
        Part("doctor", "kubernetes/doctor.yaml", "the doctor on every node, once", True),
        Part("offload", "kubernetes/offload.yaml", "a policy of offloads, kept on every node", True),
    ),
    "dask": (Part("cluster", "kubernetes/dask.yaml", "a scheduler and workers that check captures"),),
    "systemd": (
        Part("bridge", "systemd/pktmend-bridge@.service", "bridges, one for each file of settings"),
        Part("monitor", "systemd/pktmend-monitor@.service", "monitors, likewise"),
        Part("offload", "systemd/pktmend-offload.service", "a policy of offloads, kept"),
    ),
    "prometheus": (
        Part("rules", RULES, "the alerts"),
        Part("test", "prometheus/pktmend.rules.test.yml", "their unit test"),
        Part("scrape", "prometheus/prometheus.yml", "what to scrape"),
    ),
    "grafana": (Part("dashboard", "grafana/pktmend.json", "the dashboard"),),
    "container": (
        Part("image", "container/Containerfile", "the image, of the source or of a wheel"),
        Part("ignore", "container/Containerfile.dockerignore", "what of the source it leaves out"),
    ),
    "wireshark": (Part("colours", "wireshark/colorfilters", "colours for packets that are wrong"),),
}
MANIFESTS: Final = ("kubernetes", "dask")  # files that are one stream when they are printed together
