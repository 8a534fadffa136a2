"""A spreadsheet at an HTTP address, as CSV or .xlsx: a cell or a column as one number, its rows as records.

`connector` names the hooks; `models` is what teams write; `session` fetches the document; `addresses`, `places`,
`values` and `rows` are pure. Cells, numbers and days are read by `connectors.spreadsheet`.
"""

from connectors.sheet.connector import SHEET
from connectors.sheet.models import SheetConfig, SheetDataset, SheetQuery

__all__ = ["SHEET", "SheetConfig", "SheetDataset", "SheetQuery"]
