"""What every reader gets: the shapes of `GET` answers, built by the services and served by the API as they are."""

from app.services.views.explain import (
    BaselineView,
    ExplainDelta,
    ExplainedInput,
    ExplainedPart,
    ExplainedRecord,
    ExplainedStep,
    ExplainView,
    RevisionView,
)
from app.services.views.key_results import ComplianceView, GuardrailView, KeyResultView
from app.services.views.metrics import MetricView, SampleView
from app.services.views.objectives import ObjectiveView, RollUpView
from app.services.views.organisation import AuditView, TeamView, TokenView
from app.services.views.plans import ChangeView, KeyResultEffect, PlanView, WarningView
from app.services.views.shared import (
    CycleView,
    ExactString,
    FreshnessView,
    MetricReference,
    SourceView,
    View,
    WindowView,
)
from app.services.views.sources import ConnectionView, DatasetView, DeliveryView, IntakeView, RecordView, RunView

__all__ = [
    "AuditView",
    "BaselineView",
    "ChangeView",
    "ComplianceView",
    "ConnectionView",
    "CycleView",
    "DatasetView",
    "DeliveryView",
    "ExactString",
    "ExplainDelta",
    "ExplainView",
    "ExplainedInput",
    "ExplainedPart",
    "ExplainedRecord",
    "ExplainedStep",
    "FreshnessView",
    "GuardrailView",
    "IntakeView",
    "KeyResultEffect",
    "KeyResultView",
    "MetricReference",
    "MetricView",
    "ObjectiveView",
    "PlanView",
    "RecordView",
    "RevisionView",
    "RollUpView",
    "RunView",
    "SampleView",
    "SourceView",
    "TeamView",
    "TokenView",
    "View",
    "WarningView",
    "WindowView",
]
