"""The OpenAPI document as plain pages: no script, no style sheet, nothing fetched from anywhere."""

from functools import lru_cache
from html import escape
from typing import Any

import msgspec

_STYLE = (
    "body{font:16px/1.5 system-ui,sans-serif;max-width:60rem;margin:2rem auto;padding:0 1rem;color:#1b1f24}"
    "code,pre{font:14px/1.45 ui-monospace,monospace}pre{background:#f4f5f7;padding:.8rem;overflow:auto}"
    "section{border-top:1px solid #d8dce1;padding:.5rem 0}h2{margin-top:2.5rem}"
    "th,td{text-align:left;padding:.1rem 1rem .1rem 0;"
    "vertical-align:top}@media(prefers-color-scheme:dark){body{background:#15181c;color:#e4e7eb}pre{background:#20252b}"
    "section{border-color:#333a42}a{color:#8ab4f8}}"
)


def _page(title: str, body: str) -> bytes:
    return (
        f'<!doctype html><html lang="en"><head><meta charset="utf-8"><title>{escape(title)}</title>'
        '<meta name="viewport" content="width=device-width,initial-scale=1">'
        f"<style>{_STYLE}</style></head><body>{body}</body></html>"
    ).encode()


def documentation(document: dict[str, Any]) -> bytes:
    """The page of an OpenAPI document; made once."""
    return _documentation(msgspec.json.encode(document))


@lru_cache(maxsize=2)
def _documentation(encoded: bytes) -> bytes:
    document: dict[str, Any] = msgspec.json.decode(encoded)
    groups: dict[str, list[str]] = {}
    for path, operations in document["paths"].items():
        for method, operation in operations.items():
            tag = (operation.get("tags") or ["other"])[0]
            groups.setdefault(tag, []).append(_operation(method.upper(), path, operation))
    body = [f"<h1>{escape(document['info']['title'])} API</h1>", _paragraph(document["info"].get("description", ""))]
    for tag, operations_of_tag in groups.items():
        body.append(f"<h2>{escape(tag.capitalize())}</h2>")
        body += operations_of_tag
    return _page("KRSync API", "".join(body))


def _operation(method: str, path: str, operation: dict[str, Any]) -> str:
    rows = "".join(
        f"<tr><td><code>{escape(item['name'])}</code></td><td>{escape(item['in'])}</td>"
        f"<td>{escape(item.get('description', ''))}</td></tr>"
        for item in operation.get("parameters", [])
    )
    content = operation.get("requestBody", {}).get("content", {})
    body = "".join(
        f"<p>Body, <code>{escape(media)}</code>:</p>{_example(given.get('example'))}"
        for media, given in list(content.items())[:1]
    )
    answers = "".join(_answer(status, given) for status, given in operation["responses"].items())
    return (
        f"<section><h3><code>{method} {escape(path)}</code></h3><p><b>{escape(operation.get('summary', ''))}.</b> "
        f"{escape(operation.get('description', ''))}</p>"
        + (f"<table>{rows}</table>" if rows else "")
        + f"{body}{answers}</section>"
    )


def _answer(status: str, given: dict[str, Any]) -> str:
    examples = [media["example"] for media in given.get("content", {}).values() if "example" in media]
    shown = "".join(_example(example) for example in examples[:1])
    return f"<div><code>{escape(status)}</code> {escape(given.get('description', ''))}{shown}</div>"


def _example(example: Any) -> str:
    if example is None:
        return ""
    text = example if isinstance(example, str) else msgspec.json.format(msgspec.json.encode(example)).decode()
    return f"<pre>{escape(text)}</pre>"


def _paragraph(text: str) -> str:
    return "".join(f"<p>{escape(part)}</p>" for part in text.split("\n\n") if part)
