"""Suggestions for misspelt names."""

from collections.abc import Iterable
from difflib import get_close_matches

_LONGEST = 63
_MOST_CANDIDATES = 600  # the timezones are about that many


def closest(word: str, candidates: Iterable[str]) -> str | None:
    """The candidate that was most likely meant, None where nothing is close. Long words are never compared."""
    if not 0 < len(word) <= _LONGEST:
        return None
    spelling = word.casefold().replace("-", "_")
    by_spelling: dict[str, str] = {}
    for candidate in candidates:
        if abs(len(candidate) - len(word)) <= max(2, len(word) // 3):
            by_spelling.setdefault(candidate.casefold().replace("-", "_"), candidate)
        if len(by_spelling) >= _MOST_CANDIDATES:
            break
    found = get_close_matches(spelling, by_spelling, n=1, cutoff=0.65)
    return by_spelling[found[0]] if found else None
