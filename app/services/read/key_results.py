"""Key results as readers get them: a page of them, or one."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from typing import Literal

from app.domain.judgement import KeyResultStatus
from app.services.read.judged import Judged
from app.services.read.judging import judge_rows
from app.services.read.outlook import with_outlook
from app.services.views import KeyResultView
from app.store import organisation
from app.store.database import Session
from app.store.organisation import KeyResultFilter


@dataclass(frozen=True, slots=True, kw_only=True)
class KeyResultQuery:
    """What to list. `as_of` is true at, `known_at` recorded by; `after` the (team, name, cycle) to go on after. Nothing
    of `hidden` teams is listed."""

    team: str | None = None
    cycle: str | None = None
    objective: str | None = None
    status: KeyResultStatus | None = None
    freshness: Literal["fresh", "stale", "no_data", "error"] | None = None
    owner: str | None = None
    kind: Literal["committed", "aspirational"] | None = None
    metric: str | None = None
    q: str | None = None
    as_of: datetime | None = None
    known_at: datetime | None = None
    after: tuple[str, str, str] | None = None
    limit: int = 100
    hidden: frozenset[str] = frozenset()

    @property
    def is_filtered(self) -> bool:
        """Whether some of what is current may be left out of the list."""
        given = (self.team, self.objective, self.status, self.freshness, self.owner, self.kind, self.metric)
        return bool(self.q or self.hidden) or any(value is not None for value in given)


def start_of_minute(now: datetime) -> datetime:
    """The moment that judgements of now are made at: they have a resolution of a minute, so that all who read within
    it are told the same."""
    return now.replace(second=0, microsecond=0)


def judged_at(now: datetime, as_of: datetime | None, known_at: datetime | None) -> datetime:
    """The moment that a reader's judgement is made at: what is asked of a past one is told exactly."""
    return start_of_minute(now) if as_of is None and known_at is None else now


async def list_key_results(
    session: Session, query: KeyResultQuery, *, now: datetime
) -> tuple[list[KeyResultView], tuple[str, str, str] | None]:
    """A page of key results and where the next one starts (None: this was the last)."""
    objective_team, objective = _split(query.objective)
    metric_team, metric = _split(query.metric)
    teams = {name for name in (query.team, objective_team) if name is not None}
    if len(teams) > 1:
        return [], None
    wanted = KeyResultFilter(
        team=next(iter(teams), None),
        cycle=query.cycle,
        objective=objective,
        metric=metric,
        metric_team=metric_team,
        after=query.after,
        current_only=query.cycle is None,
        hidden=query.hidden,
    )
    rows = await organisation.key_result_rows(session, wanted)
    at = judged_at(now, query.as_of, query.known_at)
    judged = await judge_rows(session, rows, now=at, as_of=query.as_of, known_at=query.known_at)
    is_wanted = is_match(query)
    matching = [item for item in judged if is_wanted(facets_of(item))]
    page = await with_outlook(session, matching[: query.limit], now=now, as_of=query.as_of, known_at=query.known_at)
    views = [item.view for item in page]
    if len(matching) <= query.limit:
        return views, None
    last = page[-1].row
    return views, (last.team.name, last.key_result.name, last.key_result.cycle)


def _split(reference: str | None) -> tuple[str | None, str | None]:
    if reference is None:
        return None, None
    team, slash, name = reference.partition("/")
    return (team, name) if slash else (None, team)


@dataclass(frozen=True, slots=True)
class Facets:
    """What a list can be filtered by. `words` are folded: the id and the title."""

    team: str
    objective: str
    metric_team: str
    metric: str
    status: str
    freshness: str
    owner: str | None
    kind: str
    words: str


def facets_of(item: Judged) -> Facets:
    """What a judged key result can be found by."""
    row, view = item.row, item.view
    return Facets(
        team=row.team.name,
        objective=row.objective.name,
        metric_team=row.metric_team.name,
        metric=row.metric.name,
        status=view.status,
        freshness=view.freshness.level,
        owner=view.owner,
        kind=view.kind,
        words=f"{view.id}\0{view.title}".casefold(),
    )


def is_match(query: KeyResultQuery) -> Callable[[Facets], bool]:
    """Whether something is asked for, but for its cycle and its place in the list."""
    objective_team, objective = _split(query.objective)
    metric_team, metric = _split(query.metric)
    wanted = {
        "objective": objective,
        "metric_team": metric_team,
        "metric": metric,
        "status": query.status,
        "freshness": query.freshness,
        "owner": query.owner,
        "kind": query.kind,
    }
    given = [(name, value) for name, value in wanted.items() if value is not None]
    given += [("team", name) for name in (query.team, objective_team) if name is not None]
    words = query.q.casefold() if query.q else ""
    hidden = query.hidden

    def match(facets: Facets) -> bool:
        return (
            all(getattr(facets, name) == value for name, value in given)
            and facets.team not in hidden
            and words in facets.words
        )

    return match


async def get_key_result(
    session: Session,
    team: str,
    name: str,
    *,
    now: datetime,
    cycle: str | None = None,
    as_of: datetime | None = None,
    known_at: datetime | None = None,
) -> KeyResultView | None:
    """One key result: its current instance, or that of a cycle."""
    judged = await judged_key_result(session, team, name, now=now, cycle=cycle, as_of=as_of, known_at=known_at)
    if judged is None:
        return None
    return (await with_outlook(session, [judged], now=now, as_of=as_of, known_at=known_at))[0].view


async def judged_key_result(
    session: Session,
    team: str,
    name: str,
    *,
    now: datetime,
    cycle: str | None = None,
    as_of: datetime | None = None,
    known_at: datetime | None = None,
) -> Judged | None:
    """One key result with what was judged."""
    wanted = KeyResultFilter(team=team, name=name, cycle=cycle, current_only=cycle is None)
    rows = await organisation.key_result_rows(session, wanted)
    at = judged_at(now, as_of, known_at)
    judged = await judge_rows(session, rows[:1], now=at, as_of=as_of, known_at=known_at)
    return judged[0] if judged else None
