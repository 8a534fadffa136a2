"""Any HTTP address that answers JSON: one number of it, over a window where it takes one, or a list as records.

`connector` names the hooks; `models` is what teams write; `session` speaks HTTP; `reading` makes
records of lists; `placeholders` and `payloads` are pure.
"""

from connectors.http_json.connector import HTTP_JSON
from connectors.http_json.models import HttpJsonConfig, HttpJsonDataset, HttpJsonQuery

__all__ = ["HTTP_JSON", "HttpJsonConfig", "HttpJsonDataset", "HttpJsonQuery"]
