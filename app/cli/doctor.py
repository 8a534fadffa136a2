"""`krsync doctor`: what is in order, what is not, and what to do about it."""

import os
import platform
import shutil
import sqlite3
import sys
import tomllib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Annotated, Literal, NoReturn

import typer

from app.cli.client import Service, default_data_dir, find_target
from app.cli.output import OUT_OF_REACH, CommandError, cell, clean, say, say_json, show_table
from app.settings import VARIABLES, Settings, SettingsError

_STYLES = {"ok": "green", "warning": "yellow", "failed": "bold red"}
_MOST_SKEW = timedelta(seconds=30)  # half of what signed webhooks tolerate would already lose deliveries
_LEAST_FREE = 512 * 1024 * 1024


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing looked at. `advice` says what to do where it is not in order."""

    what: str
    verdict: Literal["ok", "warning", "failed"]
    found: str
    advice: str = ""


def add_to(app: typer.Typer) -> None:
    """Register these commands."""
    app.command()(doctor)


def doctor(as_json: Annotated[bool, typer.Option("--json", help="The findings as JSON.")] = False) -> None:
    """Check versions, configuration, the data directory, and the service with its connections."""
    findings = [*_here(), *_service()]
    if as_json:
        say_json([{name: getattr(item, name) for name in ("what", "verdict", "found", "advice")} for item in findings])
    else:
        show_table(
            ("CHECK", "VERDICT", "FOUND", "WHAT TO DO"),
            [
                (
                    cell(item.what, "bold"),
                    cell(item.verdict, _STYLES[item.verdict]),
                    cell(item.found),
                    cell(item.advice),
                )
                for item in findings
            ],
        )
    failed = [item for item in findings if item.verdict == "failed"]
    if failed:
        raise typer.Exit(OUT_OF_REACH if all(item.what == "service" for item in failed) else 1)


def _here() -> Iterator[Finding]:
    for look in (_krsync, _sqlite, _valkey, _data_dir, _environment):
        yield look()


def show_version() -> NoReturn:
    """Print the version and end the command."""
    say(own_version())
    raise typer.Exit


def own_version() -> str:
    """The version that is installed, or that of the clone."""
    try:
        return version("krsync")
    except PackageNotFoundError:  # a clone is put on the path, not installed
        project = tomllib.loads((Path(__file__).resolve().parents[2] / "pyproject.toml").read_text())
        return f"{project['project']['version']} (a clone)"


def _krsync() -> Finding:
    return Finding(
        "krsync", "ok", f"{own_version()}, Python {platform.python_version()}, {sys.platform} {platform.machine()}"
    )


def _sqlite() -> Finding:
    from app.store.database import sqlite_has_wal_bug

    if sqlite_has_wal_bug():
        advice = "a rare race can corrupt a database: use SQLite 3.51.3 or newer, or PostgreSQL"
        return Finding("sqlite", "warning", sqlite3.sqlite_version, advice)
    return Finding("sqlite", "ok", sqlite3.sqlite_version)


def _valkey() -> Finding:
    from app.embedded.valkey import ValkeyError, find_binary

    try:
        return Finding("valkey", "ok", str(find_binary()))
    except ValkeyError as error:
        given = bool(os.environ.get("KRSYNC_REDIS_URL"))
        return Finding("valkey", "ok" if given else "warning", "none embedded", "" if given else str(error))


def _data_dir() -> Finding:
    directory = default_data_dir()
    existing = next(path for path in (directory, *directory.parents) if path.exists())
    if not os.access(existing, os.W_OK):
        return Finding("data", "failed", str(directory), "can not be written; choose another with --data")
    free = shutil.disk_usage(existing).free
    open_files = [name for name in ("admin-token", "secret-key") if _is_readable_by_others(directory / name)]
    if open_files:
        return Finding("data", "failed", str(directory), f"others can read {', '.join(open_files)}: chmod 600")
    if free < _LEAST_FREE:
        return Finding("data", "warning", f"{directory}, {free // 2**20} MiB free", "make room")
    return Finding("data", "ok", f"{directory}, {free // 2**30} GiB free")


def _is_readable_by_others(path: Path) -> bool:
    return path.exists() and bool(path.stat().st_mode & 0o077)


def _environment() -> Finding:
    given = sorted(name for name in os.environ if name.startswith("KRSYNC_") and os.environ[name].strip())
    service_side = {"KRSYNC_DATABASE_URL", "KRSYNC_REDIS_URL", "KRSYNC_SECRET_KEY", "KRSYNC_SECRET_KEY_FILE"}
    if not service_side & set(given):
        unknown = [name for name in given if name not in VARIABLES]
        if unknown:
            return Finding(
                "environment", "warning", f"unknown: {clean(' '.join(unknown))}", "see `krsync serve --help`"
            )
        return Finding("environment", "ok", " ".join(given) or "nothing set: the local `krsync up` is meant")
    try:
        settings = Settings.from_environment(os.environ)
    except SettingsError as error:
        return Finding("environment", "failed", " ".join(given), " ".join(error.problems))
    return Finding(
        "environment", "warning" if settings.warnings else "ok", " ".join(given), " ".join(settings.warnings)
    )


def _service() -> Iterator[Finding]:
    try:
        target = find_target()
    except CommandError as error:
        yield Finding("service", "failed" if error.exit_code != OUT_OF_REACH else "warning", "none", str(error))
        return
    with Service(target) as service:
        try:
            answer = service.request("GET", "/healthz")
        except CommandError as error:
            yield Finding("service", "failed", target.url, str(error))
            return
        yield Finding("service", "ok", target.url)
        yield _clock(answer.headers.get("date"), datetime.now(UTC))
        for what, look in (("ready", _ready), ("token", _token), ("connections", _connections)):
            yield _guarded(what, look, service)


def _guarded(what: str, look: Callable[[Service], Finding], service: Service) -> Finding:
    try:
        return look(service)
    except CommandError as error:
        return Finding(what, "failed", "refused", clean(str(error)))


def _clock(date: str | None, now: datetime) -> Finding:
    try:
        skew = abs(parsedate_to_datetime(date or "") - now)
    except (TypeError, ValueError):
        return Finding("clock", "warning", "the service does not say its time")
    if skew > _MOST_SKEW:
        return Finding("clock", "failed", f"{skew.total_seconds():.0f} s apart from the service", "set both by NTP")
    return Finding("clock", "ok", "the service and this machine agree")


def _ready(service: Service) -> Finding:
    service.request("GET", "/readyz")
    return Finding("ready", "ok", "the database answers")


def _token(service: Service) -> Finding:
    service.get("/v1/teams", limit="1")
    return Finding("token", "ok", "accepted")


def _connections(service: Service) -> Finding:
    found = list(service.items("/v1/connections"))
    bad = [item for item in found if item.get("health") not in ("ok", "waiting")]
    if bad:
        said = "; ".join(f"{item.get('id')} {item.get('health')}: {item.get('reason')}" for item in bad)
        return Finding("connections", "failed", clean(said), "`krsync status`, then mend what the reason names")
    waiting = [item for item in found if item.get("health") == "waiting" and item.get("hook_url")]
    if waiting:
        names = ", ".join(str(item.get("id")) for item in waiting)
        said = f"{len(found)} in order; waiting for the first delivery: {clean(names)}"
        return Finding("connections", "ok", said)
    return Finding("connections", "ok", f"{len(found)} in order")
