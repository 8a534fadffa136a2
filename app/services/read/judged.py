"""One key result's row, judged by pure functions and made a view."""

from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal

from app.domain.guardrail import Guardrail
from app.domain.judgement import Judgement, Standing, judge
from app.domain.language import KeyResultSpec
from app.domain.window import TimeSpan
from app.services.definitions import definition_of, split_reference, team_cycle
from app.services.evaluate import Computed
from app.services.formula_sources import FormulaSources
from app.services.overrides import OVERRIDE
from app.services.read.shown import (
    compliance_view,
    coverage_of,
    cycle_view,
    freshness_view,
    headline_view,
    number,
    target_rule,
    title_of,
)
from app.services.read.terms import lifecycle_reasons, pace_of, preset_of
from app.services.sources import SourcesThen, source_state
from app.services.terms import Terms
from app.services.views import (
    GuardrailView,
    KeyResultView,
    MetricReference,
)
from app.store.organisation import KeyResultRow
from app.store.tables import FrozenBaseline


@dataclass(frozen=True, slots=True)
class Judged:
    """A key result's row with its spec, its judgement and what was judged."""

    row: KeyResultRow
    spec: KeyResultSpec
    judgement: Judgement
    view: KeyResultView


def judged_row(
    row: KeyResultRow,
    computed: Computed | None,
    baselines: dict[tuple[int, str], FrozenBaseline],
    guarded: dict[tuple[int, str, str], tuple[Decimal | None, str | None]],
    formulas: FormulaSources | None,
    *,
    moment: datetime,
    now: datetime,
    is_closing: bool = False,
    terms: Terms | None = None,
    then: SourcesThen | None = None,
) -> Judged:
    """Judge one row at `moment`, held to `terms` where those in force then are others than the row's own. `then` tells
    how the sources were doing at a past moment."""
    key_result, team = row.key_result, row.team
    spec = KeyResultSpec.model_validate(key_result.spec) if terms is None else terms.spec
    cycle = team_cycle(team, key_result.cycle)
    definition = None if row.revision is None else definition_of(row.revision)
    sample = row.sample
    if computed is not None:
        value, reason, size, window = computed.value, computed.reason, computed.sample_size, computed.window
        observed_at, measured_at = computed.observed_at, None if sample is None else sample.measured_at
    elif sample is not None:
        value, reason, size = sample.value, sample.reason, sample.sample_size
        window = TimeSpan(sample.window_start, sample.window_end)
        observed_at, measured_at = sample.observed_at, sample.measured_at
    else:
        value, size, window, observed_at, measured_at = None, None, TimeSpan(None, None), None, None
        reason = "it is being built" if row.metric.building_revision_id is not None else "there is no value yet"
    shown = sample if computed is None else computed
    frozen = baselines.get((key_result.id, ""))
    baseline = (terms or Terms(None, spec, row.metric.id)).baseline(frozen)
    is_formula = formulas is not None and definition is not None and definition.spec.formula is not None
    if formulas is not None and is_formula:
        state = formulas.state(row.metric.id, spec.fresh_within)
        is_cumulative = formulas.graph.is_cumulative(row.metric.id)
    else:
        state = source_state(
            row.metric_team.name,
            row.sources,
            definition,
            spec.fresh_within,
            asserted_at=None if shown is None or shown.value is None else shown.observed_at,
            then=then,
        )
        is_cumulative = definition is not None and definition.is_cumulative
    guardrails = []
    own_baselines: dict[str, Decimal | None] = {}
    for guardrail in spec.guardrails:
        kept = baselines.get((key_result.id, guardrail.metric))
        own = guardrail.baseline if guardrail.baseline is not None else (None if kept is None else kept.value)
        own_baselines[guardrail.metric] = own
        found, why = guarded.get((team.id, guardrail.metric, key_result.cycle), (None, "it has no value yet"))
        guardrails.append(
            Guardrail(metric=guardrail.metric, must=guardrail.must, value=found, baseline=own, unknown_reason=why)
        )
    paused, dropped = lifecycle_reasons(spec, row.objective)
    standing = Standing(
        target_rule=spec.target,
        cycle=cycle.span,
        fresh_within=state.fresh_within,
        value=value,
        unknown_reason=reason,
        baseline=baseline,
        kind=spec.kind,
        unit=row.metric.unit,
        window=window,
        is_cumulative=is_cumulative,
        last_success_at=state.last_success_at,
        failing_reason=state.failing_reason,
        has_data=state.last_success_at is not None or (shown is not None and shown.quality in ("asserted", OVERRIDE)),
        guardrails=tuple(guardrails),
        is_closed=is_closing or moment >= cycle.end,
        preset=preset_of(spec, row.objective, team),
        pace=pace_of(spec, team, baseline),
        paused=paused,
        dropped=dropped,
    )
    judgement = judge(standing, moment)
    view = KeyResultView(
        id=f"{team.name}/{key_result.name}",
        title=spec.title or title_of(key_result.name),
        objective=f"{team.name}/{row.objective.name}",
        cycle=cycle_view(cycle, team, now),
        kind=spec.kind,
        weight=spec.weight,
        owner=spec.owner or row.objective.spec.get("owner"),
        metric=MetricReference(
            id=f"{row.metric_team.name}/{row.metric.name}",
            unit=row.metric.unit,
            revision=0 if row.revision is None else row.revision.number,
        ),
        baseline=baseline,
        target=judgement.target,
        target_rule=target_rule(spec.target),
        value=value,
        projected_value=judgement.projected_value,
        sample_size=size,
        coverage=coverage_of(sample if computed is None else computed),
        observed_at=observed_at,
        measured_at=measured_at,
        progress=number(judgement.progress),
        expected_progress=number(judgement.expected_progress),
        status=judgement.status,
        reason=judgement.reason,
        headline=headline_view(judgement),
        lifecycle=judgement.lifecycle,
        lifecycle_reason=dropped or paused,
        freshness=freshness_view(judgement.freshness),
        compliance=compliance_view(judgement),
        guardrails=[
            GuardrailView(
                metric="/".join(split_reference(item.metric, team.name)),
                must=item.must,
                value=item.value,
                baseline=own_baselines.get(item.metric),
                holds=item.holds,
                reason=item.reason,
            )
            for item in judgement.guardrails
        ],
        source=state.view(),
        managed_by=key_result.managed_by,
        version=key_result.version,
    )
    return Judged(row, spec, judgement, view)
