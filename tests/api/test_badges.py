"""A badge and a card shown elsewhere: who sees them, what they say, and that silence is never green."""

from datetime import timedelta
from xml.etree import ElementTree

from tests.api.conftest import World, on_sqlite
from tests.conftest import FakeClock

KEY = "/v1/key-results/operations/satisfaction_up/badge"
SVG = "/badge/operations/satisfaction_up.svg"
GREEN = "#1a7f4b"


async def assert_value(world: World, value: str, day: str = "2026-11-22") -> None:
    path = f"/v1/metrics/operations/satisfaction/values/{day}"
    answer = await world.http.put(path, json={"value": value}, headers=await world.as_("write"))
    assert answer.status_code == 200, answer.text


async def test_a_badge_tells_the_word_and_is_never_green_while_stale(world: World, clock: FakeClock) -> None:
    await world.apply()
    await assert_value(world, "7.8")
    addresses = (await world.http.get(KEY, headers=await world.as_("read"))).json()

    fresh = await world.http.get(addresses["svg"])
    assert (fresh.status_code, fresh.headers["content-type"]) == (200, "image/svg+xml")
    assert ElementTree.fromstring(fresh.text).get("aria-label") == "Satisfaction up: on track 90%"
    assert GREEN in fresh.text
    assert "default-src 'none'" in fresh.headers["content-security-policy"]
    assert fresh.headers["cache-control"] == "private, max-age=60"
    again = await world.http.get(addresses["svg"], headers={"If-None-Match": fresh.headers["etag"]})
    assert (again.status_code, again.content) == (304, b"")

    card = await world.http.get(addresses["html"])
    assert "7.8 score" in card.text
    assert "on track" in card.text
    assert "frame-ancestors *" in card.headers["content-security-policy"]
    assert "<script" not in card.text

    clock.advance(timedelta(days=15))  # beyond what the metric promises
    stale = await world.http.get(addresses["svg"], headers={"If-None-Match": fresh.headers["etag"]})
    assert stale.status_code == 200
    assert ElementTree.fromstring(stale.text).get("aria-label") == "Satisfaction up: stale"
    assert GREEN not in stale.text
    assert GREEN not in (await world.http.get(addresses["html"])).text


@on_sqlite
async def test_a_badge_opens_for_its_own_key_or_for_a_reader(world: World) -> None:
    await world.apply()
    await world.apply(team="finance")
    addresses = (await world.http.get(KEY, headers=await world.as_("read"))).json()
    key = addresses["svg"].partition("key=")[2]
    assert (await world.http.get(SVG)).status_code == 401
    assert (await world.http.get(SVG, headers=await world.as_("read"))).status_code == 200
    assert (await world.http.get(SVG, headers=await world.as_("ingest"))).status_code == 403
    assert (await world.http.get(SVG, headers=await world.as_("read", team="finance"))).status_code == 403
    # A key is for one key result: not for its neighbour, and not for the same name elsewhere.
    for path in ("/badge/operations/orders_up.svg", "/badge/finance/satisfaction_up.svg", "/badge/nobody/here.html"):
        assert (await world.http.get(f"{path}?key={key}")).status_code == 404
    assert (await world.http.get(f"{SVG}?key={'0' * 32}")).status_code == 404
    assert (await world.http.get(f"{SVG}?key=short")).status_code == 422
    token = await world.token("read")
    assert (await world.http.get(f"{SVG}?token={token}")).status_code == 422


async def test_the_key_of_a_team_that_has_become_private_opens_nothing(world: World) -> None:
    await world.apply()
    addresses = (await world.http.get(KEY, headers=await world.as_("read"))).json()
    assert (await world.http.get(addresses["svg"])).status_code == 200
    await world.apply(private=True)
    assert (await world.http.get(addresses["svg"])).status_code == 404
    assert (await world.http.get(SVG, headers=await world.as_("read"))).status_code == 404
    assert (await world.http.get(SVG, headers=await world.as_("read", team="operations"))).status_code == 200


@on_sqlite
async def test_a_title_can_not_write_markup(world: World) -> None:
    title = '<script>alert(1)</script> & "more"'
    objective = {
        "title": "T",
        "cycle": "2026-Q4",
        "key_results": {"satisfaction_up": {"metric": "satisfaction", "baseline": 6, "target": 8, "title": title}},
    }
    await world.apply(objectives={"happy_desk": objective})
    headers = await world.as_("read")
    svg = (await world.http.get(SVG, headers=headers)).text
    label = ElementTree.fromstring(svg).get("aria-label")
    assert label is not None
    assert label.startswith(title)
    for text in (svg, (await world.http.get(SVG.replace(".svg", ".html"), headers=headers)).text):
        assert "<script" not in text
