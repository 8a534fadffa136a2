"""API tokens: made once, kept as digests, told apart from garbage without a query.

A token is `okr_`, 256 random bits in base 62 (43 characters) and the CRC-32 of what stands before (6 characters), so a
mistyped one is refused at the door. The scopes are `read write ingest admin`, for every team or for one; `admin`
implies the others.
"""

import hashlib
import os
import secrets
import string
import zlib
from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Literal, get_args

from app.errors import Forbidden, InvalidInput, NotFound, Unauthenticated
from app.services.paging import decode_id, encode_cursor
from app.services.views import TokenView
from app.store import audit, organisation
from app.store import tokens as store
from app.store.database import Database, Session

Scope = Literal["read", "write", "ingest", "admin"]
SCOPES: tuple[Scope, ...] = get_args(Scope)

#: Where the dashboard keeps a token in the browser.
COOKIE = "krsync_token"
_PREFIX = "okr_"
_ALPHABET = string.digits + string.ascii_uppercase + string.ascii_lowercase
_SECRET_LENGTH = 43  # 62**43 > 2**256
_CHECKSUM_LENGTH = 6  # 62**6 > 2**32
_LENGTH = len(_PREFIX) + _SECRET_LENGTH + _CHECKSUM_LENGTH
_FIRST_ADMIN = "first admin"
_ANOTHER_ADMIN = "another admin"


@dataclass(frozen=True, slots=True)
class Principal:
    """Who asks: a token with its scopes, for `team` or (None) for every team."""

    token_id: int
    name: str
    scopes: frozenset[str]
    team: str | None
    hidden: frozenset[str] = frozenset()
    """The private teams of which it sees nothing."""

    @property
    def actor(self) -> str:
        """How the audit log names it."""
        return f"token:{self.name}"

    def may(self, scope: Scope) -> bool:
        """Whether it holds the scope, `admin` implying every other."""
        return scope in self.scopes or "admin" in self.scopes

    def may_see(self, team: str) -> bool:
        """Whether the team is within its reach, and does not keep to itself."""
        return self.reaches(team) and team not in self.hidden

    def reaches(self, team: str) -> bool:
        """Whether it is a token of the team, or of every team."""
        return self.team is None or self.team == team


def generate_token() -> str:
    """A new random token."""
    body = _PREFIX + _base62(secrets.randbits(256), _SECRET_LENGTH)
    return body + _checksum(body)


def is_well_formed(token: str) -> bool:
    """Whether the text has a token's shape and its checksum holds."""
    if len(token) != _LENGTH or not token.startswith(_PREFIX) or not token.isascii():
        return False
    return secrets.compare_digest(_checksum(token[:-_CHECKSUM_LENGTH]), token[-_CHECKSUM_LENGTH:])


def digest_of(token: str) -> str:
    """What is stored of a token: its sha256. With 256 random bits a slow hash would add nothing."""
    return hashlib.sha256(token.encode()).hexdigest()


async def authenticate(database: Database, token: str) -> Principal:
    """Who holds `token`. Unauthenticated where it is malformed (without a query), unknown or revoked."""
    if not is_well_formed(token):
        raise Unauthenticated
    async with database.reading() as session:
        found = await store.get_by_digest(session, digest_of(token))
        if found is None:
            raise Unauthenticated
        # A private team is there for its own tokens, and for admins of everything.
        sees_all = found.team is None and "admin" in found.scopes
        hidden = set() if sees_all else await organisation.private_teams(session) - {found.team}
    return Principal(found.id, found.name, frozenset(found.scopes), found.team, frozenset(hidden))


async def create_token(
    database: Database,
    *,
    name: str,
    scopes: Collection[Scope],
    team: str | None,
    principal: Principal,
    now: datetime,
) -> tuple[TokenView, str]:
    """Make a token within the principal's own reach; returns it with its text, which is shown this once.

    Forbidden for another team than the principal's own, InvalidInput for a team that is not there.
    """
    if principal.team is not None and team != principal.team:
        raise Forbidden("This token makes tokens for its own team only.")
    token = generate_token()
    async with database.writing() as session:
        team_id = None
        if team is not None:
            team_id = await store.team_id_of(session, team)
            if team_id is None:
                raise InvalidInput.at("/team", "unknown_team", "There is no such team.")
        token_id = await store.append_token(
            session,
            name=name,
            digest=digest_of(token),
            scopes=scopes,
            team_id=team_id,
            created_at=now,
            created_by=principal.actor,
        )
        await audit.append_audit(
            session,
            at=now,
            actor=principal.actor,
            action="create",
            object_kind="token",
            object_id=_audit_id(team, token_id),
            after={"name": name, "scopes": sorted(scopes), "team": team},
        )
    view = TokenView(id=token_id, name=name, scopes=sorted(scopes), team=team, created_at=now, revoked_at=None)
    return view, token


async def list_tokens(
    database: Database, *, team: str | None, after: str | None, limit: int
) -> tuple[list[TokenView], str | None]:
    """Tokens, oldest first, revoked ones too; of one team or of all, with the cursor of the next page."""
    async with database.reading() as session:
        start = decode_id("tokens", after) or 0
        found = await store.list_tokens(session, team=team, after=start, limit=limit + 1)
    following = encode_cursor("tokens", found[limit - 1].id) if len(found) > limit else None
    return [_view(token) for token in found[:limit]], following


async def revoke_token(database: Database, token_id: int, *, principal: Principal, now: datetime) -> None:
    """Revoke a token at once; NotFound where there is none within the principal's reach. Idempotent."""
    async with database.writing() as session:
        found = await store.get_token(session, token_id)
        if found is None or (principal.team is not None and found.team != principal.team):
            raise NotFound("There is no such token.")
        if await store.revoke_token(session, token_id, now):
            await audit.append_audit(
                session,
                at=now,
                actor=principal.actor,
                action="revoke",
                object_kind="token",
                object_id=_audit_id(found.team, token_id),
                before={"name": found.name, "scopes": list(found.scopes), "team": found.team},
            )


async def ensure_admin_token(database: Database, path: Path, now: datetime) -> bool:
    """See to it that a token that may do everything exists; True where this call made it, in `path` with mode 0600.

    Nothing happens where such a token exists already, whatever became of the file. The file is written before the
    row: a crash between them is mended by the next call, which adopts the token in the file.
    """
    async with database.writing() as session:
        if await store.has_admin_of_all_teams(session):
            return False
        token = _token_in(path) or _write_token(path, generate_token())
        await _keep_admin(session, _FIRST_ADMIN, token, now)
    return True


async def make_admin_token(database: Database, path: Path, now: datetime) -> None:
    """Make another token that may do everything, in `path` with mode 0600: for who has the database and no token left.
    FileExistsError where there is such a file, which is then left alone."""
    async with database.writing() as session:
        await _keep_admin(session, _ANOTHER_ADMIN, _new_token(path), now)


async def _keep_admin(session: Session, name: str, token: str, now: datetime) -> None:
    await store.append_token(
        session,
        name=name,
        digest=digest_of(token),
        scopes=("admin",),
        team_id=None,
        created_at=now,
        created_by="system",
    )
    await audit.append_audit(
        session,
        at=now,
        actor="system",
        action="create",
        object_kind="token",
        object_id=name,
        after={"name": name, "scopes": ["admin"], "team": None},
    )


def _token_in(path: Path) -> str | None:
    try:
        token = path.read_text(encoding="ascii").strip()
    except (OSError, UnicodeDecodeError):
        return None
    return token if is_well_formed(token) else None


def _new_token(path: Path) -> str:
    if path.exists():
        raise FileExistsError(path)
    return _write_token(path, generate_token())


def _write_token(path: Path, token: str) -> str:
    fresh = path.with_name(f".{path.name}.{secrets.token_hex(8)}")
    descriptor = os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "w", encoding="ascii") as file:
        file.write(token + "\n")
        file.flush()
        os.fsync(file.fileno())
    fresh.replace(path)
    return token


def _view(token: store.StoredToken) -> TokenView:
    return TokenView(
        id=token.id,
        name=token.name,
        scopes=list(token.scopes),
        team=token.team,
        created_at=token.created_at,
        revoked_at=token.revoked_at,
    )


def _audit_id(team: str | None, token_id: int) -> str:
    return str(token_id) if team is None else f"{team}/{token_id}"


def _checksum(text: str) -> str:
    return _base62(zlib.crc32(text.encode()), _CHECKSUM_LENGTH)


def _base62(number: int, length: int) -> str:
    digits = []
    for _ in range(length):
        number, rest = divmod(number, 62)
        digits.append(_ALPHABET[rest])
    return "".join(reversed(digits))
