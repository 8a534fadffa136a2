"""Talking to a running service: where it is, which token to send, and what its errors mean for the exit code."""

import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self
from urllib.parse import urlsplit

from app.cli.output import CALL_IS_WRONG, INPUT_IS_WRONG, OUT_OF_REACH, CommandError, clean
from app.supervisor import LOOPBACK, TOKEN_FILE, URL_FILE

if TYPE_CHECKING:
    import httpx  # imported when somebody asks: most of a command's start would be waiting for it

#: Seconds without a sign of life after which a stream is given up; the service gives one every fifteen.
_SILENCE = 60.0
_CLONE = Path(__file__).resolve().parents[2]


def default_data_dir(environ: Mapping[str, str] | None = None) -> Path:
    """KRSYNC_DATA_DIR, or `.krsync` in a clone, or the user's data folder once installed (XDG base directories)."""
    environ = os.environ if environ is None else environ
    if environ.get("KRSYNC_DATA_DIR"):
        return Path(environ["KRSYNC_DATA_DIR"]).absolute()
    if (_CLONE / "krsync").is_file() and (_CLONE / "pyproject.toml").is_file():
        return _CLONE / ".krsync"
    base = environ.get("XDG_DATA_HOME") or str(Path.home() / ".local" / "share")
    return Path(base) / "krsync"


def demo_data_dir(environ: Mapping[str, str] | None = None) -> Path:
    """Where the example of `up --demo` is kept, apart from everything else."""
    return default_data_dir(environ) / "demo"


@dataclass(frozen=True, slots=True)
class Target:
    """Where client commands go. The token stays out of the repr."""

    url: str
    token: str

    def __repr__(self) -> str:
        return f"Target({self.url})"


def find_target(environ: Mapping[str, str] | None = None) -> Target:
    """KRSYNC_URL and KRSYNC_TOKEN, or the local `krsync up`. Its token is sent to itself only, never to another URL."""
    environ = os.environ if environ is None else environ
    data_dir = default_data_dir(environ)
    if not (data_dir / URL_FILE).exists() and (demo_data_dir(environ) / URL_FILE).exists():
        data_dir = demo_data_dir(environ)
    local = _read(data_dir / URL_FILE)
    url = environ.get("KRSYNC_URL", "").strip().rstrip("/") or local
    if not url:
        raise CommandError(
            "No service is known: start one with `krsync up`, or set KRSYNC_URL and KRSYNC_TOKEN.", OUT_OF_REACH
        )
    parts = urlsplit(url)
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise CommandError("KRSYNC_URL has to be an http:// or https:// address.", CALL_IS_WRONG)
    token = environ.get("KRSYNC_TOKEN", "").strip() or (_read(data_dir / TOKEN_FILE) if url == local else "")
    if not token:
        raise CommandError(f"There is no token for {url}: set KRSYNC_TOKEN.", CALL_IS_WRONG)
    if not token.isascii() or not token.isprintable():
        raise CommandError("KRSYNC_TOKEN is not a token.", CALL_IS_WRONG)
    return Target(url, token)


def _read(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8").strip()
    except (OSError, UnicodeDecodeError):
        return ""


#: What to do next, by the status of an answer that leaves it open.
_NEXT = {
    401: "The token is not valid here; KRSYNC_TOKEN says which one is sent.",
    403: "`krsync token create NAME --scope SCOPE` makes one that may, for whoever holds an admin's.",
    404: "`krsync status` lists the key results that this token sees.",
    429: "Try again in a while.",
    500: "`krsync doctor` looks for the cause; the service's log has it under the request's id.",
    503: "Try again in a while; `krsync doctor` says what is away.",
}


class ProblemError(CommandError):
    """The service refused: an `application/problem+json` answer. `errors` holds {pointer, code, detail} each."""

    def __init__(self, status: int, problem: Mapping[str, Any]) -> None:
        errors = problem.get("errors")
        self.errors: list[Mapping[str, Any]] = (
            [item for item in errors if isinstance(item, dict)] if isinstance(errors, list) else []
        )
        self.status = status
        said = [clean(problem[key]) for key in ("title", "detail") if problem.get(key)]
        lines = [": ".join(said) or f"the service answered {status}"]
        lines += [f"  {clean(item.get('pointer') or '/')}: {clean(item.get('detail'))}" for item in self.errors]
        if status in _NEXT:
            lines.append(f"  {_NEXT[status]}")
        super().__init__("\n".join(lines), _exit_code(status))


def _exit_code(status: int) -> int:
    if status in (401, 403, 404, 405):
        return CALL_IS_WRONG
    return OUT_OF_REACH if status == 429 or status >= 500 else INPUT_IS_WRONG


class Service:
    """A running KRSync, over HTTP. Use it as a context; raises CommandError for everything that goes wrong."""

    def __init__(self, target: Target, *, transport: "httpx.BaseTransport | None" = None) -> None:
        import httpx

        self.url = target.url
        self._client = httpx.Client(
            base_url=target.url,
            headers={"Authorization": f"Bearer {target.token}", "Accept": "application/json"},
            timeout=httpx.Timeout(60, connect=5),
            # A proxy of the environment has no way to our loopback.
            trust_env=urlsplit(target.url).hostname not in LOOPBACK,
            transport=transport,
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._client.close()

    def give_reason(self, reason: str | None) -> None:
        """Tell the audit log, with every request from here on, why something is changed."""
        import httpx

        text = "" if reason is None else " ".join(reason.split())
        if text:
            self._client.headers = httpx.Headers([*self._client.headers.raw, (b"X-KRSync-Reason", text.encode())])

    def request(self, method: str, path: str, **options: Any) -> "httpx.Response":
        """The answer to one request; ProblemError for 4xx and 5xx, CommandError when nobody answers."""
        import httpx

        try:
            response = self._client.request(method, path, **options)
        except httpx.TransportError as error:
            raise CommandError(
                f"{self.url} does not answer ({type(error).__name__}). Is `krsync up` or `krsync serve` running?",
                OUT_OF_REACH,
            ) from error
        if response.status_code >= 400:
            raise ProblemError(response.status_code, _mapping(response))
        return response

    def lines(self, path: str) -> Iterator[str]:
        """The lines of a stream as they come, until it ends; CommandError where there is none or it breaks."""
        import httpx

        headers, timeout = {"Accept": "text/event-stream"}, httpx.Timeout(10, read=_SILENCE)
        try:
            with self._client.stream("GET", path, headers=headers, timeout=timeout) as response:
                if response.status_code >= 400:
                    response.read()
                    raise ProblemError(response.status_code, _mapping(response))
                yield from response.iter_lines()
        except httpx.HTTPError as error:
            raise CommandError(f"{self.url} broke off ({type(error).__name__}).", OUT_OF_REACH) from error

    def get(self, path: str, **parameters: str | None) -> dict[str, Any]:
        """The JSON object at `path`; parameters that are None are left out."""
        query = {name: value for name, value in parameters.items() if value is not None}
        return _mapping(self.request("GET", path, params=query))

    def items(self, path: str, **parameters: str | None) -> Iterator[dict[str, Any]]:
        """Every item of a list, page after page."""
        cursor: str | None = None
        while True:
            page = self.get(path, limit="1000", after=cursor, **parameters)
            items = page.get("items")
            for item in items if isinstance(items, list) else []:
                if isinstance(item, dict):
                    yield item
            following = page.get("next")
            if not isinstance(following, str) or following == cursor:
                return
            cursor = following


def connect() -> Service:
    """The service that `find_target` names."""
    return Service(find_target())


def _mapping(response: "httpx.Response") -> dict[str, Any]:
    try:
        value = response.json()
    except ValueError:
        value = None
    return value if isinstance(value, dict) else {}
