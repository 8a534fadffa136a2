"""Values as people read them. What is exact stays in the API; a page shows what an eye can take in."""

import re
from collections.abc import Mapping
from datetime import date, datetime, timedelta
from decimal import ROUND_HALF_EVEN, Decimal
from unicodedata import east_asian_width
from urllib.parse import urlsplit
from zoneinfo import ZoneInfo

from app.domain.progress import Bound, parse_bound
from app.domain.shown import digits_beside, goal_of, whole_percent
from app.services.views import GuardrailView, KeyResultView

THIN = "\u202f"
"""A narrow space that does not break a line: between thousands, and before a sign."""
SPACE = "\u00a0"
"""A space that does not break a line: between a number and its unit."""

DIGITS = 4
"""Significant digits that an eye takes in."""

_LONG_DECIMAL = re.compile(r"(\d\.\d{6})\d+")
_SHORT_UNITS = {"percent": "%", "business_days": "business days", "business_hours": "business hours"}
_SYMBOLS: Mapping[str, str] = {"EUR": "€", "USD": "$", "GBP": "£", "JPY": "¥"}
_SIZES = ((Decimal(10) ** 9, "bn"), (Decimal(10) ** 6, "M"))


def rounded(value: Decimal, significant: int = DIGITS) -> Decimal:
    """So many significant digits, and every digit before the point."""
    if value == 0 or not value.is_finite():
        return Decimal(0) if value == 0 else value
    digits = max(significant - 1 - value.adjusted(), 0)
    short = value.quantize(Decimal(1).scaleb(-digits), ROUND_HALF_EVEN) if digits <= 20 else Decimal(0)
    text = format(short, "f")
    return Decimal(text.rstrip("0").rstrip(".") or "0") if "." in text else short


def amount(value: Decimal | str | None, digits: int = DIGITS) -> str:
    """`1 240.5`; a dash for what is unknown."""
    if value is None:
        return "—"
    return f"{rounded(Decimal(value), digits):,f}".replace(",", THIN).replace("-", "−")


def quantity(value: Decimal | str | None, unit: str | None, digits: int = DIGITS) -> str:
    """A number with its unit: `8.7 business days`, `63 %`, `€ 1.24 M`."""
    if value is None:
        return "—"
    number = Decimal(value)
    if unit is None or unit == "number":
        return amount(number, digits)
    if unit in _SYMBOLS:
        for size, word in _SIZES:
            if abs(number) >= size:
                return f"{_SYMBOLS[unit]}{THIN}{amount(number / size, digits)}{SPACE}{word}"
        return f"{_SYMBOLS[unit]}{THIN}{amount(number, digits)}"
    word = _SHORT_UNITS.get(unit, unit.replace("_", " "))
    if number == 1 and word.endswith("s") and " per " not in word and "/" not in word and len(word) > 3:
        word = word[:-1]
    return f"{amount(number, digits)}{THIN if word == '%' else SPACE}{word}"


def value_of(view: KeyResultView) -> str:
    """A key result's value with its unit, never as if it met what it misses: 95.996 beside `>= 96` is not 96."""
    must = goal_of(view.target, view.baseline, view.target_rule.get("maintain"))
    return quantity(view.value, view.metric.unit, _digits(view.value, must, view.baseline))


def guarded(guardrail: GuardrailView) -> str:
    """The value of a guardrail's metric, never as if it kept what it breaks."""
    return amount(guardrail.value, _digits(guardrail.value, parse_bound(guardrail.must), guardrail.baseline))


def _digits(value: Decimal | None, must: Bound | None, baseline: Decimal | None) -> int:
    return DIGITS if value is None or must is None else digits_beside(value, must, baseline, at_least=DIGITS)


def unit_words(unit: str) -> str:
    """A unit as words: `business_days` is `business days`, `percent` stays a word."""
    return unit.replace("_", " ")


def shortened(text: str) -> str:
    """A text whose long decimals are cut to six places, each marked: `26.084089…`. Every digit is in the API."""
    return _LONG_DECIMAL.sub(lambda found: f"{found[1]}…", text)


def from_of(value: Decimal | str | None, unit: str | None) -> str:
    """The first of two numbers of one unit: a currency's sign stands before each, a word is said once, at the end."""
    return quantity(value, unit) if unit in _SYMBOLS else amount(value)


def difference(value: Decimal | str | None) -> str:
    """A number with its sign: `+0.4`, `−3`."""
    text = amount(value)
    return f"+{text}" if value is not None and Decimal(value) > 0 else text


def bound(text: str, unit: str | None = None) -> str:
    """A bound as people write it: `>= 99.9` of percent is `≥ 99.9 %`."""
    sign, _, rest = text.partition(" ")
    sign = {">=": "≥", "<=": "≤"}.get(sign, sign)
    try:
        return f"{sign}{SPACE}{quantity(Decimal(rest), unit)}"
    except ArithmeticError:
        return f"{sign} {rest}"


def room(value: Decimal | str, unit: str | None) -> str:
    """How far a value is from its bound, on which side: `0.04 % of room`, `0.2 % beyond`."""
    number = Decimal(value)
    return f"{quantity(abs(number), unit)} {'of room' if number >= 0 else 'beyond'}"


def percent(share: float | None) -> str:
    """A fraction as a percentage without decimals: 0.63 is `63 %`."""
    return "—" if share is None else f"{whole_percent(share)}{THIN}%".replace("-", "−")


def exact(value: Decimal | str | None) -> str:
    """Every digit, for a tooltip."""
    return "unknown" if value is None else format(Decimal(value), "f")


def span(seconds: float | int | None) -> str:
    """`40 s`, `5 min`, `3 h`, `12 days`."""
    if seconds is None:
        return "—"
    left = int(abs(seconds))
    for size, word in ((86_400, "day"), (3_600, "h"), (60, "min")):
        if left >= size:
            count = left // size
            plural = "s" if word == "day" and count != 1 else ""
            return f"{count}{SPACE}{word}{plural}"
    return f"{left}{SPACE}s"


def duration(seconds: Decimal | str | None) -> str:
    """A length of time in its two largest parts: `3 days 4 h`, `2 h 10 min`, `40 s`."""
    if seconds is None:
        return "—"
    left = int(Decimal(seconds))
    sizes = ((86_400, "day"), (3_600, "h"), (60, "min"), (1, "s"))
    for place, (size, _) in enumerate(sizes):
        if left >= size:
            rest = left % size
            second = span(rest) if place < 3 and rest >= sizes[place + 1][0] else ""
            return f"{span(left)}{SPACE}{second}" if second else span(left)
    return span(0)


def ago(moment: datetime | None, now: datetime) -> str:
    """`5 min ago`, `in 3 h`, `just now`; `never` where there is none."""
    if moment is None:
        return "never"
    seconds = (now - moment).total_seconds()
    if abs(seconds) < 10:
        return "just now"
    return f"{span(seconds)} ago" if seconds > 0 else f"in {span(seconds)}"


def day(value: date | datetime | None) -> str:
    """`30 Nov 2026`."""
    return "—" if value is None else f"{value.day}{SPACE}{value:%b}{SPACE}{value:%Y}"


def last_day(end: date) -> str:
    """The last day of what ends before a day begins: a quarter until 1 Jan 2027 lasts through `31 Dec 2026`."""
    return day(end - timedelta(days=1))


def clock(value: datetime | None, zone: str | None = None) -> str:
    """`30 Nov 2026 09:30` in UTC, as the page says once; or in a timezone, which is said beside it."""
    if value is None:
        return "—"
    local = value if zone is None else value.astimezone(ZoneInfo(zone))
    return f"{day(local)} {local:%H:%M}"


def words(name: str) -> str:
    """An identifier as text: `at_risk` is `at risk`."""
    return name.replace("_", " ")


def sentence(name: str) -> str:
    """An identifier as the beginning of a line: `At risk`."""
    text = words(name)
    return text[:1].upper() + text[1:]


def short(text: str, length: int) -> str:
    """At most so many letters wide, an ellipsis in the place of what is left out; East Asian letters are two wide."""
    taken, width = "", 0
    for character in text:
        width += _width(character)
        if width > length:
            return taken.rstrip() + "…"
        taken += character
    return text


def two_lines(text: str, length: int) -> tuple[str, str]:
    """A text broken once between words (or letters, where there are none), each line at most so many letters wide."""
    if sum(map(_width, text)) <= length:
        return text, ""
    width = 0
    for place, character in enumerate(text):
        width += _width(character)
        if width > length:
            cut = text.rfind(" ", 0, place + 1)
            cut = place if cut < length // 3 else cut
            return text[:cut].rstrip(), short(text[cut:].lstrip(), length)
    return text, ""


def _width(character: str) -> int:
    return 2 if east_asian_width(character) in "WF" else 1


def safe_link(url: str | None) -> str | None:
    """A link that a page may show: http or https, nothing that a browser would run."""
    if url is None:
        return None
    try:
        parts = urlsplit(url.strip())
    except ValueError:
        return None
    return url if parts.scheme in ("http", "https") and parts.netloc else None


def of_cycle(start: date, end: date, today: date) -> tuple[int, int]:
    """(which day of the cycle today is, how many it has); 0 before it starts."""
    length = (end - start).days
    gone = (today - start).days + 1
    return max(0, min(gone, length)), length
