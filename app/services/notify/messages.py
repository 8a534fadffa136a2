"""Notices in words: a subject, plain text, Slack's blocks. Pure: a stored payload in, text out.

What is silent is said to be so, and its last value is never shown as if it were today's.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any
from zoneinfo import ZoneInfo

from app.domain.notice import SILENT
from app.domain.progress import Bound, parse_bound
from app.domain.shown import digits_beside, goal_of, whole_percent

Block = dict[str, Any]

_PLACES = 4
_LONG_NUMBER = re.compile(r"(?<![\w.])-?[0-9]+\.[0-9]{5,}(?![\w.])")

WORDS = {
    "not_started": "not started",
    "on_track": "on track",
    "behind": "behind",
    "at_risk": "at risk",
    "met": "met",
    "missed": "missed",
    "void": "void",
    "unknown": "unknown",
    "stale": "stale",
    "no_data": "no data",
    "error": "error",
    "paused": "paused",
    "dropped": "dropped",
}
#: A shape beside each word, so that no reader depends on a colour.
_MARKS = {
    "met": ":white_check_mark:",
    "on_track": ":large_green_circle:",
    "not_started": ":white_circle:",
    "behind": ":large_yellow_circle:",
    "at_risk": ":red_circle:",
    "missed": ":x:",
    "void": ":no_entry:",
    "unknown": ":grey_question:",
    "stale": ":hourglass:",
    "no_data": ":grey_question:",
    "error": ":warning:",
    "paused": ":double_vertical_bar:",
    "dropped": ":wastebasket:",
}
_MOST_LINES = 40
_MOST_TEXT = 2_900  # Slack takes 3,000 characters in a section
_MOST_SUBJECT = 180


@dataclass(frozen=True, slots=True)
class Message:
    """A notice in words. `lines` is the plain text; `blocks` is for Slack."""

    subject: str
    lines: tuple[str, ...]
    blocks: tuple[Block, ...]

    @property
    def text(self) -> str:
        return "\n".join((self.subject, "", *self.lines))


def message(kind: str, payload: Mapping[str, Any], zone: ZoneInfo) -> Message:
    """The words of a notice."""
    if kind == "key_result.changed":
        return _changed(payload, zone)
    if kind == "connection.paused":
        return _paused(payload, zone)
    return _digest(payload, zone) if kind == "team.digest" else _health_check(payload, zone)


def one_line(text: object) -> str:
    """Text as it may stand in a line: no line breaks and no control characters."""
    return " ".join("".join(c if c.isprintable() else " " for c in str(text)).split())


def escaped(text: object) -> str:
    """One line that Slack shows as it is: no mention, no link, no markup of its own.
    https://api.slack.com/reference/surfaces/formatting#escaping"""
    return one_line(text).replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")


def section(text: str) -> Block:
    """A block of Slack's markup, cut to what Slack takes."""
    return {"type": "section", "text": {"type": "mrkdwn", "text": _cut(text, _MOST_TEXT)}}


def context(text: str) -> Block:
    """A small line below."""
    return {"type": "context", "elements": [{"type": "mrkdwn", "text": _cut(text, _MOST_TEXT)}]}


def moment(text: str | None, zone: ZoneInfo) -> str:
    """A stored moment in the team's time."""
    if text is None:
        return "never"
    at = datetime.fromisoformat(text)
    return f"{(at if at.tzinfo else at.replace(tzinfo=UTC)).astimezone(zone):%Y-%m-%d %H:%M %Z}"


def mark(word: str) -> str:
    """The shape of a headline in Slack."""
    return _MARKS.get(word, ":grey_question:")


def percent(share: object) -> str:
    """A ratio as people read it."""
    if isinstance(share, bool) or not isinstance(share, int | float | Decimal):
        return "unknown"
    return f"{whole_percent(share)} %"


def standing_text(standing: Mapping[str, Any]) -> str:
    """A standing in words: `at risk, guardrail hr/headcount broken`."""
    broken = [f"guardrail {name} broken" for name in standing["broken"]]
    return ", ".join([WORDS.get(standing["word"], standing["word"]), *broken])


def facts_of(item: Mapping[str, Any], zone: ZoneInfo) -> list[str]:
    """What there is to say of a key result, in lines."""
    word = item["headline"]["word"]
    lines = []
    if word in SILENT:
        reason = one_line(item["freshness"]["reason"] or "nothing is known of why")
        lines.append(f"The value can not be relied on: {reason}.")
        if item["value"] is not None:
            observed = moment(item["observed_at"], zone)
            lines.append(f"Last value {value_of(item)}, of {observed}; it may be another by now.")
    else:
        lines.append(f"{value_of(item)} now; {_way(item)}.")
        if item["progress"] is not None:
            expected = item["expected_progress"]
            beside = "" if expected is None else f", {percent(expected)} expected by now"
            lines.append(f"Progress {percent(item['progress'])}{beside}.")
        if item["reason"]:
            lines.append(f"Why: {one_line(item['reason'])}.")
    lines += [
        f"Guardrail {broken['metric']} must be {broken['must']}, is {_guarded(broken)}."
        for broken in item["guardrails_broken"]
    ]
    if item["lifecycle_reason"]:
        stage = WORDS.get(item["lifecycle"], item["lifecycle"]).capitalize()
        lines.append(f"{stage}: {one_line(item['lifecycle_reason'])}")
    if item["owner"]:
        lines.append(f"Owner: {one_line(item['owner'])}.")
    return lines


def _way(item: Mapping[str, Any]) -> str:
    rule = item["target_rule"]
    if "maintain" in rule:
        return f"to hold {rule['maintain']}"
    return f"from {_plain(item['baseline'])} to {_plain(item['target'])}"


def _changed(payload: Mapping[str, Any], zone: ZoneInfo) -> Message:
    item, after = payload["key_result"], payload["after"]
    title = one_line(item["title"])
    subject = f"{title}: {standing_text(payload['before'])} → {standing_text(after)}"
    if payload["direction"] == "resolved":
        subject = f"Resolved: {subject}"
    lines = [f"{item['id']}, since {moment(payload['since'], zone)}.", *facts_of(item, zone)]
    closing = f"As of {moment(payload['as_of'], zone)}."
    link = item["source"]["link"]
    blocks = [
        section(f"{mark(after['word'])} *{escaped(subject)}*\n" + "\n".join(escaped(line) for line in lines)),
        context(escaped(closing) + (f"  <{_href(link)}|Open the source>" if _is_link(link) else "")),
    ]
    lines = [*lines, closing, *([link] if _is_link(link) else [])]
    return Message(_cut(subject, _MOST_SUBJECT), tuple(lines), tuple(blocks))


_REMEDIES = {
    "authentication": "Make a new credential in the tool, give it to the connection, and check the connection.",
    "access_denied": "Give the account what it lacks in the tool, and check the connection.",
}


def _paused(payload: Mapping[str, Any], zone: ZoneInfo) -> Message:
    name = payload["connection"]
    subject = f"The connection {name} is paused: {one_line(payload['reason'])}"
    lines = [
        one_line(payload["reason"]),
        _REMEDIES.get(payload["code"], "Mend it, and check the connection."),
        f"Until then nothing is read of {payload['connector']}: values stay as they were and are shown as out of date.",
        f"It has not worked since {moment(payload['since'], zone)}. This is the only message about it.",
    ]
    blocks = (section(f"*{escaped(subject)}*\n" + "\n".join(map(escaped, lines[1:]))),)
    return Message(_cut(subject, _MOST_SUBJECT), tuple(lines), blocks)


def _digest(payload: Mapping[str, Any], zone: ZoneInfo) -> Message:
    counts = ", ".join(f"{count} {WORDS.get(word, word)}" for word, count in sorted(payload["counts"].items()))
    subject = f"{one_line(payload['title'])}, the week's key results: {counts}"
    lines, marked = [], []
    objective = None
    for item in payload["key_results"][:_MOST_LINES]:
        if item["objective"] != objective:
            objective = item["objective"]
            heading = one_line(item["objective_title"])
            lines.append(f"{heading}")
            marked.append(f"*{escaped(heading)}*")
        line = _digest_line(item)
        lines.append(f"  {line}")
        marked.append(f"{mark(item['headline']['word'])} {escaped(line)}")
    left = len(payload["key_results"]) - _MOST_LINES
    closing = f"As of {moment(payload['as_of'], zone)}." + (f" {left} more are not shown." if left > 0 else "")
    blocks = [{"type": "header", "text": {"type": "plain_text", "text": _cut(one_line(payload["title"]), 140)}}]
    blocks += [section("\n".join(marked[start : start + 10])) for start in range(0, len(marked), 10)]
    return Message(_cut(subject, _MOST_SUBJECT), (*lines, closing), (*blocks, context(escaped(closing))))


def _digest_line(item: Mapping[str, Any]) -> str:
    word, then = item["headline"]["word"], item["week_ago"]
    shown = f"{one_line(item['title'])}: {WORDS.get(word, word)}"
    if word in SILENT:
        return shown + (f" ({one_line(item['freshness']['reason'])})" if item["freshness"]["reason"] else "")
    shown += f", {value_of(item)}"
    if item["progress"] is not None:
        shown += f", {percent(item['progress'])}"
        if then is not None and then["word"] not in SILENT and then["progress"] is not None:
            points = (item["progress"] - then["progress"]) * 100
            shown += f" ({round(points):+d} points since last week)"
    if then is not None and then["word"] != word:
        shown += f", was {WORDS.get(then['word'], then['word'])}"
    return shown


def _health_check(payload: Mapping[str, Any], zone: ZoneInfo) -> Message:
    proposals = payload["proposals"]
    words = {"keep": "keep", "re_scope": "re-scope", "drop": "drop"}
    counts = ", ".join(f"{words[key]} {proposals.get(key, 0)}" for key in words)
    subject = f"{payload['team']} {payload['cycle']}, health check: {counts}"
    lines = []
    for item in payload["key_results"][:_MOST_LINES]:
        is_fresh = item["freshness"]["level"] == "fresh"
        stands = item["status"] if is_fresh else item["freshness"]["level"]
        proposal = words.get(item["proposal"], item["proposal"])
        stands = WORDS.get(stands, stands)
        lines.append(f"{one_line(item['title'])} ({stands}): {proposal}; {one_line(item['reason'])}")
    lines += [f"{finding['subject']}: {one_line(finding['message'])}" for finding in payload["findings"][:10]]
    closing = f"{percent(payload['elapsed'])} of the cycle passed, as of {moment(payload['as_of'], zone)}."
    blocks = [section(f"*{escaped(subject)}*")]
    blocks += [section("\n".join(map(escaped, lines[start : start + 10]))) for start in range(0, len(lines), 10)]
    return Message(_cut(subject, _MOST_SUBJECT), (*lines, closing), (*blocks, context(escaped(closing))))


def value_of(item: Mapping[str, Any]) -> str:
    """A key result's value with its unit, in as many places as it takes to see whether it meets its goal."""
    if item["value"] is None:
        return "no value"
    must = goal_of(_decimal(item["target"]), _decimal(item["baseline"]), item["target_rule"].get("maintain"))
    return f"{_beside(item['value'], must, item['baseline'])} {item['unit'].replace('_', ' ')}"


def _guarded(guardrail: Mapping[str, Any]) -> str:
    """The value of a guardrail's metric, never as if it kept what it breaks."""
    return _beside(guardrail["value"], parse_bound(guardrail["must"]), guardrail.get("baseline"))


def _beside(value: object, must: Bound | None, baseline: object) -> str:
    exact = _decimal(value)
    if exact is None or must is None:
        return _plain(value)
    whole = exact.adjusted() + 1
    digits = digits_beside(exact, must, _decimal(baseline), at_least=max(whole + _PLACES, 1))
    return _plain(value, digits - whole)


def short_numbers(text: str) -> str:
    """A text with its long numbers as a reader wants them."""
    return _LONG_NUMBER.sub(lambda number: _plain(number[0]), text)


def _plain(value: object, places: int = _PLACES) -> str:
    """A stored decimal with as many digits as a reader wants: those beyond `places` after the point are cut off by
    rounding, and none is added."""
    exact = _decimal(value)
    if exact is None:
        return "unknown"
    exponent = exact.as_tuple().exponent
    shown = round(exact, places) if isinstance(exponent, int) and exponent < -places else exact
    text = format(shown, "f")
    return text.rstrip("0").rstrip(".") if "." in text else text


def _decimal(value: object) -> Decimal | None:
    return None if value is None else Decimal(str(value))


def _is_link(link: object) -> bool:
    return isinstance(link, str) and link.startswith(("https://", "http://")) and link.isprintable() and " " not in link


def _href(link: str) -> str:
    return link.replace("&", "&amp;").replace("<", "%3C").replace(">", "%3E").replace("|", "%7C")


def _cut(text: str, most: int) -> str:
    return text if len(text) <= most else text[: most - 1] + "…"
