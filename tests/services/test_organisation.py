"""What holds for every team: inherited by the teams there are and those to come; closed cycles stay where they were."""

from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import pytest

from app.domain.document import read_yaml
from app.errors import VersionConflict
from app.services.apply import apply_team_file
from app.services.close import reopen_cycle
from app.services.inventory import get_team
from app.services.organisation_file import apply_organisation, get_organisation, plan_organisation
from app.services.team_file.organisation import check_organisation_file
from app.services.team_file.problems import InvalidTeamFile, pointer
from app.services.views.organisation import OrganisationPlanView
from tests.services.story import TEAM, Story
from tests.services.test_close import FILE, Q4, close, order, tell

ACME: dict[str, Any] = {"version": 1, "name": "Acme"}
APRIL = ACME | {"fiscal_year_start": 4}


async def settle(story: Story, value: dict[str, Any], **options: Any) -> OrganisationPlanView:
    return await apply_organisation(story.services, value, actor="ada", **options)


async def cycle_of(story: Story, **options: Any) -> tuple[str, str]:
    view = await story.key_result("sales", **options)
    return view.cycle.start.isoformat(), view.cycle.end.isoformat()


async def test_a_fiscal_year_moves_what_is_not_closed(story: Story) -> None:
    await story.apply(FILE)
    await tell(story, *(order(f"o{month}", f"2026-{month:02}-05T12:00:00Z") for month in (7, 8, 10)))
    assert (await cycle_of(story), await story.value("sales")) == (("2026-10-01", "2027-01-01"), Decimal(1))
    before = await story.dump()
    planned = await plan_organisation(story.services, APRIL, actor="ada")
    assert await story.dump() == before

    done = await settle(story, APRIL)
    assert done == planned.model_copy(update={"is_applied": True})
    assert (done.fields, done.teams) == (["fiscal_year_start", "name", "version"], [TEAM])
    (moved,) = done.cycles
    assert (moved.id, moved.start_after) == ("support/2026-Q4", datetime(2027, 1, 1, tzinfo=UTC))
    await story.work()
    sales = await story.key_result("sales")
    assert (sales.status, sales.cycle.start.isoformat()) == ("not_started", "2027-01-01")

    # To date counts by the same quarters: with a year from February, this one began in November.
    await settle(story, ACME | {"fiscal_year_start": 2})
    await story.work()
    assert (await cycle_of(story), await story.value("sales")) == (("2026-11-01", "2027-02-01"), Decimal(0))


async def test_a_closed_cycle_stays_where_it_was_and_moves_once_it_is_reopened(story: Story) -> None:
    await story.apply(FILE)
    story.clock.set(datetime(2027, 1, 2, tzinfo=UTC))
    await close(story)
    done = await settle(story, APRIL)
    assert done.cycles == []
    sales = await story.key_result("sales")
    assert sales.sealed is not None
    assert await cycle_of(story) == ("2026-10-01", "2027-01-01")
    await reopen_cycle(story.services, TEAM, Q4, actor="ada", reason="The year was another one")
    assert await cycle_of(story) == ("2027-01-01", "2027-04-01")


async def test_named_cycles_presets_timezone_and_parents_are_inherited_by_teams_to_come(story: Story) -> None:
    await settle(
        story,
        ACME
        | {
            "timezone": "Asia/Tokyo",
            "cycles": {"migration": {"start": "2026-11-01", "end": "2026-12-01"}},
            "presets": {"strict": {"on_track": 1, "behind": "0.99"}},
            "preset": "strict",
            "teams": {"company": None, "support": "company"},
        },
    )
    await story.apply(FILE.replace(Q4, "migration"))
    await tell(story, order("o1", "2026-11-03T12:00:00Z"), order("o2", "2026-11-04T12:00:00Z"))
    sales = await story.key_result("sales")
    assert (sales.cycle.name, sales.cycle.start.isoformat(), sales.status) == ("migration", "2026-11-01", "at_risk")
    async with story.services.database.reading() as session:
        team = await get_team(session, TEAM)
        view = await get_organisation(session)
    assert team is not None
    assert (team.timezone, team.parent) == ("Asia/Tokyo", "company")
    assert (view.version, view.updated_by, view.timezone) == (1, "ada", "Asia/Tokyo")
    with pytest.raises(InvalidTeamFile) as refused:
        await settle(story, ACME)  # the team is in the middle of that cycle
    assert "migration" in refused.value.problems[0].message
    await story.apply(FILE)  # once it has gone on, what it measured there is still to be read
    await settle(story, ACME)
    assert await cycle_of(story, cycle="migration") == ("2026-11-01", "2026-12-01")


async def test_another_default_timezone_makes_new_revisions_where_the_team_has_none_of_its_own(story: Story) -> None:
    await story.apply(FILE)
    other = FILE.replace("team: support", "team: other\ntimezone: America/New_York")
    await apply_team_file(story.services, read_yaml(other.encode()).value, team="other", actor="dana")
    await settle(story, ACME | {"timezone": "Europe/Rome"})
    await story.work()
    revisions = await story.rows(
        "SELECT t.name, max(r.number) FROM metric_revision r JOIN metric m ON m.id = r.metric_id "
        "JOIN team t ON t.id = m.team_id WHERE m.name = 'sold' GROUP BY t.name ORDER BY t.name"
    )
    assert revisions == [("other", 1), ("support", 2)]


async def test_saying_the_same_again_changes_nothing(story: Story) -> None:
    await story.apply(FILE)
    await settle(story, APRIL)
    before = await story.dump()
    again = await settle(story, APRIL)
    assert (again.fields, again.teams, again.version) == ([], [], 1)
    assert await story.dump() == before
    with pytest.raises(VersionConflict):
        await settle(story, ACME, if_match=7)
    await settle(story, ACME, if_match=1)
    assert [row[0] for row in await story.rows("SELECT action FROM audit WHERE object_kind = 'organisation'")] == [
        "create",
        "update",
    ]


@pytest.mark.parametrize(
    ("value", "place", "code"),
    [
        ({"version": 1}, "/name", "missing"),
        (ACME | {"fiscal_year_start": 13}, "/fiscal_year_start", "less_than_equal"),
        (ACME | {"timezone": "Europe/Belin"}, "/timezone", "unknown_name"),
        (ACME | {"cycle": {}}, "/cycle", "unknown_key"),
        (ACME | {"cycles": {"m": {"start": "2026-02-01", "end": "2026-02-01"}}}, "/cycles/m/end", "cycle"),
        (ACME | {"preset": "strickt"}, "/preset", "unknown_name"),
        (ACME | {"teams": {"a": "b"}}, "/teams/a", "unknown_name"),
        (ACME | {"teams": {"a": "b", "b": "a"}}, "/teams/a", "circle"),
        ([], "", "model_type"),
    ],
)
def test_what_is_wrong_is_named_at_its_place(value: Any, place: str, code: str) -> None:
    problems = check_organisation_file(value).problems
    assert (place, code) in {(pointer(problem.path), problem.code) for problem in problems}
