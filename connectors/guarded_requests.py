"""The outbound guard for code that brings `requests` (the `jira` package). Loaded on first use only."""

import time
from datetime import timedelta
from typing import Any
from urllib.parse import urlsplit

from requests import PreparedRequest, Response
from requests.adapters import HTTPAdapter

from connectors.answer import without_credential
from connectors.contract import GuardedTransport
from connectors.errors import UnavailableError, UnexpectedResponseError

_CHUNK = 64 * 1024


class GuardedAdapter(HTTPAdapter):
    """Connects to the address that the guard has checked; TLS name and Host header stay those of the URL.

    The body is read here, under a total deadline and a cap on decoded bytes.
    """

    def __init__(
        self,
        guard: GuardedTransport,
        *,
        deadline: timedelta = timedelta(seconds=30),
        max_bytes: int = 32 * 1024 * 1024,
        **options: Any,
    ) -> None:
        self._guard = guard
        self._deadline = deadline
        self._max_bytes = max_bytes
        super().__init__(**options)

    def build_connection_pool_key_attributes(
        self, request: PreparedRequest, verify: Any, cert: Any = None
    ) -> tuple[dict[str, Any], dict[str, Any]]:
        """The pool of the checked address, kept apart per name so that no connection serves another name."""
        host_params, pool_kwargs = super().build_connection_pool_key_attributes(request, verify, cert)
        name = str(host_params["host"]).strip("[]")
        bracketed = f"[{name}]" if ":" in name else name
        port = host_params["port"]
        url = f"{host_params['scheme']}://{bracketed}" + (f":{port}" if port else "")
        host_params = {**host_params, "host": self._guard.check(url)}
        if host_params["scheme"] == "https":
            pool_kwargs = {**pool_kwargs, "server_hostname": name, "assert_hostname": name}
        return host_params, pool_kwargs

    def send(self, request: PreparedRequest, *args: Any, **kwargs: Any) -> Response:
        """Send without a proxy, read the whole body within the limits, refuse a redirect."""
        host = urlsplit(str(request.url)).netloc.rpartition("@")[2]
        request.headers["Host"] = host
        timeout = kwargs.get("timeout") or (3, 30)
        ends = time.monotonic() + self._deadline.total_seconds()
        response = super().send(
            request,
            stream=True,
            timeout=timeout,
            verify=kwargs.get("verify", True),
            cert=kwargs.get("cert"),
            proxies={},
        )
        try:
            if response.is_redirect:
                raise UnexpectedResponseError(f"{host} answered with a redirect, which is not followed.")
            self._read(response, host, ends)
        except BaseException:
            response.close()
            raise
        return response

    def _read(self, response: Response, host: str, ends: float) -> None:
        body = bytearray()
        # read1 returns what one receive brought: a sender of one byte at a time meets the deadline between two of them.
        while chunk := response.raw.read1(_CHUNK, decode_content=True):
            body += chunk
            if len(body) > self._max_bytes:
                raise UnexpectedResponseError(f"The answer of {host} is larger than {self._max_bytes} bytes.")
            if time.monotonic() > ends:
                raise UnavailableError(f"{host} did not finish its answer in time.")
        authorization = str(response.request.headers.get("Authorization", ""))
        is_refusal = response.status_code >= 400 and authorization
        response._content = without_credential(bytes(body), authorization) if is_refusal else bytes(body)
        response._content_consumed = True
        response.raw.release_conn()
