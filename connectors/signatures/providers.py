"""Each tool's proof, the id that stays on a redelivery, and the tool's word for what happened; with the sources.

The id is in a header (`id_header`) or in the body (`id_field`). Where a tool sends none that is the same on every
attempt, the digest of the raw body tells deliveries apart: an attempt repeats the same bytes. An id in a header is
signed by nobody but Standard Webhooks: who has read one delivery can send it again under another id. Presets therefore
name their events by ids of the body, where there are any.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta
from types import MappingProxyType

from connectors.signatures.schemes import Bearer, HmacSigned, Scheme, Standard, TokenOrStandard


@dataclass(frozen=True, slots=True, kw_only=True)
class Provider:
    """A tool that sends webhooks. `id_field` is the way to its id in the body, name by name. `event` is where its word
    for what happened lies: dotted names from `headers` or `body`, the parts joined by a dot where there are several.
    `source` is the tool's own page on its signature."""

    title: str
    scheme: Scheme
    id_header: str | None = None
    id_field: tuple[str, ...] = ()
    event: tuple[str, ...] = ()
    source: str


PROVIDERS: Mapping[str, Provider] = MappingProxyType(
    {
        "jira": Provider(
            title="Jira",
            scheme=HmacSigned(header="x-hub-signature", prefix="sha256="),
            # "A unique identifier for the webhook … the same across retries".
            id_header="x-atlassian-webhook-identifier",
            event=("body.webhookEvent",),
            source="https://developer.atlassian.com/cloud/jira/platform/webhooks/#secure-admin-webhooks",
        ),
        "github": Provider(
            title="GitHub",
            scheme=HmacSigned(header="x-hub-signature-256", prefix="sha256="),
            id_header="x-github-delivery",
            event=("headers.x-github-event", "body.action"),
            source="https://docs.github.com/en/webhooks/using-webhooks/validating-webhook-deliveries",
        ),
        "gitlab": Provider(
            title="GitLab",
            # Signing tokens (whsec_…) follow Standard Webhooks; `webhook-id` is then the Idempotency-Key.
            scheme=TokenOrStandard(header="x-gitlab-token"),
            id_header="idempotency-key",
            event=("headers.x-gitlab-event", "body.object_attributes.action"),
            source="https://docs.gitlab.com/user/project/integrations/webhooks/#validate-requests",
        ),
        "slack": Provider(
            title="Slack",
            scheme=HmacSigned(
                header="x-slack-signature",
                prefix="v0=",
                content="v0:{timestamp}:{body}",
                timestamp_header="x-slack-request-timestamp",
            ),
            # https://api.slack.com/apis/events-api#callback-field: "unique across all workspaces", the same on a retry.
            id_field=("event_id",),
            event=("body.event.type",),
            source="https://api.slack.com/authentication/verifying-requests-from-slack",
        ),
        "stripe": Provider(
            title="Stripe",
            scheme=HmacSigned(
                header="stripe-signature",
                prefix="v1=",
                separator=",",
                content="{timestamp}.{body}",
                timestamp_prefix="t=",
            ),
            # A retry is the same event, and not always the same bytes (`pending_webhooks` counts down):
            # https://docs.stripe.com/webhooks#handle-duplicate-events
            id_field=("id",),
            event=("body.type",),
            source="https://docs.stripe.com/webhooks#verify-manually",
        ),
        "pagerduty": Provider(
            title="PagerDuty",
            scheme=HmacSigned(header="x-pagerduty-signature", prefix="v1=", separator=","),
            # https://developer.pagerduty.com/docs/webhooks-overview#event-data-types: "uniquely identifies this event".
            id_field=("event", "id"),
            event=("body.event.event_type",),
            source="https://developer.pagerduty.com/docs/webhooks-v3-overview#webhook-signatures",
        ),
        "linear": Provider(
            title="Linear",
            # "webhookTimestamp … within a minute of the time your system sees it"; its own SDK refuses without one.
            scheme=HmacSigned(
                header="linear-signature", timestamp_field="webhookTimestamp", tolerance=timedelta(minutes=1)
            ),
            id_header="linear-delivery",
            event=("body.type", "body.action"),
            source="https://linear.app/developers/webhooks#securing-webhooks",
        ),
        "sentry": Provider(
            title="Sentry",
            scheme=HmacSigned(header="sentry-hook-signature"),
            event=("headers.sentry-hook-resource", "body.action"),
            source="https://docs.sentry.io/organization/integrations/integration-platform/webhooks/#request-headers",
        ),
        "alertmanager": Provider(
            title="Alertmanager",
            # It signs nothing: `http_config: {authorization: {credentials: …}}` of the receiver. It repeats itself.
            scheme=Bearer(),
            event=("body.status",),
            source="https://prometheus.io/docs/alerting/latest/configuration/#http_config",
        ),
        "standard-webhooks": Provider(
            title="Standard Webhooks",
            scheme=Standard(),
            id_header="webhook-id",
            event=("body.type",),
            source="https://github.com/standard-webhooks/standard-webhooks/blob/main/spec/standard-webhooks.md",
        ),
    }
)
