"""The locks pin all that pyproject.toml asks for, and say nothing about where it comes from."""

import re
import tomllib
from pathlib import Path

import pytest
from packaging.requirements import Requirement

ROOT = Path(__file__).resolve().parents[2]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())


def pins(name: str) -> dict[str, Requirement]:
    lines = (ROOT / name).read_text().splitlines()
    found = [Requirement(line) for line in lines if line.strip()]
    assert len({canonical(item.name) for item in found}) == len(found), "a package is pinned twice"
    return {canonical(item.name): item for item in found}


def canonical(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()


def wanted(name: str) -> list[str]:
    runtime: list[str] = PROJECT["project"]["dependencies"]
    development: list[str] = PROJECT["dependency-groups"]["dev"]
    return runtime if name == "requirements.lock" else [*runtime, *development]


LOCKS = ["requirements.lock", "requirements-dev.lock"]


@pytest.mark.parametrize("name", LOCKS)
def test_every_requirement_is_pinned_within_its_bounds(name: str) -> None:
    locked = pins(name)
    for text in wanted(name):
        requirement = Requirement(text)
        pin = locked[canonical(requirement.name)]
        [specifier] = pin.specifier
        assert specifier.operator == "=="
        assert requirement.specifier.contains(specifier.version), f"{text} is locked at {specifier.version}"


@pytest.mark.parametrize("name", LOCKS)
def test_a_lock_names_no_place(name: str) -> None:
    for line in (ROOT / name).read_text().splitlines():
        assert re.fullmatch(r"[A-Za-z0-9._-]+(\[[a-z,]+\])?==[A-Za-z0-9.+!]+( ; [^/:@]+)?", line), line


def test_the_service_and_its_tests_run_on_the_same_versions() -> None:
    development = pins("requirements-dev.lock")
    for name, pin in pins("requirements.lock").items():
        assert development[name].specifier == pin.specifier
        assert development[name].marker in (None, pin.marker), f"{name} is left out where the service needs it"
