"""The JSON Schema of the team file, each connector's own options included: for editors and for the API's readers."""

from collections.abc import Mapping
from typing import Any

from pydantic import BaseModel

from app.domain.language import OrganisationFile, TeamFile
from app.services.team_file.rules import RULES
from app.services.team_file.words import WORDS
from connectors.contract import Connector
from connectors.registry import connectors as registered

_TEMPLATE = "#/$defs/{model}"


def team_file_schema(connectors: Mapping[str, Connector] | None = None) -> dict[str, Any]:
    """A JSON Schema (draft 2020-12) that accepts every team file that `check_team_file` does.

    What a dataset or query may hold depends on its connection, which a schema can not follow: there the options of all
    connectors are known. `connectors` defaults to the registered ones.
    """
    connectors = registered() if connectors is None else connectors
    schema = TeamFile.model_json_schema(ref_template=_TEMPLATE)
    definitions: dict[str, Any] = schema["$defs"]
    for name, definition in ((schema["title"], schema), *definitions.items()):
        _describe(name, definition.get("properties", {}))
    connection = definitions["ConnectionSpec"]
    connection["oneOf"] = [
        _connection(connection["properties"], connector, definitions) for connector in connectors.values()
    ]
    kinds = {"enum": sorted(connectors), "description": connection["properties"]["connector"]["description"]}
    connection.update(additionalProperties=True, properties={"connector": kinds})
    for name, models in (
        ("DatasetSpec", [connector.dataset for connector in connectors.values()]),
        ("QuerySource", [connector.query for connector in connectors.values()]),
    ):
        _open(definitions[name], [model for model in models if model is not None], definitions)
    return {"$schema": "https://json-schema.org/draft/2020-12/schema", **schema}


def organisation_file_schema() -> dict[str, Any]:
    """A JSON Schema (draft 2020-12) of `organisation.yaml`, its keys described."""
    schema = OrganisationFile.model_json_schema(ref_template=_TEMPLATE)
    for name, definition in ((schema["title"], schema), *schema.get("$defs", {}).items()):
        _describe(name, definition.get("properties", {}))
    return {"$schema": "https://json-schema.org/draft/2020-12/schema", **schema}


def _describe(model: str, properties: dict[str, dict[str, Any]]) -> None:
    """What each key means and looks like, and which warnings there are to silence."""
    for key, word in WORDS.get(model, {}).items():
        if key in properties:
            description, *examples = word
            properties[key] |= {"description": description} | ({"examples": examples} if examples else {})
    if "silence" in properties:
        properties["silence"] = {
            "type": "object",
            "description": "Warnings that do not apply here: the code, and the reason why not.",
            "properties": {
                rule.code: {"type": "string", "minLength": 1, "maxLength": 2000, "description": rule.summary}
                for rule in RULES.values()
            },
            "additionalProperties": False,
        }


def _connection(own: dict[str, Any], connector: Connector, definitions: dict[str, Any]) -> dict[str, Any]:
    """A connection of one kind: its connector's config beside the key that names it."""
    config = _schema(connector.config, definitions)
    kind = {"const": connector.key, "description": own["connector"]["description"]}
    return {
        "type": "object",
        "title": connector.title,
        "properties": {**config.get("properties", {}), **own, "connector": kind},
        "required": ["connector", *config.get("required", ())],
        "additionalProperties": False,
    }


def _open(target: dict[str, Any], models: list[type[BaseModel]], definitions: dict[str, Any]) -> None:
    """Add the options of several connectors to an object that takes those of any one of them."""
    options: dict[str, list[dict[str, Any]]] = {}
    for model in models:
        for key, option in _schema(model, definitions).get("properties", {}).items():
            if option not in options.setdefault(key, []):
                options[key].append(option)
    for key, found in options.items():
        target["properties"].setdefault(key, found[0] if len(found) == 1 else _either(found))
    target["additionalProperties"] = False


def _either(options: list[dict[str, Any]]) -> dict[str, Any]:
    """A key that several connectors take, each in its own way; it means what all of them say."""
    told = dict.fromkeys(option["description"] for option in options if "description" in option)
    return {"anyOf": options, "description": " ".join(told)}


def _schema(model: type[BaseModel], definitions: dict[str, Any]) -> dict[str, Any]:
    """A connector's model, its definitions put with ours under names that can not meet."""
    prefix = f"{model.__module__}.{model.__qualname__}."
    schema = model.model_json_schema(ref_template=f"#/$defs/{prefix}{{model}}")
    for name, definition in schema.pop("$defs", {}).items():
        definitions[prefix + name] = definition
    return schema
