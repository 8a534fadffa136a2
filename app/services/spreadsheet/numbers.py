"""Numbers of OKRs as people type them: those of any sheet, and `15 → 5`, `from 15 to 5 days`, `by 25 %`."""

import re
from dataclasses import replace

from app.services.spreadsheet.words import DOWN, UP, says
from connectors.spreadsheet import numbers
from connectors.spreadsheet.numbers import (
    CURRENCY,
    DIGITS,
    AmbiguousNumberError,
    DecimalMark,
    NumberError,
    Quantity,
    plain,
)

_ARROW = re.compile(r"\s*(?:→|➔|➜|⇒|⟶|-+>|=+>|–>|—>)\s*")
_FROM_TO = re.compile(
    r"\b(?:from|von)\s+(?P<first>[^→]{1,40}?)\s+(?:down\s+to|up\s+to|to|auf|bis|zu)\s+(?P<second>.{1,60})",
    re.IGNORECASE,
)
_BY = re.compile(rf"\b(?:by|um)\s+(?P<amount>{DIGITS}\s?(?:%|percent\b|Prozent\b)(?!-?punkte))", re.IGNORECASE)


def read_quantity(text: str, mark: DecimalMark | None, *, is_guess: bool = False, is_prose: bool = False) -> Quantity:
    """As that of any sheet; of a number that can be read in two ways it says which option settles it."""
    try:
        return numbers.read_quantity(text, mark, is_guess=is_guess, is_prose=is_prose)
    except AmbiguousNumberError as error:
        raise NumberError(f"{error}: say --decimal . or --decimal ,") from None


def read_range(text: str, mark: DecimalMark | None, *, is_guess: bool = False) -> tuple[Quantity, Quantity] | None:
    """Both ends of `15 → 5 days` or `from 15 to 5 days`, wherever in a text it stands; None where there is none.

    What only the second says (unit, thousands) holds for both. Raises NumberError where an end is no number.
    """
    found = _FROM_TO.search(text)
    if found:
        first, second = found["first"], found["second"]
    else:
        sides = _ARROW.split(text)
        if len(sides) != 2:
            return None
        numbers = list(re.finditer(rf"(?:{CURRENCY})?\s?[-+−]?(?:{CURRENCY})?\s?{DIGITS}[^\d]*$", sides[0]))
        if not numbers:
            return None
        first, second = numbers[-1][0].strip(), sides[1]
    if not re.search(r"\d", first) or not re.match(r"[^\d]{0,12}\d", second):
        return None
    start = read_quantity(first, mark, is_guess=is_guess)
    end = read_quantity(second, mark, is_guess=is_guess, is_prose=True)
    if end.scale and not start.scale and abs(start.value) < 1000:
        start = replace(start, value=start.value.scaleb(end.scale), scale=end.scale)
    return replace(start, unit=start.unit or end.unit), replace(end, unit=end.unit or start.unit)


def read_change(text: str, mark: DecimalMark | None) -> str | None:
    """`-25%` of `reduce costs by 25 %`, as the team file writes it; None where a text says no such thing."""
    found = _BY.search(text)
    if found is None or says(text, DOWN) == says(text, UP):
        return None
    amount = read_quantity(found["amount"], mark).value
    return f"{'-' if says(text, DOWN) else '+'}{plain(amount)}%"
