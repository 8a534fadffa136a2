"""Numbers as people type them: `1.234,5`, `12 %`, `$1.2M`, `(3,000)`, `>= 99.9`.

Nothing here guesses silently. What can be read in two ways (`1.234`) is decided by the rest of the sheet, or refused.
"""

import re
from collections.abc import Iterable
from dataclasses import dataclass
from decimal import Decimal
from typing import Literal

from connectors.spreadsheet.units import known_unit, unit_of

DecimalMark = Literal[".", ","]

_SPACES = " \u00a0\u2009\u202f"
DIGITS = rf"(?:\d{{1,3}}(?:[{_SPACES}'’.,]\d{{3}})+(?:[.,]\d+)?|\d+(?:[.,]\d+)?|[.,]\d+)(?![\d])"
CURRENCY = r"US\$|[€$£]|EUR|USD|GBP|CHF"
_SCALES = {
    "k": 3, "tsd": 3, "thousand": 3, "tausend": 3, "t": 3, "m": 6, "mio": 6, "mn": 6, "million": 6, "millions": 6,
    "millionen": 6, "bn": 9, "b": 9, "mrd": 9, "billion": 9, "milliarde": 9, "milliarden": 9,
}  # fmt: skip
# A lone m or t is minutes, metres or tons unless it is money; K and M stand for themselves.
_SCALE = (
    r"(?-i:[kKM]|[mMtTbB](?=\s?(?:€|EUR|USD|\$))|[Tt]sd\.?|[Tt]housand|[Tt]ausend|[Mm]io\.?|[Mm]n|[Mm]illion(?:s|en)?|"
)
_SCALE += r"[Bb]n|[Mm]rd\.?|[Bb]illion|[Mm]illiarden?)"
_BOUND = (
    r">=|<=|=>|=<|≥|≤|>|<|at least|at most|min\.?|max\.?|mindestens|höchstens|maximal|minimal|über|unter|above|below"
)
_QUANTITY = re.compile(
    rf"(?P<bound>{_BOUND})?\s*(?P<about>~|≈|ca\.?|about|approx\.?|rund|etwa)?\s*(?P<open>\()?\s*(?P<sign>[-+−–]\s?)?"
    rf"(?P<before>{CURRENCY})?\s?(?P<inner>[-+−–])?(?P<digits>{DIGITS})"
    rf"(?:\s?(?P<scale>{_SCALE})(?![A-Za-z]))?(?P<close>\))?\s*(?P<after>[^\d]*)",
    re.IGNORECASE,
)
_BOUNDS = {
    **dict.fromkeys((">=", "=>", "≥", "at least", "min", "mindestens", "minimal"), ">="),
    **dict.fromkeys(("<=", "=<", "≤", "at most", "max", "höchstens", "maximal"), "<="),
    **dict.fromkeys((">", "über", "above"), ">"),
    **dict.fromkeys(("<", "unter", "below"), "<"),
}
_PER = re.compile(r"(?:per\b|pro\b|je\b|/)\s*([^\W\d]+)", re.IGNORECASE)
_ANY = re.compile(rf"(?<![\w.,]){DIGITS}")
_TAIL = re.compile(r"\b(?:by|until|till|bis|in|im|for|für|on|at|and|und|with|while|the)\b|[.,;:(]", re.IGNORECASE)


class NumberError(ValueError):
    """A text that is no number; the message is for the user."""


class AmbiguousNumberError(NumberError):
    """A text that is one number with a decimal point, and another with a decimal comma."""


@dataclass(frozen=True, slots=True)
class Quantity:
    """A number with what stood around it. `is_signed`: a sign was written. `was_guessed`: it could be read
    in another way."""

    value: Decimal
    unit: str | None = None
    is_signed: bool = False
    bound: str | None = None
    scale: int = 0
    was_guessed: bool = False


def decimal_mark(texts: Iterable[str]) -> DecimalMark | None:
    """How a sheet writes its decimals, by the numbers that can be read in one way only; None where they say nothing.

    Raises NumberError where they say both.
    """
    marks: set[DecimalMark] = set()
    for text in texts:
        for match in _ANY.finditer(text):
            found = _mark_of(match[0])
            if found is not None:
                marks.add(found)
    if len(marks) > 1:
        raise NumberError("the sheet writes decimals with a point and with a comma")
    return next(iter(marks), None)


def _mark_of(digits: str) -> DecimalMark | None:
    marks = [c for c in digits if c in ".,"]
    if not marks:
        return None
    last: DecimalMark = "." if marks[-1] == "." else ","
    if len(set(marks)) == 2:
        return last
    if len(marks) > 1:
        return "," if last == "." else "."
    return None if _is_ambiguous(digits, last) else last


def _is_ambiguous(digits: str, mark: str) -> bool:
    whole, _, fraction = digits.partition(mark)
    return len(fraction) == 3 and whole.isdigit() and 1 <= len(whole) <= 3 and whole[0] != "0"


def read_quantity(text: str, mark: DecimalMark | None, *, is_guess: bool = False, is_prose: bool = False) -> Quantity:
    """The one number in a text. `mark`: how the sheet writes decimals (None: it can not be told); `is_guess`: that is
    not certain. In prose, words that follow are a unit only where it is known. Raises NumberError."""
    match = _QUANTITY.match(text.strip())
    if match is None or (not is_prose and match.end() != len(text.strip())):
        raise NumberError("is not a number")
    if bool(match["open"]) != bool(match["close"]):
        raise NumberError("has a bracket that is not closed" if match["open"] else "is not a number")
    value, was_guessed = _value(match["digits"], mark, is_guess)
    sign = (match["sign"] or match["inner"] or "").strip()
    if match["open"] or (sign and sign != "+"):
        value = -value
    scale = _SCALES[match["scale"].rstrip(".").lower()] if match["scale"] else 0
    before, after = match["before"], match["after"].strip()
    unit = unit_of(before) if before else None
    if after:
        under = _PER.match(after)
        if unit and under:
            unit = f"{unit}/{known_unit(under[1]) or under[1].lower()}"
        else:
            unit = unit or (_unit_in_prose(after) if is_prose else unit_of(after))
    bound = _BOUNDS[match["bound"].lower().rstrip(".")] if match["bound"] else None
    return Quantity(value.scaleb(scale), unit, bool(sign) or bool(match["open"]), bound, scale, was_guessed)


def _value(digits: str, mark: DecimalMark | None, is_guess: bool) -> tuple[Decimal, bool]:
    grouped = re.sub(rf"[{_SPACES}'’]", "", digits)
    marks = [c for c in grouped if c in ".,"]
    if len(set(marks)) == 2:
        last = marks[-1]
        if marks.count(last) > 1:
            raise NumberError("is not a number")
        return _exact(grouped.replace("," if last == "." else ".", "").replace(last, ".")), False
    if len(marks) > 1:
        return _exact(re.sub(r"[.,]", "", grouped)), False
    if not marks:
        return _exact(grouped), False
    if grouped == digits and _is_ambiguous(digits, marks[0]):
        if mark is None:
            raise AmbiguousNumberError("can be read in two ways, as the sheet uses point and comma")
        return _exact(grouped.replace(marks[0], "." if mark == marks[0] else "")), is_guess
    return _exact(grouped.replace(marks[0], ".")), False


def _exact(digits: str) -> Decimal:
    if len(digits) > 28:
        raise NumberError("has more than 28 digits")
    return Decimal("0" + digits if digits.startswith(".") else digits)


def _unit_in_prose(text: str) -> str | None:
    """The unit at the beginning of a text: a known one of two words or one, or the one or two words before the next
    preposition or mark."""
    if text[0] in "%€$£":
        return unit_of(text[0])
    words = re.findall(r"[^\s,.;:()]+", text)[:2]
    for length in (2, 1):
        found = known_unit(" ".join(words[:length])) if len(words) >= length else None
        if found is not None:
            return found
    phrase = _TAIL.split(text, maxsplit=1)[0].strip()
    return unit_of(phrase) if phrase and len(phrase.split()) <= 2 else None


def plain(value: Decimal) -> str:
    """A number without exponent and without zeros at its end."""
    text = format(value, "f")
    return text.rstrip("0").rstrip(".") if "." in text else text
