"""What is worth telling, and when."""

from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from app.domain.notice import (
    MOST_ATTEMPTS,
    Change,
    Standing,
    Watch,
    is_wanted,
    last_digest,
    next_digest,
    observe,
    quiet_until,
    retry_wait,
)
from app.domain.notify import DigestSpec, NotifySpec

BERLIN = ZoneInfo("Europe/Berlin")
NOW = datetime(2026, 11, 22, 9, 30, tzinfo=UTC)
SETTLE = timedelta(minutes=5)
WORDS = ["on_track", "behind", "at_risk", "stale"]


def utc(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


@given(st.lists(st.tuples(st.sampled_from(WORDS), st.integers(1, 12)), max_size=60))
def test_what_is_told_is_a_chain_of_things_that_differ(looks: list[tuple[str, int]]) -> None:
    watch, now, told = Watch(Standing("on_track")), NOW, ["on_track"]
    seen: list[tuple[datetime, str]] = []
    for word, minutes in looks:
        now += timedelta(minutes=minutes)
        seen.append((now, word))
        watch, change = observe(watch, Standing(word), now=now, settle=SETTLE)
        if change is None:
            continue
        assert change.before.word == told[-1] != change.after.word == word
        told.append(word)
        # It stood for as long as is asked, or had been away from what was told for six times that.
        since = [at for at, _ in seen if at >= change.since]
        stood = now - change.since >= SETTLE and {w for at, w in seen if at >= change.since} == {word}
        away = now - seen[0][0] >= 6 * SETTLE
        assert since
        assert stood or away
    assert watch.told.word == told[-1]


def test_what_goes_back_in_time_was_never_away() -> None:
    watch, change = observe(Watch(Standing("met")), Standing("void"), now=NOW, settle=SETTLE)
    assert (change, watch.waiting) == (None, Standing("void"))
    watch, change = observe(watch, Standing("met"), now=NOW + SETTLE, settle=SETTLE)
    assert (change, watch) == (None, Watch(Standing("met")))


@pytest.mark.parametrize(
    ("before", "after", "direction"),
    [
        (Standing("on_track"), Standing("at_risk"), "worse"),
        (Standing("missed"), Standing("behind"), "better"),
        (Standing("stale"), Standing("on_track"), "resolved"),
        (Standing("stale"), Standing("at_risk"), "worse"),
        (Standing("at_risk"), Standing("met"), "resolved"),
        (Standing("met"), Standing("met", ("staff",)), "worse"),
        (Standing("met", ("staff",)), Standing("met"), "resolved"),
        (Standing("on_track"), Standing("met"), "changed"),
        (Standing("at_risk"), Standing("paused"), "changed"),
    ],
)
def test_directions(before: Standing, after: Standing, direction: str) -> None:
    assert Change(before, after, NOW).direction == direction


def test_what_a_team_does_not_want_is_not_told_but_the_end_of_what_was() -> None:
    worse = Change(Standing("on_track"), Standing("behind"), NOW)
    end = Change(Standing("at_risk"), Standing("on_track"), NOW)
    assert not is_wanted(worse, ("at_risk",), is_open=False)
    assert is_wanted(worse, None, is_open=False)
    assert is_wanted(end, ("at_risk",), is_open=True)
    assert not is_wanted(end, ("at_risk",), is_open=False)
    assert is_wanted(Change(Standing("met"), Standing("met", ("staff",)), NOW), ("guardrail",), is_open=False)


@pytest.mark.parametrize(
    ("hours", "now", "until"),
    [
        ("20:00-07:00", "2026-11-22T18:59", None),
        ("20:00-07:00", "2026-11-22T19:00", "2026-11-23T06:00"),
        ("20:00-07:00", "2026-11-23T05:59", "2026-11-23T06:00"),
        ("20:00-07:00", "2026-11-23T06:00", None),
        ("12:00-13:00", "2026-11-22T11:30", "2026-11-22T12:00"),
        # Clocks are set forward on 29 March 2026 and back on 25 October 2026.
        ("20:00-07:00", "2026-03-28T22:00", "2026-03-29T05:00"),
        ("20:00-07:00", "2026-10-24T22:00", "2026-10-25T06:00"),
        ("01:00-02:30", "2026-10-25T00:10", "2026-10-25T00:30"),
        ("01:00-02:30", "2026-10-25T01:10", "2026-10-25T01:30"),
        # 02:30 is not on that night's clocks: it is 03:30 there.
        ("01:00-02:30", "2026-03-29T00:30", "2026-03-29T01:30"),
    ],
)
def test_quiet_hours_are_local(hours: str, now: str, until: str | None) -> None:
    expected = None if until is None else utc(until)
    assert quiet_until(utc(now), hours, BERLIN) == expected


@given(st.integers(0, 365 * 1440), st.sampled_from(["20:00-07:00", "01:00-02:30"]))
def test_quiet_hours_always_end_within_a_day(minutes: int, hours: str) -> None:
    now = utc("2026-01-01T00:00") + timedelta(minutes=minutes)
    until = quiet_until(now, hours, BERLIN)
    assert until is None or now < until <= now + timedelta(hours=26)


def test_a_digest_comes_at_the_same_local_time_all_year() -> None:
    spec = DigestSpec(weekday="mon", at="09:00")
    now, days, moments = utc("2026-01-05T08:00"), [], []
    while now < utc("2027-01-05T08:00"):
        day, moment = last_digest(now, spec, BERLIN)
        days.append(day)
        moments.append(moment)
        following = next_digest(now, spec, BERLIN)
        assert last_digest(following - timedelta(seconds=1), spec, BERLIN) == (day, moment)
        now = following
    assert len(set(days)) == len(days) == 53
    assert {moment.astimezone(BERLIN).strftime("%a %H:%M") for moment in moments} == {"Mon 09:00"}
    assert len({moment.hour for moment in moments}) == 2  # summer and winter


def test_waits_grow_spread_and_end() -> None:
    waits = [retry_wait(attempts, 50) for attempts in range(1, MOST_ATTEMPTS)]
    assert None not in waits
    assert waits == sorted(waits, key=lambda wait: wait or timedelta())
    assert retry_wait(MOST_ATTEMPTS, 0) is None
    assert retry_wait(1, 0) == timedelta(seconds=4)
    assert (retry_wait(1, 99) or timedelta()) < timedelta(seconds=6)


@pytest.mark.parametrize(
    ("spec", "word"),
    [
        ({}, "nobody would be told"),
        ({"slack": {"channel": "C1"}}, "token"),
        ({"slack": {}}, "a webhook, or a channel"),
        ({"slack": {"webhook": "https://hooks.slack.com/services/T/B/x"}}, "never a literal"),
        ({"slack": {"webhook": {"sealed": "x"}}}, "reference"),
        ({"webhook": {"url": "ftp://x", "secret": {"env": "A"}}}, "http"),
        ({"webhook": {"url": "https://user:pass@x.test/", "secret": {"env": "A"}}}, "http"),
        ({"webhook": {"url": "https://x.test/"}}, "required"),
        ({"email": {"to": []}}, "at least 1"),
        ({"email": {"to": ["a@b\nBcc: c@d"]}}, "address"),
        ({"email": {"to": ["a@b"]}, "quiet_hours": "20:00-20:00"}, "different"),
        ({"email": {"to": ["a@b"]}, "quiet_hours": "20-7"}, "20:00-07:00"),
        ({"email": {"to": ["a@b"]}, "settle": "2d"}, "1d"),
        ({"email": {"to": ["a@b"]}, "only": ["sad"]}, "at_risk"),
        ({"email": {"to": ["a@b"]}, "digest": {"weekday": "monday"}}, "mon"),
        ({"email": {"to": ["a@b"]}, "digest": {"at": "9:00"}}, "09:00"),
    ],
)
def test_what_a_team_may_not_say(spec: dict[str, object], word: str) -> None:
    with pytest.raises(ValidationError, match=word):
        NotifySpec.model_validate(spec)
