"""The check-in form in Slack, and what was filled in. Pure."""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any

from app.domain.shown import typed_decimal
from app.services.notify.messages import WORDS, escaped, mark, section
from app.services.views import KeyResultView

CALLBACK = "okr_check_in_form"
NOTE, CONFIDENCE, BLOCKERS, VALUE = "note", "confidence", "blockers", "value"

_ANSWER = "answer"
_NAME = re.compile(r"[a-z][a-z0-9_]{0,62}")


@dataclass(frozen=True, slots=True)
class Said:
    """What a form says; `problems` by the field that is wrong."""

    name: str
    note: str | None = None
    confidence: Decimal | None = None
    blockers: tuple[str, ...] = ()
    value: Decimal | None = None
    problems: dict[str, str] = field(default_factory=dict)


def check_in_form(name: str, view: KeyResultView) -> dict[str, Any]:
    """The form for one key result.
    https://api.slack.com/reference/surfaces/views"""
    word = view.headline.word
    fields = [
        _field(NOTE, "How is it doing?", multiline=True),
        _field(CONFIDENCE, "How sure are you to reach the target, in percent?", hint="0 to 100"),
        _field(BLOCKERS, "What is in the way?", multiline=True, hint="One a line"),
        _field(VALUE, "Today's value", hint="For metrics that people report alone"),
    ]
    return {
        "callback_id": CALLBACK,
        "private_metadata": name,
        "title": {"type": "plain_text", "text": "Check in"},
        "submit": {"type": "plain_text", "text": "Check in"},
        "close": {"type": "plain_text", "text": "Cancel"},
        "blocks": [section(f"{mark(word)} *{escaped(view.title)}*: {WORDS.get(word, word)}"), *fields],
    }


def _field(name: str, label: str, *, multiline: bool = False, hint: str | None = None) -> dict[str, Any]:
    block: dict[str, Any] = {
        "type": "input",
        "block_id": name,
        "optional": True,
        "label": {"type": "plain_text", "text": label},
        "element": {
            "type": "plain_text_input",
            "action_id": _ANSWER,
            "multiline": multiline,
            "max_length": 2000 if multiline else 40,
        },
    }
    return block if hint is None else {**block, "hint": {"type": "plain_text", "text": hint}}


def said_in(view: Mapping[str, Any]) -> Said:
    """What was filled in."""
    name = view.get("private_metadata")
    known = name if isinstance(name, str) and _NAME.fullmatch(name) else ""
    problems: dict[str, str] = {}
    confidence = _number(view, CONFIDENCE, problems)
    if confidence is not None and not 0 <= confidence <= 100:
        problems[CONFIDENCE] = "0 to 100 is expected."
    value = _number(view, VALUE, problems)
    note = _filled(view, NOTE)
    blockers = tuple(line.strip() for line in (_filled(view, BLOCKERS) or "").splitlines() if line.strip())
    if len(blockers) > 20:
        problems[BLOCKERS] = "At most 20 lines are expected."
    if not problems and note is None and confidence is None and not blockers and value is None:
        problems[NOTE] = "A note, a confidence, what is in the way or a value are expected."
    share = None if confidence is None else confidence / 100
    return Said(known, note, share, blockers, value, problems)


def _filled(view: Mapping[str, Any], name: str) -> str | None:
    here: Any = view
    for key in ("state", "values", name, _ANSWER, "value"):
        here = here.get(key) if isinstance(here, dict) else None
    text = here.replace("\0", "").strip()[:2000] if isinstance(here, str) else ""
    return text or None


def _number(view: Mapping[str, Any], name: str, problems: dict[str, str]) -> Decimal | None:
    text = _filled(view, name)
    if text is None:
        return None
    number = typed_decimal(text.rstrip("% "))
    if number is None:
        problems[name] = "A number is expected, such as 70, 8.5 or 1240; 1,240 might mean 1.24 or 1240."
    return number
