"""Objects that go on under another name (`renamed_from`): the row stays, and with it all that was measured; whatever
says the old name says the new one.

A rename changes no rule. So definitions of revisions follow it too, with their digests: a new revision would extract
everything again for the sake of a word.
"""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from app.domain.language import TeamFile
from app.services.definitions import digest
from app.services.team_file.problems import InvalidTeamFile, Path, Problem
from app.store import audit, renames
from app.store.database import Session
from app.store.tables import MetricRevision, Team

_DATASET_FORMS = ("records", "duration", "state_share")


@dataclass(frozen=True, slots=True)
class Rename:
    """One object that goes by another name; `path` is its place in the file."""

    kind: str
    old: str
    new: str
    path: Path


@dataclass(frozen=True, slots=True)
class Followed:
    """An object of another team that names what was renamed."""

    kind: str
    id: str
    fields: tuple[str, ...]


def renames_in(file: TeamFile) -> Iterator[Rename]:
    """The renames that a file asks for, sources before what reads them."""
    for kind, section in (("connection", "connections"), ("dataset", "datasets"), ("metric", "metrics")):
        for name, spec in getattr(file, section).items():
            if spec.renamed_from is not None:
                yield Rename(kind, spec.renamed_from, name, (section, name))
    for name, objective in file.objectives.items():
        if objective.renamed_from is not None:
            yield Rename("objective", objective.renamed_from, name, ("objectives", name))
    for name, objective in file.objectives.items():
        for inner, key_result in objective.key_results.items():
            if key_result.renamed_from is not None:
                path = ("objectives", name, "key_results", inner)
                yield Rename("key_result", key_result.renamed_from, inner, path)


async def rename(
    session: Session, team: Team, wanted: Rename, *, actor: str, now: datetime
) -> tuple[bool, list[Followed]]:
    """Whether there was something under the old name, which now goes by the new one; and what follows it elsewhere.

    Raises InvalidTeamFile where something goes by the new name already.
    """
    rows = await renames.rows_named(session, wanted.kind, team.id, wanted.old)
    if not rows:
        return False, []
    kind = wanted.kind.replace("_", " ")
    if await renames.rows_named(session, wanted.kind, team.id, wanted.new):
        message = f"there is a {kind} {wanted.old!r} and another one {wanted.new!r}: one of them has to go first"
        raise InvalidTeamFile([Problem((*wanted.path, "renamed_from"), "renamed_from", message)])
    for row in rows:
        row.name = wanted.new
    if wanted.kind == "key_result":
        for row in await renames.rows_named(session, "metric", team.id, wanted.old, is_inline=True):
            row.name = wanted.new
    await session.flush()
    follow = _FOLLOW[wanted.kind]
    followed = await follow(session, team, rows[0].id, wanted.old, wanted.new)
    await session.flush()
    before, after = f"{team.name}/{wanted.old}", f"{team.name}/{wanted.new}"
    await audit.append_audit(
        session,
        at=now,
        actor=actor,
        action="rename",
        object_kind=wanted.kind,
        object_id=before,
        before={"name": before},
        after={"name": after},
    )
    for other in followed:
        await audit.append_audit(
            session,
            at=now,
            actor=actor,
            action="update",
            object_kind=other.kind,
            object_id=other.id,
            before={"names": before},
            after={"names": after},
        )
    return True, followed


async def renamed_to(session: Session, kind: str, team: str, name: str) -> str | None:
    """What goes by another name now, as `team/name`; None where nothing of that name was renamed."""
    found = await renames.last_rename(session, kind, f"{team}/{name}")
    return found["name"] if isinstance(found, dict) else None


# --- what follows ----------------------------------------------------------------------------------------------------


async def _connection(session: Session, team: Team, connection_id: int, old: str, new: str) -> list[Followed]:
    for dataset in await renames.datasets_of(session, connection_id):
        dataset.spec = dataset.spec | {"connection": new}
    for metric, revision in await renames.team_revisions(session, team.id):
        metric.spec = _metric_with_connection(metric.spec, old, new)
        _redefine(
            revision,
            revision.definition
            | {
                "metric": _metric_with_connection(revision.definition["metric"], old, new),
                "datasets": {
                    name: stored | {"spec": _with(stored["spec"], "connection", old, new)}
                    for name, stored in revision.definition["datasets"].items()
                },
            },
        )
    await _inline_specs(session, team, lambda spec: _metric_with_connection(spec, old, new))
    return []


async def _dataset(session: Session, team: Team, dataset_id: int, old: str, new: str) -> list[Followed]:
    for metric, revision in await renames.revisions_of_dataset(session, dataset_id):
        metric.spec = _metric_with_dataset(metric.spec, old, new)
        _redefine(
            revision,
            revision.definition
            | {
                "metric": _metric_with_dataset(revision.definition["metric"], old, new),
                "datasets": {
                    new if name == old else name: stored for name, stored in revision.definition["datasets"].items()
                },
            },
        )
    await _inline_specs(session, team, lambda spec: _metric_with_dataset(spec, old, new))
    return []


async def _metric(session: Session, team: Team, metric_id: int, old: str, new: str) -> list[Followed]:
    followed: dict[tuple[str, str], Followed] = {}
    for read, revision, metric, owner in await renames.inputs_naming(session, metric_id):
        reference = read.name
        read.name = _renamed_reference(reference, new)
        text = revision.definition["metric"]["formula"]
        formula = {"formula": _in_formula(text, reference, read.name)}
        _redefine(revision, revision.definition | {"metric": revision.definition["metric"] | formula})
        if metric.spec.get("formula") is not None:
            metric.spec = metric.spec | {"formula": _in_formula(metric.spec["formula"], reference, read.name)}
        if owner.id != team.id:
            identity = f"{owner.name}/{metric.name}"
            followed[("metric", identity)] = Followed("metric", identity, ("formula",))
    for key_result, owner in await renames.key_results_naming(session, metric_id):
        names = {old} if owner.id == team.id else {f"{team.name}.{old}", f"{team.name}/{old}"}
        changed: dict[str, Any] = {}
        if key_result.metric_id == metric_id and key_result.spec.get("metric") in names:
            changed["metric"] = _renamed_reference(key_result.spec["metric"], new)
        watched = [guard["metric"] for guard in key_result.spec.get("guardrails", ()) if guard["metric"] in names]
        for reference in watched:
            await renames.rename_guardrail(session, key_result.id, reference, _renamed_reference(reference, new))
        if watched:
            changed["guardrails"] = [
                guard | {"metric": _renamed_reference(guard["metric"], new)} if guard["metric"] in names else guard
                for guard in key_result.spec["guardrails"]
            ]
        if changed:
            key_result.spec = key_result.spec | changed
            if owner.id != team.id and key_result.is_current:
                identity = f"{owner.name}/{key_result.name}"
                followed[("key_result", identity)] = Followed("key_result", identity, tuple(sorted(changed)))
    return list(followed.values())


async def _objective(session: Session, team: Team, _: int, old: str, new: str) -> list[Followed]:
    before, after = f"{team.name}/{old}", f"{team.name}/{new}"
    followed = []
    for objective, owner in await renames.all_objectives(session):
        changed: dict[str, Any] = {}
        for key in ("supports", "contributes_to"):
            listed = objective.spec.get(key)
            if listed and any(_objective_named(one) == before for one in listed):
                changed[key] = [_with_objective(one, before, after) for one in listed]
        if changed:
            objective.spec = objective.spec | changed
            if owner.id != team.id and objective.is_current:
                followed.append(Followed("objective", f"{owner.name}/{objective.name}", tuple(sorted(changed))))
    return followed


async def _key_result(session: Session, team: Team, _: int, old: str, new: str) -> list[Followed]:
    return []  # nothing names a key result


_FOLLOW = {
    "connection": _connection,
    "dataset": _dataset,
    "metric": _metric,
    "objective": _objective,
    "key_result": _key_result,
}


async def _inline_specs(session: Session, team: Team, renamed: Any) -> None:
    """Metrics that are written inside a key result."""
    for key_result in await renames.team_key_results(session, team.id):
        if isinstance(key_result.spec.get("metric"), dict):
            spec = renamed(key_result.spec["metric"])
            if spec != key_result.spec["metric"]:
                key_result.spec = key_result.spec | {"metric": spec}


def _redefine(revision: MetricRevision, definition: dict[str, Any]) -> None:
    if definition != revision.definition:
        revision.definition = definition
        revision.digest = digest(definition)


# --- names in specs --------------------------------------------------------------------------------------------------


def _with(value: Mapping[str, Any], key: str, old: str, new: str) -> dict[str, Any]:
    return dict(value) | ({key: new} if value.get(key) == old else {})


def _metric_with_dataset(spec: dict[str, Any], old: str, new: str) -> dict[str, Any]:
    changed = {form: _with(spec[form], "dataset", old, new) for form in _DATASET_FORMS if spec.get(form)}
    if spec.get("ratio"):
        changed["ratio"] = {
            side: source | ({"records": _with(source["records"], "dataset", old, new)} if source.get("records") else {})
            for side, source in spec["ratio"].items()
        }
    return spec | changed


def _metric_with_connection(spec: dict[str, Any], old: str, new: str) -> dict[str, Any]:
    changed: dict[str, Any] = {}
    if spec.get("query"):
        changed["query"] = _with(spec["query"], "connection", old, new)
    if spec.get("ratio"):
        changed["ratio"] = {
            side: source | ({"query": _with(source["query"], "connection", old, new)} if source.get("query") else {})
            for side, source in spec["ratio"].items()
        }
    if spec.get("milestones"):
        changed["milestones"] = [
            step | ({"done": _with(step["done"], "connection", old, new)} if isinstance(step["done"], dict) else {})
            for step in spec["milestones"]
        ]
    return spec | changed


def _renamed_reference(reference: str, new: str) -> str:
    """`team.old` → `team.new`, `team/old` → `team/new`, `old` → `new`."""
    return re.sub(r"[a-z][a-z0-9_]*$", new, reference)


def _in_formula(text: str, old: str, new: str) -> str:
    return re.sub(rf"(?<![\w.]){re.escape(old)}(?![\w.])", new, text)


def _objective_named(one: Any) -> Any:
    return one.get("objective") if isinstance(one, dict) else one


def _with_objective(one: Any, before: str, after: str) -> Any:
    if _objective_named(one) != before:
        return one
    return one | {"objective": after} if isinstance(one, dict) else after
