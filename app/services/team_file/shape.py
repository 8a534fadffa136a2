"""A model's validation errors as plain sentences at the places they are about.

pydantic reports every member of a union, names them in paths, and speaks of inputs and patterns. Here a place has one
sentence, its path is that of the file, and the input is never repeated: it may be a secret.
"""

import re
from collections.abc import Iterable, Sequence
from decimal import Decimal
from typing import Any, TypeVar, get_args

from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails

from app.domain.records import JsonValue
from app.domain.scalars import PATTERN_MEANINGS
from app.services.team_file.problems import Path, Problems, shown

ModelT = TypeVar("ModelT", bound=BaseModel)

_EXPECTED = {
    "string_type": "text is expected",
    "string_unicode": "text is expected",
    "string_too_short": "this is empty",
    "bool_type": "true or false is expected",
    "bool_parsing": "true or false is expected",
    "int_type": "a whole number is expected",
    "int_parsing": "a whole number is expected",
    "int_from_float": "a whole number is expected",
    "decimal_type": "a number is expected",
    "decimal_parsing": "a number is expected",
    "model_type": "a mapping is expected",
    "model_attributes_type": "a mapping is expected",
    "dict_type": "a mapping is expected",
    "list_type": "a list is expected",
    "tuple_type": "a list is expected",
}
_QUOTED = re.compile(r"'([^']*)'")


def validated(
    model: type[ModelT],
    value: JsonValue,
    path: Path,
    problems: Problems,
    *,
    more_keys: Iterable[str] = (),
    open_choices: Sequence[Path] = (),
) -> ModelT | None:
    """The value as a model, or None with all that is wrong told to `problems` under `path`.

    `more_keys` are further keys to suggest at the top. `open_choices` are places whose list of words is known to grow:
    a word there that is no misspelling is not supported yet.
    """
    try:
        return model.model_validate(value)
    except ValidationError as error:
        for detail in error.errors(include_url=False):
            _report(_Fault(detail, model, value), path, problems, tuple(more_keys), open_choices)
        return None


def unknown_key(path: Path, keys: Iterable[str], problems: Problems) -> None:
    """Report the key that `path` ends in, with the nearest of `keys`."""
    word = str(path[-1])
    problems.add(path, "unknown_key", f"unknown key {shown(word)}", suggestion=problems.suggest(word, keys))


class _Fault:
    """One error of pydantic with its path in the file."""

    def __init__(self, detail: ErrorDetails, model: type[BaseModel], value: JsonValue) -> None:
        self.kind = detail["type"]
        self.message = detail["msg"]
        self.context: dict[str, Any] = detail.get("ctx", {})
        self.model = model
        self.location = detail["loc"]
        self.path, self.given = _navigated(self.location, value, self.kind)
        if self.kind in ("union_tag_invalid", "union_tag_not_found") and "discriminator" in self.context:
            # The error is about the whole; what is wrong is the key that tells the forms apart.
            key = self.context["discriminator"].strip("'")
            self.given = self.given.get(key) if isinstance(self.given, dict) else None
            self.path = (*self.path, key)


def _navigated(location: Path, value: Any, kind: str) -> tuple[Path, Any]:
    """The steps of an error's location that exist in the file (others name members of unions), and the value there."""
    steps: list[str | int] = []
    here = value
    for index, step in enumerate(location):
        is_key = isinstance(here, dict) and step in here
        is_index = isinstance(here, list) and isinstance(step, int) and 0 <= step < len(here)
        if is_key or is_index:
            here = here[step]
        elif kind == "missing" and index == len(location) - 1:
            here = None
        else:
            continue
        steps.append(step)
    return tuple(steps), here


def _report(
    fault: _Fault, base: Path, problems: Problems, more_keys: tuple[str, ...], open_choices: Sequence[Path]
) -> None:
    path = (*base, *fault.path)
    if "objections" in fault.context:
        for code, message, key in fault.context["objections"]:
            problems.add(path if key is None else (*path, key), code, message)
    elif fault.kind == "extra_forbidden":
        keys = _keys_at(fault.model, fault.location[:-1])
        unknown_key(path, [*keys, *(more_keys if len(fault.path) == 1 else ())], problems)
    elif fault.kind in ("missing", "union_tag_not_found"):
        problems.add(path, "missing", f"{shown(path[-1] if path else None)} is missing")
    elif fault.kind in ("literal_error", "union_tag_invalid", "enum"):
        _report_choice(fault, path, problems, is_open=fault.path in open_choices)
    else:
        problems.add(path, fault.kind, _sentence(fault))


def _report_choice(fault: _Fault, path: Path, problems: Problems, *, is_open: bool) -> None:
    words = str(fault.context.get("expected") or fault.context.get("expected_tags") or "")
    choices = _QUOTED.findall(words)
    suggestion = problems.suggest(fault.given, choices) if isinstance(fault.given, str) else None
    expected = ", ".join(choices) or words
    if is_open and isinstance(fault.given, str) and suggestion is None:
        problems.add(path, "not_supported_yet", f"this is not supported yet; supported: {expected}")
    else:
        message = f"one of {expected} is expected" if len(choices) > 1 else f"{expected} is expected"
        problems.add(path, "unknown_value", message, suggestion=suggestion)


def _sentence(fault: _Fault) -> str:
    if fault.kind == "string_pattern_mismatch":
        return PATTERN_MEANINGS.get(fault.context.get("pattern", ""), "this text is not of the expected form")
    if fault.kind == "string_too_long":
        return f"at most {fault.context.get('max_length')} characters are expected"
    message = _EXPECTED.get(fault.kind)
    if message is None:
        return _lowered(fault.message.removeprefix("Value error, "))
    if fault.given is None:
        return f"{message}, this is empty"
    if fault.kind == "string_type" and isinstance(fault.given, bool | int | Decimal):
        return f"{message}; put it in quotes"
    return message


def _lowered(message: str) -> str:
    return message[:1].lower() + message[1:]


def _keys_at(model: type[BaseModel], location: Path) -> list[str]:
    """The keys that the models at a location know. Steps that are no field (members of unions, indices) lead nowhere
    else."""
    models = [model]
    for step in location:
        inner = [found for one in models for found in _field_models(one, step)]
        models = inner or models
    return [field.alias or name for one in models for name, field in one.model_fields.items()]


def _field_models(model: type[BaseModel], step: str | int) -> list[type[BaseModel]]:
    for name, field in model.model_fields.items():
        if step == (field.alias or name):
            return _models_in(field.annotation)
    return []


def _models_in(annotation: Any) -> list[type[BaseModel]]:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return [annotation]
    return [model for argument in get_args(annotation) for model in _models_in(argument)]
