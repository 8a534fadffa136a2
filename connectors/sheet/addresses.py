"""The address of a spreadsheet's page for people, as the address of its content. Pure."""

import re
from urllib.parse import parse_qs, urlencode, urljoin, urlsplit, urlunsplit

from connectors.errors import UnexpectedResponseError

_GOOGLE_PAGE = re.compile(r"(/spreadsheets/(?:u/\d+/)?d/[\w-]+)(?:/(?:edit|view|htmlview|preview)?)?")
_GOOGLE_PUBLISHED = re.compile(r"(/spreadsheets/d/e/[\w-]+)/pub(?:html)?")
_SHAREPOINT_SHARED = re.compile(r"/:x:/.+")


def content_of(url: str) -> str:
    """Where the content of a sheet is, given the address that a browser shows of it; any other address as it is.

    Google Sheets: of the sheet that is open, as CSV. SharePoint and OneDrive for Business: a link that was shared, as a
    download.
    """
    parts = urlsplit(url)
    query = {key: values[-1] for key, values in parse_qs(parts.query, keep_blank_values=True).items()}
    if parts.hostname == "docs.google.com":
        gid = query.get("gid") or parse_qs(parts.fragment).get("gid", [""])[-1]
        chosen = {"gid": gid} if gid else {}
        if page := _GOOGLE_PAGE.fullmatch(parts.path):
            return urlunsplit((*parts[:2], f"{page[1]}/export", urlencode({"format": "csv"} | chosen), ""))
        published = _GOOGLE_PUBLISHED.fullmatch(parts.path)
        if published and "output" not in query:
            single = chosen | ({"single": "true"} if chosen else {}) | {"output": "csv"}
            return urlunsplit((*parts[:2], f"{published[1]}/pub", urlencode(single), ""))
    if (parts.hostname or "").endswith(".sharepoint.com") and _SHAREPOINT_SHARED.fullmatch(parts.path):
        return urlunsplit((*parts[:3], urlencode(query | {"download": "1"}), ""))
    return urlunsplit((*parts[:4], ""))


def redirected(url: str, location: str | None) -> str:
    """Where an answer at `url` leads. UnexpectedResponseError where that is nowhere, or out of TLS."""
    here = urlsplit(url)
    try:
        target = urljoin(url, location or "")
        scheme = urlsplit(target).scheme
    except ValueError:
        location, scheme = None, ""
    if not location or scheme not in ("http", "https"):
        raise UnexpectedResponseError(f"{here.hostname} answered with a redirect that leads nowhere.")
    if scheme == "http" and here.scheme == "https":
        raise UnexpectedResponseError(f"{here.hostname} answered with a redirect out of TLS, which is not followed.")
    return target


def origin_of(url: str) -> tuple[str, str]:
    """What two addresses share that belong to one server."""
    parts = urlsplit(url)
    return parts.scheme, parts.netloc
