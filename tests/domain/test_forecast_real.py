"""Forecasts of real histories, on the part of the time that the method was not designed on."""

from collections.abc import Callable
from functools import cache
from pathlib import Path

import pytest

from bench.forecast import Score, geometric_mean, scored
from bench.histories import Recorded, helpdesk, issues

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
