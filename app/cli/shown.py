"""Parts of the service's answers as people read them: numbers rounded, moments to the minute, whatever is missing."""

import re
from collections.abc import Iterable, Mapping
from datetime import datetime
from decimal import Decimal
from typing import Any

from app.cli.output import clean
from app.domain.shown import digits_beside, goal_of

_PLACES = 2
_LONG_NUMBER = re.compile(r"(?<![\w.])-?\d+\.\d{3,}(?![\w.])")


def part(value: Mapping[str, Any], key: str) -> Mapping[str, Any]:
    """An object within an answer, empty where there is none."""
    found = value.get(key)
    return found if isinstance(found, dict) else {}


def items(value: Mapping[str, Any], key: str) -> list[Mapping[str, Any]]:
    """A list of objects within an answer, empty where there is none."""
    found: Iterable[Any] = value.get(key) or ()
    return [item for item in found if isinstance(item, dict)] if isinstance(found, list) else []


def rounded(value: str, most: int = _PLACES) -> str:
    """A number to two places (or `most`), or where it is smaller than that to two digits; `--json` has all of them."""
    whole, _, places = value.partition(".")
    if len(places) <= most or not (whole.lstrip("-") + places).isdigit():
        return value
    number = Decimal(value)
    kept = most if not number or number.adjusted() >= -1 else max(most, _PLACES - 1 - number.adjusted())
    text = format(round(number, kept), "f")
    return text.rstrip("0").rstrip(".") if not Decimal(text) or kept > _PLACES else text


def rounded_text(text: str) -> str:
    """A text with its long numbers rounded."""
    return _LONG_NUMBER.sub(lambda match: rounded(match[0]), text)


def signed(value: object) -> str:
    """A difference with its sign, rounded; a dash where it is unknown."""
    if value is None:
        return "–"
    text = rounded(clean(value))
    return text if text.startswith("-") or text == "0" else f"+{text}"


def with_unit(item: Mapping[str, Any], places: int = _PLACES) -> str:
    """The value of an answer with its metric's unit."""
    value, unit = item.get("value"), part(item, "metric").get("unit")
    return clean(value) if value is None or not unit else f"{rounded(clean(value), places)} {clean(unit)}"


def value_of(item: Mapping[str, Any]) -> str:
    """The value of a key result with its unit, in as many places as it takes to see whether it meets its goal."""
    value, target, baseline = (_decimal(item.get(key)) for key in ("value", "target", "baseline"))
    must = goal_of(target, baseline, part(item, "target_rule").get("maintain"))
    if value is None or must is None:
        return with_unit(item)
    whole = value.adjusted() + 1
    places = digits_beside(value, must, baseline, at_least=max(whole + _PLACES, 1)) - whole
    return with_unit(item, places)


def _decimal(text: object) -> Decimal | None:
    return None if text is None else Decimal(str(text))


def minute(moment: object) -> str:
    """A moment as people read it, to the minute; what is none is shown as it is."""
    if not isinstance(moment, str):
        return clean(moment)
    try:
        found = datetime.fromisoformat(moment)
    except ValueError:
        return clean(moment)
    zone = "" if found.tzinfo is None else "Z" if not found.utcoffset() else f"{found:%z}"
    seconds = f":{found:%S}" if found.second else ""
    return f"{found:%Y-%m-%d %H:%M}{seconds}{zone}"
