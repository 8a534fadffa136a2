"""How a team's file stands with the service: what of it was changed elsewhere, and who changed something last."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime

from app.store import audit, organisation
from app.store.database import Session
from app.store.organisation import TeamRows
from app.store.tables import Connection, Dataset, KeyResult, Metric, Objective


@dataclass(frozen=True, slots=True)
class ObjectState:
    """One object of a team's file: managed by the file, or by the API since somebody changed it there."""

    kind: str
    name: str
    managed_by: str
    version: int
    updated_at: datetime


@dataclass(frozen=True, slots=True)
class FileState:
    """Everything that a team has configured, and its last change: None where none is on record."""

    objects: list[ObjectState]
    changed_at: datetime | None
    changed_by: str | None
    reason: str | None

    @property
    def elsewhere(self) -> list[ObjectState]:
        """What the file does not manage."""
        return [one for one in self.objects if one.managed_by != "file"]


async def file_state(session: Session, team: str) -> FileState | None:
    """None where there is no such team."""
    found = await organisation.get_team(session, team)
    if found is None:
        return None
    rows = await organisation.load_team(session, found)
    last = await audit.last_change(session, team)
    return FileState(
        list(_objects(rows)),
        None if last is None else last.at,
        None if last is None else last.actor,
        None if last is None else last.reason,
    )


def _objects(rows: TeamRows) -> Iterator[ObjectState]:
    sections: dict[str, Mapping[str, Connection | Dataset | Metric | Objective | KeyResult]] = {
        "connection": rows.connections,
        "dataset": rows.datasets,
        "metric": rows.metrics,
        "objective": rows.objectives,
        "key result": rows.key_results,
    }
    for kind, named in sections.items():
        for name, row in named.items():
            yield ObjectState(kind, name, row.managed_by, row.version, row.updated_at)
