"""Connections, datasets and metrics: their connectors' own options, their rules, and what fits what."""

from functools import partial

from app.domain.edges import check_edge
from app.domain.events import DELIVERY_VARIABLES, LIST_RULE, RULES, rule_variables, with_preset
from app.domain.language import (
    ConnectionSpec,
    DatasetSource,
    DatasetSpec,
    Distinct,
    MetricSpec,
    QuerySource,
    RecordsSource,
    StateShareSource,
)
from app.domain.records import JsonValue
from app.domain.states import check_states
from app.services.team_file import unsupported
from app.services.team_file.context import Context
from app.services.team_file.problems import Path, shown
from app.services.team_file.shape import unknown_key, validated
from connectors.contract import Connector

_RULES = (*RULES, LIST_RULE, "preset")
_RECORD = ("record",)


def check_connections(context: Context, raw: JsonValue) -> None:
    for name, value in context.entries(raw, ("connections",), context.connections).items():
        context.connections.names.add(name)
        spec = _connection(context, name, value, ("connections", name))
        if spec is not None:
            context.connections.specs[name] = spec


def _connection(context: Context, name: str, raw: JsonValue, path: Path) -> ConnectionSpec | None:
    problems = context.problems
    key = raw.get("connector") if isinstance(raw, dict) else None
    connector = context.connectors.get(key) if isinstance(key, str) else None
    rest = unsupported.connection(raw, path, problems, _fields(connector.config) if connector else ())
    spec = validated(ConnectionSpec, rest, path, problems)
    if spec is None:
        return None
    if connector is None:
        here = (*path, "connector")
        if spec.connector in unsupported.CONNECTORS:
            context.connections.unsupported.add(name)
            problems.not_supported(here, f"the connector {shown(spec.connector)} is")
        else:
            suggestion = problems.suggest(spec.connector, sorted(context.connectors))
            problems.add(here, "unknown_name", f"no connector {shown(spec.connector)}", suggestion=suggestion)
        return None
    context.options(connector.config, spec.options, path)
    return spec


def check_datasets(context: Context, raw: JsonValue) -> None:
    for name, value in context.entries(raw, ("datasets",), context.datasets).items():
        context.datasets.names.add(name)
        spec = _dataset(context, name, value, ("datasets", name))
        if spec is not None:
            context.datasets.specs[name] = spec


def _dataset(context: Context, name: str, raw: JsonValue, path: Path) -> DatasetSpec | None:
    connection = raw.get("connection") if isinstance(raw, dict) else None
    known = context.connections.specs.get(connection) if isinstance(connection, str) else None
    model = context.connectors[known.connector].dataset if known is not None else None
    rest = unsupported.dataset(raw, path, context.problems, _fields(model) if model else ())
    spec = validated(DatasetSpec, rest, path, context.problems)
    if spec is None:
        return None
    connector = context.connector_of(spec.connection, (*path, "connection"))
    full = spec if connector is None else _full(context, spec, connector, path)
    for rule in RULES:
        context.rule(getattr(spec, rule), (*path, rule), rule_variables(full))
    context.rule(spec.each, (*path, LIST_RULE), DELIVERY_VARIABLES)
    if spec.connection in context.connections.unsupported:
        context.datasets.unsupported.add(name)
    if connector is not None:
        _check_dataset(context, full, connector, path)
    return full


def _full(context: Context, spec: DatasetSpec, connector: Connector, path: Path) -> DatasetSpec:
    """The dataset with its preset's rules written out, where there is such a preset."""
    if spec.preset is None or connector.parse is None or connector.read is not None:
        return spec
    if spec.preset not in connector.presets:
        suggestion = context.problems.suggest(spec.preset, sorted(connector.presets))
        message = f"{connector.title} has no preset {shown(spec.preset)}"
        context.problems.add((*path, "preset"), "unknown_name", message, suggestion=suggestion)
        return spec
    return with_preset(spec, connector.presets)


def _check_dataset(context: Context, spec: DatasetSpec, connector: Connector, path: Path) -> None:
    """A connector that is read keeps entities by its own options; one that is only told keeps events by rules."""
    problems = context.problems
    rules = [rule for rule in _RULES if rule in spec.model_fields_set and getattr(spec, rule) is not None]
    if connector.read is not None:
        for rule in rules:
            message = f"{connector.title} is asked for its records; the rules of a dataset are for events"
            problems.add((*path, rule), "not_applicable", message)
    elif connector.parse is None:
        problems.add((*path, "connection"), "not_applicable", f"{connector.title} keeps no records")
        return
    elif spec.entity is None and spec.preset is None:
        problems.add((*path, "entity"), "missing", "'entity' is missing: the rule that says whose event this is")
    if connector.dataset is not None:
        context.options(connector.dataset, spec.options, path, own_keys=("connection",))
        return
    for key in spec.options:
        if key == "redact":
            message = "fields are dropped at the door, before any dataset sees them: put redact beside verify"
            problems.add((*path, key), "not_applicable", message)
            continue
        unknown_key((*path, key), ("connection", *_RULES), problems)


def check_metrics(context: Context, raw: JsonValue) -> None:
    for name, value in context.entries(raw, ("metrics",), context.metrics).items():
        path: Path = ("metrics", name)
        context.metrics.names.add(name)
        spec = validated(MetricSpec, value, path, context.problems)
        if spec is not None:
            context.metrics.specs[name] = spec
            if not check_metric(context, spec, path):
                context.metrics.unsupported.add(name)


def check_metric(context: Context, spec: MetricSpec, path: Path) -> bool:
    """Check a metric against what it reads; False where that is not supported yet."""
    is_supported = True
    if isinstance(spec.aggregate, Distinct):
        context.rule(spec.aggregate.distinct, (*path, "aggregate", "distinct"), _RECORD)
    for part, source in spec.parts().items():
        if isinstance(source, QuerySource):
            here = _place_of_query(spec, part, path)
            _check_query(context, spec, source, here)
            is_supported = is_supported and source.connection not in context.connections.unsupported
        elif isinstance(source, DatasetSource):
            here = (*path, "ratio", part, "records") if spec.ratio is not None else (*path, spec.form)
            _check_records(context, source, here)
            is_supported = is_supported and source.dataset not in context.datasets.unsupported
    return is_supported


def _place_of_query(spec: MetricSpec, part: str, path: Path) -> Path:
    if spec.milestones is not None:
        index = next(index for index, step in enumerate(spec.milestones) if step.name == part)
        return (*path, "milestones", index, "done")
    return (*path, "ratio", part, "query") if spec.ratio is not None else (*path, "query")


def _check_query(context: Context, metric: MetricSpec, source: QuerySource, path: Path) -> None:
    connector = context.connector_of(source.connection, (*path, "connection"))
    if connector is None:
        return
    if connector.measure is None or connector.query is None:
        message = f"{connector.title} answers no queries"
        context.problems.add((*path, "connection"), "not_applicable", message)
        return
    query = context.options(connector.query, source.options, path, own_keys=("connection",))
    windowed = getattr(query, "windowed", None)
    if windowed is None:
        return
    has_edges = metric.window not in ("now", "all")
    if has_edges and not windowed():
        how = getattr(query, "placeholders", "{from} and {to}")
        message = (
            f"{connector.title} tells of now: leave the metric's window out"
            if how is None
            else f"the metric has a window, but this query does not ask for it: put {how} where it belongs"
        )
        context.problems.add(path, "not_windowed", message)
    elif windowed() and not has_edges:
        how = getattr(query, "placeholders", "{from}, {to}")
        message = f"this query asks for a window ({how}), but the metric has none"
        context.problems.add(path, "window_missing", message)


def _check_records(context: Context, source: DatasetSource, path: Path) -> None:
    if not isinstance(source, StateShareSource):
        context.rule(source.where, (*path, "where"), _RECORD)
    if isinstance(source, RecordsSource):
        context.rule(source.value, (*path, "value"), _RECORD)
        context.rule(source.at, (*path, "at"), _RECORD)
    dataset = context.datasets.find(source.dataset, (*path, "dataset"), context.problems)
    if dataset is None:
        return
    if isinstance(source, RecordsSource):
        if source.per is not None and dataset.shape != "events":
            message = f"only events are grouped by entity; {shown(source.dataset)} keeps entities"
            context.problems.add((*path, "per"), "not_applicable", message)
        return
    if isinstance(source, StateShareSource):
        context.attempt(partial(check_states, source, dataset.shape), (*path, "exclude"))
        if dataset.shape == "events" and dataset.event is None and dataset.preset is None:
            message = f"a state is the name of an event, and the events of {shown(source.dataset)} have none"
            context.problems.add((*path, "dataset"), "not_applicable", message)
        return
    for key, edge in (("from", source.from_), ("to", source.to)):
        context.attempt(partial(check_edge, edge, dataset.shape), (*path, key))


def _fields(model: type) -> frozenset[str]:
    return frozenset(getattr(model, "model_fields", ()))
