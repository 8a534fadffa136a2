"""One run's talk with an API: its requests, and what its refusals say."""

import contextlib
import re
from collections.abc import Mapping, Sequence
from urllib.parse import urlsplit

import httpx

from connectors.account import authorization
from connectors.answer import decode_json, raise_for_status
from connectors.contract import JsonValue, RecordChange, Toolbox
from connectors.errors import ConnectorError, QueryError
from connectors.http_json.models import HttpJsonConfig
from connectors.http_json.payloads import words_of
from connectors.secrets import Secret, secrets_of

_LONGEST_WORDS = 600
_NEXT = re.compile(r"<([^>]*)>[^,]*;\s*rel=\"?next\b")


class HttpJsonSession:
    """One run's talk with an API, by the name of its host. `lists` are the datasets that the run has read."""

    def __init__(self, config: HttpJsonConfig, toolbox: Toolbox) -> None:
        self.config = config
        self.toolbox = toolbox
        self.lists: dict[str, Sequence[RecordChange]] = {}
        self.tool = urlsplit(config.url).hostname or config.url
        self._headers = {
            name: value.reveal() if isinstance(value, Secret) else value for name, value in config.headers.items()
        } | authorization(config)

    async def ask(self, url: str, post: bytes | None = None) -> tuple[JsonValue, Mapping[str, str]]:
        """The JSON at an address of the API's and the headers beside it; raises what `connectors.errors` says
        otherwise."""
        if post is None:
            response = await self.toolbox.http.get(url, headers=self._headers)
        else:
            headers = {**self._headers, "content-type": "application/json"}
            response = await self.toolbox.http.post(url, content=post, headers=headers)
        if not response.is_success:
            self._fail(response)
        return decode_json(response, tool=self.tool), response.headers

    def require_whole(self, headers: Mapping[str, str]) -> None:
        """QueryError where an answer is one page of several: what is made of its list would be of a part."""
        if next_of(headers) is not None:
            raise QueryError(
                f"{self.tool} answers with one page of several, and an aggregate needs all: ask for a number that it "
                "counts itself, or for longer pages."
            )

    def _fail(self, response: httpx.Response) -> None:
        body: JsonValue = None
        with contextlib.suppress(ConnectorError):  # an error page need not be JSON
            body = decode_json(response, tool=self.tool)
        words = words_of(body) or ""
        for secret in secrets_of(self.config):  # some APIs repeat what they were sent
            words = words.replace(secret.reveal(), "[credential]")
        raise_for_status(response, tool=self.tool, now=self.toolbox.now(), detail=words[:_LONGEST_WORDS])


def next_of(headers: Mapping[str, str]) -> str | None:
    """The address of the next page, as the header `Link` tells it (RFC 8288)."""
    found = _NEXT.search(headers.get("link", ""))
    return found[1] if found else None
