"""Forecasts of real histories, on the part of the time that the method was not designed on."""

from collections.abc import Callable
from datetime import UTC, date, datetime
from decimal import Decimal
from functools import cache
from pathlib import Path

import pytest

from bench.forecast import Score, geometric_mean, scored
from bench.histories import Recorded, from_csv, helpdesk, issues

read = cache(lambda source, folder: source(folder))


def scores(recorded: list[Recorded], days: int) -> list[Score]:
    found = [scored(metric, "rest", days) for metric in recorded]
    return [score for score in found if score.given and score.last_loss and score.linear_loss]


@pytest.mark.parametrize("days", [90, 365])
@pytest.mark.parametrize("source", [helpdesk, issues])
def test_forecasts_beat_naive_guesses_and_their_interval_holds(
    shared_data: Path, source: Callable[[Path], list[Recorded]], days: int
) -> None:
    known = scores(read(source, shared_data), days)
    given = sum(score.given for score in known)
    assert given > 400
    assert 0.7 <= sum(score.inside for score in known) / given <= 0.9
    assert geometric_mean([score.loss / score.last_loss for score in known]) < 0.8
    assert geometric_mean([score.loss / score.linear_loss for score in known]) < 0.5
    assert geometric_mean([score.miss / score.linear_miss for score in known]) < 0.7


def test_a_chance_is_what_it_says(shared_data: Path) -> None:
    chances = [pair for score in scores(read(helpdesk, shared_data), 365) for pair in score.chances]
    likely = [reached for chance, reached in chances if chance >= 0.8]
    unlikely = [reached for chance, reached in chances if chance <= 0.2]
    assert len(likely) > 40
    assert len(unlikely) > 40
    assert sum(likely) / len(likely) > 0.75
    assert sum(unlikely) / len(unlikely) < 0.3


def test_histories_of_ones_own_are_read_from_a_csv_file(tmp_path: Path) -> None:
    file = tmp_path / "own.csv"
    file.write_text(
        "metric,at,value,cumulative\n"
        "closed,2026-01-02T09:00:00,3,1\nclosed,2026-01-01T22:00:00+01:00,1.5,1\nopen,2026-01-01T00:00:00Z,7,\n",
        encoding="utf-8",
    )
    closed, still_open = from_csv(file)
    assert (closed.name, closed.values, closed.shape.is_cumulative) == ("closed", [Decimal("1.5"), Decimal(3)], True)
    assert datetime(2026, 1, 1, tzinfo=UTC) in closed.shape.resets
    assert (still_open.values, still_open.shape.is_cumulative) == ([Decimal(7)], False)
    assert closed.history(date(2026, 1, 1), datetime(2026, 1, 2, tzinfo=UTC)) == [
        (datetime(2026, 1, 1, 23, 59, tzinfo=UTC), Decimal("1.5"))
    ]
