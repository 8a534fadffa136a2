"""A sound team file, two small connectors for it, and ways to spoil and check it."""

import copy
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from pathlib import Path as FilePath
from typing import Annotated, Any, Literal, TypeAlias

from pydantic import BaseModel, ConfigDict, Field

from app.services.team_file import (
    CheckedTeamFile,
    KnownNames,
    check_team_file,
)
from connectors.contract import Connector, Ignored, InboundDelivery, Measurement, Page, Parsed, Window
from connectors.secrets import Secret

EXAMPLE = FilePath(__file__).parents[2] / "examples" / "operations.yaml"
STRICT = ConfigDict(extra="forbid")
LANGUAGE_EXAMPLE = FilePath(__file__).with_name("language_example.yaml")
LONG = "x" * 5000
ENTRY: dict[str, Any] = {"metric": "lead", "baseline": 15, "target": 5}


class TrackerConfig(BaseModel):
    model_config = STRICT
    url: Annotated[str, Field(pattern="^https://")]
    token: Secret


class TrackerQuery(BaseModel):
    model_config = STRICT
    jql: Annotated[str, Field(min_length=1)]
    exact: bool = True

    def windowed(self) -> bool:
        return "{from}" in self.jql


class TrackerDataset(BaseModel):
    model_config = STRICT
    jql: str
    stream: str | None = None


class Signed(BaseModel):
    model_config = STRICT
    scheme: Literal["signed"]
    secret: Secret
    header: str = "x-signature"


class Bearer(BaseModel):
    model_config = STRICT
    scheme: Literal["bearer"]
    token: Secret


class HookConfig(BaseModel):
    model_config = STRICT
    verify: Annotated[Signed | Bearer, Field(discriminator="scheme")]


async def measure(session: Any, query: TrackerQuery, window: Window) -> Measurement:
    return Measurement(value=None, observed_at=datetime(2026, 1, 1, tzinfo=UTC), query=query.jql)


async def read(session: Any, dataset: Any, cursor: Any) -> AsyncIterator[Page]:
    yield Page(changes=())


def parse(config: Any, delivery: InboundDelivery) -> Parsed:
    return Ignored("nothing is read here")


CONNECTORS = {
    connector.key: connector
    for connector in (
        Connector(
            key="tracker",
            title="Tracker",
            config=TrackerConfig,
            query=TrackerQuery,
            dataset=TrackerDataset,
            measure=measure,
            read=read,
        ),
        Connector(key="hook", title="Hook", config=HookConfig, parse=parse),
        Connector(key="mute", title="Mute", config=HookConfig),
    )
}

TEAM: dict[str, Any] = {
    "version": 1,
    "team": "ops",
    "timezone": "Europe/Berlin",
    "calendar": {"holidays": "DE-BE"},
    "connections": {
        "jira": {"connector": "tracker", "url": "https://jira.example", "token": {"env": "TOKEN"}},
        "erp": {"connector": "hook", "verify": {"scheme": "signed", "secret": {"env": "SECRET"}}},
    },
    "datasets": {
        "issues": {"connection": "jira", "jql": "project = A"},
        "orders": {"connection": "erp", "entity": "body.id", "at": "body.at", "event": "body.event"},
    },
    "metrics": {
        "open": {"unit": "issues", "query": {"connection": "jira", "jql": "open"}},
        "created": {
            "unit": "issues",
            "query": {"connection": "jira", "jql": "created >= {from}"},
            "window": {"trailing": "7d"},
        },
        "lead": {
            "unit": "days",
            "duration": {"dataset": "issues", "from": {"status": "Open"}, "to": {"category": "done"}},
            "aggregate": "avg",
            "window": {"trailing": "30d"},
        },
        "spend": {
            "unit": "EUR",
            "records": {"dataset": "orders", "where": "record.event == 'paid'", "value": "record.body.total"},
            "aggregate": "sum",
            "window": {"to_date": "quarter"},
        },
        "right": {
            "unit": "percent",
            "ratio": {
                "good": {"records": {"dataset": "orders", "per": "entity", "where": "'ok' in record.events"}},
                "total": {"records": {"dataset": "orders", "per": "entity"}},
            },
            "window": {"trailing": "28d"},
        },
        "mood": {"unit": "score", "manual": {}},
    },
    "objectives": {
        "grow": {
            "title": "Grow",
            "owner": "dana",
            "cycle": "2026-Q4",
            "supports": ["company/win", "ops/save"],
            "key_results": {
                "faster": {
                    "metric": "lead",
                    "baseline": 15,
                    "target": 5,
                    "guardrails": [{"metric": "mood", "must": ">= 7"}],
                },
                "fewer": {"metric": "open", "baseline": {"measure": "2026-Q3"}, "target": {"change": "-25%"}},
            },
        },
        "save": {
            "title": "Save",
            "owner": "dana",
            "cycle": "2026",
            "key_results": {"spending": {"metric": "spend", "target": {"maintain": "<= 1000"}}},
        },
    },
}

Path = tuple[str | int, ...]
DELETE = object()

# Dotted path, code and suggestion.
Found: TypeAlias = list[tuple[str, str, str | None]]


def edited(*changes: tuple[str, Any]) -> dict[str, Any]:
    """The valid file with values set (or deleted) at dotted paths."""
    team = copy.deepcopy(TEAM)
    for path, value in changes:
        *parents, last = path.split(".")
        here: Any = team
        for step in parents:
            here = here[int(step)] if isinstance(here, list) else here.setdefault(step, {})
        if value is DELETE:
            del here[last]
        else:
            here[int(last) if isinstance(here, list) else last] = value
    return team


def check(value: Any, known: KnownNames | None = None) -> CheckedTeamFile:
    return check_team_file(value, connectors=CONNECTORS, known=known)


def found(value: Any) -> Found:
    """Dotted path, code and suggestion of each problem."""
    problems = check(value).problems
    return [(".".join(map(str, problem.path)), problem.code, problem.suggestion) for problem in problems]
