"""Why a number is another one than it was: late data, what happened since, another rule; each with what it adds."""

from dataclasses import dataclass, replace
from datetime import UTC, datetime
from decimal import Decimal

from app.errors import InvalidInput
from app.services.computed import Computed
from app.services.definitions import Definition, definition_of, team_cycle
from app.services.evaluate import compute
from app.services.explain_chain import Chain, Changes, Word, plain
from app.services.explain_delta_forms import asserted_causes, formula_causes, milestone_causes
from app.services.explain_rows import Rows, State, renewed_since, rows_at, value_of
from app.services.views import ExplainDelta
from app.store import evidence, organisation, samples
from app.store.database import Session
from app.store.facts import Window
from app.store.organisation import RevisedMetric
from app.store.tables import Sample

#: Beyond so many records the sample's and today's are not compared one by one within a request.
MOST_COMPARED = 200_000


@dataclass(frozen=True, slots=True)
class Today:
    """A metric's value and the point of the two axes that it is of."""

    item: RevisedMetric
    cycle: str
    bounds: Window
    computed: Computed


async def earlier_sample(
    session: Session,
    metric_id: int,
    cycle: str,
    since: datetime | int | None,
    *,
    shown_at: datetime | None,
) -> Sample | None:
    """The sample to compare with: that of an id, or the one that was shown at a moment (the first one, for moments
    before it), or else the one before what was current at `shown_at` (None: is current now)."""
    if isinstance(since, int):
        found = await evidence.sample_by_id(session, metric_id, cycle, since)
        if found is None:
            raise InvalidInput.at("/since", "unknown", "This metric has no such sample.", "query")
        return found
    if since is not None:
        return await evidence.sample_shown_at(session, metric_id, cycle, since, first=True)
    if shown_at is None:
        current = (await samples.current_samples(session, [metric_id])).get((metric_id, cycle))
    else:
        current = await evidence.sample_shown_at(session, metric_id, cycle, shown_at)
    return None if current is None else await samples.sample_preceding(session, current)


async def explain_delta(session: Session, today: Today, before: Sample, *, limit: int) -> ExplainDelta:
    """What changed from an earlier sample to a value, record by record and cause by cause; `limit` records a list."""
    item, computed = today.item, today.computed
    found = ExplainDelta(
        since_sample=before.id,
        since=before.observed_at,
        value_before=before.value,
        value_now=computed.value,
        entered=[],
        left=[],
        changed=[],
        counts={"entered": 0, "left": 0, "changed": 0},
        rule_changed=before.revision_id != item.revision.id,
    )
    old = await _under_revision(session, item, before)
    definition = definition_of(old.revision)
    then = _point(before)
    chain = Chain(before.value, limit)
    spec, today_spec = definition.spec, definition_of(item.revision).spec
    is_said = not definition.is_asserted and "asserted" in (before.quality, computed.quality)
    if is_said and spec.formula is None:
        chain.add("override", computed.value, count=1)
    elif spec.formula is not None:
        await formula_causes(session, chain, old, today.cycle, then, today.bounds)
    elif spec.milestones is not None:
        await milestone_causes(session, chain, old, then, today.bounds)
    elif spec.manual is not None:
        await asserted_causes(session, chain, item, then, today.bounds)
    elif max(before.sample_size or 0, computed.sample_size or 0) > MOST_COMPARED:
        reason = f"more than {MOST_COMPARED:,} records: they are not compared one by one"
        return found.model_copy(update={"reason": reason})
    else:
        return await _by_record(session, chain, today, before, old, found)
    _rule(chain, found, old, item, computed.value, is_other_form=spec.form != today_spec.form)
    return found.model_copy(update={"causes": chain.causes})


async def _under_revision(session: Session, item: RevisedMetric, sample: Sample) -> RevisedMetric:
    if sample.revision_id == item.revision.id:
        return item
    revision = await evidence.get_revision(session, sample.revision_id)
    return item if revision is None else await organisation.with_revision(session, item, revision)


def _point(sample: Sample) -> Window:
    """The point that a sample was computed at. What was reconstructed is of a past moment, as it was known later."""
    as_of = sample.observed_at if sample.quality == "reconstructed" else sample.measured_at
    return Window(sample.window_start, sample.window_end, as_of, sample.recorded_at)


# --- record by record ------------------------------------------------------------------------------------------------


async def _by_record(
    session: Session, chain: Chain, today: Today, before: Sample, old: RevisedMetric, found: ExplainDelta
) -> ExplainDelta:
    item, bounds = today.item, today.bounds
    definition, new_definition = definition_of(old.revision), definition_of(item.revision)
    then = _point(before)
    is_same_rule = old.revision.id == item.revision.id
    renewed = None
    if not is_same_rule and bounds.known_at is None:
        replaced_at = await evidence.replaced_at(session, before)
        if replaced_at is not None:
            renewed = await renewed_since(session, old, definition, replaced_at)
    span = team_cycle(item.team, before.cycle).span if before.cycle else None
    window = definition.window(bounds.as_of, span)
    old_bounds = replace(bounds, start=window.start, end=window.end)

    async def rows(point: Window, *, anew: bool = True) -> Rows:
        return await rows_at(session, old.revision.id, definition, point, renewed if anew else None)

    at_first = await rows(then, anew=False)
    # What belongs to before the sample, with all that is known of it by now.
    completed = await rows(replace(then, known_at=bounds.known_at))
    by_old_rule = await rows(old_bounds)
    asked_then, asked_now = _answers(definition, before), await _asked(session, today, old, is_same_rule)

    changes = Changes(at_first, completed, definition, definition)
    value = value_of(definition, State(completed, asked_then)) if changes.all else chain.value
    chain.add("late_data", value, count=len(changes.all), records=changes.records())
    await _happened(chain, definition, completed, by_old_rule, asked_then, asked_now)
    if is_same_rule:
        at_last = by_old_rule
        chain.add("measured", today.computed.value, count=0)
    else:
        at_last = await rows_at(session, item.revision.id, new_definition, bounds)
        changes = Changes(by_old_rule, at_last, definition, new_definition)
        _rule(chain, found, old, item, today.computed.value, changes=changes)
    on_the_whole = Changes(at_first, at_last, definition, new_definition)
    return found.model_copy(
        update={
            "entered": on_the_whole.explained("entered", chain.limit),
            "left": on_the_whole.explained("left", chain.limit),
            "changed": on_the_whole.explained("changed", chain.limit),
            "counts": {word: len(keys) for word, keys in on_the_whole.by_word.items()},
            "causes": chain.causes,
        }
    )


async def _happened(
    chain: Chain,
    definition: Definition,
    earlier: Rows,
    later: Rows,
    asked_then: dict[str, Decimal | None],
    asked_now: dict[str, Decimal | None],
) -> None:
    """What the world did: records leave, change and enter, and tools answer otherwise; in that order."""
    changes = Changes(earlier, later, definition, definition)
    rows = dict(earlier)
    words: tuple[Word, ...] = ("left", "changed", "entered")
    for word in words:
        keys = changes.by_word[word]
        for key in keys:
            rows.pop(key, None)
            if key in later:
                rows[key] = later[key]
        if keys:
            chain.add(
                word,
                value_of(definition, State(rows, asked_then)),
                count=len(keys),
                records=changes.records(word),
            )
    if asked_then != asked_now:
        parts = [part for part in asked_now if asked_now[part] != asked_then.get(part)]
        value = value_of(definition, State(rows, asked_now))
        said = [", ".join(plain(asked.get(part)) for part in parts) for asked in (asked_then, asked_now)]
        chain.add("measured", value, count=len(parts), name=", ".join(parts), before=said[0], now=said[1])


def _answers(definition: Definition, sample: Sample | Computed) -> dict[str, Decimal | None]:
    """What tools answered for the parts that they compute, by part."""
    if definition.spec.ratio is None:
        return {part: sample.value for part in definition.spec.parts() if part not in definition.extractions}
    sides = {"good": sample.numerator, "total": sample.denominator}
    return {part: value for part, value in sides.items() if part not in definition.extractions}


async def _asked(session: Session, today: Today, old: RevisedMetric, is_same_rule: bool) -> dict[str, Decimal | None]:
    definition = definition_of(old.revision)
    if all(part in definition.extractions for part in definition.spec.parts()):
        return {}
    computed = today.computed
    if not is_same_rule:
        bounds = today.bounds
        computed = await compute(session, old, cycle=today.cycle, as_of=bounds.as_of, known_at=bounds.known_at)
    return _answers(definition, computed)


def _rule(
    chain: Chain,
    found: ExplainDelta,
    old: RevisedMetric,
    item: RevisedMetric,
    value: Decimal | None,
    *,
    changes: Changes | None = None,
    is_other_form: bool = False,
) -> None:
    """The last cause: the value under the old rule on today's records against that under the new one."""
    if not found.rule_changed:
        if value != chain.value:
            chain.add("measured", value, count=0)
        return
    revisions = [f"revision {one.number} by {one.author}" for one in (old.revision, item.revision)]
    chain.add(
        "rule_changed",
        value,
        count=1 if changes is None else len(changes.all),
        records=[] if changes is None else changes.records(),
        before=revisions[0],
        now=f"{revisions[1]}, {_minute(item.revision.created_at)}",
        detail="another form" if is_other_form else None,
    )


def _minute(moment: datetime) -> str:
    return f"{moment.astimezone(UTC):%Y-%m-%d %H:%M} UTC"
