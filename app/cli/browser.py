"""The browser of `krsync test`: Debian's Chromium, found or installed."""

import os
import shutil
import subprocess

_NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
_PATIENCE = 600


def find_chromium() -> str | None:
    """The path of a Chromium, or None."""
    return next((path for name in _NAMES if (path := shutil.which(name)) is not None), None)


def install_chromium() -> str | None:
    """Install Debian's Chromium where this may be done without a question; what stands in the way, or None."""
    if find_chromium() is not None:
        return None
    if shutil.which("apt-get") is None:
        return "there is no chromium, and no apt-get to install it with"
    as_root: list[str] = []
    if os.geteuid() != 0:
        if shutil.which("sudo") is None or _run(["sudo", "-n", "true"]) != 0:
            return "there is no chromium, and installing it takes root: sudo apt-get install chromium"
        as_root = ["sudo", "-n"]
    apt = [*as_root, "env", "DEBIAN_FRONTEND=noninteractive", "apt-get", "-qq"]
    if _run([*apt, "update"]) != 0 or _run([*apt, "install", "-y", "--no-install-recommends", "chromium"]) != 0:
        return "there is no chromium, and apt-get could not install it"
    return None if find_chromium() is not None else "apt-get installed chromium, but it is not on the path"


def _run(command: list[str]) -> int:
    try:
        return subprocess.run(command, capture_output=True, timeout=_PATIENCE, check=False).returncode
    except (OSError, subprocess.TimeoutExpired):
        return 1
