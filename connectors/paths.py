"""Paths into a body, as teams write them: `body.user.email`, `body["e-mail"]`, `body.alerts[*].annotations`. Pure."""

import re
from typing import TypeAlias

from pydantic_core import PydanticCustomError

FieldPath: TypeAlias = tuple[str | int | None, ...]
"""Names and positions from the root; None is every element."""

_STEP = re.compile(r"\.([A-Za-z_][A-Za-z0-9_-]*)|\[(?:(\*)|([0-9]{1,6})|\"([^\"\\]+)\")\]")


def parse_path(text: str, root: str = "body") -> FieldPath:
    """The steps of a path below `root`, at least one; a validation error for what is none."""
    steps: list[str | int | None] = []
    position = len(root)
    while text.startswith(root) and position < len(text):
        step = _STEP.match(text, position)
        if step is None:
            break
        name, every, index, quoted = step.groups()
        steps.append(None if every else int(index) if index else name or quoted)
        position = step.end()
    if not steps or position < len(text):
        raise PydanticCustomError(
            "path", 'a path such as body.user.email, body["e-mail"] or body.items[*].name is expected'
        )
    return tuple(steps)
