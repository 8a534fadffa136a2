"""How good forecasts are: on histories of a help desk and a Jira project, against naive guesses.

Every quarter of every metric is forecast from five moments in it (20, 35, 50, 65 and 80 % of it), from what was known
then. Histories are split by time: the method was designed on the first part only, the second one is what counts.

The pinball loss is the mean over the 10, 50 and 90 % quantiles; a guess without an interval is all three. `last value`
stays where it is; `linear` goes on from the quarter's first day through today's value (from 0 where a value
accumulates). Ratios below 1 are better than the guess; those of all metrics are their geometric mean.
"""

import argparse
import math
import statistics
import time
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from datetime import time as clock
from pathlib import Path

from app.domain.forecast import Forecast, forecast
from app.domain.progress import Bound
from bench.histories import Recorded, from_csv, helpdesk, issues, quarters
from bench.report import machine, table

NAME = "forecast"
HELP = "forecasts of real histories: calibration and loss, against naive guesses"

MOMENTS = (0.2, 0.35, 0.5, 0.65, 0.8)
QUANTILES = (0.1, 0.5, 0.9)
#: Quarters that end by then were designed on.
DESIGNED = {"help desk": date(2012, 1, 1), "Jira": date(2010, 1, 1)}
PROMISED = 0.8


def options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--data", type=Path, default=Path("../shared/data"), metavar="DIR", help="the recorded data")
    parser.add_argument("--csv", type=Path, metavar="FILE", help="histories of your own: metric,at,value[,cumulative]")
    parser.add_argument("--part", choices=("design", "rest"), default="rest", help="which part of the time (rest)")
    parser.add_argument("--days", type=int, default=365, metavar="N", help="days of history that are known (365)")


@dataclass(slots=True)
class Score:
    """What a metric's forecasts came to."""

    asked: int = 0
    given: int = 0
    inside: int = 0
    loss: float = 0.0
    last_loss: float = 0.0
    linear_loss: float = 0.0
    miss: float = 0.0
    last_miss: float = 0.0
    linear_miss: float = 0.0
    chances: list[tuple[float, bool]] = field(default_factory=list)

    def row(self, name: str) -> list[str]:
        ratios = (
            (self.loss / self.last_loss, self.loss / self.linear_loss) if self.last_loss and self.linear_loss else ()
        )
        misses = (
            (self.miss / self.last_miss, self.miss / self.linear_miss) if self.last_miss and self.linear_miss else ()
        )
        covered = f"{100 * self.inside / self.given:.0f} %" if self.given else "–"
        return [name, f"{self.given}/{self.asked}", covered, *_ratios(ratios), *_ratios(misses)]


@dataclass(frozen=True, slots=True)
class Case:
    """One forecast to make."""

    now: datetime
    end: datetime
    truth: float
    last: float
    linear: float


async def run(arguments: argparse.Namespace) -> None:
    if arguments.csv is not None:
        recorded = from_csv(arguments.csv)
    else:
        recorded = [*helpdesk(arguments.data), *issues(arguments.data)]
    spent: list[float] = []
    scores = {
        f"{metric.source}: {metric.name}": scored(metric, arguments.part, arguments.days, spent) for metric in recorded
    }
    print(f"{arguments.part}, {arguments.days} days of history; {machine()}\n")
    header = ["", "forecasts", "in the 80 % interval", "loss / last", "loss / linear", "error / last", "error / linear"]
    rows = [score.row(name) for name, score in scores.items()]
    rows.extend(
        _together(source, [score for name, score in scores.items() if name.startswith(f"{source}:")])
        for source in dict.fromkeys(metric.source for metric in recorded)
    )
    rows.append(_together("all", list(scores.values())))
    print(table(header, rows))
    print(f"\n{_chances(scores.values())}")
    if spent:
        print(f"\nmedian {statistics.median(spent):.2f} ms of CPU a forecast, 90th percentile {_p90(spent):.2f} ms")


def scored(metric: Recorded, part: str, days: int, spent: list[float] | None = None) -> Score:
    """What the forecasts of a metric come to in a part of the time; the CPU of each, in ms, is appended to `spent`."""
    score = Score()
    for case in _cases(metric, part):
        history = metric.history((case.now - timedelta(days=days)).date(), case.now)
        score.asked += 1
        # A goal a tenth beyond the value: near enough to be in doubt.
        must = Bound(">=", history[-1][1] * 11 / 10, is_relative=False) if history else None
        before = time.process_time()
        found = forecast(history, now=case.now, end=case.end, shape=metric.shape, must=must)
        if not isinstance(found, Forecast):
            continue
        if spent is not None:
            spent.append((time.process_time() - before) * 1000)
        low, middle, high = float(found.low), float(found.value_at_end), float(found.high)
        score.given += 1
        score.inside += low <= case.truth <= high
        score.loss += _pinball((low, middle, high), case.truth)
        score.last_loss += _pinball((case.last,) * 3, case.truth)
        score.linear_loss += _pinball((case.linear,) * 3, case.truth)
        score.miss += abs(middle - case.truth)
        score.last_miss += abs(case.last - case.truth)
        score.linear_miss += abs(case.linear - case.truth)
        if must is not None and found.chance_of_target is not None:
            score.chances.append((float(found.chance_of_target), case.truth >= float(must.limit)))
    return score


def _cases(metric: Recorded, part: str) -> Iterator[Case]:
    last_day = metric.first + timedelta(days=len(metric.values))
    for start, end in quarters(metric.first, last_day):
        designed = DESIGNED.get(metric.source)
        if designed is not None and (end <= designed) != (part == "design"):
            continue
        truth = metric.value_on(end - timedelta(days=1))
        for moment in MOMENTS:
            passed = int((end - start).days * moment) + 1
            now = start + timedelta(days=passed)
            value = metric.value_on(now - timedelta(days=1))
            before = metric.value_on(start - timedelta(days=1))
            if truth is None or value is None or before is None:
                continue
            origin = 0.0 if metric.shape.is_cumulative else float(before)
            step = (float(value) - origin) / passed
            yield Case(
                datetime.combine(now, clock(), UTC),
                datetime.combine(end, clock(), UTC),
                float(truth),
                float(value),
                float(value) + step * (end - now).days,
            )


def _pinball(guesses: Sequence[float], truth: float) -> float:
    return sum(
        (quantile - (truth < guess)) * (truth - guess) for quantile, guess in zip(QUANTILES, guesses, strict=True)
    ) / len(QUANTILES)


def _together(name: str, scores: Sequence[Score]) -> list[str]:
    used = [score for score in scores if score.given and score.last_loss and score.linear_loss]
    given = sum(score.given for score in scores)
    ratios = (
        [score.loss / score.last_loss for score in used],
        [score.loss / score.linear_loss for score in used],
        [score.miss / score.last_miss for score in used],
        [score.miss / score.linear_miss for score in used],
    )
    covered = f"{100 * sum(score.inside for score in scores) / given:.0f} %" if given else "–"
    asked = sum(score.asked for score in scores)
    return [f"**{name}**", f"{given}/{asked}", covered, *_ratios([geometric_mean(some) for some in ratios if some])]


def _chances(scores: Iterable[Score]) -> str:
    """How often a goal was reached that had such a chance."""
    chances = [pair for score in scores for pair in score.chances]
    rows = []
    for low, high in ((0.0, 0.1), (0.1, 0.3), (0.3, 0.7), (0.7, 0.9), (0.9, 1.01)):
        some = [reached for chance, reached in chances if low <= chance < high]
        if some:
            rows.append([f"{low:.1f}–{min(high, 1):.1f}", str(len(some)), f"{100 * sum(some) / len(some):.0f} %"])
    return table(["chance", "goals", "reached"], rows)


def _ratios(numbers: Sequence[float]) -> list[str]:
    return [f"{number:.2f}" for number in numbers] or ["–", "–"]


def geometric_mean(numbers: Sequence[float]) -> float:
    return math.exp(sum(math.log(max(number, 1e-9)) for number in numbers) / len(numbers))


def _p90(numbers: Sequence[float]) -> float:
    return sorted(numbers)[int(len(numbers) * 0.9)]
