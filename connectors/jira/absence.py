"""What became of issues, or of what hangs on them, that Jira does not find by their ids."""

from collections.abc import Mapping

from connectors.concurrency import together
from connectors.contract import Absence
from connectors.jira.session import JiraSession

_FATES = {
    "deleted": "The project {key} was deleted: what is kept of its issues goes when a second read misses them too.",
    "archived": "The project {key} was archived: what is kept of its issues stays as it was.",
    None: "The account can not see the project {key} any more (its permission was taken, or it was archived or "
    "deleted: only an administrator is told which): what is kept of its issues stays as it was.",
}


async def tell_apart(session: JiraSession, missing: Mapping[str, str]) -> tuple[dict[str, Absence], list[str]]:
    """Why each of `missing` is not there, and what people should know of it. Its values are the keys of the issues that
    these are, or were at, so far; "" where none is known.

    What can not be found is deleted, unless the account can not see its project any more.
    """
    projects = {one: key.rpartition("-")[0] for one, key in missing.items()}
    asked = sorted({key for key in projects.values() if key})
    seen = dict(zip(asked, await together(*map(session.sees_project, asked)), strict=True))
    hidden = [key for key, is_seen in seen.items() if not is_seen]
    fates = dict(zip(hidden, await together(*map(session.fate_of_project, hidden)), strict=True))
    absent: dict[str, Absence] = {
        one: "deleted" if seen.get(key, True) or fates.get(key) == "deleted" else "unseen"
        for one, key in projects.items()
    }
    return absent, [_FATES[fate].format(key=key) for key, fate in fates.items()]
