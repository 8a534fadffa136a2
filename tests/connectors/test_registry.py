"""The registry: ours always, others by entry point, and a broken one is said and stops nothing."""

import sys
from importlib.metadata import EntryPoint
from types import ModuleType

import pytest
from pydantic import BaseModel

from connectors.contract import Connector
from connectors.jira import JIRA
from connectors.registry import GROUP, build, connectors, problems
from connectors.webhook import WEBHOOK


class NoConfig(BaseModel):
    """A config without a setting."""


def entry_point(name: str, value: str) -> EntryPoint:
    return EntryPoint(name=name, value=value, group=GROUP)


@pytest.fixture
def acme(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    module = ModuleType("acme_krsync")
    module.__dict__.update(
        ACME=Connector(key="acme", title="Acme", config=NoConfig),
        IMPOSTOR=Connector(key="jira", title="Not Jira", config=NoConfig),
        SHOUTING=Connector(key="A C M E", title="Acme", config=NoConfig),
        NUMBER=7,
    )
    monkeypatch.setitem(sys.modules, module.__name__, module)
    return module


def test_our_own_connectors_are_there_by_key() -> None:
    assert connectors()["jira"] is JIRA
    assert connectors()["webhook"] is WEBHOOK
    assert problems() == ()


def test_nobody_can_change_the_registry() -> None:
    with pytest.raises(TypeError):
        connectors()["mine"] = WEBHOOK  # type: ignore[index]


def test_two_of_our_own_may_not_share_a_key() -> None:
    with pytest.raises(ValueError, match="'webhook'"):
        build([WEBHOOK, WEBHOOK])


def test_an_entry_point_adds_a_connector(acme: ModuleType) -> None:
    registry = build([WEBHOOK], [entry_point("acme", "acme_krsync:ACME")])

    assert list(registry.connectors) == ["webhook", "acme"]
    assert registry.connectors["acme"] is acme.ACME
    assert registry.problems == ()


@pytest.mark.usefixtures("acme")
@pytest.mark.parametrize(
    ("value", "problem"),
    [
        ("acme_krsync:IMPOSTOR", "has the key 'jira', which is taken"),
        ("acme_krsync:SHOUTING", "has a key that is not lower-case"),
        ("acme_krsync:NUMBER", "is not a connectors.contract.Connector"),
        ("acme_krsync:ABSENT", "could not be loaded: AttributeError"),
        ("acme_absent:ACME", "could not be loaded: ModuleNotFoundError"),
    ],
)
def test_a_broken_entry_point_is_reported_and_the_others_stay(
    value: str, problem: str, caplog: pytest.LogCaptureFixture
) -> None:
    registry = build([JIRA], [entry_point("broken", value), entry_point("works", "acme_krsync:ACME")])

    assert list(registry.connectors) == ["jira", "acme"]
    assert registry.connectors["jira"] is JIRA
    assert len(registry.problems) == 1
    assert f"The connector broken ({value}) {problem}" in registry.problems[0]
    assert [record.getMessage() for record in caplog.records] == list(registry.problems)


@pytest.mark.usefixtures("acme")
def test_of_two_entry_points_with_one_key_the_first_by_name_wins() -> None:
    registry = build([], [entry_point("b", "acme_krsync:ACME"), entry_point("a", "acme_krsync:ACME")])

    assert list(registry.connectors) == ["acme"]
    assert registry.problems == ("The connector b (acme_krsync:ACME) has the key 'acme', which is taken.",)
