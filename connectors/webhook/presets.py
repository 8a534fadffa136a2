"""Ready-made dataset rules for the common tools: `preset: github.pull_requests` instead of the CEL behind it.

Each is a plain set of rules over `body`, `headers` and, with `each`, `item`. What a team writes beside a preset takes
its place, but for `where`, which narrows it. The tools' documentation of their payloads is named above each group.
"""

from collections.abc import Mapping
from types import MappingProxyType

from connectors.contract import JsonValue

Preset = Mapping[str, JsonValue]

# https://docs.github.com/en/webhooks/webhook-events-and-payloads
_GITHUB: dict[str, Preset] = {
    "github.pull_requests": {
        "where": 'headers["x-github-event"] == "pull_request"',
        "entity": "body.pull_request.id",
        "event": 'body.action == "closed" && body.pull_request.merged == true ? "merged" : body.action',
        "at": (
            'body.action == "opened" ? body.pull_request.created_at : '
            'body.action == "closed" ? body.pull_request.closed_at : body.pull_request.updated_at'
        ),
        "link": "body.pull_request.html_url",
    },
    "github.issues": {
        "where": 'headers["x-github-event"] == "issues"',
        "entity": "body.issue.id",
        "event": "body.action",
        "at": (
            'body.action == "opened" ? body.issue.created_at : '
            'body.action == "closed" ? body.issue.closed_at : body.issue.updated_at'
        ),
        "link": "body.issue.html_url",
        "deleted": 'body.action == "deleted" || body.action == "transferred"',
    },
    "github.reviews": {
        "where": 'headers["x-github-event"] == "pull_request_review"',
        "entity": "body.pull_request.id",
        "event": 'body.action == "submitted" ? body.review.state : body.action',
        "at": "body.review.submitted_at",
        "link": "body.review.html_url",
    },
    # `deployment` when it is asked for, then a `deployment_status` for each step of it.
    "github.deployments": {
        "where": 'headers["x-github-event"] in ["deployment", "deployment_status"]',
        "entity": "body.deployment.id",
        "event": "body.deployment_status != null ? body.deployment_status.state : body.action",
        "at": ("body.deployment_status != null ? body.deployment_status.created_at : body.deployment.created_at"),
        "link": (
            "body.deployment_status.target_url != null ? body.deployment_status.target_url : body.repository.html_url"
        ),
    },
    "github.releases": {
        "where": 'headers["x-github-event"] == "release"',
        "entity": "body.release.id",
        "event": "body.action",
        "at": "body.release.published_at != null ? body.release.published_at : body.release.created_at",
        "link": "body.release.html_url",
    },
    "github.workflow_runs": {
        "where": 'headers["x-github-event"] == "workflow_run"',
        "entity": "body.workflow_run.id",
        "event": 'body.action == "completed" ? body.workflow_run.conclusion : body.action',
        "at": 'body.action == "requested" ? body.workflow_run.created_at : body.workflow_run.updated_at',
        "link": "body.workflow_run.html_url",
    },
}

# https://docs.gitlab.com/user/project/integrations/webhook_events/; older versions write `2013-12-03 17:23:34 UTC`.
_GITLAB_UPDATED = 'body.object_attributes.updated_at.replace(" UTC", "Z").replace(" ", "T")'
_GITLAB: dict[str, Preset] = {
    "gitlab.merge_requests": {
        "where": 'body.object_kind == "merge_request"',
        "entity": "body.object_attributes.id",
        "event": 'body.object_attributes.action != null ? body.object_attributes.action : "update"',
        "at": _GITLAB_UPDATED,
        "link": "body.object_attributes.url",
    },
    "gitlab.issues": {
        "where": 'body.object_kind == "issue"',
        "entity": "body.object_attributes.id",
        "event": 'body.object_attributes.action != null ? body.object_attributes.action : "update"',
        "at": _GITLAB_UPDATED,
        "link": "body.object_attributes.url",
    },
    "gitlab.pipelines": {
        "where": 'body.object_kind == "pipeline"',
        "entity": "body.object_attributes.id",
        "event": "body.object_attributes.status",
        "at": (
            "(body.object_attributes.finished_at != null ? body.object_attributes.finished_at : "
            'body.object_attributes.created_at).replace(" UTC", "Z").replace(" ", "T")'
        ),
        "link": "body.object_attributes.url",
    },
}

_GITLAB["gitlab.deployments"] = {
    "where": 'body.object_kind == "deployment"',
    "entity": "body.deployment_id",
    "event": "body.status",
    "at": "body.status_changed_at",
    "link": "body.deployable_url",
}

# https://developer.atlassian.com/cloud/jira/platform/webhooks/; `timestamp` is in milliseconds.
_JIRA_ISSUE = 'body.issue.id != null && body.webhookEvent.startsWith("jira:issue_")'
_JIRA: dict[str, Preset] = {
    "jira.issues": {
        "where": _JIRA_ISSUE,
        "entity": "body.issue.id",
        "event": 'body.webhookEvent.replace("jira:issue_", "")',
        "at": "body.timestamp",
        "deleted": 'body.webhookEvent == "jira:issue_deleted"',
    },
    "jira.transitions": {
        "where": f'{_JIRA_ISSUE} && (body.webhookEvent == "jira:issue_deleted" || '
        'body.changelog.items.exists(i, i.field == "status"))',
        "entity": "body.issue.id",
        "event": 'body.changelog.items.filter(i, i.field == "status")[0].toString',
        "at": "body.timestamp",
        "deleted": 'body.webhookEvent == "jira:issue_deleted"',
    },
}

# https://docs.stripe.com/api/events/object
_STRIPE: dict[str, Preset] = {
    name: {
        "where": f'body.type.startsWith("{prefix}")',
        "entity": "body.data.object.id",
        "event": "body.type",
        "at": "body.created",
        "key": "body.id",
    }
    for name, prefix in {
        "stripe.payments": "payment_intent.",
        "stripe.invoices": "invoice.",
        "stripe.subscriptions": "customer.subscription.",
    }.items()
}

_OTHERS: dict[str, Preset] = {
    # https://prometheus.io/docs/alerting/latest/configuration/#webhook_config; the same alert comes again and again.
    "alertmanager.alerts": {
        "each": "body.alerts",
        "entity": "item.fingerprint",
        "event": "item.status",
        "at": 'item.status == "resolved" ? item.endsAt : item.startsAt',
        "key": (
            'item.fingerprint + " " + item.status + " " + item.startsAt + '
            '(item.status == "resolved" ? " " + item.endsAt : "")'
        ),
        "link": "item.generatorURL",
    },
    # https://github.com/cloudevents/spec/blob/v1.0.2/cloudevents/spec.md: source and id together are unique.
    "cloudevents": {
        "where": 'body.specversion == "1.0"',
        "entity": "body.subject != null ? body.subject : body.source",
        "event": "body.type",
        "at": "body.time",
        "key": 'body.source + " " + body.id',
    },
    # The same, where they come as `application/cloudevents-batch+json`.
    "cloudevents.batch": {
        "each": "body.cloud_events",
        "where": 'item.specversion == "1.0"',
        "entity": "item.subject != null ? item.subject : item.source",
        "event": "item.type",
        "at": "item.time",
        "key": 'item.source + " " + item.id',
    },
    # https://linear.app/developers/webhooks#data-change-events-payload
    "linear.issues": {
        "where": 'body.type == "Issue"',
        "entity": "body.data.id",
        "event": "body.action",
        "at": "body.createdAt",
        "link": "body.url",
        "deleted": 'body.action == "remove"',
    },
    # https://developer.pagerduty.com/docs/webhooks-overview#webhook-payload
    "pagerduty.incidents": {
        "where": 'body.event.event_type.startsWith("incident.")',
        "entity": 'body.event.data.type == "incident" ? body.event.data.id : body.event.data.incident.id',
        "event": 'body.event.event_type.replace("incident.", "")',
        "at": "body.event.occurred_at",
        "key": "body.event.id",
        "link": "body.event.data.html_url",
    },
    # https://docs.sentry.io/organization/integrations/integration-platform/webhooks/issues/
    "sentry.issues": {
        "where": 'headers["sentry-hook-resource"] == "issue"',
        "entity": "body.data.issue.id",
        "event": "body.action",
        "at": 'int(headers["sentry-hook-timestamp"])',
        "link": "body.data.issue.web_url",
    },
    # https://api.slack.com/apis/events-api#callback-field
    "slack.messages": {
        "where": 'body.event.type == "message"',
        "entity": "body.event.channel",
        "event": 'body.event.subtype != null ? body.event.subtype : "message"',
        "at": "body.event_time",
        "key": "body.event_id",
    },
    # One number by `curl`: {"value": 42}, with "at", "note" and "name" where there is more than one.
    "value": {
        "where": 'body.value != null || (body.increment != null && headers["idempotency-key"] != null)',
        "entity": 'body.name != null ? body.name : "value"',
        "event": 'body.value != null ? "value" : "increment"',
        "at": "body.at",
    },
}

PRESETS: Mapping[str, Preset] = MappingProxyType(dict(sorted((_GITHUB | _GITLAB | _JIRA | _STRIPE | _OTHERS).items())))
