"""Making a team's rows what its file says: create, update, delete; each change audited and counted in `version`."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Protocol
from urllib.parse import urlsplit

from pydantic import BaseModel

from app.domain.language import (
    ConnectionSpec,
    DatasetSpec,
    KeyResultSpec,
    MeasuredBaseline,
    MetricSpec,
    ObjectiveSpec,
    TeamFile,
)
from app.errors import Conflict
from app.services.definitions import dump, split_reference
from app.services.inheritance import inherit
from app.services.input_graph import in_order
from app.services.renames import rename, renames_in
from app.services.revisions import revise_metric
from app.services.terms import note_terms
from app.services.views.plans import ChangeView, DriftView
from app.store import audit, closes, configuration, deliveries, inputs, organisation, records, samples, secrets
from app.store.database import Session
from app.store.tables import Connection, Dataset, KeyResult, Metric, Objective, Team
from connectors.contract import Connector

#: What a team's own row holds of its file.
TEAM_KEYS = ("title", "parent", "timezone", "calendar", "private", "preset", "cycles", "silence", "notify")


class Touched(Protocol):
    """The one object that a caller put or deleted through the API."""

    @property
    def kind(self) -> str: ...

    @property
    def name(self) -> str: ...


@dataclass(slots=True)
class Reconciled:
    """What was done. `evaluable` metrics have their facts; `building` ones have a revision that is still to build.
    `drift` has what the file takes back of changes that were made through the API."""

    team: Team
    changes: list[ChangeView] = field(default_factory=list)
    drift: list[DriftView] = field(default_factory=list)
    evaluable: set[int] = field(default_factory=set)
    building: set[int] = field(default_factory=set)


async def reconcile(
    session: Session,
    file: TeamFile,
    connectors: Mapping[str, Connector],
    *,
    actor: str,
    prune: bool,
    managed_by: str,
    touch: Touched | None,
    now: datetime,
) -> Reconciled:
    """Bring the team's rows in line with a checked file. With `touch`, only that object is the caller's: the rest keeps
    who manages it."""
    work = _Reconciliation(session, file, connectors, actor, prune, managed_by, touch, now)
    return await work.run()


class _Reconciliation:
    def __init__(
        self,
        session: Session,
        file: TeamFile,
        connectors: Mapping[str, Connector],
        actor: str,
        prune: bool,
        managed_by: str,
        touch: Touched | None,
        now: datetime,
    ) -> None:
        self._session = session
        self._file = file
        self._connectors = connectors
        self._actor = actor
        self._prune = prune
        self._managed_by = managed_by
        self._touch = touch
        self._now = now
        self._renamed: dict[tuple[str, str], int] = {}  # its place in the list of changes

    async def run(self) -> Reconciled:
        team = await self._team()
        await self._renames(team)
        self._rows = await organisation.load_team(self._session, team)
        self._done.team = team
        self._closed = await closes.closed_cycles(self._session, team.id)
        for name, spec in self._file.connections.items():
            await self._connection(name, spec)
        await self._session.flush()
        for name, dataset in self._file.datasets.items():
            await self._dataset(name, dataset)
        await self._session.flush()
        for name, metric in self._file.metrics.items():
            await self._metric(name, metric, is_inline=False)
        for name, metric in self._file.metrics.items():
            if metric.formula is not None:
                # Once every metric that it may read is there.
                await self._revise(self._rows.metrics[name], metric)
        position = 0
        for place, (name, objective) in enumerate(self._file.objectives.items()):
            row = await self._objective(place, name, objective)
            for key_result_name, key_result in objective.key_results.items():
                await self._key_result(position, key_result_name, key_result, row, objective.cycle)
                position += 1
        await self._left_over()
        await self._session.flush()
        return self._done

    # --- each kind ---------------------------------------------------------------------------------------------------

    async def _team(self) -> Team:
        spec = {key: value for key, value in dump(self._file).items() if key in TEAM_KEYS}
        team = await organisation.lock_team(self._session, self._file.team)
        if team is None:
            new = self._new("team", self._file.team)
            team = await organisation.create_team(self._session, name=self._file.team, spec=spec, **new)
            if team is not None:
                self._done = Reconciled(team)
                await inherit(self._session, team)
                await self._note("team", team.name, "create", None, spec, id_=team.name)
                return team
            team = await organisation.lock_team(self._session, self._file.team)
            assert team is not None
        self._done = Reconciled(team)
        if team.spec != spec:
            await self._update(team, "team", spec, id_=team.name)
        else:
            self._unchanged("team", team.name, id_=team.name)
        return team

    async def _renames(self, team: Team) -> None:
        for wanted in renames_in(self._file):
            is_done, followed = await rename(self._session, team, wanted, actor=self._actor, now=self._now)
            if not is_done:
                continue
            self._renamed[(wanted.kind, wanted.new)] = len(self._done.changes)
            before, after = f"{team.name}/{wanted.old}", f"{team.name}/{wanted.new}"
            self._done.changes.append(
                ChangeView.model_validate(
                    {"kind": wanted.kind, "id": after, "action": "rename", "reason": f"was {before}"}
                )
            )
            for other in followed:
                self._done.changes.append(
                    ChangeView.model_validate(
                        {"kind": other.kind, "id": other.id, "action": "update", "fields": list(other.fields)}
                        | {"reason": f"names {before}, which is {after} now; so should its own file"}
                    )
                )

    async def _connection(self, name: str, wanted: ConnectionSpec) -> None:
        connector, options, silence, owner = wanted.connector, wanted.options, wanted.silence, wanted.owner
        row = self._rows.connections.get(name)
        if row is None:
            row = Connection(
                team_id=self._done.team.id,
                name=name,
                connector=connector,
                spec=options,
                silence=silence,
                owner=owner,
                **self._new("connection", name),
            )
            self._session.add(row)
            self._rows.connections[name] = row
            await self._note("connection", name, "create", None, options)
            return
        if (row.connector, row.spec) == (connector, options):
            await self._aside("connection", row, silence=silence, owner=owner)
            return
        row.silence, row.owner = silence, owner
        if row.connector != connector or _host(row.spec) != _host(options):
            # A secret that was sealed for one host must never be sent to another.
            await secrets.delete_secrets(self._session, row.id)
        row.connector = connector
        row.paused_code = row.paused_reason = None
        await configuration.resume_plans(self._session, row.id, self._now)
        await self._update(row, "connection", options)

    async def _dataset(self, name: str, wanted: DatasetSpec) -> None:
        shape, silence = wanted.shape, wanted.silence
        spec = {key: value for key, value in _stored(wanted).items() if key != "silence"} | wanted.options
        row = self._rows.datasets.get(name)
        connection = self._rows.connections[spec["connection"]]
        if row is None:
            row = Dataset(
                team_id=self._done.team.id,
                connection_id=connection.id,
                name=name,
                shape=shape,
                spec=spec,
                silence=silence,
                **self._new("dataset", name),
            )
            self._session.add(row)
            await self._session.flush()
            self._rows.datasets[name] = row
            await self._note("dataset", name, "create", None, spec)
            await self._reread(row)
            return
        if row.spec == spec and row.connection_id == connection.id:
            await self._aside("dataset", row, silence=silence)
            return
        row.shape, row.connection_id, row.silence = shape, connection.id, silence
        await self._update(row, "dataset", spec)
        await self._reread(row)

    async def _reread(self, dataset: Dataset) -> None:
        """Rules that changed are applied anew: to the stored deliveries, or by a complete read of the tool."""
        if dataset.shape == "events":
            await records.delete_events(self._session, dataset.id)
            await deliveries.reopen_deliveries(
                self._session, connection_id=dataset.connection_id, dataset_id=dataset.id
            )
        else:
            await configuration.restart_plan(self._session, dataset.id, self._now)

    async def _metric(self, name: str, spec: MetricSpec, *, is_inline: bool) -> Metric:
        known = self._rows.inline_metrics if is_inline else self._rows.metrics
        stored = _stored(spec)
        row = known.get(name)
        kind = "metric"
        if row is None:
            row = Metric(
                team_id=self._done.team.id,
                name=name,
                is_inline=is_inline,
                unit=spec.unit,
                spec=stored,
                **self._new(kind, name),
            )
            self._session.add(row)
            await self._session.flush()
            known[name] = row
            if not is_inline:
                await self._note(kind, name, "create", None, stored)
        elif row.spec != stored:
            row.unit = spec.unit
            if is_inline:
                row.spec, row.updated_at = stored, self._now
            else:
                await self._update(row, kind, stored)
        elif not is_inline:
            self._unchanged(kind, name, row)
        if spec.formula is None:
            await self._revise(row, spec)
        return row

    async def _revise(self, row: Metric, spec: MetricSpec) -> None:
        formula = spec.parsed_formula
        reads = {} if formula is None else {name: (await self._named(name)).id for name in formula.references}
        state = await revise_metric(
            self._session, row, spec, self._done.team, self._rows, reads=reads, author=self._actor, now=self._now
        )
        if state == "building":
            self._done.building.add(row.id)
        else:
            self._done.evaluable.add(row.id)

    async def _named(self, reference: str) -> Metric:
        """The metric that a key result, guardrail or formula names, of this team or another."""
        team, name = split_reference(reference, self._file.team)
        if team == self._file.team:
            return self._rows.metrics[name]
        found = await organisation.get_metric(self._session, team, name)
        if found is None:
            raise Conflict(f"The metric {team}/{name} was deleted meanwhile.")
        return found

    async def _objective(self, position: int, name: str, spec: ObjectiveSpec) -> Objective:
        stored = {key: value for key, value in _stored(spec).items() if key != "key_results"}
        row = self._rows.objectives.get(name)
        if row is not None and row.cycle != spec.cycle:
            row.is_current = False  # the closed instance stays, with its key results
            row = await configuration.objective_instance(self._session, self._done.team.id, name, spec.cycle)
            if row is not None:
                row.is_current = True
        if row is None or row.spec != stored:
            self._refuse_closed("objective", name, spec.cycle)
        if row is None:
            row = Objective(
                team_id=self._done.team.id,
                name=name,
                cycle=spec.cycle,
                is_current=True,
                position=position,
                spec=stored,
                **self._new("objective", name),
            )
            self._session.add(row)
            await self._session.flush()
            await self._note("objective", name, "create", None, stored)
        elif row.spec != stored:
            await self._update(row, "objective", stored)
        else:
            self._unchanged("objective", name, row)
        row.position = position
        self._rows.objectives[name] = row
        return row

    async def _key_result(
        self, position: int, name: str, spec: KeyResultSpec, objective: Objective, cycle: str
    ) -> None:
        stored = _stored(spec)
        if isinstance(spec.metric, MetricSpec):
            metric = await self._metric(name, spec.metric, is_inline=True)
        else:
            metric = await self._named(spec.metric)
        row = self._rows.key_results.get(name)
        if row is not None and row.cycle != cycle:
            row.is_current = False
            row = await configuration.key_result_instance(self._session, self._done.team.id, name, cycle)
            if row is not None:
                row.is_current = True
        if row is None:
            self._refuse_closed("key result", name, cycle)
            row = KeyResult(
                team_id=self._done.team.id,
                objective_id=objective.id,
                metric_id=metric.id,
                name=name,
                cycle=cycle,
                is_current=True,
                awaits_baseline=_awaits_baseline(spec),
                position=position,
                spec=stored,
                **self._new("key_result", name),
            )
            self._session.add(row)
            await self._session.flush()
            self._rows.key_results[name] = row
            await self._note("key_result", name, "create", None, stored)
            await note_terms(self._session, row, author=self._actor, now=self._now)
            await self._watch(row, spec)
            return
        if row.spec != stored or row.objective_id != objective.id or row.metric_id != metric.id:
            self._refuse_closed("key result", name, cycle)
            await note_terms(self._session, row, stored, metric.id, author=self._actor, now=self._now)
            row.awaits_baseline = row.awaits_baseline or _awaits_baseline(spec)
            if row.metric_id != metric.id:
                await samples.delete_baseline(self._session, row.id)  # it was measured in another metric
            if row.objective_id != objective.id and self._takes_back(row):
                was = next((one.name for one in self._rows.objectives.values() if one.id == row.objective_id), None)
                self._drifted(
                    "key_result", f"{self._file.team}/{name}", {"objective": was}, {"objective": objective.name}
                )
            row.objective_id, row.metric_id = objective.id, metric.id
            await self._update(row, "key_result", stored)
        else:
            self._unchanged("key_result", name, row)
        row.position = position
        self._rows.key_results[name] = row
        await self._watch(row, spec)

    async def _watch(self, row: KeyResult, spec: KeyResultSpec) -> None:
        watched = {guardrail.metric: (await self._named(guardrail.metric)).id for guardrail in spec.guardrails}
        await inputs.set_guardrails(self._session, row.id, watched)

    # --- what the file does not name ---------------------------------------------------------------------------------

    async def _left_over(self) -> None:
        file = self._file
        named_key_results = {name for objective in file.objectives.values() for name in objective.key_results}
        inline = {
            name
            for objective in file.objectives.values()
            for name, spec in objective.key_results.items()
            if isinstance(spec.metric, MetricSpec)
        }
        for kind, rows, names in (
            ("key_result", self._rows.key_results, named_key_results),
            ("objective", self._rows.objectives, set(file.objectives)),
            ("metric", await self._formulas_first(), set(file.metrics)),
            ("dataset", self._rows.datasets, set(file.datasets)),
            ("connection", self._rows.connections, set(file.connections)),
        ):
            for name, row in list(rows.items()):
                if name not in names:
                    await self._drop(kind, name, row)
        for name, row in list(self._rows.inline_metrics.items()):
            if name not in inline and not await configuration.is_metric_used(self._session, row.id):
                await self._session.delete(row)
        await self._session.flush()

    async def _formulas_first(self) -> dict[str, Metric]:
        """The team's metrics, each before what it reads: a metric can be dropped once nobody reads it."""
        by_id = {row.id: row for row in self._rows.metrics.values()}
        order = in_order(by_id, await inputs.readers_of(self._session, by_id))
        return {by_id[metric_id].name: by_id[metric_id] for metric_id in reversed(order) if metric_id in by_id}

    async def _drop(self, kind: str, name: str, row: Any) -> None:
        is_mine = self._is_touched(kind, name) if self._touch is not None else row.managed_by == "file"
        reason = None
        if not self._prune:
            reason = "not in the file; --prune deletes it"
        elif not is_mine:
            reason = "managed through the API"
        elif kind == "metric" and (users := await inputs.users_of(self._session, row.id)):
            reason = f"needed by {', '.join(users[:5])}{' and others' if len(users) > 5 else ''}"
        elif kind in ("objective", "key_result") and row.cycle in self._closed:
            reason = f"its cycle {row.cycle} is closed"
        elif kind == "objective" and await configuration.is_objective_used(self._session, row.id):
            reason = "key results belong to it"
        elif kind in ("dataset", "connection") and await configuration.is_source_used(self._session, kind, row.id):
            reason = "metrics read it"
        if reason is not None:
            self._done.changes.append(
                ChangeView(kind=kind, id=f"{self._file.team}/{name}", action="kept", reason=reason)
            )
            return
        before = row.spec
        await self._session.delete(row)
        await self._session.flush()
        await self._note(kind, name, "delete", before, None)

    def _refuse_closed(self, kind: str, name: str, cycle: str) -> None:
        """What a closed cycle ended with is never changed silently."""
        if cycle in self._closed:
            message = f"The {kind} {name} is of the cycle {cycle}, which is closed: name the next one, or reopen it."
            raise Conflict(message, code="cycle_closed")

    # --- notes -------------------------------------------------------------------------------------------------------

    def _is_touched(self, kind: str, name: str) -> bool:
        return self._touch is None or (self._touch.kind == kind and self._touch.name == name)

    def _new(self, kind: str, name: str) -> dict[str, Any]:
        return {"managed_by": self._managed_by, "version": 1, "created_at": self._now, "updated_at": self._now}

    async def _aside(self, kind: str, row: Connection | Dataset, **wanted: Any) -> None:
        """Nothing but what is silenced, and who is told, may differ: that is no reason to read anything again."""
        before = {key: getattr(row, key) for key, value in wanted.items() if getattr(row, key) != value}
        if not before:
            self._unchanged(kind, row.name, row)
            return
        for key in before:
            setattr(row, key, wanted[key])
        row.version += 1
        row.updated_at = self._now
        await self._session.flush()
        await self._note(kind, row.name, "update", before, {key: wanted[key] for key in before})

    def _takes_back(self, row: Any) -> bool:
        """Whether a file names an object that was changed through the API."""
        return self._touch is None and self._managed_by == "file" and row.managed_by == "api"

    def _drifted(self, kind: str, identity: str, service: Mapping[str, Any], file: Mapping[str, Any]) -> None:
        self._done.drift += [
            DriftView.model_validate(
                {"kind": kind, "id": identity, "field": key, "file": file.get(key), "service": service.get(key)}
            )
            for key in sorted(service.keys() | file.keys())
            if service.get(key) != file.get(key)
        ]

    async def _update(self, row: Any, kind: str, spec: dict[str, Any], *, id_: str | None = None) -> None:
        before = row.spec
        if self._takes_back(row):
            self._drifted(kind, id_ or f"{self._file.team}/{row.name}", before, spec)
        row.spec = spec
        row.version += 1
        row.updated_at = self._now
        if self._is_touched(kind, row.name):
            row.managed_by = self._managed_by
        await self._session.flush()
        await self._note(kind, row.name, "update", before, spec, id_=id_)

    def _unchanged(self, kind: str, name: str, row: Any = None, *, id_: str | None = None) -> None:
        if row is not None and self._touch is None and row.managed_by != self._managed_by:
            row.managed_by = self._managed_by  # a file that names an object takes it over
        if (kind, name) not in self._renamed:
            self._done.changes.append(ChangeView(kind=kind, id=id_ or f"{self._file.team}/{name}", action="unchanged"))

    async def _note(
        self,
        kind: str,
        name: str,
        action: str,
        before: dict[str, Any] | None,
        after: dict[str, Any] | None,
        *,
        id_: str | None = None,
    ) -> None:
        identity = id_ or f"{self._file.team}/{name}"
        keys = (before or {}).keys() | (after or {}).keys()
        fields = sorted(key for key in keys if (before or {}).get(key) != (after or {}).get(key))
        place = self._renamed.get((kind, name))
        if place is not None and action == "update":
            renamed = self._done.changes[place]
            self._done.changes[place] = renamed.model_copy(update={"fields": fields})
        else:
            self._done.changes.append(
                ChangeView(kind=kind, id=identity, action=action, fields=fields if action == "update" else [])
            )
        await audit.append_audit(
            self._session,
            at=self._now,
            actor=self._actor,
            action=action,
            object_kind=kind,
            object_id=identity,
            before=before,
            after=after,
        )


def _stored(spec: BaseModel) -> dict[str, Any]:
    """A spec as it is kept: how the object came by its name is no part of what it is."""
    return {key: value for key, value in dump(spec).items() if key != "renamed_from"}


def _awaits_baseline(spec: KeyResultSpec) -> bool:
    relative = any(guard.baseline is None and guard.must.endswith("of baseline") for guard in spec.guardrails)
    return relative or isinstance(spec.baseline, MeasuredBaseline)


def _host(spec: Mapping[str, Any]) -> str | None:
    url = spec.get("url")
    return urlsplit(url).netloc if isinstance(url, str) else None
