"""`krsync doctor`: what it finds of the connections."""

from typing import Any

import httpx
import pytest

from app.cli.client import Service, Target
from app.cli.doctor import _connections

ERP: dict[str, Any] = {"id": "operations/erp", "health": "ok", "hook_url": "/v1/hooks/operations/erp", "reason": None}


@pytest.mark.parametrize(
    ("found", "expected"),
    [
        ([ERP], ("ok", "1 in order")),
        (
            [ERP, {**ERP, "id": "operations/github", "health": "waiting"}],
            ("ok", "2 in order; waiting for the first delivery: operations/github"),
        ),
        ([{**ERP, "id": "operations/jira", "health": "waiting", "hook_url": None}], ("ok", "1 in order")),
        (
            [ERP, {**ERP, "health": "failing", "reason": "It answered 502."}],
            ("failed", "operations/erp failing: It answered 502."),
        ),
    ],
)
def test_connections(found: list[dict[str, Any]], expected: tuple[str, str]) -> None:
    transport = httpx.MockTransport(lambda _: httpx.Response(200, json={"items": found, "next": None}))
    finding = _connections(Service(Target("http://krsync.test", "okr_test"), transport=transport))
    assert (finding.verdict, finding.found) == expected
