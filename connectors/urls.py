"""The addresses that teams write: a tool's base URL. Pure."""

import re
from collections.abc import Callable
from ipaddress import ip_address
from urllib.parse import urlsplit

from pydantic_core import PydanticCustomError

_NO_URL = re.compile(r"[\s\x00-\x1f\\]")


def base_url(whose: str, example: str, *, may_be_plain: bool = False) -> Callable[[str], str]:
    """A validator of a base URL, which it gives back without a trailing slash; PydanticCustomError for anything else.

    `whose` address it is and an `example` are for people; `may_be_plain` lets `http://` lead anywhere, which otherwise
    leads to this computer only. Where it may lead beyond that is the outbound guard's to decide.
    """

    def checked(text: str) -> str:
        try:
            parts = urlsplit(text)
            host, _ = parts.hostname, parts.port
        except ValueError as error:
            raise PydanticCustomError("base_url", "not a URL") from error
        if not host or _NO_URL.search(text) or (may_be_plain and parts.scheme not in ("http", "https")):
            raise PydanticCustomError("base_url", "a URL such as {example}", {"example": example})
        if parts.username is not None or parts.password is not None or parts.query or parts.fragment:
            raise PydanticCustomError(
                "base_url", "the {whose} address only: no user, query or fragment", {"whose": whose}
            )
        if not may_be_plain and parts.scheme != "https" and not (parts.scheme == "http" and is_loopback(host)):
            raise PydanticCustomError("base_url", "https:// is required (http:// only for this computer itself)")
        return text.rstrip("/")

    return checked


def document_url(example: str) -> Callable[[str], str]:
    """A validator of the whole address of a document, with a query and a fragment where it has them;
    PydanticCustomError for anything else."""

    def checked(text: str) -> str:
        try:
            parts = urlsplit(text)
            host, _ = parts.hostname, parts.port
        except ValueError as error:
            raise PydanticCustomError("document_url", "not a URL") from error
        if not host or _NO_URL.search(text) or parts.scheme not in ("http", "https"):
            raise PydanticCustomError("document_url", "an address such as {example}", {"example": example})
        if parts.username is not None or parts.password is not None:
            raise PydanticCustomError("document_url", "no user in the address: they go beside it")
        return text

    return checked


def is_loopback(host: str) -> bool:
    """Whether a host is this computer itself, by its name or address."""
    if host == "localhost":
        return True
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return False
