"""Answers of Prometheus' HTTP API, decoded. Pure.

Formats: https://prometheus.io/docs/prometheus/latest/querying/api/#format-overview
"""

import re
from decimal import Decimal

from connectors.answer import Answer
from connectors.contract import JsonValue
from connectors.errors import QueryError, UnexpectedResponseError

_LONGEST_WORDS = 600
# What Go writes for a number; NaN and infinities are no values.
_NUMBER = re.compile(r"[+-]?[0-9]{1,400}(\.[0-9]{1,400})?([eE][+-]?[0-9]{1,3})?")


def data_of(body: JsonValue) -> JsonValue:
    """`data` of an answer that says "success"; UnexpectedResponseError for any other."""
    if not isinstance(body, dict) or body.get("status") != "success" or "data" not in body:
        raise UnexpectedResponseError("The answer of Prometheus is none of its API's.")
    return body["data"]


def words_of(body: JsonValue) -> str | None:
    """What the API says is wrong, on one line; None where it says nothing."""
    said = body.get("error") if isinstance(body, dict) else None
    return " ".join(said.split())[:_LONGEST_WORDS] if isinstance(said, str) and said.strip() else None


def is_overload(body: JsonValue) -> bool:
    """Whether an error is about the moment (a time-out, a restart) and not about the query."""
    kind = body.get("errorType") if isinstance(body, dict) else None
    return kind in ("timeout", "canceled", "internal", "unavailable")


def answer_of(data: JsonValue) -> Answer:
    """The one number of an instant query's `data`; QueryError where it gives more than one, or no number at all."""
    kind = data.get("resultType") if isinstance(data, dict) else None
    result = data.get("result") if isinstance(data, dict) else None
    if kind == "scalar":
        return _number(result)
    if kind == "vector" and isinstance(result, list):
        if not result:
            return Answer(None, "the query found no series at that moment")
        if len(result) > 1:
            raise QueryError(
                f"The query gives {len(result)} series where one number is asked for: aggregate it, with sum or avg."
            )
        series = result[0]
        if isinstance(series, dict) and "value" in series:
            return _number(series["value"])
        raise QueryError("The query gives a histogram where one number is asked for: take histogram_quantile of it.")
    if kind in ("matrix", "string"):
        raise QueryError(f"The query gives a {kind} where one number is asked for: aggregate it over the range.")
    raise UnexpectedResponseError("The answer of Prometheus is none of an instant query.")


def _number(sample: JsonValue) -> Answer:
    """The number of `[moment, "text"]`."""
    text = sample[1] if isinstance(sample, list) and len(sample) == 2 else None
    if not isinstance(text, str):
        raise UnexpectedResponseError("The answer of Prometheus holds no sample where one was expected.")
    if text == "NaN":
        return Answer(None, "the query gives NaN, as a division of nothing by nothing does")
    if text in ("+Inf", "-Inf", "Inf"):
        return Answer(None, "the query gives infinity, as a division by zero does")
    if not _NUMBER.fullmatch(text):
        raise UnexpectedResponseError("The answer of Prometheus holds a sample that is no number.")
    return Answer(Decimal(text))


def names_of(data: JsonValue) -> list[str]:
    """The values of a label; UnexpectedResponseError where they are no list of texts."""
    if not isinstance(data, list):
        raise UnexpectedResponseError("The answer of Prometheus is no list of names.")
    return [name for name in data if isinstance(name, str) and name]


def version_of(data: JsonValue) -> str | None:
    """The version that a server says it is."""
    version = data.get("version") if isinstance(data, dict) else None
    return version if isinstance(version, str) and version else None
