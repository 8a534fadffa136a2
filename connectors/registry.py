"""Every connector there is: ours in a tuple, others by the entry points of the group `krsync.connectors`.

    [project.entry-points."krsync.connectors"]
    acme = "acme_krsync:ACME"

An entry point must load to a `Connector` whose key no other has. One that does not is left out, and said so once in the
log and in `problems()`; it stops nothing.
"""

import logging
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cache
from importlib.metadata import EntryPoint, entry_points
from types import MappingProxyType

from connectors.contract import Connector
from connectors.github import GITHUB
from connectors.http_json import HTTP_JSON
from connectors.jira import JIRA
from connectors.prometheus import PROMETHEUS
from connectors.sheet import SHEET
from connectors.sql import SQL
from connectors.webhook import WEBHOOK

GROUP = "krsync.connectors"
CONNECTORS: tuple[Connector, ...] = (GITHUB, HTTP_JSON, JIRA, PROMETHEUS, SHEET, SQL, WEBHOOK)

_KEY = re.compile(r"[a-z][a-z0-9_]{0,49}")
_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Registry:
    """The connectors by key, and one sentence for each entry point that was left out."""

    connectors: Mapping[str, Connector]
    problems: tuple[str, ...] = ()


def build(own: Iterable[Connector], found: Iterable[EntryPoint] = ()) -> Registry:
    """A registry of our own connectors and those of entry points. ValueError where two of our own share a key."""
    connectors: dict[str, Connector] = {}
    for connector in own:
        if connector.key in connectors:
            raise ValueError(f"Two connectors have the key {connector.key!r}.")
        connectors[connector.key] = connector
    problems: list[str] = []
    for point in sorted(found, key=lambda point: (point.name, point.value)):
        try:
            loaded = point.load()
        except Exception as error:  # somebody else's module may fail in any way when it is imported
            problems.append(f"The connector {point.name} ({point.value}) could not be loaded: {type(error).__name__}.")
            _log.warning(problems[-1], exc_info=error)
            continue
        problem = _problem(loaded, connectors)
        if problem is None:
            connectors[loaded.key] = loaded
        else:
            problems.append(f"The connector {point.name} ({point.value}) {problem}.")
            _log.warning(problems[-1])
    return Registry(MappingProxyType(connectors), tuple(problems))


def _problem(loaded: object, connectors: Mapping[str, Connector]) -> str | None:
    if not isinstance(loaded, Connector):
        return "is not a connectors.contract.Connector"
    if not isinstance(loaded.key, str) or not _KEY.fullmatch(loaded.key):
        return "has a key that is not lower-case letters, digits and underscores"
    if loaded.key in connectors:
        return f"has the key {loaded.key!r}, which is taken"
    return None


@cache
def _registry() -> Registry:
    return build(CONNECTORS, entry_points(group=GROUP))


def connectors() -> Mapping[str, Connector]:
    """Every connector by its key; read once per process."""
    return _registry().connectors


def problems() -> tuple[str, ...]:
    """One sentence for each third-party connector that was left out."""
    return _registry().problems
