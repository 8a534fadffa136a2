"""Making a team's rows what its file says: create, update, delete; each change audited and counted in `version`."""

from collections.abc import Mapping
from datetime import datetime
from typing import Any
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
from app.services.kept_cycles import cycles_of, keep_cycles, refuse_other_days
from app.services.ledger import Ledger, Reconciled, Touched
from app.services.left_over import drop_left_over
from app.services.renames import rename, renames_in
from app.services.revisions import revise_metric
from app.services.terms import note_terms
from app.store import closes, configuration, deliveries, inputs, organisation, records, samples, secrets
from app.store.database import Session
from app.store.tables import Connection, Dataset, KeyResult, Metric, Objective, Team
from connectors.contract import Connector

#: What a team's own row holds of its file.
TEAM_KEYS = ("title", "parent", "timezone", "calendar", "private", "preset", "cycles", "silence", "notify")


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
    ledger = Ledger(session, file.team, actor=actor, managed_by=managed_by, touch=touch, now=now)
    work = _Reconciliation(session, file, ledger, actor, now)
    rows = await work.run()
    await drop_left_over(session, file, rows, ledger, work.closed, prune=prune)
    return ledger.done


class _Reconciliation:
    def __init__(self, session: Session, file: TeamFile, ledger: Ledger, actor: str, now: datetime) -> None:
        self._session = session
        self._file = file
        self._ledger = ledger
        self._actor = actor
        self._now = now

    async def run(self) -> organisation.TeamRows:
        """Make each object that the file names what it says; the team's rows, those that it does not name too."""
        team = await self._team()
        await self._renames(team)
        self._rows = await organisation.load_team(self._session, team)
        self.closed = await closes.closed_cycles(self._session, team.id)
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
        return self._rows

    # --- each kind ---------------------------------------------------------------------------------------------------

    async def _team(self) -> Team:
        spec = {key: value for key, value in dump(self._file).items() if key in TEAM_KEYS}
        team = await organisation.lock_team(self._session, self._file.team)
        if team is None:
            begun = self._ledger.begun()
            team = await organisation.create_team(self._session, name=self._file.team, spec=spec, **begun)
            if team is not None:
                self._ledger.done = Reconciled(team)
                await inherit(self._session, team)
                await self._ledger.created("team", team.name, spec)
                return team
            team = await organisation.lock_team(self._session, self._file.team)
            assert team is not None
        self._ledger.done = Reconciled(team)
        if team.spec != spec:
            await refuse_other_days(self._session, team, spec.get("cycles", {}))
            cycles = await cycles_of(self._session, team)
            await self._ledger.update(team, "team", spec)
            await keep_cycles(self._session, team, cycles)
        else:
            self._ledger.unchanged("team", team)
        return team

    async def _renames(self, team: Team) -> None:
        for wanted in renames_in(self._file):
            is_done, followed = await rename(self._session, team, wanted, actor=self._actor, now=self._now)
            if not is_done:
                continue
            self._ledger.renamed(wanted.kind, wanted.old, wanted.new, followed)

    async def _connection(self, name: str, wanted: ConnectionSpec) -> None:
        connector, options, silence, owner = wanted.connector, wanted.options, wanted.silence, wanted.owner
        row = self._rows.connections.get(name)
        if row is None:
            row = Connection(
                team_id=self._rows.team.id,
                name=name,
                connector=connector,
                spec=options,
                silence=silence,
                owner=owner,
                **self._ledger.begun(),
            )
            self._session.add(row)
            self._rows.connections[name] = row
            await self._ledger.created("connection", name, options)
            return
        if (row.connector, row.spec) == (connector, options):
            await self._ledger.update_beside(row, "connection", silence=silence, owner=owner)
            return
        row.silence, row.owner = silence, owner
        if row.connector != connector or _host(row.spec) != _host(options):
            # A secret that was sealed for one host must never be sent to another.
            await secrets.delete_secrets(self._session, row.id)
        row.connector = connector
        row.paused_code = row.paused_reason = None
        await configuration.resume_plans(self._session, row.id, self._now)
        await self._ledger.update(row, "connection", options)

    async def _dataset(self, name: str, wanted: DatasetSpec) -> None:
        shape, silence = wanted.shape, wanted.silence
        spec = {key: value for key, value in _stored(wanted).items() if key != "silence"} | wanted.options
        row = self._rows.datasets.get(name)
        connection = self._rows.connections[spec["connection"]]
        if row is None:
            row = Dataset(
                team_id=self._rows.team.id,
                connection_id=connection.id,
                name=name,
                shape=shape,
                spec=spec,
                silence=silence,
                **self._ledger.begun(),
            )
            self._session.add(row)
            await self._session.flush()
            self._rows.datasets[name] = row
            await self._ledger.created("dataset", name, spec)
            await self._reread(row)
            return
        if row.spec == spec and row.connection_id == connection.id:
            await self._ledger.update_beside(row, "dataset", silence=silence)
            return
        row.shape, row.connection_id, row.silence = shape, connection.id, silence
        await self._ledger.update(row, "dataset", spec)
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
                team_id=self._rows.team.id,
                name=name,
                is_inline=is_inline,
                unit=spec.unit,
                spec=stored,
                **self._ledger.begun(),
            )
            self._session.add(row)
            await self._session.flush()
            known[name] = row
            if not is_inline:
                await self._ledger.created(kind, name, stored)
        elif row.spec != stored:
            row.unit = spec.unit
            if is_inline:
                row.spec, row.updated_at = stored, self._now
            else:
                await self._ledger.update(row, kind, stored)
        elif not is_inline:
            self._ledger.unchanged(kind, row)
        if spec.formula is None:
            await self._revise(row, spec)
        return row

    async def _revise(self, row: Metric, spec: MetricSpec) -> None:
        formula = spec.parsed_formula
        reads = {} if formula is None else {name: (await self._named(name)).id for name in formula.references}
        state = await revise_metric(
            self._session, row, spec, self._rows.team, self._rows, reads=reads, author=self._actor, now=self._now
        )
        if state == "building":
            self._ledger.done.building.add(row.id)
        else:
            self._ledger.done.evaluable.add(row.id)

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
            row = await configuration.objective_instance(self._session, self._rows.team.id, name, spec.cycle)
            if row is not None:
                row.is_current = True
        if row is None or row.spec != stored:
            self._refuse_closed("objective", name, spec.cycle)
        if row is None:
            row = Objective(
                team_id=self._rows.team.id,
                name=name,
                cycle=spec.cycle,
                is_current=True,
                position=position,
                spec=stored,
                **self._ledger.begun(),
            )
            self._session.add(row)
            await self._session.flush()
            await self._ledger.created("objective", name, stored)
        elif row.spec != stored:
            await self._ledger.update(row, "objective", stored)
        else:
            self._ledger.unchanged("objective", row)
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
            row = await configuration.key_result_instance(self._session, self._rows.team.id, name, cycle)
            if row is not None:
                row.is_current = True
        if row is None:
            self._refuse_closed("key result", name, cycle)
            row = KeyResult(
                team_id=self._rows.team.id,
                objective_id=objective.id,
                metric_id=metric.id,
                name=name,
                cycle=cycle,
                is_current=True,
                awaits_baseline=_awaits_baseline(spec),
                position=position,
                spec=stored,
                **self._ledger.begun(),
            )
            self._session.add(row)
            await self._session.flush()
            self._rows.key_results[name] = row
            await self._ledger.created("key_result", name, stored)
            await note_terms(self._session, row, author=self._actor, now=self._now)
            await self._watch(row, spec)
            return
        if row.spec != stored or row.objective_id != objective.id or row.metric_id != metric.id:
            self._refuse_closed("key result", name, cycle)
            await note_terms(self._session, row, stored, metric.id, author=self._actor, now=self._now)
            row.awaits_baseline = row.awaits_baseline or _awaits_baseline(spec)
            if row.metric_id != metric.id:
                await samples.delete_baseline(self._session, row.id)  # it was measured in another metric
            if row.objective_id != objective.id and self._ledger.takes_back(row):
                was = next((one.name for one in self._rows.objectives.values() if one.id == row.objective_id), None)
                self._ledger.drifted("key_result", name, {"objective": was}, {"objective": objective.name})
            row.objective_id, row.metric_id = objective.id, metric.id
            await self._ledger.update(row, "key_result", stored)
        else:
            self._ledger.unchanged("key_result", row)
        row.position = position
        self._rows.key_results[name] = row
        await self._watch(row, spec)

    async def _watch(self, row: KeyResult, spec: KeyResultSpec) -> None:
        watched = {guardrail.metric: (await self._named(guardrail.metric)).id for guardrail in spec.guardrails}
        await inputs.set_guardrails(self._session, row.id, watched)

    def _refuse_closed(self, kind: str, name: str, cycle: str) -> None:
        """What a closed cycle ended with is never changed silently."""
        if cycle in self.closed:
            message = f"The {kind} {name} is of the cycle {cycle}, which is closed: name the next one, or reopen it."
            raise Conflict(message, code="cycle_closed")


def _stored(spec: BaseModel) -> dict[str, Any]:
    """A spec as it is kept: how the object came by its name is no part of what it is."""
    return {key: value for key, value in dump(spec).items() if key != "renamed_from"}


def _awaits_baseline(spec: KeyResultSpec) -> bool:
    relative = any(guard.baseline is None and guard.must.endswith("of baseline") for guard in spec.guardrails)
    return relative or isinstance(spec.baseline, MeasuredBaseline)


def _host(spec: Mapping[str, Any]) -> str | None:
    url = spec.get("url")
    return urlsplit(url).netloc if isinstance(url, str) else None
