"""What is said first on a list: which key results need somebody, the worst first, each with the reason and a way on."""

from typing import Any

import pytest

from app.services.views import KeyResultView
from app.web.attention import needs

_TONES = {"on_track": "good", "behind": "warning", "stale": "silent", "no_data": "silent"}


def key_result(name: str, word: str, **changes: Any) -> KeyResultView:
    """A key result that a single word stands for."""
    silent = word in ("error", "stale", "no_data")
    fields: dict[str, Any] = {
        "id": f"it/{name}",
        "title": name,
        "objective": "it/o",
        "cycle": {"name": "2026-Q4", "start": "2026-10-01", "end": "2027-01-01", "state": "running"},
        "kind": "committed",
        "weight": "1",
        "owner": None,
        "metric": {"id": f"it/{name}", "unit": "hours", "revision": 1},
        "baseline": "30",
        "target": "12",
        "target_rule": {"value": "12"},
        "value": "26",
        "projected_value": None,
        "sample_size": 4,
        "observed_at": None,
        "measured_at": None,
        "progress": 0.22,
        "expected_progress": 0.64,
        "status": "at_risk" if silent or word == "paused" else word,
        "reason": None,
        "headline": {"word": word, "tone": _TONES.get(word, "bad")},
        "freshness": {
            "level": word if silent else "fresh",
            "age_seconds": 300,
            "fresh_within_seconds": 120,
            "reason": "the tool answered 401" if word == "error" else None,
        },
        "guardrails": [],
        "source": {"connection": "it/desk", "health": "ok", "reason": None, "link": None},
        "managed_by": "file",
        "version": 1,
    }
    return KeyResultView.model_validate(fields | changes)


def test_the_worst_comes_first_and_what_is_well_does_not_come() -> None:
    words = ("on_track", "behind", "no_data", "stale", "at_risk", "void", "missed", "error", "met", "paused")
    found = needs([key_result(word, word) for word in words])
    assert [need.view.headline.word for need in found] == [
        "error",
        "missed",
        "void",
        "at_risk",
        "stale",
        "no_data",
        "behind",
    ]


def test_of_those_in_the_same_danger_the_farthest_behind_comes_first() -> None:
    found = needs([key_result(f"at_{share}", "at_risk", progress=share / 100) for share in (40, 10, 25)])
    assert [need.view.title for need in found] == ["at_10", "at_25", "at_40"]


def test_what_one_source_keeps_silent_is_one_need() -> None:
    found = needs([key_result(f"k{number}", "error") for number in range(5)] + [key_result("other", "at_risk")])
    assert [(need.others, need.href) for need in found] == [
        (4, "/connections/it/desk"),
        (0, "/key-results/it/other/why"),
    ]


def test_nobody_is_asked_for_a_closed_cycle() -> None:
    closed = {"name": "2026-Q3", "start": "2026-07-01", "end": "2026-10-01", "state": "closed"}
    assert needs([key_result("k", "missed", cycle=closed)]) == []


@pytest.mark.parametrize(
    ("word", "changes", "why"),
    [
        ("at_risk", {}, "22_% of the way, 64_% expected by now."),
        (
            "at_risk",
            {"forecast": {"value_at_end": "24.1", "low": "22", "high": "26", "chance_of_target": 0.05}},
            "22_% of the way, 64_% expected by now; heading for 24.1, the target is 12 hours.",
        ),
        (
            "at_risk",
            {"compliance": {"bound": ">= 99.5", "holds": False, "remaining": "-0.5"}, "progress": None},
            "26 hours, and must be ≥ 99.5 hours.",
        ),
        (
            "void",
            {"guardrails": [{"metric": "it/reopened", "must": "<= 8", "value": "13.0434", "holds": False}]},
            "Reopened is 13.04 and must be ≤ 8: until it is, the target does not count as met.",
        ),
        ("stale", {}, "Nothing new for 5 min, where 2 min are allowed. The value is the last true one."),
        ("error", {}, "The tool answered 401. The value is the last true one."),
        ("no_data", {}, "Nothing has come from its source yet."),
    ],
)
def test_the_reason_is_a_sentence(word: str, changes: dict[str, Any], why: str) -> None:
    (need,) = needs([key_result("k", word, **changes)])
    assert need.why.replace("\u202f", "_").replace("\u00a0", " ") == why


def test_a_number_that_people_tell_is_asked_of_them() -> None:
    source = {"connection": None, "health": "ok", "reason": None, "link": None}
    (need,) = needs([key_result("k", "stale", source=source)])
    assert (need.href, need.act) == ("/key-results/it/k#check-ins", "Give a number")


def test_nothing_that_is_missed_is_rounded_up_to_what_it_misses() -> None:
    held = key_result(
        "held",
        "at_risk",
        baseline=None,
        target=None,
        target_rule={"maintain": ">= 96"},
        value="95.996",
        progress=None,
        compliance={"bound": ">= 96", "holds": False, "remaining": "-0.004"},
    )
    guard = {"metric": "it/load", "must": "<= 8", "value": "8.00004", "baseline": None, "holds": False, "reason": None}
    void = key_result("void", "void", guardrails=[guard])
    said = [need.why.replace("\u00a0", " ") for need in needs([held, void])]
    assert said == [
        "Load is 8.00004 and must be ≤ 8: until it is, the target does not count as met.",
        "95.996 hours, and must be ≥ 96 hours.",
    ]


def test_what_is_on_track_for_something_else_than_its_target_is_said_last() -> None:
    ahead = {"value_at_end": "161893", "low": "153851", "high": "169935"}
    budget = {"baseline": "180000", "target": "150000", "value": "102859", "progress": 0.73}
    spent = key_result("spent", "on_track", **budget, forecast=ahead | {"chance_of_target": 0.05})
    held = key_result(
        "held",
        "on_track",
        **dict.fromkeys(("baseline", "target", "progress")),
        target_rule={"maintain": ">= 96"},
        compliance={"bound": ">= 96", "holds": True, "remaining": "1"},
        forecast=ahead | {"chance_of_target": 0.1},
    )
    well = key_result("well", "on_track", **budget, forecast=ahead | {"chance_of_target": 0.4})
    found = needs([spent, well, held, key_result("late", "behind")])
    assert [need.view.title for need in found] == ["late", "held", "spent"]
    said = [need.why.replace("\u202f", "").replace("\u00a0", " ") for need in found]
    assert said[1:] == [
        "As it should be by now, but heading for 161893: the chance of ≥ 96 hours is 10%.",
        "As it should be by now, but heading for 161893: the chance of 150000 hours is 5%.",
    ]
