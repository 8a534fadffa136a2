"""The table of settings: every variable that the service, the workers and the commands read."""

from app.settings import VARIABLES
from handbook.markdown import code, table

_TESTS = ("KRSYNC_TEST_POSTGRES", "KRSYNC_SHARED_DATA")
#: What holds where the variable is unset.
DEFAULTS = {
    "KRSYNC_DATABASE_URL": "needed; `up`: a SQLite file in its folder",
    "KRSYNC_REDIS_URL": "needed; `up`: a Valkey of its own",
    "KRSYNC_SECRET_KEY": "needed, or the file; `up` makes one",
    "KRSYNC_SECRETS_ALLOW": "nothing; `up` on loopback: everything but `KRSYNC_*`",
    "KRSYNC_OUTBOUND_ALLOW": "the public internet alone",
    "KRSYNC_LOG": "`console` in a terminal, else `json`",
    "KRSYNC_DELIVERIES_KEEP_DAYS": "`400`",
    "KRSYNC_DELIVERIES_KEEP_MB": "no limit",
    "KRSYNC_DATA_DIR": "`.krsync`, for `up`",
    "KRSYNC_HOST": "`127.0.0.1`",
    "KRSYNC_PORT": "`8000`",
    "KRSYNC_URL": "the local `up`",
    "KRSYNC_TOKEN": "the local `up`'s admin token",
    "KRSYNC_SMTP_URL": "no mail is sent",
}


def settings_page() -> str:
    """`reference/settings.md`."""
    lines = [
        "# Settings",
        "",
        "Everything is read from the environment. An empty variable is unset; one that looks misspelt is an error when "
        "the service starts, any other unknown `KRSYNC_*` a warning. `krsync doctor` says what is wrong.",
        "",
    ]
    for heading, names in (
        ("The service, the workers and the commands", [name for name in VARIABLES if name not in _TESTS]),
        ("The tests of a clone", list(_TESTS)),
    ):
        lines += [f"## {heading}", ""]
        rows = [(code(name), f"{VARIABLES[name]}.", DEFAULTS.get(name, "")) for name in names]
        lines += table(("variable", "what it says", "unset"), rows)
    return "\n".join(lines)
