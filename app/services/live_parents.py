"""Which objectives move when others do: those that they contribute to, of any team."""

from collections.abc import Iterable, Mapping, Sequence

from app.services.alignment import contributions_of
from app.store import organisation
from app.store.database import Session

_EVERY = 1_000_000
#: The kinds of audit entries after which contributions may be others.
_MOVES_THEM = frozenset({"objective", "team", "cycle"})


class Parents:
    """What each current objective contributes to, read once and again when that may have changed."""

    def __init__(self) -> None:
        self._of: Mapping[str, Sequence[str]] | None = None

    async def keep_current(self, session: Session, changed: Iterable[str]) -> None:
        """Read them where nothing was read yet, or something of these kinds has changed."""
        if self._of is not None and _MOVES_THEM.isdisjoint(changed):
            return
        every = await organisation.list_objectives(session, limit=_EVERY, current_only=True)
        found = {f"{team.name}/{one.name}": [name for name, _ in contributions_of(one.spec)] for one, team in every}
        self._of = {name: parents for name, parents in found.items() if parents}

    def with_those_above(self, names: Iterable[str]) -> list[str]:
        """The objectives and all that they contribute to, however far up; each once, the lower ones first."""
        found = dict.fromkeys(names)
        waiting = list(found)
        while waiting:
            above = [name for name in (self._of or {}).get(waiting.pop(), ()) if name not in found]
            found |= dict.fromkeys(above)
            waiting += above
        return list(found)
