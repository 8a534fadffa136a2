"""The webhook connector: any system that can POST JSON and prove who it is.

`models` holds the config, `signatures` the three ways of proof, `connector` the hooks.
"""

from connectors.webhook.connector import WEBHOOK
from connectors.webhook.models import BearerToken, HmacSha256, StandardWebhooks, WebhookConfig

__all__ = ["WEBHOOK", "BearerToken", "HmacSha256", "StandardWebhooks", "WebhookConfig"]
