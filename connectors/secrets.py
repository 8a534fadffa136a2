"""Secrets in a connector's config: a reference in files, a value only while a session is open.

A config field of type `Secret` accepts `{env: NAME}`, `{file: /path}` or `{sealed: name}`; a literal is refused. The
service binds values with `bind` after it has checked what the operator allows the team.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal, TypeVar

from pydantic import BaseModel, GetCoreSchemaHandler, GetJsonSchemaHandler
from pydantic.json_schema import JsonSchemaValue
from pydantic_core import PydanticCustomError, core_schema

from connectors.errors import AuthenticationError

SecretKind = Literal["env", "file", "sealed"]
_KINDS: tuple[SecretKind, ...] = ("env", "file", "sealed")

ConfigT = TypeVar("ConfigT", bound=BaseModel)


@dataclass(frozen=True, slots=True)
class SecretReference:
    """Where a secret lies: an environment variable, a file, or a name in the sealed store."""

    kind: SecretKind
    name: str


class Secret:
    """A secret of a connection. Its repr and its JSON form never hold the value."""

    __slots__ = ("_value", "reference")

    def __init__(self, reference: SecretReference, value: str | None = None) -> None:
        self.reference = reference
        self._value = value

    def reveal(self) -> str:
        """The value; AuthenticationError where nothing was bound to the reference."""
        if self._value is None:
            raise AuthenticationError(f"The secret {self.reference.kind}:{self.reference.name} is not available.")
        return self._value

    def __repr__(self) -> str:
        return f"Secret({self.reference.kind}:{self.reference.name})"

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Secret) and (self.reference, self._value) == (other.reference, other._value)

    def __hash__(self) -> int:
        return hash(self.reference)

    @classmethod
    def __get_pydantic_core_schema__(cls, source: Any, handler: GetCoreSchemaHandler) -> core_schema.CoreSchema:
        return core_schema.no_info_plain_validator_function(
            cls._validate,
            serialization=core_schema.plain_serializer_function_ser_schema(
                lambda secret: {secret.reference.kind: secret.reference.name}
            ),
        )

    @classmethod
    def __get_pydantic_json_schema__(
        cls, schema: core_schema.CoreSchema, handler: GetJsonSchemaHandler
    ) -> JsonSchemaValue:
        one = [
            {
                "type": "object",
                "properties": {kind: {"type": "string", "minLength": 1}},
                "required": [kind],
                "additionalProperties": False,
            }
            for kind in _KINDS
        ]
        return {"title": "Secret reference", "anyOf": one}

    @classmethod
    def _validate(cls, given: object) -> "Secret":
        if isinstance(given, Secret):
            return given
        if isinstance(given, dict) and len(given) == 1:
            ((kind, name),) = given.items()
            if kind in _KINDS and isinstance(name, str) and name:
                return cls(SecretReference(kind, name))
        raise PydanticCustomError(
            "secret_reference", "a secret is a reference, {env: NAME} or {file: /path}, never a literal"
        )


def secrets_of(config: BaseModel) -> list[Secret]:
    """Every secret in a config, nested models and lists included."""
    found: list[Secret] = []

    def walk(value: object) -> None:
        if isinstance(value, Secret):
            found.append(value)
        elif isinstance(value, BaseModel):
            for name in type(value).model_fields:
                walk(getattr(value, name))
        elif isinstance(value, dict):
            for item in value.values():
                walk(item)
        elif isinstance(value, (list, tuple)):
            for item in value:
                walk(item)

    walk(config)
    return found


def bind(config: ConfigT, resolve: Callable[[SecretReference], str | None]) -> ConfigT:
    """A copy of `config` whose secrets hold what `resolve` gives (None leaves one unbound)."""

    def walk(value: Any) -> Any:
        if isinstance(value, Secret):
            return Secret(value.reference, resolve(value.reference))
        if isinstance(value, BaseModel):
            return value.model_copy(update={name: walk(getattr(value, name)) for name in type(value).model_fields})
        if isinstance(value, dict):
            return {key: walk(item) for key, item in value.items()}
        if isinstance(value, (list, tuple)):
            return type(value)(walk(item) for item in value)
        return value

    bound: ConfigT = walk(config)
    return bound
