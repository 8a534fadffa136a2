"""Prepares .venv beside a clone from the pinned requirements, then becomes the `krsync` command.

Standard library only: this runs before anything is installed. Started by `./krsync`.
"""

import fcntl
import hashlib
import os
import shutil
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import NoReturn

ROOT = Path(__file__).resolve().parent.parent
# These need the development group too; its lock holds everything of the other.
LOCKS = {"test": "requirements-dev.lock", "docs": "requirements-dev.lock"}
RUNTIME_LOCK = "requirements.lock"


class BootstrapError(Exception):
    """The environment could not be prepared; the message says what to do."""


def prepare(root: Path, lock: str) -> Path:
    """Make sure that `root/.venv` holds what `lock` pins, and return its interpreter.

    Does nothing when it already does; two first runs at once wait for each other.
    """
    venv = root / ".venv"
    python = venv / "bin" / "python"
    if _is_current(venv, root, lock):
        return python
    directory = os.open(root, os.O_RDONLY | os.O_CLOEXEC)
    try:
        fcntl.flock(directory, fcntl.LOCK_EX)
        if not _is_current(venv, root, lock):
            _install(venv, python, root, lock)
    finally:
        os.close(directory)
    return python


def _is_current(venv: Path, root: Path, lock: str) -> bool:
    if not os.access(venv / "bin" / "python", os.X_OK):
        return False  # not made yet, or the Python it was made from is gone
    for candidate in {lock, LOCKS["test"]}:
        try:
            if _stamp_file(venv, candidate).read_text() == _stamp(root, candidate):
                return True
        except OSError:
            continue
    return False


def _stamp_file(venv: Path, lock: str) -> Path:
    return venv / f".installed-{lock}"


def _stamp(root: Path, lock: str) -> str:
    return f"{hashlib.sha256((root / lock).read_bytes()).hexdigest()} {root}\n"


def _install(venv: Path, python: Path, root: Path, lock: str) -> None:
    pins = [line for line in (root / lock).read_text().splitlines() if line.strip() and not line.startswith("#")]
    _say(f"krsync: preparing {venv} ({len(pins)} packages, once; about a minute)")
    if not (_with_uv(venv, python, root / lock) or _with_pip(venv, python, root / lock, len(pins))):
        raise BootstrapError("The packages could not be installed; what pip said is above.")
    folder = subprocess.run(
        [python, "-c", "import sysconfig; print(sysconfig.get_path('purelib'))"],
        capture_output=True,
        text=True,
        check=True,
    )
    # The clone itself is put on the path instead of being built and installed: nothing more to download.
    (Path(folder.stdout.strip()) / "krsync-clone.pth").write_text(f"{root}\n")
    for other in {RUNTIME_LOCK, *LOCKS.values()} - {lock}:
        _stamp_file(venv, other).unlink(missing_ok=True)
    _stamp_file(venv, lock).write_text(_stamp(root, lock))
    _say("krsync: ready")


def _with_uv(venv: Path, python: Path, lock: Path) -> bool:
    """Install with uv where there is one: ten seconds instead of a minute. False sends us on to pip."""
    uv = shutil.which("uv")
    if uv is None:
        return False
    if not os.access(python, os.X_OK):
        made = subprocess.run(
            [uv, "venv", "--quiet", "--allow-existing", "--python", sys.executable, venv], check=False
        )
        if made.returncode != 0:
            return False
    return subprocess.run([uv, "pip", "install", "--python", python, "-r", lock], check=False).returncode == 0


def _with_pip(venv: Path, python: Path, lock: Path, expected: int) -> bool:
    if not _has_pip(python):
        made = subprocess.run([sys.executable, "-m", "venv", venv], capture_output=True, text=True, check=False)
        if made.returncode != 0 or not _has_pip(python):
            shutil.rmtree(venv, ignore_errors=True)
            raise BootstrapError(
                "This Python can not make a virtual environment. On Debian and Ubuntu: apt-get install python3-venv. "
                f"Or install uv.\n{(made.stderr or made.stdout).strip()}"
            )
    command = [
        str(python),
        "-m",
        "pip",
        "install",
        "--no-input",
        "--disable-pip-version-check",
        "--progress-bar",
        "off",
    ]
    environment = os.environ | {"PIP_USER": "0", "PYTHONUNBUFFERED": "1"}
    said: list[str] = []
    seen = 0
    with subprocess.Popen(
        [*command, "-r", str(lock)], env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    ) as pip:
        for line in pip.stdout or ():
            said.append(line)
            name = line.removeprefix("Collecting ").removeprefix("Requirement already satisfied: ")
            if name != line and seen < expected:
                seen += 1
                _progress(seen, expected, name.split()[0])
            elif line.startswith("Installing collected packages"):
                _progress(expected, expected, "installing")
    if sys.stderr.isatty():
        _say("")
    if pip.returncode != 0:
        _say("".join(said[-30:]).rstrip())
    return pip.returncode == 0


def _has_pip(python: Path) -> bool:
    try:
        return subprocess.run([python, "-m", "pip", "--version"], capture_output=True, check=False).returncode == 0
    except OSError:
        return False


def _progress(done: int, total: int, what: str) -> None:
    if sys.stderr.isatty():
        print(f"\r  {done:>3}/{total} {what:<40.40}", end="", file=sys.stderr, flush=True)
    elif done % 20 == 0 or what == "installing":
        _say(f"  {done:>3}/{total} {what}")


def _say(text: str) -> None:
    print(text, file=sys.stderr, flush=True)


def main(arguments: Sequence[str]) -> NoReturn:
    """Prepare what the command needs and become it; ends with exit code 1 and a clear word when that is impossible."""
    try:
        python = prepare(ROOT, LOCKS.get(arguments[0], RUNTIME_LOCK) if arguments else RUNTIME_LOCK)
    except (BootstrapError, OSError) as error:
        _say(f"krsync: {error}")
        sys.exit(1)
    except KeyboardInterrupt:
        _say("krsync: stopped; the next start goes on from here")
        sys.exit(130)
    # -P: a folder named `app` where the user happens to stand must not be taken for ours.
    os.execv(python, [str(python), "-P", "-m", "app.cli", *arguments])  # noqa: S606  no shell is wanted


if __name__ == "__main__":
    main(sys.argv[1:])
