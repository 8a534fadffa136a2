"""What making a team's rows what its file says came to: each change counted in `version`, audited, and told."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Protocol

from app.services.renames import Followed
from app.services.views.plans import ChangeView, DriftView
from app.store import audit
from app.store.database import Session
from app.store.tables import Connection, Dataset, Team


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


class Ledger:
    """The changes of one team by one actor. With `touch`, only that object is the caller's: the rest keeps who manages
    it. `done` is there once the team's row is."""

    done: Reconciled

    def __init__(
        self, session: Session, team: str, *, actor: str, managed_by: str, touch: Touched | None, now: datetime
    ) -> None:
        self._session = session
        self._team_name = team
        self._actor = actor
        self._managed_by = managed_by
        self._touch = touch
        self._now = now
        self._renamed: dict[tuple[str, str], int] = {}  # its place in the list of changes

    def begun(self) -> dict[str, Any]:
        """What every new row says of itself."""
        return {"managed_by": self._managed_by, "version": 1, "created_at": self._now, "updated_at": self._now}

    def is_touched(self, kind: str, name: str) -> bool:
        """Whether the caller means this object: all of them, where it names none."""
        return self._touch is None or (self._touch.kind == kind and self._touch.name == name)

    def may_drop(self, kind: str, row: Any) -> bool:
        """Whether an object that the file does not name is the caller's to drop."""
        return self.is_touched(kind, row.name) if self._touch is not None else row.managed_by == "file"

    async def created(self, kind: str, name: str, spec: dict[str, Any]) -> None:
        """A row was made."""
        await self._note(kind, name, "create", None, spec)

    async def dropped(self, kind: str, name: str, spec: dict[str, Any]) -> None:
        """A row is gone."""
        await self._note(kind, name, "delete", spec, None)

    def kept(self, kind: str, name: str, reason: str) -> None:
        """A row that the file does not name stays, and why."""
        self._told(kind, name, "kept", reason=reason)

    def unchanged(self, kind: str, row: Any) -> None:
        """A row is what the file says."""
        if self._touch is None and row.managed_by != self._managed_by and kind != "team":
            row.managed_by = self._managed_by  # a file that names an object takes it over
        if (kind, row.name) not in self._renamed:
            self._told(kind, row.name, "unchanged")

    async def update(self, row: Any, kind: str, spec: dict[str, Any]) -> None:
        """Make a row what the file says."""
        before = row.spec
        if self.takes_back(row):
            self.drifted(kind, row.name, before, spec)
        row.spec = spec
        if self.is_touched(kind, row.name):
            row.managed_by = self._managed_by
        await self._updated(row, kind, before, spec)

    async def update_beside(self, row: Connection | Dataset, kind: str, **wanted: Any) -> None:
        """Nothing but what is silenced, and who is told, may differ: that is no reason to read anything again."""
        before = {key: getattr(row, key) for key, value in wanted.items() if getattr(row, key) != value}
        if not before:
            self.unchanged(kind, row)
            return
        for key in before:
            setattr(row, key, wanted[key])
        await self._updated(row, kind, before, {key: wanted[key] for key in before})

    def takes_back(self, row: Any) -> bool:
        """Whether a file names an object that was changed through the API."""
        return self._touch is None and self._managed_by == "file" and row.managed_by == "api"

    def drifted(self, kind: str, name: str, service: Mapping[str, Any], file: Mapping[str, Any]) -> None:
        """The file takes back what the service says otherwise."""
        self.done.drift += [
            DriftView.model_validate(
                {"kind": kind, "id": self._id(kind, name), "field": key}
                | {"file": file.get(key), "service": service.get(key)}
            )
            for key in sorted(service.keys() | file.keys())
            if service.get(key) != file.get(key)
        ]

    def renamed(self, kind: str, old: str, new: str, followed: Iterable[Followed]) -> None:
        """An object has a new name, and others name it by that."""
        self._renamed[(kind, new)] = len(self.done.changes)
        before, after = self._id(kind, old), self._id(kind, new)
        self._told(kind, new, "rename", reason=f"was {before}")
        for other in followed:
            self.done.changes.append(
                ChangeView.model_validate(
                    {"kind": other.kind, "id": other.id, "action": "update", "fields": list(other.fields)}
                    | {"reason": f"names {before}, which is {after} now; so should its own file"}
                )
            )

    async def _updated(self, row: Any, kind: str, before: dict[str, Any], after: dict[str, Any]) -> None:
        row.version += 1
        row.updated_at = self._now
        await self._session.flush()
        await self._note(kind, row.name, "update", before, after)

    async def _note(
        self, kind: str, name: str, action: str, before: dict[str, Any] | None, after: dict[str, Any] | None
    ) -> None:
        old, new = before or {}, after or {}
        fields = sorted(key for key in old.keys() | new.keys() if old.get(key) != new.get(key))
        place = self._renamed.get((kind, name))
        if place is not None and action == "update":
            self.done.changes[place] = self.done.changes[place].model_copy(update={"fields": fields})
        else:
            self._told(kind, name, action, fields=fields if action == "update" else [])
        await audit.append_audit(
            self._session,
            at=self._now,
            actor=self._actor,
            action=action,
            object_kind=kind,
            object_id=self._id(kind, name),
            before=before,
            after=after,
        )

    def _told(self, kind: str, name: str, action: str, **more: Any) -> None:
        told = {"kind": kind, "id": self._id(kind, name), "action": action} | more
        self.done.changes.append(ChangeView.model_validate(told))

    def _id(self, kind: str, name: str) -> str:
        return name if kind == "team" else f"{self._team_name}/{name}"
