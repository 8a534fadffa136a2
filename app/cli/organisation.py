"""`organisation.yaml` among the files that are validated, planned and applied."""

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from app.cli.client import Service
from app.cli.output import cell, clean, say, show_table

if TYPE_CHECKING:
    import httpx


def send_organisation(service: Service, content: bytes, verb: str) -> "httpx.Response":
    """Plan or apply the organisation's file."""
    headers = {"Content-Type": "application/yaml"}
    if verb == "plan":
        return service.request("POST", "/v1/organisation/plan", content=content, headers=headers)
    return service.request("PUT", "/v1/organisation", content=content, headers=headers)


def show_organisation(file: Path, answer: Mapping[str, Any]) -> None:
    """What changes: settings, the teams that inherit them, cycles that move."""
    fields = ", ".join(map(clean, answer.get("fields") or ())) or "nothing"
    say(f"{file}: {'applied' if answer.get('is_applied') else 'planned'}: {fields}")
    teams = answer.get("teams") or ()
    if teams:
        say(f"for {', '.join(map(clean, teams))}")
    cycles = [item for item in answer.get("cycles") or () if isinstance(item, dict)]
    if cycles:
        rows = [
            (
                cell(item.get("id"), "bold"),
                cell(f"{_day(item, 'start_before')} – {_day(item, 'end_before')}"),
                cell(f"{_day(item, 'start_after')} – {_day(item, 'end_after')}"),
            )
            for item in cycles
        ]
        show_table(("CYCLE", "WAS", "IS"), rows)


def _day(item: Mapping[str, Any], key: str) -> str:
    return clean(item.get(key))[:16].replace("T", " ")
