"""Which deliveries count: a dataset's rules (`where entity at event link`) applied to what a webhook brought."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal

from app.domain.expression import Rule, RuleError, RuleValue, compile_rule
from app.domain.language import DatasetSpec
from app.domain.moments import parse_moment
from app.domain.records import Event, JsonValue

DELIVERY_VARIABLES = ("body", "headers")
MAX_NAME = 500


@dataclass(frozen=True, slots=True)
class Rejected:
    """A delivery that this dataset leaves out, and why. Not a failure."""

    reason: str


@dataclass(frozen=True, slots=True)
class DatasetRules:
    """The compiled rules of one event dataset."""

    entity: Rule
    at: Rule | None
    event: Rule | None
    where: Rule | None
    link: Rule | None

    def accept(
        self, *, key: str, body: JsonValue, headers: Mapping[str, str], received_at: datetime, order: int
    ) -> Event | Rejected:
        """The event that this delivery is, or why it is none. RuleError where a rule fails on it.

        Headers are found by their lower-case names. Where `at` gives no moment that can be read, the event is placed
        at `received_at` and says so. An absent event name is none; one that is not text rejects the delivery.
        """
        lowered = {name.lower(): value for name, value in headers.items()}
        data: dict[str, object] = {"body": body, "headers": lowered}
        if self.where is not None and not self.where.matches(data):
            return Rejected("where is false")
        entity = _name(self.entity.value(data))
        if entity is None:
            return Rejected("no entity")
        if len(entity) > MAX_NAME:
            return Rejected("the entity's name is too long")
        if "\0" in entity:
            raise RuleError("the entity's name holds a NUL character, which no database keeps as text")
        event = self.event.value(data) if self.event is not None else None
        if event is not None and not isinstance(event, str):
            return Rejected("the event's name is not text")
        if event is not None and len(event) > MAX_NAME:
            return Rejected("the event's name is too long")
        if event is not None and "\0" in event:
            raise RuleError("the event's name holds a NUL character, which no database keeps as text")
        moment = self._moment(data)
        at = received_at if moment is None else moment
        return Event(
            key=key,
            entity=entity,
            at=at,
            event=event,
            body=body,
            headers=lowered,
            order=order,
            link=_web_address(self.link.value(data)) if self.link is not None else None,
            at_is_receipt=moment is None,
        )

    def _moment(self, data: Mapping[str, object]) -> datetime | None:
        if self.at is None:
            return None
        try:
            return parse_moment(self.at.value(data))
        except RuleError:
            # `timestamp(body.ts)` fails on a text that is no moment: as bad as the text itself, not worse.
            return None


def compile_dataset(spec: DatasetSpec) -> DatasetRules:
    """The rules of an event dataset; RuleError for one that does not compile or a dataset without `entity`."""
    if spec.entity is None:
        raise RuleError("a dataset of events needs an entity rule")
    return DatasetRules(
        entity=compile_rule(spec.entity, DELIVERY_VARIABLES),
        at=_compiled(spec.at),
        event=_compiled(spec.event),
        where=_compiled(spec.where),
        link=_compiled(spec.link),
    )


def _compiled(text: str | None) -> Rule | None:
    return None if text is None else compile_rule(text, DELIVERY_VARIABLES)


def _name(value: RuleValue) -> str | None:
    """Text, or a whole number as text: `17` and `17.0` are one entity."""
    if isinstance(value, bool):
        return None
    if isinstance(value, Decimal) and value.adjusted() < 100 and value == value.to_integral_value():
        value = int(value)
    if isinstance(value, int):
        return str(value) if abs(value) < 10**100 else None
    return value if isinstance(value, str) and value.strip() else None


def _web_address(value: RuleValue) -> str | None:
    is_safe = isinstance(value, str) and value.startswith(("https://", "http://")) and len(value) <= 2_000
    return value if is_safe and isinstance(value, str) else None
