"""The programs of others that `krsync test` runs beside ours: Debian's packages, found or installed."""

import os
import shutil
import subprocess
from collections.abc import Mapping, Sequence

#: By package: the names that the program goes by on the path.
BROWSER: Mapping[str, Sequence[str]] = {
    "chromium": ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
}
SERVERS: Mapping[str, Sequence[str]] = {
    "prometheus": ("prometheus",),
    "prometheus-alertmanager": ("prometheus-alertmanager", "alertmanager"),
}
_PATIENCE = 600


def find_chromium() -> str | None:
    """The path of a Chromium, or None."""
    return next((path for name in BROWSER["chromium"] if (path := shutil.which(name)) is not None), None)


def lacking(packages: Mapping[str, Sequence[str]]) -> list[str]:
    """The packages of which no program is on the path."""
    return [package for package, names in packages.items() if not any(map(shutil.which, names))]


def install(packages: Mapping[str, Sequence[str]]) -> str | None:
    """Install what is lacking where this may be done without a question; what stands in the way, or None."""
    wanted = lacking(packages)
    if not wanted:
        return None
    missing = f"there is no {' and no '.join(wanted)}"
    if shutil.which("apt-get") is None:
        return f"{missing}, and no apt-get to install it with"
    as_root: list[str] = []
    if os.geteuid() != 0:
        if shutil.which("sudo") is None or _run(["sudo", "-n", "true"]) != 0:
            return f"{missing}, and installing it takes root: sudo apt-get install {' '.join(wanted)}"
        as_root = ["sudo", "-n"]
    apt = [*as_root, "env", "DEBIAN_FRONTEND=noninteractive", "apt-get", "-qq"]
    if _run([*apt, "update"]) != 0 or _run([*apt, "install", "-y", "--no-install-recommends", *wanted]) != 0:
        return f"{missing}, and apt-get could not install it"
    still = lacking(packages)
    return f"apt-get installed {' '.join(still)}, but it is not on the path" if still else None


def _run(command: list[str]) -> int:
    try:
        return subprocess.run(command, capture_output=True, timeout=_PATIENCE, check=False).returncode
    except (OSError, subprocess.TimeoutExpired):
        return 1
