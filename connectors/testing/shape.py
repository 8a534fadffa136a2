"""The value itself: names, models, secrets, and hooks that fit together."""

import json
import re
from datetime import timedelta
from inspect import iscoroutinefunction
from typing import ClassVar

import pytest
from pydantic import BaseModel, ValidationError

from connectors.contract import Connector
from connectors.secrets import Secret, secrets_of
from connectors.testing.case import ConformanceCase, secret_values


class ShapeConformance:
    """Checks that run no hook."""

    case: ClassVar[ConformanceCase]

    def test_it_is_a_connector(self) -> None:
        assert isinstance(self.case.connector, Connector)

    def test_its_key_is_a_name_of_the_team_file(self) -> None:
        assert re.fullmatch(r"[a-z][a-z0-9_]{0,49}", self.case.connector.key)

    def test_its_title_is_what_people_read(self) -> None:
        title = self.case.connector.title
        assert title == title.strip()
        assert 0 < len(title) <= 60

    def test_it_does_something(self) -> None:
        assert set(self.case.connector.capabilities) & {"measure", "read", "parse"}

    def test_it_is_not_asked_without_a_pause(self) -> None:
        assert self.case.connector.min_interval >= timedelta(seconds=1)

    def test_hooks_that_ask_the_tool_have_a_session(self) -> None:
        connector = self.case.connector
        asks = any((connector.check, connector.discover, connector.measure, connector.read))
        assert (connector.open is not None) == asks

    def test_measure_has_a_query_and_read_a_dataset(self) -> None:
        connector = self.case.connector
        assert (connector.measure is None) == (connector.query is None)
        assert connector.dataset is None or connector.read is not None or connector.parse is not None
        assert connector.read is None or connector.dataset is not None

    def test_a_connection_that_pulls_can_be_checked(self) -> None:
        connector = self.case.connector
        assert connector.open is None or connector.check is not None

    def test_deliveries_are_verified_before_they_are_parsed(self) -> None:
        connector = self.case.connector
        assert (connector.verify is None) == (connector.parse is None)
        assert connector.identify is None or connector.verify is not None

    def test_the_hooks_of_deliveries_are_plain_functions(self) -> None:
        connector = self.case.connector
        for hook in (connector.verify, connector.identify, connector.parse):
            assert not iscoroutinefunction(hook)

    def test_its_models_refuse_an_unknown_key(self) -> None:
        for model, given in self._models():
            with pytest.raises(ValidationError) as caught:
                model.model_validate({**given, "unknown_key_of_nobody": 1})
            assert "extra_forbidden" in {error["type"] for error in caught.value.errors()}

    def test_its_models_can_not_be_changed_by_a_hook(self) -> None:
        for model, given in self._models():
            value = model.model_validate(given)
            with pytest.raises(ValidationError):
                setattr(value, next(iter(model.model_fields)), None)

    def test_its_models_have_a_json_schema(self) -> None:
        for model, _ in self._models():
            schema = json.loads(json.dumps(model.model_json_schema()))
            assert schema["additionalProperties"] is False

    def test_every_option_of_its_models_is_a_word(self) -> None:
        for model, _ in self._models():
            assert all(re.fullmatch(r"[a-z][a-z0-9_]*", name) for name in model.model_fields)

    def test_a_secret_is_a_reference_and_never_a_literal(self) -> None:
        secrets = secrets_of(self.case.unbound())
        if not secrets:
            pytest.skip("the connector has no secret")
        for secret in secrets:
            reference = {secret.reference.kind: secret.reference.name}
            given = _replaced(dict(self.case.config), reference, "a literal")
            assert given != self.case.config
            with pytest.raises(ValidationError) as caught:
                self.case.connector.config.model_validate(given)
            assert "secret_reference" in {error["type"] for error in caught.value.errors()}

    def test_no_option_that_sounds_secret_is_plain_text(self) -> None:
        """A field by such a name that is not a `Secret` would be exported, logged and shown."""
        for name, value in _leaves(self.case.unbound()):
            if re.search(r"secret|token|password|passwd|api_?key|credential|dsn", name) and value is not None:
                assert isinstance(value, Secret), name

    def test_a_config_with_its_secrets_never_shows_them(self) -> None:
        bound = self.case.bound()
        dumped = [repr(bound.model_dump()), repr(bound.model_dump(mode="json")), bound.model_dump_json()]
        shown = [repr(bound), str(bound), *dumped]
        for value in secret_values(self.case):
            assert all(value not in text for text in shown)

    def test_a_config_is_written_back_as_it_was_read(self) -> None:
        unbound = self.case.unbound()
        again = self.case.connector.config.model_validate_json(unbound.model_dump_json())
        assert again == unbound

    def test_its_presets_are_named_rules(self) -> None:
        for name, rules in self.case.connector.presets.items():
            assert re.fullmatch(r"[a-z][a-z0-9_]*(\.[a-z][a-z0-9_]*)?", name)
            assert rules

    def _models(self) -> list[tuple[type[BaseModel], dict[str, object]]]:
        case = self.case
        models = [
            (case.connector.config, case.config),
            (case.connector.query, case.query),
            (case.connector.dataset, case.dataset),
        ]
        found: list[tuple[type[BaseModel], dict[str, object]]] = []
        for model, given in models:
            assert (model is None) == (given is None), "the case needs a value for each of the connector's models"
            if model is not None and given is not None:
                found.append((model, dict(given)))
        return found


def _replaced(value: object, old: object, new: object) -> object:
    if value == old:
        return new
    if isinstance(value, dict):
        return {key: _replaced(item, old, new) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [_replaced(item, old, new) for item in value]
    return value


def _leaves(value: BaseModel) -> list[tuple[str, object]]:
    found: list[tuple[str, object]] = []
    for name in type(value).model_fields:
        item = getattr(value, name)
        found += _leaves(item) if isinstance(item, BaseModel) else [(name, item)]
    return found
