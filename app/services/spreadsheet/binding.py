"""Which connector a key result's values probably come from, by the words of its row."""

from collections.abc import Collection
from dataclasses import dataclass

from connectors.spreadsheet.units import folded

#: Tools by name come first: who names one knows. Then words of the trade.
_TOOLS: tuple[tuple[str, str], ...] = (
    (
        "jira",
        "jira atlassian",
    ),
    (
        "github",
        "github",
    ),
    (
        "prometheus",
        "prometheus grafana alertmanager mimir thanos",
    ),
    (
        "sheet",
        "sheet sheets excel gsheet spreadsheet tabelle xlsx",
    ),
    (
        "sql",
        "sql postgres postgresql mysql snowflake bigquery redshift warehouse dwh tableau powerbi looker metabase "
        "database datenbank",
    ),
    (
        "webhook",
        "sap erp zendesk servicenow salesforce hubspot freshdesk intercom pagerduty datev workday personio stripe "
        "webhook crm opsgenie sentry gitlab linear netsuite dynamics otrs",
    ),
)
_TOPICS: tuple[tuple[str, str], ...] = (
    (
        "prometheus",
        "uptime availability latency verfugbarkeit downtime slo throughput antwortzeit",
    ),
    (
        "github",
        "deployment deployments deploy deploys merge commit commits review reviews pull lead",
    ),
    (
        "jira",
        "ticket tickets issue issues bug bugs backlog sprint story stories onboarding incident incidents request "
        "requests resolution defect defects anfrage anfragen vorfall vorfalle storung storungen fehler",
    ),
    (
        "sql",
        "cost costs spend revenue overhead invoice invoices margin headcount churn sales order orders stock "
        "inventory budget kosten umsatz rechnung rechnungen marge bestellung bestellungen lager bestand "
        "beschaffung procurement ausgaben",
    ),
    (
        "webhook",
        "nps csat survey satisfaction score umfrage zufriedenheit feedback rating conversion signup signups",
    ),
)


@dataclass(frozen=True, slots=True)
class Binding:
    """A connector that probably knows the value, and the word that says so."""

    connector: str
    word: str


def probable_binding(*texts: str) -> Binding | None:
    """The connector that the texts of a row point to, the first text before the others."""
    words = [word for text in texts for word in folded(text).split()]
    for groups in (_TOOLS, _TOPICS):
        for word in words:
            for connector, known in groups:
                if word in known.split():
                    return Binding(connector, word)
    return None


def advice(binding: Binding | None, built: Collection[str]) -> str:
    """What to do about a manual metric, in a line for a comment. `built` names the connectors that this version has."""
    if binding is None:
        return "no tool is named: a person says the value, or a script"
    if binding.connector in built:
        return f"probably known to a {binding.connector} connection ({binding.word})"
    return f"probably known to {binding.connector} ({binding.word}): a webhook or a script can say it"
