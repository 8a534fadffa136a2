"""The commands of the connector's README, run as they stand with a curl that keeps what it is given."""

import os
import re
import shutil
import subprocess
from datetime import UTC, datetime
from pathlib import Path

import pytest

import connectors.webhook
from connectors.contract import InboundDelivery
from connectors.errors import SignatureError
from connectors.secrets import bind
from connectors.webhook import WebhookConfig
from connectors.webhook.connector import parse, verify

README = Path(connectors.webhook.__file__).with_name("README.md")

# Keeps the headers and the body that curl would send, and the secret that the commands made.
CURL = """
curl() {
  : > headers
  while [ $# -gt 0 ]; do
    case $1 in
      -H) printf '%s\\n' "$2" >> headers; shift ;;
      --data-binary) printf %s "$2" > body; shift ;;
    esac
    shift
  done
  printf %s "$ERP_SECRET" > secret
}
"""


def commands(heading: str) -> str:
    text = README.read_text("utf-8")
    section = text.partition(f"## {heading}")[2].partition("\n## ")[0]
    blocks = re.findall(r"```sh\n(.*?)```", section, re.DOTALL)
    assert blocks, heading
    return "\n".join(blocks)


@pytest.mark.skipif(shutil.which("openssl") is None, reason="the README's commands use openssl")
@pytest.mark.parametrize(
    ("scheme", "heading"),
    [
        ("standard-webhooks", "Standard Webhooks"),
        ("hmac-sha256", "HMAC-SHA256 of the body"),
        ("bearer", "Bearer token"),
    ],
)
def test_what_the_commands_send_is_verified_and_parsed(scheme: str, heading: str, tmp_path: Path) -> None:
    first = commands("Standard Webhooks")  # it sets the secret, the address and the body for the others
    subprocess.run(
        ["sh", "-eu", "-c", CURL + first + commands(heading)],
        cwd=tmp_path,
        check=True,
        env={"PATH": os.environ["PATH"]},
    )
    pairs = [line.split(": ", 1) for line in (tmp_path / "headers").read_text("utf-8").splitlines()]
    delivery = InboundDelivery(
        headers=[(name.lower(), value) for name, value in pairs],
        body=(tmp_path / "body").read_bytes(),
        received_at=datetime.now(UTC),
    )
    secret = (tmp_path / "secret").read_text("utf-8")
    unbound = WebhookConfig.model_validate({"verify": {"scheme": scheme, "secret": {"env": "ERP_SECRET"}}})

    verify(bind(unbound, lambda _: secret), delivery)
    parse(unbound, delivery)
    with pytest.raises(SignatureError):
        verify(bind(unbound, lambda _: "whsec_" + "A" * 32), delivery)
