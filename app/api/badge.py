"""A key result as a picture for a README and as a card for a wiki: made of its one word, never of colour alone."""

import hashlib
import hmac
from html import escape

from app.domain.shown import whole_percent
from app.services.views import KeyResultView

_COLOURS = {"good": "#1a7f4b", "warning": "#8a5a00", "bad": "#b3261e", "neutral": "#4a5565", "silent": "#5b6472"}
_MARKS = {"good": "●", "warning": "◐", "bad": "▲", "neutral": "○", "silent": "◌"}
_CHARACTER, _GAP, _HEIGHT = 6.6, 10, 20
_LONGEST = 60


def badge_key(secret: bytes, team: str, name: str) -> str:
    """The key that opens one key result's badge and nothing else: HMAC-SHA256 under the service's own, 128 bits."""
    return hmac.new(secret, f"krsync badge\0{team}/{name}".encode(), hashlib.sha256).hexdigest()[:32]


def is_badge_key(secret: bytes, team: str, name: str, given: str) -> bool:
    """Whether a key is that of this key result, compared in constant time."""
    return hmac.compare_digest(badge_key(secret, team, name), given)


def badge_svg(view: KeyResultView) -> str:
    """An SVG image: the title, the one word with its mark, the progress where that is known."""
    left, right = _cut(view.title), f"{_MARKS[view.headline.tone]} {_standing(view)}"
    first, second = (round(len(text) * _CHARACTER + 2 * _GAP) for text in (left, right))
    label = escape(f"{left}: {_standing(view)}")
    colour = _COLOURS[view.headline.tone]
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{first + second}" height="{_HEIGHT}" role="img" '
        f'aria-label="{label}"><title>{label}</title>'
        f'<clipPath id="r"><rect width="{first + second}" height="{_HEIGHT}" rx="4"/></clipPath>'
        f'<g clip-path="url(#r)"><rect width="{first}" height="{_HEIGHT}" fill="#1d2733"/>'
        f'<rect x="{first}" width="{second}" height="{_HEIGHT}" fill="{colour}"/></g>'
        '<g fill="#fff" text-anchor="middle" font-family="Verdana,Geneva,DejaVu Sans,sans-serif" font-size="11">'
        f'<text x="{first / 2:g}" y="14">{escape(left)}</text>'
        f'<text x="{first + second / 2:g}" y="14">{escape(right)}</text></g></svg>'
    )


def card_html(view: KeyResultView) -> str:
    """A page to be embedded: title, value, baseline → target, the one word, and how old the value is."""
    unit = "" if view.metric.unit == "" else f" {view.metric.unit}"
    value = "–" if view.value is None else f"{view.value:f}{unit}"
    goal = "" if view.target is None or view.baseline is None else f"{view.baseline:f} → {view.target:f}{unit}"
    colour = _COLOURS[view.headline.tone]
    share = min(max(view.progress or 0.0, 0.0), 1.0)
    seen = "never" if view.observed_at is None else f"{view.observed_at:%Y-%m-%d %H:%M} UTC"
    return (
        '<!doctype html><html lang="en"><meta charset="utf-8"><meta name="viewport" content="width=device-width">'
        f"<title>{escape(view.title)}</title><style>"
        "body{margin:0;font:15px/1.4 system-ui,sans-serif;color:#1d2733;background:#fff}"
        "main{border:1px solid #c9d1db;border-radius:8px;padding:14px 16px}h1{font-size:15px;margin:0 0 6px}"
        "b{font-size:24px}p{margin:4px 0}.bar{height:6px;border-radius:3px;background:#e5e9ee}"
        f".bar i{{display:block;height:6px;border-radius:3px;width:{share * 100:.1f}%;background:{colour}}}"
        f".word{{color:{colour};font-weight:600}}"
        "@media(prefers-color-scheme:dark){body{color:#e8edf3;background:#141a21}main{border-color:#3a4654}"
        ".word{color:inherit}.bar{background:#2a3440}}"
        f"</style><main><h1>{escape(view.title)}</h1><p><b>{escape(value)}</b> {escape(goal)}</p>"
        f'<div class="bar"><i></i></div><p class="word">{_MARKS[view.headline.tone]} {escape(_standing(view))}</p>'
        f"<p>Cycle {escape(view.cycle.name)}, seen {seen}</p></main></html>"
    )


def _standing(view: KeyResultView) -> str:
    word = view.headline.word.replace("_", " ")
    if view.progress is None or view.headline.tone not in ("good", "warning", "bad") or word == "error":
        return word
    return f"{word} {whole_percent(view.progress)}%"


def _cut(title: str) -> str:
    return title if len(title) <= _LONGEST else title[: _LONGEST - 1] + "…"
