"""`./krsync` on a fresh clone: prepares itself once, from any folder, through any link, and says what is missing."""

import importlib.util
import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from types import ModuleType

import pytest

ROOT = Path(__file__).resolve().parents[2]

COMMAND_LINE = """
import os, sys
if __name__ == "__main__":
    import json
    print(json.dumps({"arguments": sys.argv[1:], "prefix": sys.prefix, "cwd": os.getcwd()}))
"""


@pytest.fixture
def clone(tmp_path: Path) -> Path:
    """A clone with nothing to install and a command line that says what it was given; its path has a space in it."""
    root = tmp_path / "a clone"
    (root / "deploy").mkdir(parents=True)
    (root / "app" / "cli").mkdir(parents=True)
    shutil.copy(ROOT / "krsync", root)
    shutil.copy(ROOT / "deploy" / "bootstrap.py", root / "deploy")
    for name in ("requirements.lock", "requirements-dev.lock"):
        (root / name).write_text("# nothing\n")
    for name in ("app/__init__.py", "app/cli/__init__.py"):
        (root / name).touch()
    (root / "app" / "cli" / "__main__.py").write_text(COMMAND_LINE)
    return root


@pytest.fixture
def bare_path(tmp_path: Path) -> str:
    """A PATH with this Python as python3 and the system's tools, but without uv."""
    folder = tmp_path / "bin"
    folder.mkdir()
    (folder / "python3").symlink_to(getattr(sys, "_base_executable", sys.executable))
    for tool in ("sh", "readlink", "dirname"):
        found = shutil.which(tool)
        assert found is not None
        (folder / tool).symlink_to(found)
    return str(folder)


def run(script: Path, *arguments: str, path: str, cwd: Path | None = None) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [str(script), *arguments],
        cwd=cwd or script.parent,
        env={"PATH": path, "HOME": "/nonexistent", "PIP_NO_INDEX": "1"},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
    )


def test_it_prepares_itself_once_and_again_when_the_lock_changes(clone: Path, bare_path: str, tmp_path: Path) -> None:
    elsewhere = tmp_path / "elsewhere"
    (elsewhere / "app").mkdir(parents=True)  # a folder of this name must not be taken for ours
    (elsewhere / "app" / "__init__.py").write_text("raise SystemExit('the wrong app')")
    link, link_to_link = tmp_path / "krsync", elsewhere / "k"
    link.symlink_to(clone / "krsync")
    link_to_link.symlink_to("../krsync")

    first = run(link_to_link, "apply", "a b", "", "--it's", path=bare_path, cwd=elsewhere)
    assert first.returncode == 0, first.stderr
    assert "krsync: preparing" in first.stderr
    said = json.loads(first.stdout)
    assert said == {"arguments": ["apply", "a b", "", "--it's"], "prefix": str(clone / ".venv"), "cwd": str(elsewhere)}

    assert run(clone / "krsync", "up", path=bare_path).stderr == ""
    development = run(clone / "krsync", "test", path=bare_path)
    assert "krsync: preparing" in development.stderr  # it takes the development group
    assert run(clone / "krsync", "up", path=bare_path).stderr == ""  # which holds everything of the other
    for name in ("requirements.lock", "requirements-dev.lock"):
        (clone / name).write_text("# changed\n")
    assert "krsync: preparing" in run(clone / "krsync", "up", path=bare_path).stderr


def test_two_first_runs_at_once_prepare_it_once(clone: Path, bare_path: str) -> None:
    both = [
        subprocess.Popen(
            [clone / "krsync", "up"],
            env={"PATH": bare_path, "PIP_NO_INDEX": "1"},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        for _ in range(2)
    ]
    said = [process.communicate(timeout=120) for process in both]
    assert [process.returncode for process in both] == [0, 0], said
    assert sum("krsync: preparing" in stderr for _, stderr in said) == 1


def test_a_failed_installation_is_said_and_not_taken_for_done(clone: Path, bare_path: str) -> None:
    (clone / "requirements.lock").write_text("no-such-package-of-krsync==1.0\n")
    for _ in range(2):
        failed = run(clone / "krsync", "up", path=bare_path)
        assert failed.returncode == 1
        assert "no-such-package-of-krsync" in failed.stderr
        assert failed.stderr.rstrip().endswith("The packages could not be installed; what pip said is above.")
        assert failed.stdout == ""


def test_an_old_python_is_told_so(clone: Path, bare_path: str) -> None:
    python = Path(bare_path) / "python3"
    python.unlink()
    python.write_text("#!/bin/sh\nexit 1\n")  # what `sys.exit(sys.version_info < (3, 11))` does on an old one
    python.chmod(0o755)
    refused = run(clone / "krsync", "up", path=bare_path)
    assert refused.returncode == 1
    assert refused.stderr.startswith("krsync: Python 3.11 or newer is needed")


def _bootstrap() -> ModuleType:
    spec = importlib.util.spec_from_file_location("bootstrap", ROOT / "deploy" / "bootstrap.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture
def broken_python(tmp_path: Path) -> Callable[[str], Path]:
    def make(said: str) -> Path:
        python = tmp_path / "broken-python"
        python.write_text(f"#!/bin/sh\necho '{said}'\nexit 1\n")
        python.chmod(0o755)
        return python

    return make


def test_a_missing_venv_module_is_told_with_its_remedy(
    clone: Path, broken_python: Callable[[str], Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    bootstrap = _bootstrap()
    monkeypatch.setattr(sys, "executable", str(broken_python("ensurepip is not available")))
    monkeypatch.setenv("PATH", "/nonexistent")
    with pytest.raises(
        bootstrap.BootstrapError, match=r"apt-get install python3-venv[\s\S]*ensurepip is not available"
    ):
        bootstrap.prepare(clone, "requirements.lock")
    assert not (clone / ".venv").exists()


def test_it_is_executable_and_plain_sh() -> None:
    assert os.access(ROOT / "krsync", os.X_OK)
    assert os.access(ROOT / ".ci" / "run", os.X_OK)
    assert subprocess.run(["sh", "-n", ROOT / "krsync"], check=False).returncode == 0
    assert subprocess.run(["bash", "-n", ROOT / ".ci" / "run"], check=False).returncode == 0
    assert (ROOT / ".ci" / "run").read_text().rstrip().endswith("\n./krsync test")
