"""Atlassian's OpenAPI document as a judge of every request and answer between the connector and a fake."""

import json
import re
from collections.abc import Awaitable, Callable, MutableMapping
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl

from jsonschema import Draft202012Validator
from jsonschema.protocols import Validator
from referencing import Registry, Resource
from referencing.jsonschema import DRAFT202012

DOCUMENT = Path("jira/openapi/jira-cloud-platform-v3.2025-09.json")
AGILE = "jira-cloud-software-agile.2022-07.json"

Scope = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[MutableMapping[str, Any]]]
Send = Callable[[MutableMapping[str, Any]], Awaitable[None]]
App = Callable[[Scope, Receive, Send], Awaitable[None]]


class OpenApiChecker:
    """Wraps an ASGI app; the two lists say what in requests, and in answers with 200, the document forbids.

    What the site does against the document's schemas is let through: null members, `created` as a number in bulk
    changelogs (both are in the document's own examples), and `tmp…` members of history items (recorded).
    """

    def __init__(self, app: App, document: Path) -> None:
        self._app = app
        self._document = json.loads(document.read_text(encoding="utf-8"))
        agile = document.with_name(AGILE)
        if agile.is_file():
            boards = json.loads(agile.read_text(encoding="utf-8"))
            self._document["paths"].update(boards["paths"])
            for name, one in boards.get("components", {}).get("schemas", {}).items():
                self._document["components"]["schemas"].setdefault(name, one)
        schema = self._document["components"]["schemas"]["Changelog"]["properties"]["created"]
        schema["type"] = ["string", "integer"]
        resource = Resource.from_contents(self._document, default_specification=DRAFT202012)
        self._registry: Registry[Any] = Registry().with_resource("urn:jira", resource)
        self._paths = [
            (re.compile(re.sub(r"\{[^}]+\}", "[^/]+", path)), path, operations)
            for path, operations in self._document["paths"].items()
        ]
        self._validators: dict[str, Validator] = {}
        self.request_violations: list[str] = []
        self.answer_violations: list[str] = []
        self.checked_requests = 0
        self.checked_answers = 0

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            return await self._app(scope, receive, send)
        body = b""
        while True:
            message = await receive()
            body += message.get("body", b"")
            if not message.get("more_body"):
                break
        found = self._check_request(scope, body)
        answer = bytearray()
        status = 0

        async def replay() -> MutableMapping[str, Any]:
            return {"type": "http.request", "body": body, "more_body": False}

        async def listen(message: MutableMapping[str, Any]) -> None:
            nonlocal status
            status = message.get("status", status)
            answer.extend(message.get("body", b""))
            await send(message)

        await self._app(scope, replay, listen)
        if found and status == 200:
            self._check_answer(*found, bytes(answer))
        return None

    def _check_request(self, scope: Scope, body: bytes) -> tuple[str, str] | None:
        method, path = scope["method"].lower(), scope["path"]
        where = f"{scope['method']} {path}"
        self.checked_requests += 1
        matches = [(template, known) for pattern, template, known in self._paths if pattern.fullmatch(path)]
        # An exact path goes before a template.
        template, operations = next((one for one in matches if one[0] == path), matches[0] if matches else (path, {}))
        operation = operations.get(method)
        if operation is None:
            self.request_violations.append(f"{where}: no such operation")
            return None
        self._check_query(where, operation, dict(parse_qsl(scope["query_string"].decode(), keep_blank_values=True)))
        expected = operation.get("requestBody", {}).get("content", {}).get("application/json")
        if expected is None:
            if body:
                self.request_violations.append(f"{where}: takes no body")
            return template, method
        content_type = dict(scope["headers"]).get(b"content-type", b"").decode()
        if not content_type.startswith("application/json"):
            self.request_violations.append(f"{where}: the body's type is {content_type!r}")
        try:
            value = json.loads(body)
        except ValueError:
            self.request_violations.append(f"{where}: the body is no JSON")
            return template, method
        pointer = ["paths", template, method, "requestBody", "content", "application/json", "schema"]
        self._judge(self.request_violations, where, pointer, value)
        return template, method

    def _check_query(self, where: str, operation: dict[str, Any], query: dict[str, str]) -> None:
        known = {one["name"]: one for one in operation.get("parameters", []) if one.get("in") == "query"}
        for name, value in query.items():
            if name not in known:
                self.request_violations.append(f"{where}: unknown parameter {name!r}")
            elif known[name]["schema"].get("type") == "integer" and not re.fullmatch(r"-?\d+", value):
                self.request_violations.append(f"{where}: {name} is no integer")
        self.request_violations += [
            f"{where}: {name} is required" for name, one in known.items() if one.get("required") and name not in query
        ]

    def _check_answer(self, template: str, method: str, body: bytes) -> None:
        content = self._document["paths"][template][method]["responses"].get("200", {}).get("content", {})
        if "schema" not in content.get("application/json", {}):
            return
        self.checked_answers += 1
        pointer = ["paths", template, method, "responses", "200", "content", "application/json", "schema"]
        where = f"answer to {method.upper()} {template}"
        try:
            value = json.loads(body)
        except ValueError:
            self.answer_violations.append(f"{where}: no JSON")
        else:
            self._judge(self.answer_violations, where, pointer, _as_documented(value))

    def _judge(self, violations: list[str], where: str, pointer: list[str], value: Any) -> None:
        reference = "urn:jira#/" + "/".join(part.replace("~", "~0").replace("/", "~1") for part in pointer)
        reference = reference.replace("{", "%7B").replace("}", "%7D")
        if reference not in self._validators:
            self._validators[reference] = Draft202012Validator({"$ref": reference}, registry=self._registry)
        errors = self._validators[reference].iter_errors(value)
        violations.extend(f"{where}: {error.json_path}: {error.message[-200:]}" for error in errors)


def _as_documented(value: Any) -> Any:
    if isinstance(value, dict):
        return {
            key: _as_documented(item) for key, item in value.items() if item is not None and not key.startswith("tmp")
        }
    if isinstance(value, list):
        return [_as_documented(item) for item in value]
    return value
