"""What can go wrong for a caller, named by what the caller has to do; the API turns each into problem+json.

    AppError                        code, HTTP status, title, detail; nothing of the input in any of them
    ├── Unauthenticated        401  send a token
    ├── Forbidden              403  send a token with that scope, for that team
    ├── NotFound               404
    ├── Conflict               409  look at what is there, and try again
    ├── VersionConflict        412  read the object again: it has another version
    ├── TooLarge               413  send less
    ├── UnsupportedMedia       415  send another content type
    ├── InvalidInput           422  mend what the pointers name
    └── StoreUnavailable       503  come back after `retry_after` seconds

A leaf: it imports nothing of ours, so that every layer may raise it.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal


@dataclass(frozen=True, slots=True)
class FieldError:
    """One thing that is wrong with an input: an RFC 6901 pointer into its part, a code, a sentence without its value.

    `part` says what the pointer points into: the `body`, or the `query`, `path` or `header` parameters by name.
    """

    pointer: str
    code: str
    detail: str
    part: Literal["body", "query", "path", "header"] = "body"


class AppError(Exception):
    """A failure that its caller can do something about."""

    status = 500
    code = "error"
    title = "The request failed"
    #: What is said where nobody says more.
    said: str | None = None

    def __init__(
        self,
        detail: str | None = None,
        *,
        code: str | None = None,
        status: int | None = None,
        title: str | None = None,
        errors: Sequence[FieldError] = (),
        headers: Mapping[str, str] | None = None,
    ) -> None:
        super().__init__(detail or self.title)
        self.detail = detail or self.said
        self.code = code or self.code
        self.status = status or self.status
        self.title = title or self.title
        self.errors = tuple(errors)
        self.headers = dict(headers or {})


class Unauthenticated(AppError):
    """No token, or one that is malformed, unknown or revoked: which of them is not told."""

    status = 401
    code = "unauthenticated"
    title = "A valid token is needed"
    said = "Send one header `Authorization: Bearer okr_…`; `krsync token create` makes one, a revoked one is refused."

    def __init__(self, detail: str | None = None) -> None:
        super().__init__(detail, headers={"WWW-Authenticate": 'Bearer realm="krsync"'})


class Forbidden(AppError):
    """The token is right, its scope or its team is not."""

    status = 403
    code = "forbidden"
    title = "The token does not allow this"
    said = "Use a token with the scope and the team that this takes."


class NotFound(AppError):
    """It is not there, or not for this token."""

    status = 404
    code = "not_found"
    title = "Not found"
    said = "There is nothing under this name, or it is not for this token."


class Conflict(AppError):
    """What is stored stands against it."""

    status = 409
    code = "conflict"
    title = "It conflicts with what is stored"


class VersionConflict(AppError):
    """`If-Match` names another version than the stored one."""

    status = 412
    code = "version_conflict"
    title = "The object has another version by now"
    said = "Read it again: If-Match names a version that it does not have, or it is not there."


class TooLarge(AppError):
    """The body is over the cap."""

    status = 413
    code = "too_large"
    title = "The body is too large"


class UnsupportedMedia(AppError):
    """The body's content type or encoding is not one that is read here."""

    status = 415
    code = "unsupported_media_type"
    title = "The content type is not supported"


class InvalidInput(AppError):
    """The input is wrong: `errors` says where and why."""

    status = 422
    code = "invalid_input"
    title = "The input is not valid"

    @classmethod
    def at(
        cls,
        pointer: str,
        code: str,
        detail: str,
        part: Literal["body", "query", "path", "header"] = "body",
    ) -> "InvalidInput":
        """A single wrong thing."""
        return cls(errors=(FieldError(pointer, code, detail, part),))


class StoreUnavailable(AppError):
    """The database is away or full, or too much waits for it."""

    status = 503
    code = "store_unavailable"
    title = "The store is not available"

    def __init__(self, detail: str | None = None, *, retry_after: int = 5) -> None:
        super().__init__(detail, headers={"Retry-After": str(max(1, retry_after))})
        self.retry_after = retry_after
