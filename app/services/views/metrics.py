"""Metrics and their samples."""

from datetime import datetime
from typing import Any, Literal

from app.services.views.shared import ExactString, FreshnessView, SourceView, View, WindowView


class BuildingView(View):
    """How far a metric's newest revision is extracted from what is stored: entities done, of `total` (None before they
    are counted). Until it is whole the revision before it is served."""

    revision: int
    done: int
    total: int | None


class MetricView(View):
    id: str
    title: str | None
    description: str | None
    unit: str
    form: str
    definition: dict[str, Any]
    revision: int
    revised_at: datetime
    revised_by: str
    is_building: bool
    building: BuildingView | None = None
    value: ExactString | None
    reason: str | None
    sample_size: int | None
    observed_at: datetime | None
    measured_at: datetime | None
    freshness: FreshnessView
    source: SourceView
    managed_by: Literal["file", "api"]
    version: int


class SampleView(View):
    """One stored value. `supersedes` is the sample that this one restates."""

    id: int
    value: ExactString | None
    reason: str | None
    sample_size: int | None
    numerator: ExactString | None
    denominator: ExactString | None
    coverage: float | None = None
    quality: str
    revision: int
    window: WindowView
    observed_at: datetime
    measured_at: datetime
    recorded_at: datetime
    supersedes: int | None
    progress: float | None = None
    cycle: str | None = None
