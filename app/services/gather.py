"""What one run of a dataset's plan asks its tool: everything, what changed, ids alone, or single entities.

* `full`: every record. What is held and was not among them is asked for by its id: is it gone, or out of scope?
* `sweep`: what changed, and ids alone, for a fraction of a full read; what is not held is read by its id, what is held
  and not among them is asked for.
* `changes`: what changed since the last read, and the entities that webhooks told of.
* `hints`: only those.

A tool that can not be asked by id has only the first and the third; what a complete read missed then counts as gone.
"""

from collections.abc import AsyncGenerator, Mapping
from contextlib import aclosing
from copy import deepcopy
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Literal, TypeAlias

from app.services.connect import fetch_pages, read_pages, sweep_batches
from app.services.context import Services
from app.store import records
from app.store.tables import Dataset, Plan
from connectors.contract import Absence, Connector, Cursor, Page

Kind: TypeAlias = Literal["full", "sweep", "changes", "hints"]

#: So many entities that webhooks told of are read in one run.
MOST_HINTS = 1_000
_MOST_WARNINGS = 50


@dataclass(slots=True)
class Gathering:
    """What a run is to ask, and what it heard. `told`: by entity, whether a webhook said that it is gone, and when.

    `absent` has entities that were asked for and are not there; `missed` those that a complete read of a tool that can
    not be asked did not find; `deleted` those that the tool itself lists as deleted, whether they were held or not.
    """

    kind: Kind
    cursor: Cursor | None
    told: Mapping[str, tuple[bool, datetime]] = field(default_factory=dict)
    absent: dict[str, Absence] = field(default_factory=dict)
    deleted: set[str] = field(default_factory=set)
    new_cursor: Cursor | None = None
    warnings: list[str] = field(default_factory=list)

    @property
    def is_complete(self) -> bool:
        """Whether it sees everything that is in scope."""
        return self.kind in ("full", "sweep")

    def note(self, page: Page) -> Page:
        """Keep what a page says beside its records."""
        if page.cursor is not None:
            self.new_cursor = page.cursor
        self.absent.update(page.absent)
        self.deleted.update(page.deleted)
        new = [warning for warning in page.warnings if warning not in self.warnings]
        self.warnings.extend(new[: _MOST_WARNINGS - len(self.warnings)])
        return page


def kind_of_read(plan: Plan, connector: Connector | None, *, has_hints: bool, now: datetime) -> Kind:
    """What is due of a dataset's plan."""
    if plan.cursor is None or plan.full_due_at is None or plan.full_due_at <= now:
        return "full"
    if connector is None or connector.fetch is None:
        return "changes"
    if connector.sweep is not None and (plan.sweep_due_at is None or plan.sweep_due_at <= now):
        return "sweep"
    return "hints" if has_hints and plan.read_due_at is not None and plan.read_due_at > now else "changes"


async def gather(
    services: Services, connector: Connector, session: Any, dataset: Dataset, options: Any, what: Gathering
) -> AsyncGenerator[Page, None]:
    """The pages of the run's records; `what` is filled on the way. No transaction is held while the tool is asked."""
    read: set[str] = set()
    seen: set[str] = set()
    if what.kind != "hints":
        cursor = None if what.kind == "full" else deepcopy(what.cursor)
        async with aclosing(read_pages(connector, session, options, cursor)) as pages:
            async for page in pages:
                read.update(change.entity for change in page.changes)
                yield what.note(page)
    if what.kind == "sweep":
        async with aclosing(sweep_batches(connector, session, options)) as batches:
            async for batch in batches:
                seen.update(batch)
    seen |= read
    wanted = await _wanted(services, dataset, what, seen, read)
    if connector.fetch is None:
        what.absent.update(dict.fromkeys(wanted, "deleted"))
    elif wanted:
        known = what.new_cursor or what.cursor
        async with aclosing(fetch_pages(connector, session, options, wanted, deepcopy(known))) as pages:
            async for page in pages:
                what.note(page)
                yield Page(page.changes)


async def _wanted(
    services: Services, dataset: Dataset, what: Gathering, seen: set[str], read: set[str]
) -> dict[str, str]:
    """What has to be asked for by its id, with the names it went by: `seen` is in scope, `read` was read already."""
    async with services.database.reading() as db:
        if not what.is_complete:
            return dict.fromkeys(what.told, "") | await records.names_of(db, dataset.id, what.told)
        held = await records.live_entities(db, dataset.id)
    wanted = {entity: name for entity, name in held.items() if entity not in seen and entity not in what.deleted}
    if what.kind == "sweep":
        wanted |= {entity: held.get(entity, "") for entity in (seen - held.keys() - read) | what.told.keys()}
    return wanted
