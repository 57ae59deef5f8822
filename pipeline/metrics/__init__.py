"""Prometheus metrics of the latest snapshot, over HTTP.  Neither can slow or touch the packet path."""

from __future__ import annotations

from pipeline.metrics.collector import Collector
from pipeline.metrics.server import Server

__all__ = ["Collector", "Server"]
