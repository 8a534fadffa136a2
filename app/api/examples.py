"""Answers as the OpenAPI document shows them."""

from typing import Any

CHECK_IN: dict[str, Any] = {
    "id": 91,
    "at": "2026-11-20T08:12:00Z",
    "author": "token:dana",
    "note": "Two laptops came late",
    "confidence": 0.6,
    "blockers": ["Supplier"],
    "value": None,
}
KEY_RESULT: dict[str, Any] = {
    "id": "operations/onboarding_time",
    "title": "Onboarding time",
    "objective": "operations/fast_start",
    "cycle": {"name": "2026-Q4", "start": "2026-10-01T00:00:00+02:00", "end": "2027-01-01T00:00:00+01:00"},
    "kind": "committed",
    "weight": "1",
    "owner": "dana@acme.example",
    "metric": {"id": "operations/onboarding_days", "unit": "business_days", "revision": 3},
    "baseline": "15",
    "target": "5",
    "target_rule": {"value": "5"},
    "value": "8.7",
    "projected_value": None,
    "sample_size": 41,
    "observed_at": "2026-11-22T09:30:00Z",
    "measured_at": "2026-11-22T09:30:04Z",
    "progress": 0.63,
    "expected_progress": 0.57,
    "status": "on_track",
    "reason": None,
    "freshness": {"level": "fresh", "age_seconds": 340, "fresh_within_seconds": 86400, "reason": None},
    "compliance": None,
    "guardrails": [
        {
            "metric": "operations/headcount",
            "must": ">= 97% of baseline",
            "value": "212",
            "baseline": "215",
            "holds": True,
            "reason": None,
            "since": None,
            "value_then": None,
            "worst_value": None,
        }
    ],
    "forecast": {"value_at_end": "5.9", "low": "4.8", "high": "7.4", "chance_of_target": 0.31},
    "forecast_reason": None,
    "check_in": CHECK_IN,
    "headline": {"word": "on_track", "tone": "good"},
    "source": {"connection": "operations/jira", "health": "ok", "reason": None, "link": None},
    "managed_by": "file",
    "version": 17,
}
CYCLE = KEY_RESULT["cycle"]
OBJECTIVE: dict[str, Any] = {
    "id": "operations/fast_start",
    "title": "Scale internal infrastructure",
    "description": None,
    "team": "operations",
    "cycle": CYCLE,
    "focus": "process_efficiency",
    "owner": None,
    "supports": ["company/market_expansion"],
    "contributes_to": [{"objective": "company/market_expansion", "weight": "2"}],
    "contributions": [],
    "stand_alone": False,
    "lifecycle": "active",
    "lifecycle_reason": None,
    "roll_up": {
        "progress": 0.63,
        "status": "on_track",
        "coverage": 1.0,
        "parts": [
            {
                "id": "operations/onboarding_time",
                "kind": "key_result",
                "weight": "1",
                "share": 1.0,
                "progress": 0.63,
                "status": "on_track",
                "coverage": 1.0,
                "reason": None,
            }
        ],
    },
    "key_result_ids": ["operations/onboarding_time"],
    "key_results": None,
    "managed_by": "file",
    "version": 2,
}
_FINDING: dict[str, Any] = {
    "code": "no_check_in",
    "message": "no check-in for 20 days, since 2026-11-02",
    "severity": "info",
    "subject": "operations/onboarding_time",
}
HEALTH_CHECK: dict[str, Any] = {
    "id": 12,
    "team": "operations",
    "cycle": CYCLE,
    "made_at": "2026-11-16T00:04:00Z",
    "made_by": "krsync",
    "is_stored": True,
    "elapsed": 0.5,
    "proposals": {"keep": 1, "re_scope": 0, "drop": 0},
    "key_results": [
        {
            **{
                key: KEY_RESULT[key]
                for key in (
                    "id",
                    "title",
                    "objective",
                    "kind",
                    "value",
                    "progress",
                    "expected_progress",
                    "status",
                    "freshness",
                    "forecast",
                    "forecast_reason",
                    "guardrails",
                    "check_in",
                )
            },
            "lifecycle": "active",
            "unit": "business_days",
            "edits": 1,
            "findings": [_FINDING],
            "proposal": "keep",
            "reason": "63 % of the way, 57 % expected; heading for 5.9 (4.8 to 7.4), a chance of 31 %",
        }
    ],
    "findings": [],
}
TEAM: dict[str, Any] = {
    "id": "operations",
    "title": "Operations",
    "parent": "company",
    "timezone": "Europe/Berlin",
    "calendar": {"workweek": ["mon", "tue", "wed", "thu", "fri"], "hours": "09:00-17:00", "holidays": "DE-BE"},
    "managed_by": "file",
    "version": 1,
}
METRIC: dict[str, Any] = {
    "id": "operations/onboarding_days",
    "title": None,
    "description": None,
    "unit": "business_days",
    "form": "duration",
    "definition": {
        "unit": "business_days",
        "duration": {"dataset": "onboarding", "from": {"status": "In Progress"}, "to": {"category": "done"}},
        "aggregate": "avg",
        "window": {"trailing": "30d"},
    },
    "revision": 3,
    "revised_at": "2026-10-05T07:12:09Z",
    "revised_by": "token:dana",
    "is_building": True,
    "building": {"revision": 4, "done": 62000, "total": 100000},
    "value": "8.7",
    "reason": None,
    "sample_size": 41,
    "observed_at": "2026-11-22T09:30:00Z",
    "measured_at": "2026-11-22T09:30:04Z",
    "freshness": KEY_RESULT["freshness"],
    "source": KEY_RESULT["source"],
    "managed_by": "file",
    "version": 3,
}
WINDOW = {"start": "2026-10-23T22:00:00Z", "end": "2026-11-22T23:00:00Z", "rule": None}
SAMPLE: dict[str, Any] = {
    "id": 90412,
    "value": "8.7",
    "reason": None,
    "sample_size": 41,
    "numerator": None,
    "denominator": None,
    "quality": "exact",
    "revision": 3,
    "window": WINDOW,
    "observed_at": "2026-11-22T09:30:00Z",
    "measured_at": "2026-11-22T09:30:04Z",
    "recorded_at": "2026-11-22T09:30:04Z",
    "supersedes": None,
    "progress": 0.63,
}
_EXPLAINED: dict[str, Any] = {
    "part": "value",
    "entity": "10412",
    "label": "ONB-212",
    "at": "2026-11-18T15:02:11Z",
    "value": "6.25",
    "reason": None,
    "link": "https://acme.atlassian.net/browse/ONB-212",
}
EXPLANATION: dict[str, Any] = {
    "id": "operations/onboarding_time",
    "metric": KEY_RESULT["metric"],
    "as_of": "2026-11-22T09:30:00Z",
    "known_at": None,
    "value": "8.7",
    "reason": None,
    "progress": 0.63,
    "status": "on_track",
    "formula": "(8.7 − 15) / (5 − 15) = 0.63",
    "baseline": {"value": "15", "rule": "15", "frozen_at": None, "evidence": None},
    "target": "5",
    "window": WINDOW,
    "revision": {"number": 3, "author": "token:dana", "since": "2026-10-05T07:12:09Z"},
    "parts": [
        {
            "part": "value",
            "source": METRIC["definition"]["duration"],
            "aggregate": "avg",
            "value": "8.7",
            "included": 41,
            "excluded": 3,
            "excluded_reasons": {"not finished": 3},
            "query": None,
            "link": None,
            "is_exact": True,
        }
    ],
    "counts": {"included": 41, "excluded": 3},
    "included": [_EXPLAINED],
    "excluded": [{**_EXPLAINED, "entity": "10455", "label": "ONB-240", "value": None, "reason": "not finished"}],
    "delta": None,
}
DATASET: dict[str, Any] = {
    "id": "operations/onboarding",
    "connection": "operations/jira",
    "shape": "entities",
    "definition": {"connection": "jira", "jql": "project = ONB"},
    "records": 1208,
    "managed_by": "file",
    "version": 1,
}
RECORD: dict[str, Any] = {
    "entity": "10412",
    "name": "ONB-212",
    "at": "2026-11-02T08:00:00Z",
    "event": None,
    "fields": {"status": "Done", "priority": "High"},
    "link": "https://acme.atlassian.net/browse/ONB-212",
    "is_deleted": False,
}
CONNECTION: dict[str, Any] = {
    "id": "operations/erp",
    "connector": "webhook",
    "definition": {"verify": {"scheme": "standard-webhooks", "secret": {"env": "ERP_SECRET"}}},
    "health": "ok",
    "reason": None,
    "last_success_at": None,
    "last_delivery_at": "2026-11-22T09:29:58Z",
    "next_due_at": None,
    "hook_url": "/v1/hooks/operations/erp",
    "deliveries": {"applied": 318, "ignored": 4},
    "managed_by": "file",
    "version": 1,
}
RUN: dict[str, Any] = {
    "id": 5510,
    "plan": 3,
    "connection": "operations/jira",
    "dataset": "onboarding",
    "is_full": False,
    "outcome": "succeeded",
    "started_at": "2026-11-22T09:30:00Z",
    "finished_at": "2026-11-22T09:30:02Z",
    "duration_seconds": 2.0,
    "calls": 4,
    "records": 75,
    "changed": 12,
    "error_code": None,
    "error": None,
}
DELIVERY: dict[str, Any] = {
    "id": 88123,
    "connection": "operations/erp",
    "received_at": "2026-11-22T09:29:58Z",
    "dedupe_key": "id:msg_2fzq",
    "size": 812,
    "outcome": "applied",
    "conflicts": 0,
    "intakes": [{"dataset": "purchase_orders", "outcome": "applied", "reason": None}],
}
PLAN: dict[str, Any] = {
    "team": "operations",
    "is_applied": False,
    "changes": [
        {
            "kind": "metric",
            "id": "operations/onboarding_days",
            "action": "update",
            "fields": ["min_samples"],
            "reason": None,
        }
    ],
    "effects": [
        {
            "id": "operations/onboarding_time",
            "value_before": "8.7",
            "value_after": "8.9",
            "progress_before": 0.63,
            "progress_after": 0.61,
            "status_before": "on_track",
            "status_after": "on_track",
        }
    ],
    "baselines_to_freeze": [],
    "warnings": [],
}
TEAM_FILE: dict[str, Any] = {
    "version": 1,
    "team": "operations",
    "metrics": {"satisfaction": {"unit": "score", "manual": {"every": "14d"}}},
    "objectives": {
        "happy_desk": {
            "title": "People like asking us",
            "cycle": "2026-Q4",
            "key_results": {"satisfaction_up": {"metric": "satisfaction", "baseline": 6, "target": 8}},
        }
    },
}


def page(item: dict[str, Any]) -> dict[str, Any]:
    """A list that holds one."""
    return {"items": [item], "next": None}
