"""The hooks that take deliveries: pure, strict, and sure of the sender."""

import copy
import random
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import timedelta
from typing import Any, ClassVar

import pytest

from connectors.boundary import check_parsed
from connectors.contract import Changed, Event, InboundDelivery
from connectors.errors import ConnectorError, SignatureError, UnexpectedResponseError
from connectors.testing.case import ConformanceCase, no_network, secret_values, tells

BAD_BODIES = (
    b"",
    b" ",
    b"{",
    b"a=1&b=2",
    b"<xml/>",
    b"\xff\xfe{\x00}\x00",
    b'{"a": NaN}',
    b'{"a": 1, "a": 2}',
    b'{"a": "\\ud800"}',
    b'{"a": "\\u0000"}',
    b'{"a": 1e300000}',
    b'{"a": ' + b"9" * 5000 + b"}",
    b"[" * 100_000,
    b'{"a":' * 100_000,
)
BAD_TEXTS = ("", " ", "nan", "é", "\0", "=", "v1,", "sha1=00", "Bearer ", "A" * 10_000, "\ud800", "-1", "9" * 400)


class PushConformance:
    """Checks of `verify`, `identify` and `parse`."""

    case: ClassVar[ConformanceCase]

    def test_a_proven_sender_is_accepted(self) -> None:
        for delivery in self._accepted():
            assert self._verify(delivery) is None

    def test_a_forged_delivery_is_refused(self) -> None:
        self._accepted()
        assert self.case.refused, "the case needs deliveries to refuse"
        for delivery in self.case.refused:
            with pytest.raises(SignatureError) as caught:
                self._verify(delivery)
            self._tells_no_secret(tells(caught.value))

    def test_a_delivery_without_headers_is_refused(self) -> None:
        for delivery in self._accepted():
            with pytest.raises(SignatureError):
                self._verify(replace(delivery, headers=()))

    def test_a_proof_that_is_missing_doubled_or_changed_is_refused(self) -> None:
        """Some header carries the proof: without it, with it twice or with another text in it nobody gets in."""
        for delivery in self._accepted():
            proofs = [
                position
                for position in range(len(delivery.headers))
                if not self._is_accepted(replace(delivery, headers=_without(delivery, position)))
            ]
            assert proofs
            for position in proofs:
                doubled = [*delivery.headers, delivery.headers[position]]
                assert not self._is_accepted(replace(delivery, headers=doubled))
                name, value = delivery.headers[position]
                for other in (*BAD_TEXTS, f" {value}", f"{value} ", value[:-1], value + "é"):
                    changed = list(delivery.headers)
                    changed[position] = (name, other)
                    assert not self._is_accepted(replace(delivery, headers=changed)), repr(other[:20])

    def test_without_its_secret_nobody_is_accepted(self) -> None:
        for delivery in self._accepted():
            with no_network(), pytest.raises(SignatureError):
                self._hook("verify")(self.case.unbound(), delivery)

    def test_the_id_of_a_delivery_is_the_same_when_it_comes_again(self) -> None:
        if self.case.connector.identify is None:
            pytest.skip("the connector has no identify")
        for delivery in self._accepted():
            again = replace(delivery, received_at=delivery.received_at + timedelta(minutes=2))
            first, second = self._identify(delivery), self._identify(again)
            assert first == second
            assert first is None or (isinstance(first, str) and 0 < len(first) <= 255 and first.isprintable())
            self._tells_no_secret(repr(first))

    def test_what_a_delivery_says_can_be_stored(self) -> None:
        for delivery in self._accepted():
            parsed = self._parse(delivery)
            check_parsed(parsed)
            self._tells_no_secret(repr(parsed))

    def test_what_is_about_a_dataset_can_be_stored(self) -> None:
        connector = self.case.connector
        if connector.relevant is None or connector.dataset is None:
            pytest.skip("the connector has no relevant")
        dataset = connector.dataset.model_validate(self.case.dataset)
        for delivery in self._accepted():
            parsed = self._parse(delivery)
            if isinstance(parsed, Changed):
                found = connector.relevant(dataset, copy.deepcopy(parsed))
                assert found == connector.relevant(dataset, parsed)
                assert found is None or isinstance(found, Changed)
                if found is not None:
                    check_parsed(found)

    def test_an_event_holds_no_proof_of_its_sender(self) -> None:
        for delivery in self._accepted():
            parsed = self._parse(delivery)
            if isinstance(parsed, Event):
                assert not {"authorization", "proxy-authorization", "cookie"} & set(parsed.headers)

    @pytest.mark.parametrize("body", BAD_BODIES, ids=lambda body: repr(body[:16]))
    def test_a_body_that_is_no_json_is_unexpected(self, body: bytes) -> None:
        for delivery in self._accepted():
            with pytest.raises(UnexpectedResponseError) as caught:
                self._parse(replace(delivery, body=body))
            assert len(str(caught.value)) < 500

    def test_the_same_delivery_gives_the_same_answer_and_is_not_changed(self) -> None:
        for delivery in self._corpus():
            before = copy.deepcopy(delivery)
            for hook in self._hooks():
                assert self._outcome(hook, delivery) == self._outcome(hook, copy.deepcopy(before))
            assert delivery == before

    def test_any_bytes_end_in_an_answer_or_a_connector_error(self) -> None:
        """1,000 deliveries with something broken in each; an error of another kind fails the check by itself."""
        outcomes = [self._outcome(hook, delivery) for delivery in self._corpus() for hook in self._hooks()]
        assert any("SignatureError" in outcome for outcome in outcomes)
        for outcome in outcomes:
            self._tells_no_secret(outcome)

    # --- the suite's own ---

    def _accepted(self) -> list[InboundDelivery]:
        assert self.case.accepted, "the case needs a delivery to accept"
        return list(self.case.accepted)

    def _hooks(self) -> list[str]:
        return [
            name
            for name in ("verify", "identify", "greet", "redact", "parse")
            if getattr(self.case.connector, name) is not None
        ]

    def _hook(self, name: str) -> Callable[..., Any]:
        hook: Callable[..., Any] | None = getattr(self.case.connector, name)
        assert hook is not None
        return hook

    def _verify(self, delivery: InboundDelivery) -> Any:
        with no_network():
            return self._hook("verify")(self.case.bound(), delivery)

    def _identify(self, delivery: InboundDelivery) -> Any:
        with no_network():
            return self._hook("identify")(self.case.bound(), delivery)

    def _parse(self, delivery: InboundDelivery) -> Any:
        with no_network():
            return self._hook("parse")(self.case.bound(), delivery)

    def _is_accepted(self, delivery: InboundDelivery) -> bool:
        try:
            self._verify(delivery)
        except SignatureError:
            return False
        return True

    def _outcome(self, hook: str, delivery: InboundDelivery) -> str:
        try:
            with no_network():
                return repr(self._hook(hook)(self.case.bound(), delivery))
        except ConnectorError as error:
            return repr(error)

    def _corpus(self) -> Iterator[InboundDelivery]:
        """Deliveries made of the accepted ones, the same in every run."""
        accepted = self._accepted()
        chance = random.Random(20261122)
        for number in range(1000):
            delivery = accepted[number % len(accepted)]
            headers = list(delivery.headers)
            body = bytearray(delivery.body)
            for _ in range(chance.randint(1, 3)):
                match chance.randrange(6):
                    case 0 if body:
                        body[chance.randrange(len(body))] = chance.randrange(256)
                    case 1:
                        body = body[: chance.randrange(len(body) + 1)]
                    case 2:
                        body = bytearray(chance.choice(BAD_BODIES[:12]))
                    case 3 if headers:
                        del headers[chance.randrange(len(headers))]
                    case 4 if headers:
                        name = headers[position := chance.randrange(len(headers))][0]
                        headers[position] = (name, chance.choice(BAD_TEXTS))
                    case _ if headers:
                        headers.append(chance.choice(headers))
            yield replace(delivery, headers=headers, body=bytes(body))

    def _tells_no_secret(self, text: str) -> None:
        for value in secret_values(self.case):
            assert value not in text, "a secret is shown"


def _without(delivery: InboundDelivery, position: int) -> list[tuple[str, str]]:
    return [header for index, header in enumerate(delivery.headers) if index != position]
