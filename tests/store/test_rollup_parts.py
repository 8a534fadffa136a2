"""The parts a roll-up is made of: keys in order, whole days, buckets that split."""

from collections import Counter
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from itertools import groupby
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.domain.window import local_day
from app.store import rollup_buckets
from app.store.rollup_buckets import Scale, added_up, changed, find
from app.store.rollup_days import SPAN, cover, days_in
from app.store.rollup_keys import after, number_key, number_of

NUMBERS = st.decimals(allow_nan=False, allow_infinity=False, min_value=-(10**30), max_value=10**30, places=None) | (
    st.integers(-1000, 1000).map(lambda number: Decimal(number) / 100)
)
ZONES = st.sampled_from(["UTC", "Europe/Berlin", "Pacific/Apia", "Pacific/Kiritimati", "Etc/GMT+12", "Africa/Cairo"])
MOMENTS = st.integers(-2_000_000_000, 7_000_000_000).map(lambda second: datetime.fromtimestamp(second, UTC))


@given(NUMBERS, NUMBERS)
def test_keys_are_ordered_as_their_numbers_are(one: Decimal, other: Decimal) -> None:
    assert (number_key(one) < number_key(other)) == (one < other)
    assert (number_key(one) == number_key(other)) == (one == other)
    assert number_key(one) < after(number_key(one))
    if one < other:
        assert after(number_key(one)) < number_key(other)


@given(NUMBERS)
def test_a_number_is_read_back_from_its_key(number: Decimal) -> None:
    assert number_of(number_key(number)) == number


def test_a_key_needs_a_finite_number() -> None:
    with pytest.raises(ValueError, match="finite"):
        number_key(Decimal("NaN"))


@given(MOMENTS, ZONES)
def test_a_day_by_ordinal_is_the_local_day(at: datetime, name: str) -> None:
    days, zone = days_in(ZoneInfo(name)), ZoneInfo(name)
    assert days.of(at) == local_day(at, zone).toordinal()
    assert days.start(days.of(at)) <= at < days.start(days.of(at) + 1)


@pytest.mark.parametrize("name", ["Etc/GMT+12", "Pacific/Kiritimati"])
@pytest.mark.parametrize("at", [datetime.min.replace(tzinfo=UTC), datetime.max.replace(tzinfo=UTC)])
def test_the_ends_of_the_calendar_have_a_day(at: datetime, name: str) -> None:
    days = days_in(ZoneInfo(name))
    assert days.of(at) in (1, date.max.toordinal())


@given(MOMENTS, st.integers(0, 400 * 86400), ZONES, MOMENTS)
def test_a_cover_holds_each_moment_of_its_window_once(start: datetime, length: int, name: str, at: datetime) -> None:
    days = days_in(ZoneInfo(name))
    end = start + timedelta(seconds=length)
    covered = cover(start, end, days)
    if covered is None:
        assert days.of(end) - days.of(start) <= 1
        return
    for moment in (at, start, end, start + (end - start) / 2, end - timedelta(microseconds=1)):
        day = days.of(moment)
        held = sum(first <= day < last for first, last in covered.days)
        held += covered.spans[0] <= day - day % SPAN < covered.spans[1]
        held += sum(first <= moment < last for first, last in covered.edges)
        assert held == (start <= moment < end)


@given(st.lists(st.lists(st.integers(0, 60), max_size=30), max_size=12), st.data())
def test_ranks_are_found_through_any_splits(batches: list[list[int]], data: st.DataObject) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(rollup_buckets, "FULL", 8)
        scale, lanes = Scale(), b""
        everything: list[int] = []
        for batch in batches:
            lanes = changed(lanes, Counter(scale.lane_of(number_key(Decimal(number))) for number in batch))
            everything = sorted(everything + batch)
            for bucket in reversed(range(len(scale.bounds))):
                lanes = _split(scale, lanes, bucket, everything)
        scale = Scale.load(scale.dump())
        counts = scale.by_value(lanes)
        for bucket, count in enumerate(counts):
            assert count <= rollup_buckets.FULL or scale.has_one_value(bucket)
        if not everything:
            return
        rank = data.draw(st.integers(0, len(everything) - 1))
        bucket, place = find(counts, rank)
        assert _in_bucket(scale, bucket, everything)[place] == number_key(Decimal(everything[rank]))


def _in_bucket(scale: Scale, bucket: int, numbers: list[int]) -> list[bytes]:
    keys = [number_key(Decimal(number)) for number in numbers]
    return [key for key in keys if scale.bucket_of(key) == bucket]


def _split(scale: Scale, lanes: bytes, bucket: int, numbers: list[int]) -> bytes:
    keys = _in_bucket(scale, bucket, numbers)
    if len(keys) <= rollup_buckets.FULL or scale.has_one_value(bucket):
        return lanes
    old = scale.lanes[bucket]
    scale.split(bucket, [(key, len(list(same))) for key, same in groupby(keys)], rollup_buckets.FULL)
    moved = Counter(scale.lane_of(key) for key in keys)
    moved[old] -= len(keys)
    return changed(lanes, moved)


@given(st.lists(st.lists(st.integers(0, 2**20), max_size=6), max_size=20))
def test_rows_of_different_lengths_add_up(rows: list[list[int]]) -> None:
    packed = [changed(b"", dict(enumerate(row))) for row in rows]
    length = max((len(row) for row in rows), default=0)
    expected = [sum(row[lane] for row in rows if lane < len(row)) for lane in range(length)]
    assert list(rollup_buckets.unpack(added_up(packed), length)) == expected
