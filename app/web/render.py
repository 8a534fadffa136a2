"""Templates and static files: read once, served with headers that let nothing else in."""

import hashlib
import re
from collections.abc import Mapping
from datetime import datetime
from functools import cache
from pathlib import Path

from fastapi import Request, Response
from jinja2 import Environment, FileSystemLoader, StrictUndefined, select_autoescape

from app.domain.status import Headline, KeyResultStatus, headline
from app.services.tokens import Principal
from app.services.views import HeadlineView, KeyResultView
from app.web import format as formats
from app.web.attention import is_unlikely, reason

_ROOM = Path(__file__).parent
_TYPES = {
    ".css": "text/css; charset=utf-8",
    ".js": "text/javascript; charset=utf-8",
    ".svg": "image/svg+xml",
    ".woff2": "font/woff2",
    ".md": "text/plain; charset=utf-8",
}
_POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; font-src 'self'; "
    "connect-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
)
HEADERS: Mapping[str, str] = {
    "Content-Security-Policy": _POLICY,
    "Cache-Control": "no-store",
    "Referrer-Policy": "same-origin",
    "X-Frame-Options": "DENY",
    "Cross-Origin-Opener-Policy": "same-origin",
}


_FILTERS = (
    "amount",
    "bound",
    "clock",
    "day",
    "difference",
    "duration",
    "exact",
    "from_of",
    "guarded",
    "last_day",
    "percent",
    "quantity",
    "room",
    "safe_link",
    "sentence",
    "short",
    "shortened",
    "span",
    "two_lines",
    "unit_words",
    "value_of",
    "words",
)
_ASSET = re.compile(rb'url\("([^"]+)"\)')


@cache
def static_files() -> Mapping[str, tuple[bytes, str, str]]:
    """(bytes, type, digest) of every static file by name."""
    found: dict[str, tuple[bytes, str, str]] = {}
    # What a sheet refers to comes before the sheet, whose addresses carry its digest.
    for path in sorted((_ROOM / "static").iterdir(), key=lambda path: (path.suffix == ".css", path.name)):
        content = path.read_bytes()
        if path.suffix == ".css":
            content = _ASSET.sub(
                lambda match: b'url("%s?v=%s")' % (match[1], found[match[1].decode()][2].encode()), content
            )
        found[path.name] = (content, _TYPES[path.suffix], hashlib.sha256(content).hexdigest()[:12])
    return found


def static_url(name: str) -> str:
    """A file's address, which changes with its content, so that browsers may keep it for good."""
    return f"/static/{name}?v={static_files()[name][2]}"


def word_of(view: KeyResultView) -> HeadlineView:
    """The one word for a key result, with its tone: silence outranks every status."""
    return view.headline


def tone_of(status: KeyResultStatus) -> Headline:
    """The word for a roll-up, which has no freshness of its own, with its tone."""
    return headline(status, "fresh")


def forecast_band(view: KeyResultView) -> tuple[float, float] | None:
    """Where the forecast's interval lies on the way from baseline to target: (from, to) within 0 and 1."""
    if view.forecast is None or view.baseline is None or view.target is None or view.target == view.baseline:
        return None
    way = view.target - view.baseline
    ends = sorted(float((value - view.baseline) / way) for value in (view.forecast.low, view.forecast.high))
    low, high = (min(max(end, 0.0), 1.0) for end in ends)
    return (low, high) if high > low else None


@cache
def _environment() -> Environment:
    environment = Environment(
        loader=FileSystemLoader(_ROOM / "templates"),
        autoescape=select_autoescape(default=True),
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    for name in _FILTERS:
        environment.filters[name] = getattr(formats, name)
    environment.globals.update(
        static_url=static_url,
        word_of=word_of,
        why_of=reason,
        is_unlikely=is_unlikely,
        tone_of=tone_of,
        forecast_band=forecast_band,
        ago=formats.ago,
    )
    return environment


def page(
    request: Request,
    template: str,
    *,
    now: datetime,
    principal: Principal | None = None,
    status: int = 200,
    **values: object,
) -> Response:
    """A template as an answer. `principal` is who is signed in, `now` the moment that the page shows."""
    html = (
        _environment()
        .get_template(template)
        .render(request=request, now=now, principal=principal, status=status, **values)
    )
    return Response(html, status_code=status, media_type="text/html; charset=utf-8", headers=dict(HEADERS))
