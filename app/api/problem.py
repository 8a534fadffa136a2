"""Every error as `application/problem+json` (RFC 9457), with a code, pointers, and nothing of the input."""

import random
from typing import Literal

import msgspec
from pydantic import BaseModel, ConfigDict, Field

from app.errors import AppError

_random = random.Random()  # seeded by the system's own randomness, which costs a system call each time

MEDIA_TYPE = "application/problem+json"

_TITLES = {
    400: ("bad_request", "The request can not be read"),
    404: ("not_found", "Not found"),
    405: ("method_not_allowed", "The method is not allowed here"),
    408: ("request_timeout", "The body took too long to arrive"),
    500: ("internal_error", "Something went wrong on our side"),
}


class FieldProblem(BaseModel):
    """One thing that is wrong with the input."""

    pointer: str = Field(description="RFC 6901 pointer into `part`; the name of a parameter behind the slash.")
    code: str
    detail: str
    part: Literal["body", "query", "path", "header"] = "body"


class Problem(BaseModel):
    """An RFC 9457 problem. `code` is stable and meant for programs, `detail` for people."""

    model_config = ConfigDict(
        json_schema_extra={
            "example": {
                "type": "urn:krsync:problem:invalid_input",
                "title": "The input is not valid",
                "status": 422,
                "detail": None,
                "instance": "urn:krsync:request:6f1c2f0f7bb14a0c9d3fb1b2a4f6d1c5",
                "code": "invalid_input",
                "request_id": "6f1c2f0f7bb14a0c9d3fb1b2a4f6d1c5",
                "errors": [{"pointer": "/limit", "code": "range", "detail": "1 to 1000 is expected.", "part": "query"}],
            }
        }
    )

    type: str
    title: str
    status: int
    detail: str | None
    instance: str
    code: str
    request_id: str
    errors: list[FieldProblem]


def plain_error(status: int, detail: str | None = None, **headers: str) -> AppError:
    """An error that is HTTP's own (400, 404, 405, 408, 500) rather than the application's."""
    code, title = _TITLES.get(status, ("error", "The request failed"))
    return AppError(detail, status=status, code=code, title=title, headers=headers)


def problem_body(error: AppError, request_id: str) -> bytes:
    """The JSON of a problem."""
    return msgspec.json.encode(
        {
            "type": f"urn:krsync:problem:{error.code}",
            "title": error.title,
            "status": error.status,
            "detail": error.detail,
            "instance": f"urn:krsync:request:{request_id}",
            "code": error.code,
            "request_id": request_id,
            "errors": [
                {"pointer": item.pointer, "code": item.code, "detail": item.detail, "part": item.part}
                for item in error.errors
            ],
        }
    )


def new_request_id() -> str:
    """A fresh id for a request: 128 random bits in hexadecimal. It names, and is no secret."""
    return f"{_random.getrandbits(128):032x}"
