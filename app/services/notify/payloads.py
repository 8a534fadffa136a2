"""What a notice holds: a key result, a digest or a health check as it was when it was told. JSON, no secret."""

from collections import Counter
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from app.domain.notice import SILENT, Change, Standing
from app.services.read import Judged
from app.services.views import HealthCheckView, KeyResultView

JsonObject = dict[str, Any]


def standing_of(view: KeyResultView) -> Standing:
    """How a key result stands, as far as it is told."""
    return Standing(view.headline.word, tuple(sorted(item.metric for item in view.guardrails if item.holds is False)))


def standing_json(standing: Standing) -> JsonObject:
    """A standing as it is stored and sent."""
    return {"word": standing.word, "broken": list(standing.broken)}


def standing_from(stored: Mapping[str, Any]) -> Standing:
    """The standing that was stored."""
    return Standing(stored["word"], tuple(stored["broken"]))


def key_result_json(view: KeyResultView) -> JsonObject:
    """What is told of a key result, its status never without its freshness."""
    found = view.model_dump(
        mode="json",
        include={
            "id",
            "title",
            "objective",
            "kind",
            "owner",
            "baseline",
            "target",
            "target_rule",
            "value",
            "observed_at",
            "progress",
            "expected_progress",
            "headline",
            "status",
            "reason",
            "lifecycle",
            "lifecycle_reason",
        },
    )
    freshness = view.freshness
    return {
        **found,
        "cycle": view.cycle.name,
        "unit": view.metric.unit,
        "freshness": {"level": freshness.level, "age_seconds": freshness.age_seconds, "reason": freshness.reason},
        "guardrails_broken": [
            item.model_dump(mode="json", include={"metric", "must", "value", "baseline", "since"})
            for item in view.guardrails
            if item.holds is False
        ],
        "source": {"connection": view.source.connection, "health": view.source.health, "link": view.source.link},
        # So that a reader who looks at one key only is never told that all is well.
        "is_reliable": view.headline.word not in SILENT,
    }


def change_json(view: KeyResultView, change: Change, now: datetime) -> JsonObject:
    """A transition: from what to what, since when, and the key result as it stands now."""
    return {
        "direction": change.direction,
        "before": standing_json(change.before),
        "after": standing_json(change.after),
        "since": change.since.isoformat(),
        "as_of": now.isoformat(),
        "key_result": key_result_json(view),
    }


def digest_json(
    team: str, title: str, judged: Sequence[Judged], before: Mapping[int, KeyResultView], *, now: datetime
) -> JsonObject:
    """The week: every key result as it stands, and how it stood a week ago."""
    items = []
    for item in judged:
        then = before.get(item.row.key_result.id)
        items.append(
            {
                **key_result_json(item.view),
                "objective_title": item.row.objective.spec["title"],
                "week_ago": None
                if then is None
                else {
                    "word": then.headline.word,
                    "progress": then.progress,
                    "value": None if then.value is None else format(then.value, "f"),
                },
            }
        )
    counts = Counter(item["headline"]["word"] for item in items)
    return {"team": team, "title": title, "as_of": now.isoformat(), "counts": dict(counts), "key_results": items}


def health_check_json(view: HealthCheckView) -> JsonObject:
    """A health check in short: what it proposes, and why."""
    return {
        "team": view.team,
        "cycle": view.cycle.name,
        "as_of": view.made_at.isoformat(),
        "elapsed": view.elapsed,
        "proposals": dict(view.proposals),
        "key_results": [
            item.model_dump(mode="json", include={"id", "title", "proposal", "reason", "status", "progress"})
            | {"freshness": {"level": item.freshness.level}}
            for item in view.key_results
        ],
        "findings": [finding.model_dump(mode="json") for finding in view.findings],
    }
