"""What the example remembers beside the service's own data: since when it plays, how far it is, and its secret."""

import base64
import json
import os
import secrets
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path

FILE = "demo.json"


@dataclass(slots=True)
class DemoState:
    """`demo.json` of a data directory, for its owner only. `done` holds the steps that were played."""

    path: Path
    now: datetime
    seed: int
    secret: str
    done: list[str] = field(default_factory=list)

    @classmethod
    def of(cls, directory: Path) -> "DemoState | None":
        """The state that a data directory has; ValueError where its file can not be read."""
        path = directory / FILE
        try:
            found = json.loads(path.read_text(encoding="utf-8"))
            return cls(
                path, datetime.fromisoformat(found["now"]), int(found["seed"]), str(found["secret"]), found["done"]
            )
        except FileNotFoundError:
            return None
        except (ValueError, KeyError, TypeError) as error:
            raise ValueError(f"{path} can not be read") from error

    @classmethod
    def fresh(cls, directory: Path, seed: int = 7) -> "DemoState":
        """A state for a year that ends now, written."""
        secret = "whsec_" + base64.b64encode(secrets.token_bytes(24)).decode()
        state = cls(directory / FILE, datetime.now(UTC).replace(microsecond=0), seed, secret)
        state.write()
        return state

    def write(self) -> None:
        """Keep it: whole, or as it was."""
        value = {"now": self.now.isoformat(), "seed": self.seed, "secret": self.secret, "done": self.done}
        fresh = self.path.with_suffix(".json.new")
        descriptor = os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        with os.fdopen(descriptor, "w") as file:
            json.dump(value, file, indent=2)
        fresh.replace(self.path)
