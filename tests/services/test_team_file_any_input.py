"""Any input to the check of a team file is answered with problems, never with an exception."""

import copy
from collections.abc import Callable
from functools import partial
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from app.domain.document import read_yaml
from app.services.team_file import (
    format_problem,
    pointer,
)
from tests.services.team_file_case import (
    TEAM,
    Path,
    check,
    edited,
    found,
)

WORDS = st.sampled_from(
    [
        "version",
        "team",
        "connections",
        "datasets",
        "metrics",
        "objectives",
        "key_results",
        "connection",
        "dataset",
        "query",
        "records",
        "duration",
        "ratio",
        "good",
        "total",
        "manual",
        "window",
        "trailing",
        "state_share",
        "of",
        "exclude",
        "30d",
        "from",
        "to",
        "status",
        "aggregate",
        "distinct",
        "p90",
        "metric",
        "target",
        "baseline",
        "measure",
        "change",
        "maintain",
        "jira",
        "erp",
        "orders",
        "issues",
        "open",
        "lead",
        "tracker",
        "hook",
        "2026-Q4",
        "verify",
        "scheme",
        "signed",
    ]
)
SCALARS = st.none() | st.booleans() | st.integers() | st.decimals(allow_nan=True) | WORDS | st.text(max_size=8)
TREES = st.recursive(
    SCALARS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(WORDS | st.text(max_size=8), inner, max_size=4),
    max_leaves=15,
)


def assert_is_answered(value: Any) -> None:
    checked = check(value)
    assert (checked.file is None) == bool(checked.problems)
    document = read_yaml(b"a: 1")
    for problem in checked.problems + checked.warnings:
        assert format_problem("f", document, problem).isprintable()
        assert pointer(problem.path).count("/") >= len(problem.path)
        assert problem.message


@settings(deadline=None)
@given(TREES)
def test_any_tree_is_answered(tree: Any) -> None:
    assert_is_answered(tree)


@settings(deadline=None)
@given(st.dictionaries(st.sampled_from(sorted(TEAM)), TREES))
def test_any_section_is_answered(sections: dict[str, Any]) -> None:
    assert_is_answered({**TEAM, **sections})


def places(value: Any, path: Path = ()) -> list[Path]:
    items = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    return [path, *(place for key, item in items for place in places(item, (*path, key)))]


def replaced(value: Any, path: Path, change: Callable[[Any], Any]) -> Any:
    if not path:
        return change(value)
    copied = copy.copy(value)
    copied[path[0]] = replaced(value[path[0]], path[1:], change)
    return copied


PLACES = places(TEAM)


@settings(deadline=None)
@given(st.lists(st.tuples(st.sampled_from(PLACES), TREES), min_size=1, max_size=3), st.booleans())
def test_any_change_of_a_sound_file_is_answered(changes: list[tuple[Path, Any]], is_added: bool) -> None:
    team: Any = TEAM
    for place, tree in changes:
        if place in places(team):
            team = replaced(team, place, partial(_merged if is_added else _taken, new=tree))
    assert_is_answered(team)


def _taken(_: Any, new: Any) -> Any:
    return new


def _merged(old: Any, new: Any) -> Any:
    return {**old, **new} if isinstance(old, dict) and isinstance(new, dict) else new


def test_a_file_that_is_wrong_throughout_is_answered_within_bounds() -> None:
    keys = {f"unknown_{index}": index for index in range(2000)}
    metrics = {f"m{index}": {"unit": 5, "recrds": {}, "query": {"connection": f"c{index}"}} for index in range(500)}
    checked = check(edited(("metrics", metrics), ("objectives.grow.key_results", {"x": keys}), *keys.items()))
    assert checked.file is None
    assert len(checked.problems) == 200
    assert check(edited(("metrics", {f"m{i}": {} for i in range(501)}))).problems[0].code == "too_many"
    rule = "body.a == '" + "x" * 3900 + "'"
    datasets = {f"d{i}": {"connection": "erp", "entity": rule} for i in range(30)}
    assert "too_many" in {code for _, code, _ in found(edited(("datasets", datasets)))}
