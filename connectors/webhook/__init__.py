"""The webhook connector: any system that can POST JSON and prove who it is.

`models` holds the config, `connector` the hooks, `presets` ready-made rules for common tools, `cloudevents` their one
shape, `redaction` what is never kept; the proofs themselves are in `connectors.signatures`.
"""

from connectors.webhook.connector import WEBHOOK
from connectors.webhook.models import BearerToken, HmacSha256, StandardWebhooks, WebhookConfig

__all__ = ["WEBHOOK", "BearerToken", "HmacSha256", "StandardWebhooks", "WebhookConfig"]
