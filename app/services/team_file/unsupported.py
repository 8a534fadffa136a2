"""What the team file's language names and this version does not build: refused by name, never accepted and ignored."""

from collections.abc import Collection

from app.domain.records import JsonValue
from app.services.team_file.problems import Path, Problems

CONNECTORS = frozenset({"slack"})

_CONNECTION = {"webhook_secret": "a connection's own webhooks are"}
_DATASET = {
    "stream": "a stream of this kind is",
}


def connection(raw: JsonValue, path: Path, problems: Problems, known: Collection[str]) -> JsonValue:
    """The connection without what is refused; keys in `known` are the connector's own."""
    return _without(raw, {key: what for key, what in _CONNECTION.items() if key not in known}, path, problems)


def dataset(raw: JsonValue, path: Path, problems: Problems, known: Collection[str]) -> JsonValue:
    """The dataset without what is refused; keys in `known` are the connector's own."""
    return _without(raw, {key: what for key, what in _DATASET.items() if key not in known}, path, problems)


def _without(raw: JsonValue, keys: dict[str, str], path: Path, problems: Problems) -> JsonValue:
    """A copy of a mapping without the keys that are refused."""
    if not isinstance(raw, dict):
        return raw
    for key in raw:
        if key in keys:
            problems.not_supported((*path, key), keys[key])
    return {key: value for key, value in raw.items() if key not in keys}
