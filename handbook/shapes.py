"""A JSON Schema in words: what a key takes, for people."""

import json
from collections.abc import Callable
from typing import Any

from handbook.markdown import code

Schema = dict[str, Any]
#: What stands for a named shape, given its name in the document: a link, where there is a page of it.
Link = Callable[[str], str]

_NUMBER = [{"type": "number"}, {"type": "string"}]


def takes(schema: Schema, link: Link) -> str:
    """What a value of this shape is, such as "`now`, `cycle`, or [Trailing](#trailing)"; never a bare pattern."""
    if "$ref" in schema:
        return link(str(schema["$ref"]).rpartition("/")[2])
    if schema.get("title") == "Secret reference":
        return "a secret's reference: `{env: NAME}` or `{file: /path}`"
    if "const" in schema:
        return code(_written(schema["const"]))
    if "enum" in schema:
        return _any_of([code(_written(choice)) for choice in schema["enum"]])
    for key in ("anyOf", "oneOf"):
        if key in schema:
            return _one_of(schema[key], link)
    kind = schema.get("type")
    if kind == "array":
        return f"a list: {takes(schema.get('items', {}), link)}"
    if kind == "object":
        return _mapping(schema, link)
    return {
        "string": _text(schema),
        "integer": f"a whole number{_bounds(schema)}",
        "number": "a number",
        "boolean": "`true` or `false`",
        "null": "nothing",
    }.get(str(kind), "any value")


def default_of(schema: Schema) -> str:
    """What holds where the key is left out, as it would be written; empty where that is nothing."""
    given = schema.get("default")
    if "$ref" in schema:  # its own section has the defaults of its keys
        return ""
    return "" if given in (None, [], {}, ()) else code(_written(given))


def examples_of(schema: Schema) -> str:
    """Its examples, as they would be written."""
    return " · ".join(code(_written(example)) for example in schema.get("examples", ()))


def _one_of(choices: list[Schema], link: Link) -> str:
    kinds = [choice for choice in choices if choice.get("type") != "null"]
    if [{"type": choice.get("type")} for choice in kinds] == _NUMBER and "enum" not in kinds[1]:
        return "a number"
    words: list[str] = []
    for choice in kinds:
        word = takes(choice, link)
        if word not in words:
            words.append(word)
    return _any_of(words)


def _any_of(words: list[str]) -> str:
    return words[0] if len(words) == 1 else f"{', '.join(words[:-1])} or {words[-1]}"


def _mapping(schema: Schema, link: Link) -> str:
    inner = next(iter(schema.get("patternProperties", {}).values()), None) or schema.get("additionalProperties")
    if isinstance(inner, dict):
        return f"by name: {takes(inner, link)}"
    if schema.get("properties") and not schema.get("additionalProperties"):
        return (
            f"keys {_any_of([code(key) for key in schema['properties']])}" if len(schema["properties"]) < 6 else "keys"
        )
    return "keys and values"


def _text(schema: Schema) -> str:
    if schema.get("format") == "date":
        return "a day, `2026-11-15`"
    if schema.get("format") == "date-time":
        return "a moment, `2026-11-15T09:30:00Z`"
    if schema.get("pattern") == "^[a-z][a-z0-9_]*$":
        return "a name"
    return "text"


def _bounds(schema: Schema) -> str:
    low, high = schema.get("minimum", schema.get("ge")), schema.get("maximum", schema.get("le"))
    if low is None and high is None:
        return ""
    if high is None or high >= 2**53 - 1:
        return f" from {low}"
    return f" from {low} to {high:,}"


def _written(value: Any) -> str:
    """A value as a team file would have it on one line: JSON without needless quotes."""
    if isinstance(value, dict):
        return "{" + ", ".join(f"{key}: {_written(item)}" for key, item in value.items()) + "}"
    if isinstance(value, list):
        return "[" + ", ".join(_written(item) for item in value) + "]"
    if isinstance(value, str):
        plain = value != "" and not set(value) & set("{}[]&*#?|<>=!%@,\"'`") and ": " not in value
        return value if plain else json.dumps(value, ensure_ascii=False)
    return json.dumps(value)
