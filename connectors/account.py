"""The account that a tool is asked with over HTTP: a bearer token, or a user name with its password. Pure."""

import base64
from typing import Annotated, Protocol
from urllib.parse import urlsplit

from pydantic import BaseModel, Field
from pydantic_core import PydanticCustomError

from connectors.secrets import Secret, secrets_of
from connectors.urls import is_loopback

Username = Annotated[str, Field(min_length=1, max_length=320, pattern=r"^[^\s:]+$")]


class Account(Protocol):
    """What of a connection says who asks."""

    @property
    def url(self) -> str: ...
    @property
    def token(self) -> Secret | None: ...
    @property
    def username(self) -> str | None: ...
    @property
    def password(self) -> Secret | None: ...


def check_account(account: Account) -> None:
    """A validation error where an account is half said, said twice, or has a secret that would be sent in the clear."""
    if (account.username is None) != (account.password is None):
        raise PydanticCustomError("account", "username and password go together")
    if account.token is not None and account.username is not None:
        raise PydanticCustomError("account", "either a token, or a username and its password")
    has_secret = isinstance(account, BaseModel) and bool(secrets_of(account))
    if has_secret and account.url.startswith("http:") and not is_loopback(urlsplit(account.url).hostname or ""):
        raise PydanticCustomError("account", "a credential is sent over https:// only (or on this computer itself)")


def authorization(account: Account) -> dict[str, str]:
    """The header that says who asks; none where nobody is named. AuthenticationError where a secret is not there."""
    if account.token is not None:
        return {"Authorization": f"Bearer {account.token.reveal()}"}
    if account.username is not None and account.password is not None:
        pair = f"{account.username}:{account.password.reveal()}".encode()
        return {"Authorization": f"Basic {base64.b64encode(pair).decode()}"}
    return {}
