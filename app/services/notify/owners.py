"""The one e-mail to whoever owns a connection: its tool refuses the credential, and nothing more is read until somebody
mends it."""

import uuid
from datetime import datetime

from app.services.context import Services
from app.services.notify.channels import notify_spec
from app.store import outbox
from app.store.database import Session
from app.store.tables import Connection, Notice, Team

KIND = "connection.paused"


async def tell_owner(
    services: Services,
    session: Session,
    team: Team,
    connection: Connection,
    code: str,
    reason: str,
    since: datetime | None,
) -> bool:
    """Put the mail on its way, in the transaction that pauses the connection; False where it was told before, `since`
    the connection last worked, or where nobody is known or no mail can be sent.

    It goes to the connection's `owner`, or else to those whom the team's `notify` names.
    """
    to = [connection.owner] if connection.owner is not None else _team_people(team)
    if services.mail is None or not to:
        return False
    now = services.clock()
    notice = Notice(
        uid=uuid.uuid4().hex,
        key=f"connection/{connection.id}/{(since or now).isoformat()}",
        team_id=team.id,
        kind=KIND,
        subject=f"{team.name}/{connection.name}",
        at=now,
        payload={
            "connection": f"{team.name}/{connection.name}",
            "connector": connection.connector,
            "code": code,
            "reason": reason,
            "since": (since or now).isoformat(),
            "as_of": now.isoformat(),
            "to": to,
        },
    )
    return await outbox.append_notice(session, notice, ("email",))


def _team_people(team: Team) -> list[str]:
    spec = notify_spec(team)
    return [] if spec is None or spec.email is None else list(spec.email.to)
