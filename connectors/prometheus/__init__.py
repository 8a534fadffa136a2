"""Prometheus, and what answers its HTTP API (Thanos, Mimir, VictoriaMetrics): one number by PromQL over a window.

`connector` names the hooks; `models` is what teams write; `promql` and `payloads` are pure.
"""

from connectors.prometheus.connector import PROMETHEUS
from connectors.prometheus.models import PrometheusConfig, PrometheusQuery

__all__ = ["PROMETHEUS", "PrometheusConfig", "PrometheusQuery"]
