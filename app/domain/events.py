"""Which deliveries count: a dataset's rules (`where entity at event link key deleted`) applied to what a webhook
brought, once, or to each element of the list that `each` names."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import Any, Literal

from app.domain.expression import Rule, RuleError, RuleValue, compile_rule
from app.domain.language import DatasetSpec
from app.domain.moments import parse_moment
from app.domain.records import Event, JsonValue

DELIVERY_VARIABLES = ("body", "headers")
ITEM_VARIABLES = ("body", "headers", "item")
#: The keys of a dataset that are rules over a delivery, and the one that lists its events.
RULES = ("entity", "at", "event", "where", "link", "key", "deleted")
LIST_RULE = "each"
MAX_NAME = 500
MAX_ITEMS = 1_000
_AT_RECEIPT = "at gives no moment that can be read: it counts at the moment it was received"


@dataclass(frozen=True, slots=True)
class Rejected:
    """A delivery, or an element of one, that this dataset leaves out, and why. Not a failure."""

    reason: str


@dataclass(frozen=True, slots=True)
class DatasetRules:
    """The compiled rules of one event dataset."""

    entity: Rule
    at: Rule | None
    event: Rule | None
    where: Rule | None
    link: Rule | None
    key: Rule | None = None
    deleted: Rule | None = None
    each: Rule | None = None

    def events(
        self, *, key: str, body: JsonValue, headers: Mapping[str, str], received_at: datetime, order: int
    ) -> tuple[Event | Rejected, ...]:
        """The events of one delivery, or why each is none. RuleError where a rule fails on any of them.

        With `each`, an event's body is its element, and the delivery's key is numbered where no `key` rule names it.
        """
        lowered = {name.lower(): value for name, value in headers.items()}
        if self.each is None:
            return (self._judged({"body": body, "headers": lowered}, key, body, received_at, order),)
        items: Any = _value("each", self.each, {"body": body, "headers": lowered})
        if not isinstance(items, list | tuple):
            return (Rejected("each gives no list"),)
        if len(items) > MAX_ITEMS:
            raise RuleError(f"each gives {len(items)} elements; at most {MAX_ITEMS} are taken from one delivery")
        return tuple(
            self._judged({"body": body, "headers": lowered, "item": item}, f"{key}#{index}", item, received_at, order)
            for index, item in enumerate(items)
        ) or (Rejected("each gives an empty list"),)

    def accept(
        self, *, key: str, body: JsonValue, headers: Mapping[str, str], received_at: datetime, order: int
    ) -> Event | Rejected:
        """The event that this delivery is, or why it is none, for rules without `each`. RuleError where one fails.

        Headers are found by their lower-case names. Where `at` gives no moment that can be read, the event is placed
        at `received_at` and says so. An absent event name is none; one that is not text rejects the delivery.
        """
        return self.events(key=key, body=body, headers=headers, received_at=received_at, order=order)[0]

    def _judged(
        self, data: dict[str, Any], key: str, kept: JsonValue, received_at: datetime, order: int
    ) -> Event | Rejected:
        if self.where is not None and not _matches("where", self.where, data):
            return Rejected("where is false")
        entity = _name(_value("entity", self.entity, data))
        if entity is None:
            return Rejected("no entity")
        is_deletion = self.deleted is not None and _matches("deleted", self.deleted, data)
        event = _value("event", self.event, data) if self.event is not None and not is_deletion else None
        if event is not None and not isinstance(event, str):
            return Rejected("the event's name is not text")
        own = _name(_value("key", self.key, data)) if self.key is not None else None
        for what, text in (("entity's name", entity), ("event's name", event), ("event's key", own)):
            if text is not None and len(text) > MAX_NAME:
                return Rejected(f"the {what} is too long")
            if text is not None and "\0" in text:
                raise RuleError(f"the {what} holds a NUL character, which no database keeps as text")
        moment = self._moment(data)
        return Event(
            # Told apart from the keys of deliveries, so that no sender can name one by another's.
            key=key if own is None else f"key:{own}",
            entity=entity,
            at=received_at if moment is None else moment,
            event=event,
            body=kept,
            headers=data["headers"],
            order=order,
            link=_web_address(_value("link", self.link, data)) if self.link is not None else None,
            at_is_receipt=moment is None,
            is_deletion=is_deletion,
        )

    def _moment(self, data: Mapping[str, object]) -> datetime | None:
        if self.at is None:
            return None
        try:
            return parse_moment(self.at.value(data))
        except RuleError:
            # `timestamp(body.ts)` fails on a text that is no moment: as bad as the text itself, not worse.
            return None


def outcome_of(
    found: Sequence[Event | Rejected], rules: DatasetRules
) -> tuple[Literal["applied", "ignored"], str | None]:
    """What becomes of a delivery that is this for a dataset, and what is to be said of it."""
    accepted = [item for item in found if isinstance(item, Event)]
    if not accepted:
        return "ignored", "; ".join(dict.fromkeys(item.reason for item in found if isinstance(item, Rejected)))
    # Without an `at` rule the moment of receipt is what the team asked for; with one it is a substitute, and is told.
    is_substituted = rules.at is not None and any(item.at_is_receipt for item in accepted)
    return "applied", _AT_RECEIPT if is_substituted else None


def with_preset(spec: DatasetSpec, presets: Mapping[str, Mapping[str, Any]]) -> DatasetSpec:
    """The dataset with its preset's rules written out; what the team wrote takes their place, but for `where`, which
    narrows the preset's. RuleError for a preset that is none of these."""
    if spec.preset is None:
        return spec
    preset = presets.get(spec.preset)
    if preset is None:
        raise RuleError(f"there is no preset {spec.preset}")
    rules = {name: text for name, text in preset.items() if getattr(spec, name) is None}
    if spec.where is not None and preset.get("where") is not None:
        rules["where"] = f"({preset['where']}) && ({spec.where})"
    return spec.model_copy(update=rules)


def compile_dataset(spec: DatasetSpec) -> DatasetRules:
    """The rules of an event dataset, its preset written out; RuleError for one that does not compile or a dataset
    without `entity`."""
    if spec.entity is None:
        raise RuleError("a dataset of events needs an entity rule")
    variables = rule_variables(spec)
    compiled = {name: compile_rule(text, variables) for name in RULES if (text := getattr(spec, name)) is not None}
    return DatasetRules(
        entity=compiled["entity"],
        at=compiled.get("at"),
        event=compiled.get("event"),
        where=compiled.get("where"),
        link=compiled.get("link"),
        key=compiled.get("key"),
        deleted=compiled.get("deleted"),
        each=None if spec.each is None else compile_rule(spec.each, DELIVERY_VARIABLES),
    )


def rule_variables(spec: DatasetSpec) -> tuple[str, ...]:
    """What the rules of a dataset can see: a delivery, and with `each` one element of it."""
    return DELIVERY_VARIABLES if spec.each is None else ITEM_VARIABLES


def _value(name: str, rule: Rule, data: Mapping[str, Any]) -> RuleValue:
    """What a rule gives; a failure names the rule."""
    try:
        return rule.value(data)
    except RuleError as error:
        raise RuleError(f"{name}: {error.message}") from error


def _matches(name: str, rule: Rule, data: Mapping[str, Any]) -> bool:
    try:
        return rule.matches(data)
    except RuleError as error:
        raise RuleError(f"{name}: {error.message}") from error


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
