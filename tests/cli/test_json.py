"""What programs read of commands that mostly people use."""

import json
from pathlib import Path

import httpx

from tests.cli.conftest import Krsync
from tests.cli.test_reading import Serving

CREATED = {"id": 4, "name": "ci", "scopes": ["read"], "team": None, "token": "okr_secret"}


def test_problems_come_with_their_place_and_code(krsync: Krsync, tmp_path: Path) -> None:
    file = tmp_path / "team.yaml"
    file.write_text("version: 1\nteam: it\nmetrics:\n  a: {unit: x, manual: {}}\n  b: {unit: x, formula: c + 1}\n")
    outcome = krsync("validate", "--json", file)
    assert outcome.code == 1
    errors = [one for one in json.loads(outcome.out) if one["severity"] == "error"]
    assert errors
    assert (errors[0]["file"], errors[0]["line"]) == (str(file), 5)
    assert errors[0]["pointer"].startswith("/metrics/b")
    assert errors[0]["code"]

    file.write_text("version: 1\nteam: it\nteam: it\n")
    (broken,) = json.loads(krsync("validate", "--json", file).out)
    assert (broken["line"], broken["severity"]) == (3, "error")

    file.write_text("version: 1\nteam: it\n")
    sound = krsync("validate", "--json", file)
    assert (sound.code, json.loads(sound.out)) == (0, [])


def test_the_connectors_as_json(krsync: Krsync) -> None:
    found = json.loads(krsync("connectors", "--json").out)
    assert {"jira", "webhook"} <= {one["key"] for one in found["items"]}
    assert all(one["capabilities"] for one in found["items"])
    assert found["problems"] == []


def test_a_token_as_json_is_in_the_file_alone_where_one_is_given(
    krsync: Krsync, serving: Serving, tmp_path: Path
) -> None:
    serving(lambda request: httpx.Response(201, json=CREATED))
    assert json.loads(krsync("token", "create", "ci", "--scope", "read", "--json").out) == CREATED
    out = tmp_path / "token"
    told = krsync("token", "create", "ci", "--scope", "read", "--json", "--out", out)
    assert "okr_secret" not in told.out
    assert json.loads(told.out)["id"] == 4
    assert out.read_text() == "okr_secret\n"
