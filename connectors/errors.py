"""The ways a tool can fail us, named by what to do next.

    ConnectorError                 a message that is safe to show; the cause is chained
    ├── TransientError             try again later, after `retry_after` if the tool said so
    │   ├── RateLimitedError       the tool asks for fewer requests
    │   └── UnavailableError       the tool is away or unreachable
    ├── AuthenticationError        pause the connection and tell its owner: the credential is refused
    ├── AccessDeniedError          pause the connection and tell its owner: the credential lacks a right
    ├── QueryError                 pause this metric or dataset for an hour and show what the tool says is wrong
    ├── UnexpectedResponseError    the tool changed shape: keep the last value and report
    └── SignatureError             reject the sender of a webhook

An exception outside this tree is a bug of ours: it propagates and its run closes as `crashed`.
"""

from datetime import timedelta


class ConnectorError(Exception):
    """A failure that a connector understands. `str(error)` holds no secret and may be shown to a person."""

    code = "connector_error"


class TransientError(ConnectorError):
    """It may work later. `retry_after` is the tool's own word (None: it gave none)."""

    code = "transient"

    def __init__(self, message: str, *, retry_after: timedelta | None = None) -> None:
        super().__init__(message)
        self.retry_after = retry_after


class RateLimitedError(TransientError):
    """The tool asks us to slow down (HTTP 429, or 403/503 that says so)."""

    code = "rate_limited"


class UnavailableError(TransientError):
    """The tool did not answer: no connection, a time-out, or a 5xx."""

    code = "unavailable"


class AuthenticationError(ConnectorError):
    """The credential is missing, wrong, expired or revoked."""

    code = "authentication"


class AccessDeniedError(ConnectorError):
    """The credential is right but may not read this, or the address is not allowed by the operator."""

    code = "access_denied"


class QueryError(ConnectorError):
    """The tool understood us and says the query, dataset or scope is wrong."""

    code = "query"


class UnexpectedResponseError(ConnectorError):
    """An answer of a shape that we do not know: never turned into a value."""

    code = "unexpected_response"


class SignatureError(ConnectorError):
    """A webhook whose sender could not be verified."""

    code = "signature"
