"""One run's talk with GitHub's REST API: its requests, its pages, its limits.

https://docs.github.com/en/rest/using-the-rest-api/best-practices-for-using-the-rest-api
"""

import contextlib
import re
from collections.abc import AsyncIterator, Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx

from connectors.answer import decode_json, parse_retry_after, raise_for_status
from connectors.contract import JsonValue, Toolbox
from connectors.errors import (
    AccessDeniedError,
    ConnectorError,
    QueryError,
    RateLimitedError,
    UnexpectedResponseError,
)
from connectors.github.models import GitHubConfig
from connectors.github.payloads import rows_of, words_of

ROWS_A_PAGE = 100
#: A list that goes on beyond that has lost its way.
MOST_PAGES = 10_000
_TOOL = "GitHub"
_LONGEST_WAIT = timedelta(hours=24)
_NEXT = re.compile(r'<[^>]*>\s*;\s*rel="?next"?')


class GitHubSession:
    """One run's talk with GitHub."""

    def __init__(self, config: GitHubConfig, toolbox: Toolbox) -> None:
        self.config = config
        self.toolbox = toolbox
        self._headers = {
            "Authorization": f"Bearer {config.token.reveal()}",
            "Accept": "application/vnd.github+json",
            "X-GitHub-Api-Version": "2022-11-28",
        }

    async def get(self, path: str, parameters: Mapping[str, str], *, about: str) -> httpx.Response:
        """One answer that is a success; raises what `connectors.errors` says otherwise. `about` says what is asked."""
        url = f"{self.config.url}{path}"
        response = await self.toolbox.http.get(url, params=dict(parameters), headers=self._headers)
        if not response.is_success:
            self._fail(response, about)
        return response

    async def object(self, path: str, *, about: str) -> dict[str, Any]:
        """One JSON object."""
        body = decode_json(await self.get(path, {}, about=about), tool=_TOOL)
        if not isinstance(body, dict):
            raise UnexpectedResponseError("The answer of GitHub is no object.")
        return body

    async def pages(
        self, path: str, parameters: Mapping[str, str], *, about: str
    ) -> AsyncIterator[list[dict[str, Any]]]:
        """The pages of a list, one after the other: GitHub asks for no more than one at a time."""
        for page in range(1, MOST_PAGES + 1):
            given = {**parameters, "per_page": str(ROWS_A_PAGE), "page": str(page)}
            response = await self.get(path, given, about=about)
            yield rows_of(decode_json(response, tool=_TOOL))
            if not _NEXT.search(response.headers.get("link", "")):
                return
        raise UnexpectedResponseError("The list of GitHub's does not end.")

    def _fail(self, response: httpx.Response, about: str) -> None:
        """Limits: https://docs.github.com/en/rest/using-the-rest-api/rate-limits-for-the-rest-api#exceeding-the-rate-limit"""
        body: JsonValue = None
        with contextlib.suppress(ConnectorError):  # an error page need not be JSON
            body = decode_json(response, tool=_TOOL)
        words, status, now = words_of(body), response.status_code, self.toolbox.now()
        is_spent = response.headers.get("x-ratelimit-remaining") == "0"
        says_limit = "rate limit" in (words or "").lower() or "retry-after" in response.headers
        if status in (403, 429) and (is_spent or says_limit):
            wait = parse_retry_after(response.headers.get("retry-after"), now)
            if wait is None and is_spent:
                wait = _until(response.headers.get("x-ratelimit-reset"), now)
            raise RateLimitedError(f"GitHub asks for fewer requests: {words or 'it gave no reason'}", retry_after=wait)
        if status in (301, 308):
            raise QueryError(f"GitHub has moved {about}: it was renamed or given away. Write its new name.")
        if status == 404:
            raise QueryError(f"GitHub knows no {about}, or the token may not see it.")
        if status == 410:
            raise QueryError(f"GitHub has no more of {about}: {words or 'it was switched off there'}")
        if status == 403 and "saml" in (words or "").lower():
            raise AccessDeniedError(f"GitHub wants the token authorised for the organisation's SSO: {words}")
        raise_for_status(response, tool=_TOOL, now=now, detail=words)


def _until(reset: str | None, now: datetime) -> timedelta | None:
    """The wait until a moment in Unix seconds, up to a day; None where it is none."""
    if reset is None or not re.fullmatch(r"[0-9]{1,12}", reset):
        return None
    return min(max(datetime.fromtimestamp(int(reset), UTC) - now, timedelta(0)), _LONGEST_WAIT)
