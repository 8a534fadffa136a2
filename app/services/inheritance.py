"""What a team has of the organisation: its own copy of the settings, so that nothing else has to look them up."""

from typing import Any

from app.domain.language import OrganisationFile
from app.services.definitions import dump
from app.store import organisation_settings as store
from app.store.database import Session
from app.store.tables import Team

#: What every team inherits as it is.
_INHERITED = ("fiscal_year_start", "cycles", "presets", "preset", "timezone")


def inherited_settings(file: OrganisationFile, team: str) -> dict[str, Any]:
    """A team's copy of the settings: what was said, and its place in the tree."""
    spec = dump(file)
    found = {key: spec[key] for key in _INHERITED if key in spec}
    parent = file.teams.get(team)
    return found if parent is None else found | {"parent": parent}


async def inherit(session: Session, team: Team) -> None:
    """Give a new team what the organisation says."""
    row = await store.get_organisation(session)
    if row is not None:
        team.inherited = inherited_settings(OrganisationFile.model_validate(row.spec), team.name)
        await session.flush()
