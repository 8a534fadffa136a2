"""What was made of a text before: the same few statuses, people and saves come in issue after issue."""

from collections.abc import Callable
from typing import TypeVar

MadeT = TypeVar("MadeT")


class KnownTexts(dict[bytes, MadeT]):
    """What `make` makes of a text, made once: finding its bytes in a table costs less than reading them again.

    At most `limit` are kept; when there are more, it begins anew. What `make` raises is raised, and nothing is kept.
    """

    def __init__(self, make: Callable[[bytes], MadeT], limit: int) -> None:
        super().__init__()
        self._make = make
        self._limit = limit

    def __missing__(self, text: bytes) -> MadeT:
        if len(self) >= self._limit:
            self.clear()
        made = self[text] = self._make(text)
        return made
