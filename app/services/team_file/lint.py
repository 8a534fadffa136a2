"""Warnings that a good operator would give, from the file alone. They stop nothing; `rules` has their codes."""

import re
from collections.abc import Iterator, Mapping
from datetime import timedelta
from decimal import Decimal
from typing import Any

from app.domain.language import (
    Change,
    DatasetSource,
    DurationSource,
    KeyResultSpec,
    Maintain,
    MetricSpec,
    ObjectiveSpec,
    QuerySource,
    TeamFile,
    format_timedelta,
)
from app.services.team_file.problems import Path, Problems, shown
from app.services.team_file.queries import is_unbounded, normal_form
from connectors.contract import Connector

#: Units of what is cut: money by its ISO 4217 code, and people.
_MONEY = re.compile(r"[A-Z]{3}")
_PEOPLE = frozenset({"people", "employees", "fte", "heads", "headcount"})
_MADE = (
    r"(?:launched|shipped|released|delivered|written|published|held|created|built|deployed|implemented|produced|"
    r"completed|closed|done|sent)"
)
_THINGS = (
    r"(?:tickets|issues|tasks|stories|features|epics|pages|articles|posts|reports|documents|meetings|trainings|workshops|"
    r"interviews|calls|emails|commits|pull requests|releases|campaigns|tests)"
)
_OUTPUT = (
    re.compile(r"^(?:launch|ship|release|publish|write|implement|build|deploy|roll ?out|deliver|hold|organi[sz]e)\b"),
    re.compile(rf"\b(?:number|count|#) of\b.*\b{_MADE}\b"),
    re.compile(rf"\b{_THINGS} {_MADE}\b"),
)


def lint(file: TeamFile, connectors: Mapping[str, Connector], problems: Problems) -> None:
    """Warn of what is unwise in a sound file."""
    for name, objective in file.objectives.items():
        _lint_objective(file, connectors, objective, ("objectives", name), problems)
    for path, metric in metrics_of(file):
        _lint_metric(file, metric, path, problems)
    _lint_datasets(file, problems)
    _lint_copies(file, problems)
    _lint_unused(file, problems)


def metrics_of(file: TeamFile) -> Iterator[tuple[Path, MetricSpec]]:
    """Every metric with its place, those inside key results too."""
    for name, metric in file.metrics.items():
        yield ("metrics", name), metric
    for objective, spec in file.objectives.items():
        for name, key_result in spec.key_results.items():
            if isinstance(key_result.metric, MetricSpec):
                yield ("objectives", objective, "key_results", name, "metric"), key_result.metric


def metric_of(file: TeamFile, key_result: KeyResultSpec) -> MetricSpec | None:
    """The metric that a key result asks for; None where it is another team's."""
    return file.metrics.get(key_result.metric) if isinstance(key_result.metric, str) else key_result.metric


# --- objectives ------------------------------------------------------------------------------------------------------


def _lint_objective(
    file: TeamFile, connectors: Mapping[str, Connector], objective: ObjectiveSpec, path: Path, problems: Problems
) -> None:
    ownerless = sum(one.owner is None for one in objective.key_results.values())
    if objective.owner is None and ownerless:
        count = f"{ownerless} of its {len(objective.key_results)} key results"
        problems.warn(path, "no_owner", f"nobody owns this objective, nor {count}: name who does")
    for name, key_result in objective.key_results.items():
        here = (*path, "key_results", name)
        metric = metric_of(file, key_result)
        if metric is None or key_result.dropped is not None:
            continue
        _lint_freshness(file, connectors, key_result, metric, here, problems)
        if _is_output(name, key_result, metric):
            problems.warn(
                here,
                "output_not_outcome",
                f"this counts {metric.unit} that are produced: what should be different once they are there?",
            )
        if _is_cut(key_result, metric) and not key_result.guardrails:
            problems.warn(
                here,
                "no_guardrail",
                f"{metric.unit} are cut {_by_how_much(key_result)}, and no guardrail watches what must not suffer",
            )


def _lint_freshness(
    file: TeamFile,
    connectors: Mapping[str, Connector],
    key_result: KeyResultSpec,
    metric: MetricSpec,
    path: Path,
    problems: Problems,
) -> None:
    slowest = max((one.min_interval for one in _pulled(file, connectors, metric)), default=None)
    if key_result.fresh_within is None:
        if key_result.kind == "committed" and "kind" in key_result.model_fields_set and metric.form != "manual":
            message = "a commitment is worth a fresh_within: without one its value may be half an hour old and fresh"
            problems.warn(path, "no_fresh_within", message)
    elif slowest is not None and key_result.fresh_within < 2 * slowest:
        message = (
            f"fresh within {format_timedelta(key_result.fresh_within)} takes a read every "
            f"{_span(key_result.fresh_within / 2)}, and its tool is asked every {format_timedelta(slowest)} at most: "
            f"{format_timedelta(2 * slowest)} can be kept"
        )
        problems.warn((*path, "fresh_within"), "refresh_too_costly", message)


def _span(span: timedelta) -> str:
    return format_timedelta(timedelta(seconds=int(span.total_seconds())))


def _pulled(file: TeamFile, connectors: Mapping[str, Connector], metric: MetricSpec) -> Iterator[Connector]:
    """The connectors that a metric's parts are read with."""
    for source in metric.parts().values():
        name = source.connection if isinstance(source, QuerySource) else None
        if isinstance(source, DatasetSource) and source.dataset in file.datasets:
            dataset = file.datasets[source.dataset]
            name = dataset.connection if dataset.shape == "entities" else None
        if name in file.connections and file.connections[name].connector in connectors:
            yield connectors[file.connections[name].connector]


def _is_output(name: str, key_result: KeyResultSpec, metric: MetricSpec) -> bool:
    """Words of production, and a count that is to grow."""
    is_count = metric.milestones is not None or (
        metric.aggregate in (None, "count")
        and (metric.records is not None or metric.query is not None)
        and not _is_amount(metric.unit)
    )
    if not is_count or not _grows(key_result):
        return False
    words = [name.replace("_", " "), key_result.title or "", metric.title or ""]
    if isinstance(key_result.metric, str):
        words.append(key_result.metric.replace("_", " "))
    return any(pattern.search(text.lower().strip()) for text in words for pattern in _OUTPUT)


def _is_amount(unit: str) -> bool:
    """Money, shares and times are no counts of things."""
    return unit in ("percent", "score", "points") or bool(_MONEY.fullmatch(unit.split("/")[0])) or "hours" in unit


def _grows(key_result: KeyResultSpec) -> bool:
    target = key_result.target
    if isinstance(target, Maintain):
        return target.maintain.startswith(">")
    if isinstance(target, Change):
        return target.change.startswith("+")
    return isinstance(key_result.baseline, Decimal) and target > key_result.baseline


def _is_cut(key_result: KeyResultSpec, metric: MetricSpec) -> bool:
    first = metric.unit.split("/")[0].strip()
    if _MONEY.fullmatch(first) is None and first.lower() not in _PEOPLE:
        return False
    target = key_result.target
    if isinstance(target, Maintain):
        return False
    if isinstance(target, Change):
        return target.change.startswith("-")
    return isinstance(key_result.baseline, Decimal) and target < key_result.baseline


def _by_how_much(key_result: KeyResultSpec) -> str:
    target = key_result.target
    if isinstance(target, Change):
        return f"by {target.change.removeprefix('-')}"
    return f"from {key_result.baseline} to {target}"


# --- sources ---------------------------------------------------------------------------------------------------------


def _lint_metric(file: TeamFile, metric: MetricSpec, path: Path, problems: Problems) -> None:
    for part, source in metric.parts().items():
        if isinstance(source, QuerySource):
            if is_unbounded(source.options):
                problems.warn(_place(metric, part, path), "unbounded_query", _UNBOUNDED)
        elif isinstance(source, DatasetSource) and "window" not in metric.model_fields_set:
            dataset = file.datasets.get(source.dataset)
            is_history = isinstance(source, DurationSource) or (dataset is not None and dataset.shape == "events")
            if is_history and metric.state_share is None:
                message = (
                    f"without a window all that was ever in {shown(source.dataset)} is in the number: "
                    "say {trailing: 28d}, {to_date: quarter}, or window: all if that is meant"
                )
                problems.warn(path, "window_without_bounds", message)


_UNBOUNDED = "nothing bounds this query, so the tool looks at everything it has: name a project, a filter or a date"


def _place(metric: MetricSpec, part: str, path: Path) -> Path:
    if metric.ratio is not None:
        return (*path, "ratio", part, "query")
    if metric.milestones is not None:
        return (*path, "milestones", next(i for i, step in enumerate(metric.milestones) if step.name == part), "done")
    return (*path, "query")


def _lint_datasets(file: TeamFile, problems: Problems) -> None:
    for name, dataset in file.datasets.items():
        if is_unbounded(dataset.options):
            problems.warn(("datasets", name), "unbounded_query", _UNBOUNDED)


def _lint_copies(file: TeamFile, problems: Problems) -> None:
    seen: dict[Any, str] = {}
    for name, dataset in file.datasets.items():
        rules = (dataset.connection, dataset.entity, dataset.at, dataset.event, dataset.where)
        twin = seen.setdefault(("dataset", rules, normal_form(dataset.options)), name)
        if twin != name:
            message = f"this keeps the same as the dataset {shown(twin)}: every record is read and stored twice"
            problems.warn(("datasets", name), "near_identical_queries", message)
    for path, metric in metrics_of(file):
        if metric.manual is not None or metric.milestones is not None or metric.formula is not None:
            continue
        is_named = path[0] == "metrics"
        name = f"the metric {shown(path[1])}" if is_named else f"the metric in the key result {shown(path[3])}"
        twin = seen.setdefault(("metric", _asked(metric)), name)
        if twin != name:
            message = f"this asks the same as {twin}: " + (
                "one of them is enough" if is_named else "give it a name, and read it from both"
            )
            problems.warn(path, "near_identical_queries", message)


def _asked(metric: MetricSpec) -> str:
    """What a metric measures, whatever it is called and however its queries are written down."""
    value = metric.model_dump(
        mode="json", by_alias=True, exclude_unset=True, exclude={"title", "description", "silence", "renamed_from"}
    )
    for holder in (value, *(value.get("ratio") or {}).values()):
        if isinstance(holder.get("query"), dict):
            holder["query"] = normal_form(holder["query"])
    return repr(sorted(value.items()))


def _lint_unused(file: TeamFile, problems: Problems) -> None:
    sources = [source for _, metric in metrics_of(file) for source in metric.parts().values()]
    read = {source.dataset for source in sources if isinstance(source, DatasetSource)}
    asked = {source.connection for source in sources if isinstance(source, QuerySource)}
    asked |= {dataset.connection for dataset in file.datasets.values()}
    for name in file.datasets.keys() - read:
        problems.warn(("datasets", name), "unused_dataset", "no metric reads this dataset, and it is kept up to date")
    for name in file.connections.keys() - asked:
        problems.warn(("connections", name), "unused_connection", "no dataset and no query uses this connection")
