"""What can be said of every block in the documentation without running it, and which ones are not run."""

import json
import re
import subprocess
from collections import Counter
from typing import Any

import jsonschema
import pytest
import yaml

from app.domain.document import read_yaml
from app.services.team_file import check_team_file
from app.services.team_file.organisation import check_organisation_file
from connectors.registry import connectors
from handbook.api import document
from tests.docs.snippets import ROOT, Snippet, all_snippets
from tests.docs.team_files import is_organisation, whole

SNIPPETS = all_snippets()
LANGUAGES = {"sh", "yaml", "json", "http", "python", "text", "toml", "ini", "nginx"}
#: How many blocks at most can not be run here, each with its reason. One more is a decision.
NOT_RUN = 12


def of(language: str) -> list[Snippet]:
    return [one for one in SNIPPETS if one.language == language]


def test_every_block_says_what_it_is() -> None:
    assert [str(one) for one in SNIPPETS if one.language not in LANGUAGES] == []
    assert Counter(one.language for one in SNIPPETS)["sh"] > 20


def test_what_is_not_run_is_listed_with_its_reason(capsys: pytest.CaptureFixture[str]) -> None:
    left = [one for one in SNIPPETS if one.mark == "not run" or (one.language == "text" and one.mark is None)]
    with capsys.disabled():
        for one in left:
            print(f"\nnot run: {one}: {one.note}", end="")
    assert [str(one) for one in left if len(one.note) < 8] == [], "a reason is missing"
    assert len(left) <= NOT_RUN


def test_a_test_that_runs_a_block_is_there_and_knows_its_page() -> None:
    for one in SNIPPETS:
        if one.mark == "run by":
            test = ROOT / one.note
            assert test.is_file(), f"{one}: {one.note}"
            assert one.page.rpartition("/")[2] in test.read_text("utf-8"), f"{one.note} does not mention {one.page}"


@pytest.mark.parametrize("snippet", of("sh"), ids=str)
def test_commands_are_a_shells(snippet: Snippet) -> None:
    done = subprocess.run(["sh", "-n"], input=snippet.text, capture_output=True, text=True, check=False)
    assert done.stderr == ""


@pytest.mark.parametrize("snippet", of("json"), ids=str)
def test_json_is_json(snippet: Snippet) -> None:
    json.loads(snippet.text)


@pytest.mark.parametrize("snippet", of("yaml"), ids=str)
def test_a_team_file_is_sound(snippet: Snippet) -> None:
    if snippet.mark in ("foreign", "not run") or not yaml.safe_load(snippet.text):
        yaml.safe_load(snippet.text)
        return
    text = whole(snippet)
    read = read_yaml(text.encode())
    if is_organisation(text):
        assert check_organisation_file(read.value).problems == []
    else:
        checked = check_team_file(read.value, connectors=connectors())
        assert [(problem.path, problem.message) for problem in checked.problems] == []


@pytest.mark.parametrize("snippet", of("http"), ids=str)
def test_a_request_is_one_of_the_api(snippet: Snippet) -> None:
    known = document()
    for line in snippet.text.splitlines():
        method, _, rest = line.partition(" ")
        target, _, body = rest.partition(" ")
        path, _, query = target.partition("?")
        operation = _operation(known, method.lower(), path)
        names = {item["name"] for item in operation.get("parameters", ()) if item["in"] == "query"}
        assert {pair.partition("=")[0] for pair in query.split("&") if pair} <= names, line
        if body.strip():
            [content, *_] = operation["requestBody"]["content"].values()
            schema = content["schema"] | {"components": known["components"]}
            jsonschema.Draft202012Validator(schema).validate(json.loads(body))


def _operation(known: dict[str, Any], method: str, path: str) -> dict[str, Any]:
    for pattern, operations in known["paths"].items():
        if method in operations and re.fullmatch(re.sub(r"\{[^}]+\}", "[^/]+", pattern), path):
            found: dict[str, Any] = operations[method]
            return found
    raise AssertionError(f"{method.upper()} {path} is no operation of the API")
