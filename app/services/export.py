"""The team file, written back from the database: applying it changes nothing."""

from collections.abc import Collection
from decimal import Decimal
from typing import Any

import yaml

from app.domain.document import is_plain_text
from app.services.reconcile import TEAM_KEYS
from app.store import organisation
from app.store.database import Session
from app.store.tables import Connection, Dataset

HEADER = "# yaml-language-server: $schema=krsync.schema.json\n"
_NUMBERS = (
    "baseline",
    "target",
    "weight",
    "value",
    "progress",
    "on_track",
    "behind",
    "on_track_points",
    "behind_points",
)
_NESTED = ("guardrails", "checkpoints", "contributes_to")


async def team_value(session: Session, team: str) -> dict[str, Any] | None:
    """A team's file as a tree; None where there is no such team."""
    found = await organisation.get_team(session, team)
    if found is None:
        return None
    rows = await organisation.load_team(session, found)
    tree: dict[str, Any] = {"version": 1, "team": found.name}
    tree.update({key: found.spec[key] for key in TEAM_KEYS if key in found.spec})
    connections = {
        name: {"connector": row.connector} | row.spec | _owner(row) | _silence(row)
        for name, row in rows.connections.items()
    }
    datasets = {name: row.spec | _silence(row) for name, row in rows.datasets.items()}
    metrics = {name: _with_weights(row.spec) for name, row in rows.metrics.items()}
    objectives: dict[str, Any] = {}
    for name, objective in rows.objectives.items():
        key_results = {
            key_result.name: _with_numbers(key_result.spec)
            for key_result in rows.key_results.values()
            if key_result.objective_id == objective.id
        }
        objectives[name] = _with_numbers(objective.spec) | ({"key_results": key_results} if key_results else {})
    sections = {"connections": connections, "datasets": datasets, "metrics": metrics, "objectives": objectives}
    return tree | {key: section for key, section in sections.items() if section}


def _owner(row: Connection) -> dict[str, Any]:
    return {"owner": row.owner} if row.owner is not None else {}


def _silence(row: Connection | Dataset) -> dict[str, Any]:
    return {"silence": row.silence} if row.silence else {}


def _with_numbers(spec: dict[str, Any]) -> dict[str, Any]:
    """Stored decimals are strings, to keep their digits; in the file they are numbers, with the same digits."""
    written: dict[str, Any] = {}
    for key, value in spec.items():
        if key in _NESTED:
            written[key] = [_with_numbers(item) if isinstance(item, dict) else item for item in value]
        elif key == "preset" and isinstance(value, dict):
            written[key] = _with_numbers(value)
        else:
            written[key] = Decimal(value) if key in _NUMBERS and isinstance(value, str) else value
    return written


def _with_weights(spec: dict[str, Any]) -> dict[str, Any]:
    """A metric whose milestones' weights are numbers again."""
    steps = spec.get("milestones")
    return spec if steps is None else spec | {"milestones": [_with_numbers(step) for step in steps]}


async def export_team(session: Session, team: str) -> bytes | None:
    """The team file as YAML; None where there is no such team."""
    tree = await team_value(session, team)
    if tree is None:
        return None
    return (HEADER + _written(tree)).encode()


async def export_rule(session: Session, team: str, metric: str, datasets: Collection[str] = ()) -> str | None:
    """A metric as its team's file has it, with those of the team's datasets that are named; None where there is no
    such metric."""
    tree = await team_value(session, team)
    if tree is None or metric not in tree.get("metrics", {}):
        return None
    kept = {name: spec for name, spec in tree.get("datasets", {}).items() if name in datasets}
    rule = ({"datasets": kept} if kept else {}) | {"metrics": {metric: tree["metrics"][metric]}}
    return _written(rule)


def _written(tree: dict[str, Any]) -> str:
    text = yaml.dump(tree, Dumper=_Dumper, sort_keys=False, allow_unicode=True, width=120, default_flow_style=None)
    return str(text)


class _Dumper(yaml.SafeDumper):
    """Writes decimals as plain numbers, in quotes what is read as a number and is none, and never an alias."""

    def ignore_aliases(self, data: Any) -> bool:
        return True


def _decimal(dumper: _Dumper, value: Decimal) -> yaml.ScalarNode:
    text = format(value, "f")
    return dumper.represent_scalar("tag:yaml.org,2002:float" if "." in text else "tag:yaml.org,2002:int", text)


def _string(dumper: _Dumper, value: str) -> yaml.ScalarNode:
    # PyYAML knows the numbers of YAML 1.1, where 1e5 is a text, and folds the line break U+0085 into spaces.
    style = None if is_plain_text(value) and "\x85" not in value else '"'
    return dumper.represent_scalar("tag:yaml.org,2002:str", value, style=style)


_Dumper.add_representer(Decimal, _decimal)
_Dumper.add_representer(str, _string)
