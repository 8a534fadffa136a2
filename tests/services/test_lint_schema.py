"""The published schema: what an editor completes, and what it marks, in every example."""

import copy
from pathlib import Path
from typing import Any

import jsonschema
import pytest
from pydantic import BaseModel

from app.domain.document import read_yaml
from app.domain.language import DatasetSpec, QuerySource
from app.services.export import HEADER
from app.services.team_file import team_file_schema
from app.services.team_file.rules import RULES

ROOT = Path(__file__).resolve().parents[2]
EXAMPLES = sorted([*(ROOT / "examples").glob("*.yaml"), *(ROOT / "app" / "templates").glob("*.yaml")])
TEAMS = [path for path in EXAMPLES if "\nteam:" in path.read_text(encoding="utf-8")]
SCHEMA = team_file_schema()
OPEN: dict[str, type[BaseModel]] = {"DatasetSpec": DatasetSpec, "QuerySource": QuerySource}
#: What the language itself has; connectors describe their own.
OURS = {name: body for name, body in SCHEMA["$defs"].items() if not name.startswith("connectors.")}


def as_json(value: Any) -> Any:
    """What a JSON reader would see of a YAML value."""
    if isinstance(value, dict):
        return {key: as_json(item) for key, item in value.items()}
    return [as_json(item) for item in value] if isinstance(value, list) else value


@pytest.mark.parametrize("path", EXAMPLES, ids=lambda path: path.name)
def test_every_example_says_where_the_schema_is(path: Path) -> None:
    assert path.read_text(encoding="utf-8").startswith("# yaml-language-server: $schema=")


@pytest.mark.parametrize("path", TEAMS, ids=lambda path: path.name)
def test_every_example_fits_the_schema(path: Path) -> None:
    jsonschema.validate(as_json(read_yaml(path.read_bytes()).value), SCHEMA)


def test_an_export_says_where_the_schema_is_in_the_same_words() -> None:
    assert TEAMS[0].read_text(encoding="utf-8").startswith(HEADER)
    assert HEADER.strip() in (ROOT / "docs" / "editor.md").read_text(encoding="utf-8")


def test_every_key_of_the_language_is_described() -> None:
    missing = [
        f"{model}.{key}"
        for model, body in [("TeamFile", SCHEMA), *OURS.items()]
        for key, described in body.get("properties", {}).items()
        # A connector's options lie beside our keys.
        if "description" not in described and not (model in OPEN and key not in OPEN[model].model_fields)
    ]
    assert missing == []


def examples_of(schema: Any) -> list[tuple[dict[str, Any], Any]]:
    """Every (schema, example) in it."""
    if isinstance(schema, list):
        return [found for item in schema for found in examples_of(item)]
    if not isinstance(schema, dict):
        return []
    own = [(schema, example) for example in schema.get("examples", ()) if isinstance(schema.get("examples"), list)]
    return own + [found for value in schema.values() for found in examples_of(value)]


def test_every_example_of_a_key_is_right_itself() -> None:
    found = examples_of(SCHEMA)
    assert len(found) > 80
    for schema, example in found:
        body = {key: value for key, value in schema.items() if key != "examples"}
        jsonschema.Draft202012Validator(body | {"$defs": SCHEMA["$defs"]}).validate(example)


EXAMPLE: Any = as_json(read_yaml((ROOT / "examples" / "operations.yaml").read_bytes()).value)


@pytest.mark.parametrize(
    ("path", "value"),
    [
        ("objectivs", {}),
        ("metrics.open_p1.unt", "x"),
        ("metrics.open_p1.window", "today"),
        ("metrics.onboarding_days.aggregate", "average"),
        ("metrics.onboarding_days.duration.to.category", "closed"),
        ("metrics.erp_uptime.state_share.good", "up"),
        ("objectives.fast_start.cycle", "Q4 2026"),
        ("objectives.fast_start.key_results.onboarding_time.kind", "comitted"),
        ("objectives.fast_start.key_results.onboarding_time.target", {"change": "25%"}),
        ("objectives.fast_start.key_results.onboarding_time.fresh_within", "1 day"),
        ("objectives.fast_start.key_results.erp_available.target", {"maintain": "99.9"}),
        ("objectives.fast_start.silence", {"no_ownr": "x"}),
        ("objectives.fast_start.silence", {"no_owner": ""}),
        ("connections.jira.token", "a-secret"),
        ("connections.jira.silence", ["no_owner"]),
        ("calendar.workweek", ["monday"]),
    ],
)
def test_what_people_mistype_is_marked(path: str, value: Any) -> None:
    edited = copy.deepcopy(EXAMPLE)
    *parents, last = path.split(".")
    here = edited
    for step in parents:
        here = here[step]
    here[last] = value
    errors = list(jsonschema.Draft202012Validator(SCHEMA).iter_errors(edited))
    assert errors
    place = ".".join(map(str, errors[0].absolute_path))
    assert path.startswith(place) or place.startswith(path)


def test_an_editor_completes_the_codes_to_silence() -> None:
    for body in (SCHEMA, OURS["KeyResultSpec"], OURS["ObjectiveSpec"], OURS["MetricSpec"], OURS["DatasetSpec"]):
        assert set(body["properties"]["silence"]["properties"]) == set(RULES)
