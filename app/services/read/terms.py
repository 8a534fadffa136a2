"""By what rules a key result is judged: its status preset, its pace, and whether it is paused or dropped."""

from decimal import Decimal
from typing import Any

from pydantic import TypeAdapter

from app.domain.language import KeyResultSpec, PresetSpec
from app.domain.pace import LINEAR, Pace, PacePoint, checkpoint
from app.domain.progress import resolve_target
from app.domain.status import DEFAULT_PRESET, StatusPreset, status_preset
from app.services.definitions import fiscal_year_start, team_zone
from app.store.tables import Objective, Team

_PRESET: TypeAdapter[PresetSpec] = TypeAdapter(PresetSpec)


def preset_of(spec: KeyResultSpec, objective: Objective, team: Team) -> StatusPreset:
    """The key result's own preset, else its objective's, its team's, the organisation's, the default one."""
    own = {name: _PRESET.validate_python(one) for name, one in team.inherited.get("presets", {}).items()}
    chosen = spec.preset
    if chosen is None:
        raw: Any = objective.spec.get("preset") or team.spec.get("preset") or team.inherited.get("preset")
        chosen = None if raw is None else _PRESET.validate_python(raw)
    try:
        return status_preset(chosen, own)
    except KeyError:
        return DEFAULT_PRESET  # the organisation has taken a word back that a team still uses


def pace_of(spec: KeyResultSpec, team: Team, baseline: Decimal | None) -> Pace | None:
    """How expectation moves over the cycle; None while a checkpoint's value can not be placed between baseline and
    target."""
    if spec.curve is None and not spec.checkpoints and spec.steps is None:
        return LINEAR
    zone = team_zone(team)
    target = resolve_target(spec.target, baseline)
    points: list[PacePoint] = []
    for one in spec.checkpoints:
        point = checkpoint(one.on, zone, value=one.value, part=one.progress, baseline=baseline, target=target)
        if point is None:
            return None
        points.append(point)
    return Pace(
        curve=spec.curve or "linear",
        checkpoints=tuple(points),
        steps=spec.steps,
        zone=zone,
        fiscal_year_start=fiscal_year_start(team),
    )


def lifecycle_reasons(spec: KeyResultSpec, objective: Objective) -> tuple[str | None, str | None]:
    """Why it is paused, and why it is dropped: for itself or with its objective."""
    dropped = spec.dropped or objective.spec.get("dropped")
    return (None if dropped else spec.paused or objective.spec.get("paused")), dropped
