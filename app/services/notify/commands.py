"""`/okr` in Slack: list, show, why and check in, about the team's own key results.

Whoever is in the workspace whose app holds the team's signing secret may ask; what they say is written under their
Slack id.
"""

import difflib
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Any
from zoneinfo import ZoneInfo

import structlog

from app.domain.notice import SILENT
from app.domain.notify import NotifySpec
from app.errors import AppError
from app.services.check_ins import check_in
from app.services.context import Services
from app.services.definitions import team_zone
from app.services.explain import explain
from app.services.notify.channels import notify_spec, secret_value
from app.services.notify.forms import CALLBACK, NOTE, check_in_form, said_in
from app.services.notify.messages import (
    WORDS,
    context,
    escaped,
    facts_of,
    mark,
    percent,
    section,
    short_numbers,
    value_of,
)
from app.services.notify.payloads import key_result_json
from app.services.notify.slack import call_slack
from app.services.notify.watch import judged_of
from app.services.views import ExplainView, KeyResultView
from app.store import organisation
from app.store.tables import Team
from connectors.errors import ConnectorError

log = structlog.get_logger(__name__)

Answer = dict[str, Any]

CHECK_IN, WHY = "okr_check_in", "okr_why"
_MOST_LISTED = 40
_MOST_RECORDS = 8
_LONGEST_NOTE = 2000
_USAGE = (
    "`/okr list` all key results · `/okr show NAME` one of them · `/okr why NAME` where its number comes from · "
    "`/okr check-in NAME [CONFIDENCE %] NOTE` say how it is doing"
)
_CONFIDENCE = re.compile(r"(100|[1-9]?[0-9])\s?%\s+")
_PERCENT = re.compile(r"[-+]?[0-9]+([.,][0-9]+)?\s?%")


@dataclass(frozen=True, slots=True)
class Workspace:
    """A team with its `/okr` command, and the secret that Slack signs with."""

    team: Team
    spec: NotifySpec
    signing_secret: str


async def workspace(services: Services, team: str) -> Workspace | None:
    """The team's command; None where there is no such team, it has none, or the secret is not there."""
    async with services.database.reading() as session:
        found = await organisation.get_team(session, team)
    spec = None if found is None else notify_spec(found)
    if found is None or spec is None or spec.slack is None or spec.slack.signing_secret is None:
        return None
    try:
        secret = await secret_value(services, team, spec.slack.signing_secret)
    except ConnectorError:
        log.warning("slack.no_signing_secret", team=team)
        return None
    return Workspace(found, spec, secret)


async def command(services: Services, at: Workspace, form: Mapping[str, str]) -> Answer:
    """The answer to a slash command, for the one who gave it alone."""
    verb, rest = _first_word(form.get("text", ""))
    match verb.lower():
        case "" | "list":
            return await _list(services, at)
        case "show":
            return await _about(services, at, rest, _show)
        case "why":
            return await _about(services, at, rest, _why)
        case "check-in" | "checkin":
            return await _check_in(services, at, rest, form)
    return _say(_USAGE)


async def interaction(services: Services, at: Workspace, payload: Mapping[str, Any]) -> Answer:
    """The answer to a button or a form."""
    if payload.get("type") == "view_submission":
        return await _submitted(services, at, payload)
    actions = payload.get("actions")
    action = actions[0] if isinstance(actions, list) and actions and isinstance(actions[0], dict) else {}
    name = action.get("value")
    if payload.get("type") != "block_actions" or not isinstance(name, str):
        return {}
    if action.get("action_id") == CHECK_IN:
        await _open_form(services, at, name, payload.get("trigger_id"))
    elif action.get("action_id") == WHY:
        answer = await _about(services, at, name, _why)
        await _open_view(services, at, payload.get("trigger_id"), {"blocks": answer["blocks"]})
    return {}


def _first_word(text: str) -> tuple[str, str]:
    """A text's first word and the rest, whatever white space is between them; empty where there is none."""
    first, *rest = text.split(maxsplit=1) or [""]
    return first, "".join(rest).strip()


# --- reading ---------------------------------------------------------------------------------------------------------


async def _views(services: Services, at: Workspace) -> list[KeyResultView]:
    async with services.database.reading() as session:
        judged = await judged_of(session, at.team, services.clock())
    judged.sort(key=lambda item: (item.row.objective.position, item.row.key_result.position))
    return [item.view for item in judged]


async def _list(services: Services, at: Workspace) -> Answer:
    views = await _views(services, at)
    if not views:
        return _say(f"{escaped(at.team.name)} has no key results yet.")
    lines = [_line(view) for view in views[:_MOST_LISTED]]
    blocks = [section("\n".join(lines[start : start + 10])) for start in range(0, len(lines), 10)]
    left = len(views) - len(lines)
    more = f"{left} more are not shown. " if left > 0 else ""
    return _answer(f"Key results of {at.team.name}", [*blocks, context(f"{more}{_USAGE}")])


def _line(view: KeyResultView) -> str:
    word, name = view.headline.word, view.id.partition("/")[2]
    shown = f"{mark(word)} *{escaped(view.title)}* (`{name}`): {WORDS.get(word, word)}"
    if word in SILENT or view.value is None:
        return shown
    progress = "" if view.progress is None else f", {percent(view.progress)}"
    return f"{shown}, {escaped(value_of(key_result_json(view)))}{progress}"


async def _about(services: Services, at: Workspace, name: str, tell: Any) -> Answer:
    """Find a key result by name and tell of it; what is nearest where there is none."""
    views = {view.id.partition("/")[2]: view for view in await _views(services, at)}
    found = views.get(name.removeprefix(f"{at.team.name}/").strip("`").lower())
    if found is None:
        near = difflib.get_close_matches(name, views, n=3)
        hint = f" Did you mean {', '.join(f'`{one}`' for one in near)}?" if near else " `/okr list` names them all."
        return _say(("There is no such key result." if name else "Which key result?") + hint)
    answer: Answer = await tell(services, at, found)
    return answer


async def _show(services: Services, at: Workspace, view: KeyResultView) -> Answer:
    word = view.headline.word
    lines = facts_of(key_result_json(view), team_zone(at.team))
    head = f"{mark(word)} *{escaped(view.title)}*: {WORDS.get(word, word)}"
    blocks = [section("\n".join([head, *map(escaped, lines)]))]
    if at.spec.slack is not None and at.spec.slack.token is not None:
        name = view.id.partition("/")[2]
        blocks.append(
            {"type": "actions", "elements": [_button(CHECK_IN, "Check in", name), _button(WHY, "Why?", name)]}
        )
    return _answer(f"{view.title}: {WORDS.get(word, word)}", blocks)


def _button(action: str, words: str, value: str) -> Answer:
    return {"type": "button", "action_id": action, "text": {"type": "plain_text", "text": words}, "value": value}


async def _why(services: Services, at: Workspace, view: KeyResultView) -> Answer:
    name = view.id.partition("/")[2]
    async with services.database.reading() as session:
        found = await explain(session, at.team.name, name, now=services.clock(), limit=_MOST_RECORDS)
    if found is None:
        return _say("There is no such key result.")
    word = view.headline.word
    lines = [f"*Why {escaped(view.title)} is {WORDS.get(word, word)}*"]
    if word in SILENT:
        lines += map(escaped, facts_of(key_result_json(view), team_zone(at.team))[:2])
    return _answer(f"Why: {view.title}", [section("\n".join([*lines, *_taken_apart(found, team_zone(at.team))]))])


def _taken_apart(found: ExplainView, zone: ZoneInfo) -> Sequence[str]:
    lines = [found.formula]
    lines += [f"{part.part}: {part.included} in, {part.excluded} left out" for part in found.parts if part.included]
    lines.append(f"Rule: revision {found.revision.number}, by {found.revision.author}.")
    if found.delta is not None:
        before, now = found.delta.value_before, found.delta.value_now
        shown = " → ".join("unknown" if value is None else format(value, "f") for value in (before, now))
        lines.append(f"Since {found.delta.since.astimezone(zone):%Y-%m-%d %H:%M %Z}: {shown}.")
    lines += [
        f"• {record.label}: {'no value' if record.value is None else format(record.value, 'f')}"
        for record in found.included[:_MOST_RECORDS]
    ]
    left = found.counts.get("included", 0) - len(found.included[:_MOST_RECORDS])
    return [*(escaped(short_numbers(line)) for line in lines), *([f"…and {left} more"] if left > 0 else [])]


# --- checking in -----------------------------------------------------------------------------------------------------


async def _check_in(services: Services, at: Workspace, rest: str, form: Mapping[str, str]) -> Answer:
    name, said = _first_word(rest)
    if said or not name:
        confidence = None
        if (match := _CONFIDENCE.match(f"{said} ")) is not None:
            confidence, said = Decimal(match[1]) / 100, said[match.end() :].strip()
        elif _PERCENT.match(said):
            # Kept as a note it would seem to have been understood.
            return _say("Confidence is a whole number from 0 to 100 %, with a space behind it.")
        if len(said) > _LONGEST_NOTE:
            return _say(f"A note has at most {_LONGEST_NOTE} characters; this one has {len(said)}.")

        async def keep(services: Services, at: Workspace, view: KeyResultView) -> Answer:
            try:
                await check_in(
                    services,
                    at.team.name,
                    view.id.partition("/")[2],
                    note=said or None,
                    confidence=confidence,
                    actor=_actor(form.get("user_id")),
                )
            except AppError as error:
                return _say(_refusal(error))
            return _say(f"Checked in on *{escaped(view.title)}*.")

        return await _about(services, at, name, keep)

    async def ask(services: Services, at: Workspace, view: KeyResultView) -> Answer:
        is_open = await _open_form(services, at, view.id.partition("/")[2], form.get("trigger_id"))
        return {} if is_open else _say(f"Say how it is doing: `/okr check-in {view.id.partition('/')[2]} 70% NOTE`")

    return await _about(services, at, name, ask)


async def _open_form(services: Services, at: Workspace, name: str, trigger: object) -> bool:
    found = next((view for view in await _views(services, at) if view.id == f"{at.team.name}/{name}"), None)
    return found is not None and await _open_view(services, at, trigger, check_in_form(name, found))


async def _open_view(services: Services, at: Workspace, trigger: object, view: Answer) -> bool:
    """Open a window in Slack; False where the team gave no token, or Slack did not."""
    slack = at.spec.slack
    if slack is None or slack.token is None or not isinstance(trigger, str):
        return False
    shown = {"type": "modal", "title": {"type": "plain_text", "text": "Key result"}, **view}
    try:
        token = await secret_value(services, at.team.name, slack.token)
        arguments = {"trigger_id": trigger, "view": shown}
        await call_slack(services.toolbox(), slack.api, "views.open", token, arguments)
    except ConnectorError as error:
        log.warning("slack.no_window", team=at.team.name, code=error.code)
        return False
    return True


async def _submitted(services: Services, at: Workspace, payload: Mapping[str, Any]) -> Answer:
    view, user = payload.get("view"), payload.get("user")
    if not isinstance(view, dict) or view.get("callback_id") != CALLBACK:
        return {}
    said = said_in(view)
    if said.problems:
        return {"response_action": "errors", "errors": said.problems}
    try:
        await check_in(
            services,
            at.team.name,
            said.name,
            note=said.note,
            confidence=said.confidence,
            blockers=said.blockers,
            value=said.value,
            actor=_actor(user.get("id") if isinstance(user, dict) else None),
        )
    except AppError as error:
        return {"response_action": "errors", "errors": {NOTE: _refusal(error)}}
    return {"response_action": "clear"}


def _actor(user: object) -> str:
    return f"slack:{user}" if isinstance(user, str) and re.fullmatch(r"[A-Z0-9]{1,32}", user) else "slack"


def _refusal(error: AppError) -> str:
    details = [item.detail for item in error.errors]
    return "; ".join(details) if details else str(error) or "It could not be taken."


# --- answers ---------------------------------------------------------------------------------------------------------


def _say(text: str) -> Answer:
    return _answer(text, [section(text)])


def _answer(text: str, blocks: Sequence[Answer]) -> Answer:
    return {"response_type": "ephemeral", "text": escaped(text), "blocks": list(blocks)}
