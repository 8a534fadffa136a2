"""What a team may write for Prometheus, and windows in PromQL."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from pydantic import ValidationError

from connectors.prometheus import PrometheusConfig, PrometheusQuery
from connectors.prometheus.promql import has_placeholder, in_window

TOKEN = {"env": "PROMETHEUS_TOKEN"}
START = datetime(2026, 10, 1, tzinfo=UTC)


@pytest.mark.parametrize(
    "config",
    [
        {"url": "http://prometheus:9090"},
        {"url": "https://prometheus.acme.example/prometheus/"},
        {"url": "https://mimir.acme.example", "token": TOKEN},
        {"url": "https://mimir.acme.example", "username": "acme", "password": TOKEN},
        {"url": "http://127.0.0.1:9090", "token": TOKEN},
        {"url": "http://[::1]:9090", "token": TOKEN},
    ],
)
def test_connections_that_are_taken(config: dict[str, Any]) -> None:
    assert not PrometheusConfig.model_validate(config).url.endswith("/")


@pytest.mark.parametrize(
    ("config", "says"),
    [
        ({"url": "prometheus:9090"}, "such as http://prometheus:9090"),
        ({"url": "ftp://prometheus"}, "such as http://prometheus:9090"),
        ({"url": "http://prometheus:port"}, "not a URL"),
        ({"url": "http://user:secret@prometheus"}, "no user, query or fragment"),
        ({"url": "http://prometheus/?a=b"}, "no user, query or fragment"),
        ({"url": "http://prom etheus"}, "such as"),
        ({"url": "http://prometheus", "token": TOKEN}, "over https:// only"),
        ({"url": "http://10.0.0.7", "username": "a", "password": TOKEN}, "over https:// only"),
        ({"url": "https://p", "username": "a"}, "go together"),
        ({"url": "https://p", "password": TOKEN}, "go together"),
        ({"url": "https://p", "username": "a", "password": TOKEN, "token": TOKEN}, "either"),
        ({"url": "https://p", "token": "literal"}, "never a literal"),
        ({"url": "https://p", "headers": {}}, "Extra inputs"),
    ],
)
def test_connections_that_are_not(config: dict[str, Any], says: str) -> None:
    with pytest.raises(ValidationError, match=says):
        PrometheusConfig.model_validate(config)


@pytest.mark.parametrize(
    ("promql", "asked"),
    [
        ('sum(up{job="erp"})', 'sum(up{job="erp"})'),
        ('avg_over_time(up{job="erp"}[{window}])', 'avg_over_time(up{job="erp"}[86400s])'),
        ("x @ {to} - x @ {from}", "x @ 1790899200 - x @ 1790812800"),
        ('{__name__="window"}', '{__name__="window"}'),
    ],
)
def test_a_window_in_a_query(promql: str, asked: str) -> None:
    assert in_window(promql, START, START + timedelta(days=1)) == asked
    assert has_placeholder(promql) is (promql != asked)
    assert PrometheusQuery(promql=promql).windowed() is (promql != asked)


def test_a_window_that_has_just_begun_is_a_second() -> None:
    assert in_window("x[{window}]", START, START + timedelta(milliseconds=1)) == "x[1s]"
