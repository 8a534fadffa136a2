"""Any HTTP address that answers JSON: one number of it, over a window where the address takes one.

`connector` names the hooks; `models` is what teams write; `session` speaks HTTP; `placeholders` and `payloads` are
pure.
"""

from connectors.http_json.connector import HTTP_JSON
from connectors.http_json.models import HttpJsonConfig, HttpJsonQuery

__all__ = ["HTTP_JSON", "HttpJsonConfig", "HttpJsonQuery"]
