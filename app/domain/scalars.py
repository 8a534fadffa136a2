"""The team file's scalars: names, spans, exact numbers, cycles and bounds, and what to say when one is misspelt."""

import contextlib
import re
from datetime import date, datetime, timedelta
from decimal import Decimal
from typing import Annotated

from pydantic import AfterValidator, BeforeValidator, Discriminator, PlainSerializer, StringConstraints, WithJsonSchema
from pydantic_core import PydanticCustomError

from app.domain.formula import MAX_LENGTH, FormulaError, parse_formula
from app.domain.names import NAME_PATTERN

REFERENCE_PATTERN = r"^[a-z][a-z0-9_]*([./][a-z][a-z0-9_]*)?$"
HALF_DAY_PATTERN = r"^([0-9]{4}-)?[0-9]{2}-[0-9]{2}$"
HOURS_PATTERN = r"^([01][0-9]|2[0-3]):[0-5][0-9]-([01][0-9]|2[0-4]):[0-5][0-9]$"
REGION_PATTERN = r"^[A-Z]{2}(-[A-Z0-9]{1,3})?$"
AGGREGATE_PATTERN = r"^(count|sum|avg|median|min|max|last|p[1-9][0-9]?)$"
CYCLE_PATTERN = r"^[0-9]{4}(-(Q[1-4]|H[12]|0[1-9]|1[0-2]))?$"
NAMED_CYCLE_PATTERN = r"^([0-9]{4}(-(Q[1-4]|H[12]|0[1-9]|1[0-2]))?|[a-z][a-z0-9_]{0,62})$"
CHANGE_PATTERN = r"^[+-][0-9]{1,15}(\.[0-9]{1,10})?%?$"
_LIMIT = r"-?[0-9]{1,15}(\.[0-9]{1,10})?"
BOUND_PATTERN = rf"^((>=|<=|>|<)\s*{_LIMIT}|between\s+{_LIMIT}\s+and\s+{_LIMIT})$"
STEP_PATTERN = r"^[A-Za-z0-9\u00C0-\uFFFD][^/\x00-\x1F\x7F]{0,98}$"
GUARDRAIL_PATTERN = (
    rf"^((>=|<=|>|<)\s*{_LIMIT}(% of baseline)?|between\s+{_LIMIT}\s+and\s+{_LIMIT}"
    rf"|between\s+{_LIMIT}%?\s+and\s+{_LIMIT}% of baseline)$"
)
# What each pattern means, for people who got it wrong.
PRESET_PATTERN = r"^[a-z][a-z0-9_]*(\.[a-z][a-z0-9_]*)?$"
PATTERN_MEANINGS = {
    PRESET_PATTERN: "the name of a preset is expected, such as github.pull_requests",
    NAME_PATTERN: "a name of lower-case letters, digits and _ that starts with a letter is expected",
    REFERENCE_PATTERN: "a name is expected, or team/name",
    HOURS_PATTERN: "hours such as 09:00-17:00 are expected",
    HALF_DAY_PATTERN: "a day of every year or of one is expected, such as 12-24 or 2026-12-24",
    REGION_PATTERN: "a country or region of ISO 3166 is expected, such as DE or DE-BE",
    AGGREGATE_PATTERN: "an aggregate is count, sum, avg, median, min, max, last, a percentile such as p90, "
    "or {distinct: …}",
    CYCLE_PATTERN: "a cycle is a year, half, quarter or month: 2026, 2026-H1, 2026-Q4 or 2026-11",
    NAMED_CYCLE_PATTERN: "a cycle is a year, half, quarter or month (2026, 2026-H1, 2026-Q4, 2026-11), or the name of "
    "one of your own",
    CHANGE_PATTERN: "a change is signed: -25% or +3",
    BOUND_PATTERN: "a bound is expected, such as >= 99.9 or between 5 and 10",
    STEP_PATTERN: "a name of at most 99 characters is expected that starts with a letter or digit and has no /",
    GUARDRAIL_PATTERN: "a bound is expected, such as >= 40, between 5 and 10, or >= 97% of baseline",
}

Name = Annotated[str, StringConstraints(pattern=NAME_PATTERN, max_length=63)]
Reference = Annotated[str, StringConstraints(pattern=REFERENCE_PATTERN, max_length=127)]
StepName = Annotated[str, StringConstraints(pattern=STEP_PATTERN)]
Text = Annotated[str, StringConstraints(min_length=1, max_length=2000)]
Title = Annotated[str, StringConstraints(min_length=1, max_length=200)]
Expression = Annotated[str, StringConstraints(min_length=1, max_length=4000)]
PresetName = Annotated[str, StringConstraints(pattern=PRESET_PATTERN, max_length=127)]

_DURATION = re.compile(r"([1-9][0-9]{0,9})(s|m|h|d|w)")
_LONGEST = timedelta(days=36_500)  # a century: moments stay within what a datetime can hold
_UNITS = {"s": "seconds", "m": "minutes", "h": "hours", "d": "days", "w": "weeks"}


def parse_timedelta(text: object) -> timedelta:
    """`30d`, `24h`, `15m`, `2w` as a timedelta; raises a pydantic error for anything else."""
    if isinstance(text, timedelta):
        return text
    match = _DURATION.fullmatch(text) if isinstance(text, str) else None
    if match is None:
        raise PydanticCustomError("duration", "a duration is a whole number and a unit: 30d, 24h, 15m, 2w")
    count, unit = int(match[1]), _UNITS[match[2]]
    if count > _LONGEST / timedelta(**{unit: 1}):
        raise PydanticCustomError("duration", "a duration is at most 36500d")
    return timedelta(**{unit: count})


_DURATION_SCHEMA = {"type": "string", "pattern": "^[1-9][0-9]*[smhdw]$", "examples": ["30d", "24h"]}


def _check_duration(text: str) -> str:
    parse_timedelta(text)
    return text


DurationText = Annotated[str, AfterValidator(_check_duration), WithJsonSchema(_DURATION_SCHEMA)]
"""A duration that keeps the unit it was written in."""


def format_timedelta(span: timedelta) -> str:
    """The shortest spelling that `parse_timedelta` reads back as the same span, weeks never used."""
    seconds = int(span.total_seconds())
    for size, unit in ((86400, "d"), (3600, "h"), (60, "m")):
        if seconds % size == 0:
            return f"{seconds // size}{unit}"
    return f"{seconds}s"


def _exact(value: object) -> object:
    if isinstance(value, bool | float):
        raise PydanticCustomError("number", "a number is expected")
    if isinstance(value, str):
        if not re.fullmatch(r"-?[0-9]{1,28}(\.[0-9]{1,28})?", value):
            raise PydanticCustomError("number", "a decimal number is expected, such as 12 or 99.9")
        value = Decimal(value)
    if isinstance(value, int):
        value = Decimal(value)
    if isinstance(value, Decimal):
        _, digits, exponent = value.as_tuple()
        if not isinstance(exponent, int) or value.adjusted() > 27 or exponent < -28 or len(digits) > 28:
            raise PydanticCustomError("number", "a finite number of at most 28 digits is expected")
    return value


Number = Annotated[
    Decimal,
    BeforeValidator(_exact),
    PlainSerializer(lambda value: format(value, "f"), return_type=str),
    WithJsonSchema({"anyOf": [{"type": "number"}, {"type": "string", "pattern": r"^-?[0-9]{1,28}(\.[0-9]{1,28})?$"}]}),
]
Span = Annotated[
    timedelta,
    BeforeValidator(parse_timedelta),
    PlainSerializer(format_timedelta, return_type=str),
    WithJsonSchema(_DURATION_SCHEMA),
]


def _year_as_text(value: object) -> object:
    """YAML reads `2026` as a number; it is the name of a cycle."""
    return str(value) if isinstance(value, int) and not isinstance(value, bool) and 1000 <= value <= 9999 else value


def _signed(value: object) -> object:
    """YAML reads `+3` as a number; it is a change."""
    if isinstance(value, int | Decimal) and not isinstance(value, bool):
        return format(value, "+d" if isinstance(value, int) else "+f")
    return value


CycleName = Annotated[
    str,
    BeforeValidator(_year_as_text),
    StringConstraints(pattern=NAMED_CYCLE_PATTERN),
    WithJsonSchema(
        {
            "anyOf": [
                {"type": "string", "pattern": NAMED_CYCLE_PATTERN},
                {"type": "integer", "minimum": 1000, "maximum": 9999},
            ]
        }
    ),
]
"""`2026-Q4`, or the name of a cycle that the team or the organisation dates itself."""


def _iso_date(value: object) -> object:
    """Numbers are no dates, though pydantic would take them for seconds."""
    if isinstance(value, str) and re.fullmatch(r"[0-9]{4}-[0-9]{2}-[0-9]{2}", value):
        with contextlib.suppress(ValueError):
            return date.fromisoformat(value)
    if isinstance(value, date) and not isinstance(value, datetime):
        return value
    raise PydanticCustomError("date", "a date is expected, such as 2026-11-30")


LocalDate = Annotated[date, BeforeValidator(_iso_date)]
"""A day in the team's timezone."""
ChangeText = Annotated[
    str,
    BeforeValidator(_signed),
    StringConstraints(pattern=CHANGE_PATTERN),
    WithJsonSchema({"anyOf": [{"type": "string", "pattern": CHANGE_PATTERN}, {"type": "number"}]}),
]


def _check_order(text: str) -> str:
    limits = [Decimal(limit) for limit in re.findall(r"-?[0-9]+(?:\.[0-9]+)?", text)]
    if len(limits) == 2 and limits[0] > limits[1]:
        raise PydanticCustomError("bound", "nothing lies between these: the lower bound comes first")
    return text


BoundText = Annotated[str, StringConstraints(pattern=BOUND_PATTERN), AfterValidator(_check_order)]
GuardrailText = Annotated[str, StringConstraints(pattern=GUARDRAIL_PATTERN), AfterValidator(_check_order)]
HalfDayText = Annotated[str, StringConstraints(pattern=HALF_DAY_PATTERN)]
HoursText = Annotated[str, StringConstraints(pattern=HOURS_PATTERN)]
RegionText = Annotated[str, StringConstraints(pattern=REGION_PATTERN)]


def _check_formula(text: str) -> str:
    try:
        parse_formula(text)
    except FormulaError as error:
        raise PydanticCustomError("formula", "{message}", {"message": str(error)}) from None
    return text


FormulaText = Annotated[str, StringConstraints(min_length=1, max_length=MAX_LENGTH), AfterValidator(_check_formula)]
"""Arithmetic over metrics: `overhead / headcount`."""


def one_of(kinds: dict[str, type | tuple[type, ...]], expected: str) -> Discriminator:
    """Tells the forms of a union apart before they are validated, so that only the form that is meant complains.

    `kinds` names each form by its tag: by a key of its mapping (`<trailing>`), or by its types (`<word>`). Tags are in
    angle brackets, as no key is, so that a problem's path can leave them out.
    """

    def tag(value: object) -> str | None:
        for name, types in kinds.items():
            if isinstance(value, types) or (isinstance(value, dict) and name[1:-1] in value):
                return name
        return "<mapping>" if isinstance(value, dict) and "<mapping>" in kinds else None

    return Discriminator(tag, custom_error_type="form", custom_error_message=expected)


_ADDRESS_PATTERN = r"^[A-Za-z0-9.!#$%&'*+/=?^_`{|}~-]{1,64}@[A-Za-z0-9-]{1,63}(\.[A-Za-z0-9-]{1,63})*$"


def _checked_address(text: str) -> str:
    if re.fullmatch(_ADDRESS_PATTERN, text) is None:
        raise PydanticCustomError("address", "an e-mail address is expected, such as team@acme.example")
    return text


Address = Annotated[
    str, AfterValidator(_checked_address), WithJsonSchema({"type": "string", "pattern": _ADDRESS_PATTERN})
]
