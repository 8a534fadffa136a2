"""`up`, `serve`, `worker`, `migrate`: the commands that run the service."""

import asyncio
import contextlib
import os
import socket
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated

import typer

from app.cli.client import default_data_dir, demo_data_dir
from app.cli.output import CALL_IS_WRONG, INPUT_IS_WRONG, CommandError, complain, say
from app.settings import Settings, SettingsError, database_url
from app.supervisor import Steps, UpError, UpOptions
from app.supervisor import up as run_up

_STOP_WITHIN = 3  # seconds that open requests and event streams get when the service is to end


def add_to(app: typer.Typer) -> None:
    """Register these commands."""
    for command in (up, serve, worker, migrate):
        app.command()(command)


def up(
    port: Annotated[int, typer.Option(min=0, max=65535, help="Port to listen on; 0 takes a free one.")] = 8000,
    host: Annotated[str, typer.Option(help="Address to listen on.")] = "127.0.0.1",
    data: Annotated[Path | None, typer.Option(help="Folder for everything that is kept.", show_default=False)] = None,
    demo: Annotated[
        bool, typer.Option("--demo", help="With a year of an example organisation, kept apart; it goes on live.")
    ] = False,
) -> None:
    """Run everything in one go: Valkey, database, API and worker. Ctrl-C stops all of it."""
    from app.embedded.lock import DataDirectoryInUseError
    from app.embedded.valkey import ValkeyError
    from app.store.migrate import upgrade

    os.umask(0o077)  # whatever folder was given: the database is for its owner
    steps = Steps(migrate=upgrade, ensure_admin_token=_ensure_admin_token, say=_progress)
    if demo:
        from app.cli.demo import prepared

        directory = data or demo_data_dir()
        steps = prepared(steps, directory)
    else:
        directory = data or default_data_dir()
    options = UpOptions(data_dir=directory, host=host, port=port)
    try:
        asyncio.run(run_up(options, steps))
    except SettingsError as error:
        raise _settings_error(error) from None
    except (UpError, ValkeyError, DataDirectoryInUseError) as error:
        raise CommandError(str(error), INPUT_IS_WRONG) from None


def _progress(text: str) -> None:
    with contextlib.suppress(OSError):  # whoever read our output is gone; that is no reason to stop
        say(text)


def serve(
    host: Annotated[str | None, typer.Option(help="Address to listen on (KRSYNC_HOST).", show_default=False)] = None,
    port: Annotated[int | None, typer.Option(min=0, max=65535, help="(KRSYNC_PORT)", show_default=False)] = None,
    descriptor: Annotated[int | None, typer.Option(min=0, hidden=True, help="An open listening socket.")] = None,
) -> None:
    """Serve the API. Reads KRSYNC_DATABASE_URL, KRSYNC_REDIS_URL and KRSYNC_SECRET_KEY."""
    import uvicorn

    from app.serving import Protocol, Server

    settings = _settings()
    config = uvicorn.Config(
        "app.main:create_app",
        factory=True,
        host=host or settings.host,
        port=settings.port if port is None else port,
        loop="uvloop",
        http=Protocol,
        lifespan="on",
        log_config=None,  # app.main sets up logging
        access_log=False,
        server_header=False,
        timeout_graceful_shutdown=_STOP_WITHIN,
    )
    sockets = None if descriptor is None else [socket.socket(fileno=descriptor)]
    server = Server(config)
    server.run(sockets=sockets)
    if not server.started:
        raise typer.Exit(INPUT_IS_WRONG)


def worker() -> None:
    """Run a worker: pulls what is due, applies deliveries, keeps the values."""
    _settings()
    from workers.run import run

    run()


def migrate(
    admin_token: Annotated[
        Path | None,
        typer.Option(help="Where the first admin token goes (0600) if there is none yet.", show_default=False),
    ] = None,
    another_admin_token: Annotated[
        Path | None,
        typer.Option(
            help="Make one more admin token in this new file (0600): the others are lost.", show_default=False
        ),
    ] = None,
) -> None:
    """Bring the database to the newest schema. Reads KRSYNC_DATABASE_URL."""
    from app.store.migrate import upgrade

    try:
        url = database_url(os.environ)
    except SettingsError as error:
        raise _settings_error(error) from None
    upgrade(url)
    if admin_token is not None:
        asyncio.run(_ensure_admin_token(url, admin_token))
    if another_admin_token is not None:
        try:
            asyncio.run(_make_admin_token(url, another_admin_token))
        except OSError as error:
            reason = error.strerror or "it is there already"
            raise CommandError(f"{another_admin_token} can not be created: {reason}.", CALL_IS_WRONG) from None
    say("The database is up to date.")


async def _ensure_admin_token(url: str, path: Path) -> None:
    from app.services.tokens import ensure_admin_token
    from app.store.database import Database

    database = Database(url)
    try:
        await ensure_admin_token(database, path, datetime.now(UTC))
    finally:
        await database.close()


async def _make_admin_token(url: str, path: Path) -> None:
    from app.services.tokens import make_admin_token
    from app.store.database import Database

    database = Database(url)
    try:
        await make_admin_token(database, path, datetime.now(UTC))
    finally:
        await database.close()


def _settings() -> Settings:
    try:
        settings = Settings.from_environment(os.environ)
    except SettingsError as error:
        raise _settings_error(error) from None
    for warning in settings.warnings:
        complain(warning)
    return settings


def _settings_error(error: SettingsError) -> CommandError:
    return CommandError("the environment can not be used:\n  " + "\n  ".join(error.problems), CALL_IS_WRONG)
