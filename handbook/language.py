"""The language reference: every key of the team file and of `organisation.yaml`, from the published JSON Schema."""

from pathlib import Path
from typing import Any

from app.services.team_file import team_file_schema
from app.services.team_file.schema import organisation_file_schema
from connectors.contract import Connector
from connectors.registry import connectors
from handbook.markdown import anchor, code, fenced, paragraphs, table
from handbook.shapes import Schema, default_of, examples_of, takes

ROOT = Path(__file__).resolve().parent.parent

#: The order of the page, and what each shape is called by people; what is left comes after, under its own name.
TITLES = {
    "TeamFile": "The team file",
    "CalendarSpec": "Calendar",
    "CycleDates": "Cycle of one's own",
    "ConnectionSpec": "Connection",
    "DatasetSpec": "Dataset",
    "MetricSpec": "Metric",
    "QuerySource": "Source: query",
    "RecordsSource": "Source: records",
    "DurationSource": "Source: duration",
    "Edge": "Edge of a duration",
    "StateShareSource": "Source: state_share",
    "RatioSource": "Source: ratio",
    "Side": "Side of a ratio",
    "ManualSource": "Source: manual",
    "Milestone": "Source: milestones",
    "Distinct": "Aggregate: distinct",
    "Trailing": "Window: trailing",
    "ToDate": "Window: to_date",
    "ObjectiveSpec": "Objective",
    "Contribution": "Contribution",
    "KeyResultSpec": "Key result",
    "MeasuredBaseline": "Baseline: measured",
    "Change": "Target: change",
    "Maintain": "Target: maintain",
    "GuardrailSpec": "Guardrail",
    "Checkpoint": "Checkpoint",
    "ExpectedShares": "Preset: shares",
    "ExpectedPoints": "Preset: points",
    "NotifySpec": "Notify",
    "SlackSpec": "Notify: Slack",
    "WebhookTargetSpec": "Notify: webhook",
    "EmailSpec": "Notify: e-mail",
    "DigestSpec": "Notify: digest",
    "EnvironmentReference": "Secret: environment variable",
    "FileReference": "Secret: file",
}
_HEAD = ("key", "takes", "left out", "what it means")


def language_page() -> str:
    """`reference/language.md`."""
    schema = team_file_schema()
    definitions: dict[str, Schema] = {"TeamFile": schema, **schema["$defs"]}
    ours = [name for name in TITLES if name in definitions]
    ours += [name for name in definitions if name not in TITLES and "." not in name]
    lines = [
        "# Language reference",
        "",
        "Every key of the team file, made from the same models that check it. The JSON Schema behind this page comes "
        "from `krsync schema`; [in an editor](../editor.md) it completes while you type. What values mean is told in "
        "[the rules](../concepts/rules.md), connectors' own options in [Connectors](connectors.md).",
        "",
        "Unknown and duplicate keys are errors. Names match `[a-z][a-z0-9_]*`. Numbers are exact decimals. Spans are "
        "written `30d`, `24h`, `15m`.",
        "",
    ]
    for name in ours:
        lines += _section(name, definitions[name])
    lines += ["## organisation.yaml", ""]
    organisation = organisation_file_schema()
    lines += [*paragraphs(organisation["description"]), *_keys(organisation), ""]
    lines += ["## A whole file", "", "`examples/operations.yaml` has a piece of everything:", ""]
    lines += fenced((ROOT / "examples" / "operations.yaml").read_text("utf-8"), "yaml")
    return "\n".join(lines)


def connectors_page() -> str:
    """`reference/connectors.md`: what each connector can do, its options and its presets."""
    lines = [
        "# Connectors",
        "",
        "What each kind of tool can do, and the options of its own beside those of the "
        "[language](language.md#connection). `krsync connectors KEY` prints the same as JSON Schemas.",
        "",
    ]
    for connector in connectors().values():
        lines += _connector(connector)
    return "\n".join(lines)


def title_of(name: str) -> str:
    """What people call a shape."""
    return TITLES.get(name, name.rpartition(".")[2])


def _section(name: str, schema: Schema) -> list[str]:
    words = schema.get("description") or ""
    return [f"## {title_of(name)}", "", *paragraphs(words), *_keys(schema), ""]


def _keys(schema: Schema, page: str = "") -> list[str]:
    required = set(schema.get("required", ()))

    def link(name: str) -> str:
        return f"[{title_of(name)}]({page}#{anchor(title_of(name))})"

    rows = []
    for key, option in schema.get("properties", {}).items():
        left_out = "**needed**" if key in required else default_of(option)
        kind = "by code: the reason" if key == "silence" else takes(option, link)
        examples = "" if "const" in option else examples_of(option)
        words = option.get("description", "")
        rows.append((code(key), kind, left_out, f"{words} For example {examples}." if examples else words))
    return table(_HEAD, rows)


def _connector(connector: Connector) -> list[str]:
    lines = [f"## {connector.title}", "", f"`connector: {connector.key}`", ""]
    lines += [f"It can: {', '.join(code(word) for word in connector.capabilities)}.", ""]
    for heading, model in (
        ("connection", connector.config),
        ("query", connector.query),
        ("dataset", connector.dataset),
    ):
        if model is None:
            continue
        schema = model.model_json_schema()
        lines += [f"### {connector.title}: {heading}", "", *paragraphs(schema.get("description", "")), *_keys(schema)]
        for name, definition in schema.get("$defs", {}).items():
            lines += [f"#### {title_of(name)}", "", *paragraphs(definition.get("description", "")), *_keys(definition)]
    if connector.presets:
        lines += [
            f"### {connector.title}: presets",
            "",
            "Rules of a dataset by name; `preset: NAME` stands for them.",
            "",
        ]
        lines += table(
            ("preset", "stands for"),
            [(code(name), _rules(rules)) for name, rules in sorted(connector.presets.items())],
        )
    return lines


def _rules(rules: Any) -> str:
    return "<br>".join(f"{key}: {code(str(rule))}" for key, rule in rules.items())
