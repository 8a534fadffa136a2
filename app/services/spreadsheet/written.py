"""Drafts as the text of a team file: names, quotes, and a comment where a tool could say the value."""

import json
import re
from collections.abc import Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from decimal import Decimal

from app.services.spreadsheet.binding import advice
from app.services.spreadsheet.drafts import YAML_WORDS, KeyResultDraft, ObjectiveDraft, slug
from connectors.spreadsheet.cells import printable
from connectors.spreadsheet.numbers import plain

HEADER = "# yaml-language-server: $schema=krsync.schema.json\n"
_CHECKED_EVERY = "14d"
_STEP = re.compile(r"[^A-Za-z0-9À-ÿ]*([A-Za-z0-9À-ÿ].*)")


@dataclass(frozen=True, slots=True)
class Named:
    """A key result with its name, which is its metric's too."""

    name: str
    draft: KeyResultDraft


@dataclass(frozen=True, slots=True)
class NamedObjective:
    name: str
    draft: ObjectiveDraft
    key_results: Sequence[Named]


def named(drafts: Iterable[ObjectiveDraft]) -> list[NamedObjective]:
    """Objectives and key results with names that are unique in the team, made of their titles."""
    objectives: set[str] = set()
    key_results: set[str] = set()
    return [
        NamedObjective(
            _unique(slug(draft.title), "objective", objectives),
            draft,
            [Named(_unique(slug(one.title), "key_result", key_results), one) for one in draft.key_results],
        )
        for draft in drafts
    ]


def _unique(wanted: str, otherwise: str, taken: set[str]) -> str:
    name, number = wanted or f"{otherwise}_1", 1
    while name in taken:
        number += 1
        name = f"{wanted or otherwise}_{number}"
    taken.add(name)
    return name


def team_file(
    team: str, title: str | None, objectives: Sequence[NamedObjective], source: str, built: Collection[str]
) -> str:
    """The team file. `source` is the sheet's name; `built` names the connectors of this version."""
    key_results = [one for objective in objectives for one in objective.key_results]
    lines = [
        "#",
        f"# From {printable(source)}: {_count(objectives, 'objective')} with {_count(key_results, 'key result')}.",
        "# What no tool measures yet is manual: krsync check-in says its value, or a script does. A comment says which",
        "# tool probably knows it.",
        "version: 1",
        f"team: {team}",
        *([f"title: {_quoted(title)}"] if title else []),
        *_cycles(objectives),
        *(["", "metrics:"] if key_results else []),
        *(line for one in key_results for line in _metric(one, built)),
        *(["", "objectives:"] if objectives else []),
        *(line for objective in objectives for line in _objective(objective)),
    ]
    return HEADER + "\n".join(lines) + "\n"


def _count(items: Sequence[object], noun: str) -> str:
    return f"{len(items)} {noun}{'' if len(items) == 1 else 's'}"


def _quoted(text: str) -> str:
    # JSON's strings are YAML's, and no text in them can end a line, begin a comment or be a number.
    return json.dumps(printable(text), ensure_ascii=False)


def _cycle_name(cycle: str | tuple[date, date]) -> str:
    return cycle if isinstance(cycle, str) else f"from_{cycle[0]:%Y_%m_%d}_to_{cycle[1]:%Y_%m_%d}"


def _cycles(objectives: Sequence[NamedObjective]) -> Iterator[str]:
    own = {one.draft.cycle for one in objectives if isinstance(one.draft.cycle, tuple)}
    if own:
        yield "cycles:"
    for cycle in sorted(own):
        after = cycle[1] + timedelta(days=1)
        yield f"  {_cycle_name(cycle)}: {{start: {cycle[0]}, end: {after}}} # the day after the last one"


def _metric(one: Named, built: Collection[str]) -> Iterator[str]:
    measure = one.draft.measure
    if measure.done is not None:
        yield f"  {one.name}: # row {one.draft.row + 1}"
        yield "    unit: percent"
        yield "    milestones: # weighted steps; split it up, or let a query tick it"
        yield f"      - {{name: {_quoted(_step(measure.done, one.draft.title))}, done: manual}}"
        return
    yield f"  {one.name}: # row {one.draft.row + 1}; {advice(one.draft.binding, built)}"
    is_word = re.fullmatch(r"[A-Za-z_]+", measure.unit) and measure.unit.lower() not in YAML_WORDS
    yield f"    unit: {measure.unit if is_word else _quoted(measure.unit)}"
    yield f"    manual: {{every: {_CHECKED_EVERY}}}"


def _step(done: str, title: str) -> str:
    """A step's name: the target's words, or the title where they say no more than yes."""
    words = title if len(done.split()) == 1 else done
    found = _STEP.match(printable(words).replace("/", " "))
    return (found[1] if found else "done")[:99].strip()


def _objective(objective: NamedObjective) -> Iterator[str]:
    draft = objective.draft
    yield f"  {objective.name}:"
    yield f"    title: {_quoted(draft.title)}"
    yield f"    cycle: {_cycle_name(draft.cycle)}"
    if draft.focus:
        yield f"    focus: {draft.focus}"
    if draft.owner:
        yield f"    owner: {_quoted(draft.owner)}"
    yield "    key_results:"
    for one in objective.key_results:
        yield from _key_result(one)


def _key_result(one: Named) -> Iterator[str]:
    draft, measure = one.draft, one.draft.measure
    yield f"      {one.name}:{f' # due {draft.due}' if draft.due else ''}"
    yield f"        title: {_quoted(draft.title)}"
    yield f"        metric: {one.name}"
    baseline = Decimal(0) if measure.done is not None else measure.baseline
    if baseline is not None:
        yield f"        baseline: {plain(baseline)}"
    if measure.maintain is not None:
        yield f'        target: {{maintain: "{measure.maintain}"}}'
    elif measure.change is not None:
        yield f'        target: {{change: "{measure.change}"}}'
    else:
        yield f"        target: {'100' if measure.target is None else plain(measure.target)}"
    if draft.kind:
        yield f"        kind: {draft.kind}"
    if draft.weight is not None:
        yield f"        weight: {plain(draft.weight)}"
    if draft.owner:
        yield f"        owner: {_quoted(draft.owner)}"
