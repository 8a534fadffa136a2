"""Signing as Slack does: https://api.slack.com/authentication/verifying-requests-from-slack"""

import hashlib
import hmac
from datetime import datetime
from urllib.parse import urlencode


def signed(form: dict[str, str], secret: str, at: datetime) -> tuple[bytes, dict[str, str]]:
    """The body and the headers of a form that Slack sends."""
    body = urlencode(form).encode()
    stamp = str(int(at.timestamp()))
    digest = hmac.new(secret.encode(), f"v0:{stamp}:".encode() + body, hashlib.sha256).hexdigest()
    headers = {
        "Content-Type": "application/x-www-form-urlencoded",
        "X-Slack-Request-Timestamp": stamp,
        "X-Slack-Signature": f"v0={digest}",
    }
    return body, headers
