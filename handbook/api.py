"""The API reference: every operation of the OpenAPI document with its parameters, bodies, examples and errors."""

from functools import cache
from typing import Any

from app.api.application import Api
from handbook.markdown import anchor, cell, code, fenced, paragraphs, pretty, table
from handbook.shapes import Schema, default_of, takes

#: What belongs together and in which order; a tag that is new comes after them.
TAGS = (
    "key results",
    "objectives",
    "cycles",
    "teams",
    "organisation",
    "metrics",
    "datasets",
    "connections",
    "hooks",
    "deliveries",
    "live",
    "notifications",
    "slack",
    "tokens",
    "audit",
    "service",
)


@cache
def document() -> dict[str, Any]:
    """The OpenAPI document, as `/openapi.json` of a running service has it."""
    return Api(_never).routes.openapi()


def api_pages() -> dict[str, str]:
    """The pages by their paths: `reference/api/index.md`, one a tag, and the shapes that the answers have."""
    found = document()
    groups: dict[str, list[tuple[str, str, dict[str, Any]]]] = {tag: [] for tag in TAGS}
    for path, operations in found["paths"].items():
        for method, operation in operations.items():
            groups.setdefault(operation["tags"][0], []).append((method, path, operation))
    pages = {"reference/api/index.md": _index(found, groups), "reference/api/shapes.md": _shapes(found)}
    for tag, operations in groups.items():
        if operations:
            pages[f"reference/api/{_file(tag)}"] = _tag(tag, operations)
    return pages


def _never() -> Any:
    raise AssertionError("the document needs no context")


def _file(tag: str) -> str:
    return f"{tag.replace(' ', '-')}.md"


def _index(found: dict[str, Any], groups: dict[str, list[tuple[str, str, dict[str, Any]]]]) -> str:
    lines = ["# API reference", "", *paragraphs(found["info"]["description"])]
    lines += [
        "Made from the service's own OpenAPI document (`/openapi.json`); a property-based tester holds the service to "
        "it. Send `Authorization: Bearer okr_…`; scopes are `read`, `write`, `ingest` and `admin`.",
        "",
    ]
    for tag, operations in groups.items():
        lines += [f"## {tag.capitalize()}", ""]
        lines += table(
            ("operation", "what it does"),
            [
                (f"[{_named(method, path)}]({_file(tag)}#{anchor(operation['summary'])})", operation["summary"])
                for method, path, operation in operations
            ],
        )
    return "\n".join(lines)


def _named(method: str, path: str) -> str:
    return code(f"{method.upper()} {path}")


def _tag(tag: str, operations: list[tuple[str, str, dict[str, Any]]]) -> str:
    lines = [f"# {tag.capitalize()}", ""]
    for method, path, operation in operations:
        lines += _operation(method, path, operation)
    return "\n".join(lines)


def _operation(method: str, path: str, operation: dict[str, Any]) -> list[str]:
    lines = [f"## {operation['summary']}", "", *fenced(f"{method.upper()} {path}", "http")]
    lines += paragraphs(operation.get("description", ""))
    lines += table(
        ("parameter", "in", "takes", "left out", "what it means"),
        [
            (
                code(item["name"]),
                item["in"],
                takes(item["schema"], _shape_link),
                "**needed**" if item.get("required") else default_of(item["schema"]),
                item.get("description", ""),
            )
            for item in operation.get("parameters", ())
        ],
    )
    for media, content in operation.get("requestBody", {}).get("content", {}).items():
        lines += [f"**Body**, `{media}`: {takes(content.get('schema', {}), _shape_link)}", ""]
        lines += _example(content, media)
    errors = []
    for status, answer in operation["responses"].items():
        if int(status) < 400:
            lines += _answer(status, answer)
        else:
            errors.append((code(status), answer["description"]))
    if errors:
        lines += ['??? failure "Errors"', ""]
        lines += [f"    {line}" if line else "" for line in table(("status", "when"), errors)]
    return lines


def _answer(status: str, answer: dict[str, Any]) -> list[str]:
    lines: list[str] = []
    for media, content in answer.get("content", {}).items():
        shape = takes(content["schema"], _shape_link) if content.get("schema") else "as shown"
        lines += [
            f"**{status}**, `{media}`: {shape}. {cell(answer.get('description', ''))}",
            "",
            *_example(content, media),
        ]
    return lines or [f"**{status}**: {cell(answer.get('description', ''))}", ""]


def _example(content: dict[str, Any], media: str) -> list[str]:
    example = content.get("example")
    if example is None:
        return []
    is_text = isinstance(example, str)
    language = "json" if not is_text else "yaml" if "yaml" in media else "text"
    body = fenced(example if is_text else pretty(example), language, indent="    ")
    return ['??? example "Example"', "", *body]


def _shapes(found: dict[str, Any]) -> str:
    lines = [
        "# Shapes",
        "",
        "What bodies and answers are made of. Measured quantities are decimal strings, ratios are JSON numbers.",
        "",
    ]
    for name, schema in sorted(found["components"]["schemas"].items()):
        lines += [f"## {_name(name)}", "", *paragraphs(schema.get("description", "")), *_fields(schema)]
    return "\n".join(lines)


def _fields(schema: Schema) -> list[str]:
    needed = set(schema.get("required", ()))
    rows = [
        (
            code(key),
            takes(option, _own_link),
            "always" if key in needed else default_of(option),
            option.get("description", ""),
        )
        for key, option in schema.get("properties", {}).items()
    ]
    return table(("key", "is", "left out", "what it means"), rows)


def _name(model: str) -> str:
    return model.replace("Items_", "List of ").rstrip("_")


def _own_link(model: str) -> str:
    return f"[{_name(model)}](#{anchor(_name(model))})"


def _shape_link(model: str) -> str:
    return f"[{_name(model)}](shapes.md#{anchor(_name(model))})"
