"""What the checks of one team file share: the named objects, what became of them, and the rules' budget."""

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Generic, TypeVar
from zoneinfo import ZoneInfo

from pydantic import BaseModel

from app.domain.alignment import Edge
from app.domain.expression import RuleError, compile_rule
from app.domain.language import ConnectionSpec, CycleDates, DatasetSpec
from app.domain.names import NAME_PATTERN
from app.domain.records import JsonValue
from app.domain.scalars import PATTERN_MEANINGS
from app.services.team_file.problems import Path, Problems, shown
from app.services.team_file.shape import validated
from connectors.contract import Connector

SpecT = TypeVar("SpecT", bound=BaseModel)

MOST_ENTRIES = 500
# A long rule takes milliseconds to compile; this is a thousand ordinary ones.
MOST_RULE_CHARACTERS = 100_000


@dataclass(slots=True)
class Section(Generic[SpecT]):
    """The named objects of a section. A name whose object is wrong exists all the same, so that what refers to it is
    not reported too; what refers to an unsupported one is, as it has to go with it."""

    kind: str
    names: set[str] = field(default_factory=set)
    specs: dict[str, SpecT] = field(default_factory=dict)
    unsupported: set[str] = field(default_factory=set)
    is_readable: bool = True

    def find(self, name: str, path: Path, problems: Problems) -> SpecT | None:
        """The object that `path` refers to by name; None where it is missing or wrong, which is then known."""
        if not self.is_readable:
            return None
        if name not in self.names:
            suggestion = problems.suggest(name, sorted(self.names))
            problems.add(path, "unknown_name", f"there is no {self.kind} {shown(name)}", suggestion=suggestion)
        elif name in self.unsupported:
            problems.not_supported(path, f"{self.kind} {shown(name)} is")
        return self.specs.get(name)


@dataclass(frozen=True, slots=True)
class Source:
    """A connection that is understood, with its connector."""

    spec: ConnectionSpec
    connector: Connector


@dataclass(frozen=True, slots=True)
class KnownNames:
    """What other teams have, by name: `teams`, `objectives` as `team/name`, the unit of each metric and what each
    formula reads, all by `team/name`; the edges of the cascade; and what the organisation sets: the cycles that it
    dates itself, its presets and its fiscal year."""

    teams: frozenset[str] = frozenset()
    objectives: frozenset[str] = frozenset()
    metrics: Mapping[str, str] = field(default_factory=dict)
    formulas: Mapping[str, Collection[str]] = field(default_factory=dict)
    edges: Sequence[Edge] = ()
    cycles: frozenset[str] = frozenset()
    presets: frozenset[str] = frozenset()
    fiscal_year_start: int = 1


@dataclass(slots=True)
class Context:
    """The state of one check."""

    connectors: Mapping[str, Connector]
    known: KnownNames | None = None
    problems: Problems = field(default_factory=Problems)
    team: str | None = None
    cycles: frozenset[str] = frozenset()
    dated_cycles: dict[str, CycleDates] = field(default_factory=dict)
    zone: ZoneInfo = field(default_factory=lambda: ZoneInfo("UTC"))
    connections: Section[ConnectionSpec] = field(default_factory=lambda: Section("connection"))
    datasets: Section[DatasetSpec] = field(default_factory=lambda: Section("dataset"))
    metrics: Section[BaseModel] = field(default_factory=lambda: Section("metric"))
    _rule_characters: int = 0

    def entries(self, raw: JsonValue, path: Path, section: Section[Any] | None = None) -> dict[str, JsonValue]:
        """The entries of a section by name; names that are none are reported and left out."""
        if not isinstance(raw, dict) or len(raw) > MOST_ENTRIES:
            if section is not None:
                section.is_readable = False
            if isinstance(raw, dict):
                self.problems.add(path, "too_many", f"at most {MOST_ENTRIES} entries are expected")
            else:
                message = "a mapping of names is expected; leave the key out when there is none"
                self.problems.add(path, "dict_type", message)
            return {}
        return {name: value for name, value in raw.items() if self._is_name(name, (*path, name))}

    def _is_name(self, name: str, path: Path) -> bool:
        if len(name) <= 63 and name.isascii() and name == name.lower() and name.isidentifier() and name[0] != "_":
            return True
        spelling = "_".join("".join(c if c.isascii() and c.isalnum() else " " for c in name.lower()).split())
        is_usable = 0 < len(spelling) <= 63 and spelling[0].isalpha()
        message = PATTERN_MEANINGS[NAME_PATTERN] if len(name) <= 63 else "at most 63 characters are expected"
        self.problems.add(path, "name", message, suggestion=spelling if is_usable else None)
        return False

    def connector_of(self, connection: str, path: Path) -> Connector | None:
        """The connector behind the connection that `path` names; None where there is none, which is then known."""
        spec = self.connections.find(connection, path, self.problems)
        return self.connectors.get(spec.connector) if spec is not None else None

    def metric_unit(self, reference: str, path: Path) -> str | None:
        """The unit of the metric that `path` refers to; None where there is none, or where it can not be known here:
        another team's, without `known`."""
        team, separator, name = reference.replace("/", ".").partition(".")
        if not separator:
            spec = self.metrics.find(reference, path, self.problems)
            return getattr(spec, "unit", None)
        if team == self.team:
            message = "a metric of this team is named without the team"
            self.problems.add(path, "unknown_name", message, suggestion=name)
            return None
        if self.known is None or f"{team}/{name}" in self.known.metrics:
            return None if self.known is None else self.known.metrics[f"{team}/{name}"]
        if team not in self.known.teams:
            suggestion = self.problems.suggest(team, sorted(self.known.teams))
            suggestion = None if suggestion is None else f"{suggestion}.{name}"
            self.problems.add(path, "unknown_name", f"there is no team {shown(team)}", suggestion=suggestion)
            return None
        theirs = [metric.partition("/")[2] for metric in self.known.metrics if metric.startswith(f"{team}/")]
        suggestion = self.problems.suggest(name, sorted(theirs))
        suggestion = None if suggestion is None else f"{team}.{suggestion}"
        message = f"team {shown(team)} has no metric {shown(name)}"
        self.problems.add(path, "unknown_name", message, suggestion=suggestion)
        return None

    def options(
        self, model: type[SpecT], options: dict[str, JsonValue], path: Path, own_keys: tuple[str, ...] = ()
    ) -> SpecT | None:
        """A connector's own options as its model."""
        open_choices = (("verify", "scheme"),)
        return validated(model, options, path, self.problems, more_keys=own_keys, open_choices=open_choices)

    def rule(self, text: str | None, path: Path, variables: tuple[str, ...]) -> None:
        """Compile a rule, for what is wrong with it."""
        if text is None:
            return
        self._rule_characters += len(text)
        if self._rule_characters > MOST_RULE_CHARACTERS:
            self.problems.add(path, "too_many", f"more than {MOST_RULE_CHARACTERS} characters of rules")
            return
        self.attempt(lambda: compile_rule(text, variables), path)

    def attempt(self, check: Callable[[], object], path: Path) -> None:
        """Run a check of the domain that raises RuleError."""
        try:
            check()
        except RuleError as error:
            # What the parser would have accepted instead is a list of its tokens, of no use to a reader.
            message = error.message.split(" expecting ")[0]
            where = f"column {error.column}: " if error.column is not None else ""
            self.problems.add(path, "rule", f"{where}{message}")
