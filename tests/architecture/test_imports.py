"""What the import contracts can not say, and that they are kept when only pytest is run."""

import ast
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
PACKAGES = ("app", "connectors", "workers")


def modules(*folders: str) -> list[Path]:
    return sorted(path for folder in folders for path in (ROOT / folder).rglob("*.py"))


def calls(path: Path) -> Iterator[tuple[int, str]]:
    """Line and dotted name of each call in a module."""
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Call):
            yield node.lineno, ast.unparse(node.func)


def test_the_import_contracts_are_kept() -> None:
    command = "from importlinter.cli import lint_imports_command as run; run()"
    result = subprocess.run([sys.executable, "-c", command], cwd=ROOT, capture_output=True, text=True, check=False)
    assert result.returncode == 0, result.stdout
    assert ", 0 broken." in result.stdout


@pytest.mark.parametrize("path", modules("tests"), ids=lambda path: str(path.relative_to(ROOT)))
def test_no_test_sleeps(path: Path) -> None:
    found = [line for line, name in calls(path) if name == "time.sleep"]
    assert not found, f"{path.relative_to(ROOT)} sleeps in lines {found}"


def test_nothing_is_started_through_a_shell() -> None:
    for path in modules(*PACKAGES, "deploy"):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Call):
                shell = [word for word in node.keywords if word.arg == "shell"]
                assert not shell, f"{path.relative_to(ROOT)}:{node.lineno} passes shell="
                assert ast.unparse(node.func) not in ("os.system", "os.popen"), f"{path}:{node.lineno}"


def test_only_the_command_prints() -> None:
    for path in modules(*PACKAGES):
        if (ROOT / "app" / "cli") not in path.parents:
            found = [line for line, name in calls(path) if name == "print"]
            assert not found, f"{path.relative_to(ROOT)} prints in lines {found}"
