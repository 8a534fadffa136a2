"""`python -P -m handbook build|serve [PLACE]`: the site, into a folder or on a port of this machine."""

import os
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent


def main(what: str = "build", *more: str) -> int:
    """Run MkDocs as the repository wants it, strictly; its exit code."""
    command = [sys.executable, "-m", "mkdocs", what, "--strict", "--config-file", str(ROOT / "mkdocs.yml"), *more]
    # Its theme would advertise; nothing of that is about this site.
    environment = os.environ | {"NO_MKDOCS_2_WARNING": "1", "PYTHONPATH": str(ROOT)}
    return subprocess.run(command, cwd=ROOT, env=environment, check=False).returncode


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
