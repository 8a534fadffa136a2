"""Secrets of connections: what the operator lets a team refer to, and what is sealed in the database.

Sealing is AES-256-GCM twice: a data key of its own for each secret, wrapped by KRSYNC_SECRET_KEY. Both are bound to the
row they belong to (connection id and name), so a row that is copied onto another one does not open.
"""

import asyncio
import base64
import hashlib
import os
import re
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from fnmatch import fnmatchcase
from pathlib import Path, PurePosixPath

import structlog
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from app.errors import NotFound
from app.store import audit
from app.store import secrets as store
from app.store.database import Database
from connectors.secrets import SecretReference

log = structlog.get_logger(__name__)

_FORMAT = b"\x01"
_NONCE = 12
_WRAPPED = 32 + 16  # a data key and its tag
_MOST_BYTES = 64 * 1024
_TEAM = re.compile(r"\*|[a-z][a-z0-9_]*")
_ENVIRONMENT_PATTERN = re.compile(r"[A-Za-z0-9_*?]+")
#: Folders whose files show a process's own memory and environment, or never end.
_NEVER_UNDER = ("/proc", "/sys", "/dev")


class SealError(Exception):
    """A sealed secret that does not open: another key, or a row that was moved or changed."""


@dataclass(frozen=True, slots=True)
class SecretPolicy:
    """What the operator allows: (team or `*`, pattern) pairs of environment names and of absolute paths."""

    rules: tuple[tuple[str, str], ...] = ()

    @classmethod
    def parse(cls, text: str) -> "SecretPolicy":
        """Read KRSYNC_SECRETS_ALLOW: `operations=JIRA_*,/run/secrets/ops/*;*=SHARED_*`. ValueError says what is wrong.

        `*` in a path stays within one folder. The pattern `*` alone stands for every name and every path.
        """
        rules = []
        for clause in (part.strip() for part in text.split(";")):
            if not clause:
                continue
            team, separator, patterns = clause.partition("=")
            if not separator or not _TEAM.fullmatch(team.strip()):
                raise ValueError("KRSYNC_SECRETS_ALLOW has to read team=PATTERN,PATTERN;team=PATTERN.")
            for pattern in (part.strip() for part in patterns.split(",")):
                if not pattern:
                    continue
                if not pattern.startswith("/") and not _ENVIRONMENT_PATTERN.fullmatch(pattern):
                    raise ValueError("A pattern in KRSYNC_SECRETS_ALLOW is the name of a variable or an absolute path.")
                rules.append((team.strip(), pattern))
        return cls(tuple(rules))

    def allows(self, team: str, reference: SecretReference) -> bool:
        """Whether the team may refer to it. KRSYNC_* is never allowed; what is sealed always is, being its own."""
        if reference.kind == "sealed":
            return True
        patterns = [pattern for owner, pattern in self.rules if owner in ("*", team)]
        if reference.kind == "env":
            if reference.name.upper().startswith("KRSYNC_"):
                return False
            return any(not pattern.startswith("/") and fnmatchcase(reference.name, pattern) for pattern in patterns)
        path = PurePosixPath(reference.name)
        if not path.is_absolute() or "\0" in reference.name or os.path.normpath(reference.name) != reference.name:
            return False
        return any(pattern == "*" or _path_matches(path, pattern) for pattern in patterns)


def _path_matches(path: PurePosixPath, pattern: str) -> bool:
    """Whether every segment matches: unlike `fnmatch` alone, `*` does not reach into another folder."""
    wanted = PurePosixPath(pattern).parts
    return (
        pattern.startswith("/")
        and len(path.parts) == len(wanted)
        and all(fnmatchcase(part, want) for part, want in zip(path.parts, wanted, strict=True))
    )


@dataclass(frozen=True, slots=True)
class Seal:
    """Seals and opens secrets with the service's key (32 bytes)."""

    key: bytes = field(repr=False)

    @property
    def key_id(self) -> str:
        """Names the key in a row without telling anything about it."""
        return hashlib.sha256(b"krsync secret key\x00" + self.key).hexdigest()[:16]

    def seal(self, connection_id: int, name: str, value: str) -> bytes:
        """`value` as bytes that open for this connection and name only."""
        owner = _owner(connection_id, name)
        data_key = AESGCM.generate_key(bit_length=256)
        key_nonce, value_nonce = os.urandom(_NONCE), os.urandom(_NONCE)
        wrapped = AESGCM(self.key).encrypt(key_nonce, data_key, owner)
        return (
            _FORMAT + key_nonce + wrapped + value_nonce + AESGCM(data_key).encrypt(value_nonce, value.encode(), owner)
        )

    def open(self, connection_id: int, name: str, key_id: str, sealed: bytes) -> str:
        """The value; SealError where another key sealed it or the row is not the one it was sealed for."""
        if key_id != self.key_id or sealed[:1] != _FORMAT:
            raise SealError("The secret was sealed with another KRSYNC_SECRET_KEY.")
        owner = _owner(connection_id, name)
        wrapped_at, value_at = 1 + _NONCE, 1 + _NONCE + _WRAPPED
        try:
            data_key = AESGCM(self.key).decrypt(sealed[1:wrapped_at], sealed[wrapped_at:value_at], owner)
            value = AESGCM(data_key).decrypt(sealed[value_at : value_at + _NONCE], sealed[value_at + _NONCE :], owner)
        except (InvalidTag, ValueError) as error:
            raise SealError("The sealed secret does not belong to this connection, or was changed.") from error
        return value.decode()


def _owner(connection_id: int, name: str) -> bytes:
    return f"krsync/secret/{connection_id}/{name}".encode()


@dataclass(frozen=True, slots=True)
class SecretResolver:
    """Turns a reference into its value where the operator allows it. `protected`: files and folders never given out."""

    policy: SecretPolicy
    seal: Seal
    environ: Mapping[str, str] = field(repr=False)
    protected: Collection[Path] = ()

    def allows(self, team: str, reference: SecretReference) -> bool:
        """Whether the team may refer to it at all."""
        return self.policy.allows(team, reference)

    async def resolve(
        self, database: Database, team: str, connection_id: int, reference: SecretReference
    ) -> str | None:
        """The value; None where it is not allowed, not there, or does not open."""
        if not self.allows(team, reference):
            return None
        if reference.kind == "env":
            return self.environ.get(reference.name) or None
        if reference.kind == "file":
            return await asyncio.to_thread(self._read, reference.name)
        async with database.reading() as session:
            found = await store.get_secret(session, connection_id, reference.name)
        if found is None:
            return None
        try:
            return self.seal.open(connection_id, reference.name, *found)
        except SealError as error:
            log.error("secret.unsealable", connection_id=connection_id, name=reference.name, reason=str(error))
            return None

    def _read(self, name: str) -> str | None:
        try:
            path = Path(name).resolve(strict=True)
            refused = [Path(folder) for folder in _NEVER_UNDER] + [Path(item).resolve() for item in self.protected]
            if any(path == item or item in path.parents for item in refused) or not path.is_file():
                return None
            with path.open("rb") as file:
                data = file.read(_MOST_BYTES + 1)
            if len(data) > _MOST_BYTES:
                return None
            return data.decode().rstrip("\r\n") or None
        except (OSError, ValueError, RuntimeError):
            return None


def generate_webhook_secret() -> str:
    """A new signing secret in the form of Standard Webhooks: `whsec_` and 32 random bytes in base64."""
    return "whsec_" + base64.b64encode(os.urandom(32)).decode()


async def put_secret(
    database: Database,
    seal: Seal,
    *,
    team: str,
    connection: str,
    name: str,
    value: str,
    actor: str,
    now: datetime,
) -> bool:
    """Seal a value under a connection's `{sealed: name}`; True where there was none before.

    NotFound where the connection is not there.
    """
    async with database.writing() as session:
        connection_id = await store.connection_id_of(session, team, connection)
        if connection_id is None:
            raise NotFound("There is no such connection.")
        sealed = seal.seal(connection_id, name, value)
        is_new = await store.save_secret(session, connection_id, name, key_id=seal.key_id, sealed=sealed, at=now)
        await audit.append_audit(
            session,
            at=now,
            actor=actor,
            action="create" if is_new else "update",
            object_kind="secret",
            object_id=f"{team}/{connection}/{name}",
        )
    return is_new
