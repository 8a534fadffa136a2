"""Key results, objectives and metrics as readers get them: rows from the store, judged by pure functions at `now`."""

from app.services.read.histories import key_result_history, key_result_restatements, metric_history, sample_view
from app.services.read.judged import Judged
from app.services.read.judging import judge_rows
from app.services.read.key_results import KeyResultQuery, get_key_result, judged_key_result, list_key_results
from app.services.read.metrics import get_metric, list_metrics
from app.services.read.outlook import check_in_view, with_outlook
from app.services.read.shelf import Fragment, Page, Shelf, stable
from app.services.read.shown import cycle_view, freshness_view, number, target_rule

__all__ = [
    "Fragment",
    "Judged",
    "KeyResultQuery",
    "Page",
    "Shelf",
    "check_in_view",
    "cycle_view",
    "freshness_view",
    "get_key_result",
    "get_metric",
    "judge_rows",
    "judged_key_result",
    "key_result_history",
    "key_result_restatements",
    "list_key_results",
    "list_metrics",
    "metric_history",
    "number",
    "sample_view",
    "stable",
    "target_rule",
    "with_outlook",
]
