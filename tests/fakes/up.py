"""Run as a script: `krsync up` with fake children and no database, for tests of the supervisor itself."""

import asyncio
import os
import sys
from pathlib import Path

from app.embedded.lock import DataDirectoryInUseError
from app.supervisor import Steps, UpError, UpOptions, up


def say(text: str) -> None:
    os.write(1, f"{text}\n".encode())  # one write: the children write to the same pipe


def migrate(url: str) -> None:
    say(f"migrate {url}")


async def ensure_admin_token(url: str, path: Path) -> None:
    path.write_text("okr_a_token_that_must_not_be_shown")


def main(data: str, port: str) -> int:
    child = Path(__file__).with_name("child.py")
    steps = Steps(
        migrate=migrate,
        ensure_admin_token=ensure_admin_token,
        say=say,
        command=(sys.executable, str(child)),
    )
    try:
        asyncio.run(up(UpOptions(data_dir=Path(data), port=int(port)), steps))
    except (UpError, DataDirectoryInUseError) as error:
        say(f"refused: {error}")
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
