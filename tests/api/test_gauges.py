"""Key results and pulls as gauges: what is unknown has no sample, and nothing of a private team is told."""

from datetime import timedelta

from prometheus_client.openmetrics.parser import text_string_to_metric_families
from sqlalchemy import select

from app.store.tables import Plan, Run
from tests.api.conftest import World
from tests.conftest import FakeClock

Series = dict[tuple[str, tuple[tuple[str, str], ...]], float]


async def scraped(world: World) -> Series:
    """Every sample of ours by its name and labels, read by the parser of the format."""
    answer = await world.http.get("/metrics", headers=await world.as_("read"))
    assert answer.status_code == 200
    return {
        (sample.name, tuple(sorted(sample.labels.items()))): float(sample.value)
        for family in text_string_to_metric_families(answer.text)  # type: ignore[no-untyped-call]
        for sample in family.samples
    }


def labels(name: str, **more: str) -> tuple[tuple[str, str], ...]:
    return tuple(sorted({"team": "operations", "name": name, "cycle": "2026-Q4", **more}.items()))


async def test_a_key_result_is_told_with_its_expectation_status_and_age(world: World, clock: FakeClock) -> None:
    await world.apply()
    path = "/v1/metrics/operations/satisfaction/values/2026-11-22"
    await world.http.put(path, json={"value": "7.8"}, headers=await world.as_("write"))
    clock.advance(timedelta(hours=2))
    found = await scraped(world)

    one = labels("satisfaction_up")
    assert found["krsync_key_result_value", one] == 7.8
    assert found["krsync_key_result_progress", one] == 0.9
    assert 0.56 < found["krsync_key_result_expected", one] < 0.59
    assert found["krsync_key_result_age_seconds", one] == 7200
    status = labels("satisfaction_up", status="on_track", freshness="fresh", lifecycle="active")
    assert found["krsync_key_result_status", status] == 1

    other = labels("orders_up")  # nothing has ever come from its connection
    assert ("krsync_key_result_progress", other) not in found
    assert ("krsync_key_result_age_seconds", other) not in found
    status = labels("orders_up", status="unknown", freshness="no_data", lifecycle="active")
    assert found["krsync_key_result_status", status] == 1


async def test_pulls_of_the_last_day_are_counted_by_how_they_ended(world: World, clock: FakeClock) -> None:
    await world.apply()
    now = clock()
    async with world.services.database.writing() as session:
        plan = (await session.scalars(select(Plan).limit(1))).one()
        for ago, outcome in ((1, "succeeded"), (2, "succeeded"), (3, "failed"), (25, "failed")):
            started = now - timedelta(hours=ago)
            session.add(Run(plan_id=plan.id, fence=ago, started_at=started, finished_at=started, outcome=outcome))

    def runs(found: Series) -> dict[str, float]:
        return {
            dict(given)["outcome"]: value for (name, given), value in found.items() if name == "krsync_runs_last_day"
        }

    assert runs(await scraped(world)) == {"succeeded": 2, "failed": 1}
    await world.apply(private=True)
    found = await scraped(world)
    assert runs(found) == {}
    assert not [name for name, _ in found if name.startswith("krsync_key_result")]
