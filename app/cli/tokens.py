"""`krsync token`: API tokens, through the service."""

import os
from pathlib import Path
from typing import Annotated, Any

import typer

from app.cli.client import connect
from app.cli.output import CALL_IS_WRONG, CommandError, cell, clean, say, say_json, show_table

SCOPES = ("read", "write", "ingest", "admin")

app = typer.Typer(no_args_is_help=True)


@app.command()
def create(
    name: Annotated[str, typer.Argument(help="What the token is for: ci, erp, dana.")],
    scope: Annotated[list[str], typer.Option(help="read, write, ingest or admin; may be given more than once.")],
    team: Annotated[str | None, typer.Option(help="Only for this team.", show_default=False)] = None,
    out: Annotated[
        Path | None, typer.Option(help="Write the token to this new file (0600).", show_default=False)
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="With its id and scopes, as JSON.")] = False,
) -> None:
    """Create a token. It is shown once, on standard output, and never again."""
    unknown = [word for word in scope if word not in SCOPES]
    if unknown:
        raise CommandError(f"{clean(unknown[0])} is not a scope; there are {', '.join(SCOPES)}.", CALL_IS_WRONG)
    descriptor = None
    if out is not None:
        try:  # before the token exists: one that can not be written down would be lost
            descriptor = os.open(out, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        except OSError as error:
            raise CommandError(f"{out} can not be created: {error.strerror}.", CALL_IS_WRONG) from None
    body: dict[str, Any] = {"name": name, "scopes": list(dict.fromkeys(scope))}
    if team is not None:
        body["team"] = team
    try:
        with connect() as service:
            answer = service.request("POST", "/v1/tokens", json=body).json()
    except BaseException:
        if out is not None:
            out.unlink()  # an empty one would only be in the way of the next attempt
        raise
    token = str(answer["token"])
    if descriptor is not None:
        with os.fdopen(descriptor, "w") as file:
            file.write(token + "\n")
        answer.pop("token")  # it is in the file, and nowhere else
    if as_json:
        say_json(answer)
    else:
        say(token if descriptor is None else f"The token is in {out}")


@app.command(name="list")
def list_tokens(as_json: Annotated[bool, typer.Option("--json", help="As JSON.")] = False) -> None:
    """List tokens: names, scopes and when they were made; the tokens themselves are known to nobody."""
    with connect() as service:
        found = list(service.items("/v1/tokens"))
    if as_json:
        say_json(found)
        return
    show_table(
        ("ID", "NAME", "SCOPES", "TEAM", "CREATED", "REVOKED"),
        [
            (
                cell(item.get("id")),
                cell(item.get("name")),
                cell(" ".join(map(str, item.get("scopes") or ()))),
                cell(item.get("team") or "all"),
                cell(item.get("created_at")),
                cell(item.get("revoked_at")),
            )
            for item in found
        ],
        right=("ID",),
    )


@app.command()
def revoke(token_id: Annotated[int, typer.Argument(metavar="ID", min=1)]) -> None:
    """Revoke a token: it is refused from now on."""
    with connect() as service:
        service.request("DELETE", f"/v1/tokens/{token_id}")
    say(f"Token {token_id} is revoked.")
