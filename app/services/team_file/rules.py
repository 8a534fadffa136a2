"""The linter's rules by code. `docs/linter.md` explains each, with a file that brings it about."""

from dataclasses import dataclass
from typing import Literal

Stage = Literal["file", "service"]


@dataclass(frozen=True, slots=True)
class LintRule:
    """What a warning is about, in a line. `stage`: whether the file alone tells (`krsync validate`), or only what is
    stored (`krsync plan`)."""

    code: str
    summary: str
    stage: Stage = "file"


_RULES = (
    LintRule("many_key_results", "an objective has more than four key results"),
    LintRule("no_key_results", "an objective has no key results, and nothing contributes to it", "service"),
    LintRule("no_owner", "nobody owns an objective, nor some of its key results"),
    LintRule("no_fresh_within", "a commitment does not say how fresh its value has to be"),
    LintRule("no_guardrail", "money or people are cut, and no guardrail watches what that costs"),
    LintRule("output_not_outcome", "a key result counts what was done, not what came of it"),
    LintRule("sandbagging", "a target is already met, or was in the cycle before", "service"),
    LintRule("unbounded_query", "a query has no condition that bounds what it reads"),
    LintRule("near_identical_queries", "two metrics or datasets ask the same"),
    LintRule("window_without_bounds", "events are counted from the first one ever, as no window is said"),
    LintRule("refresh_too_costly", "a value is to be fresher than its tool is asked"),
    LintRule("too_many_requests", "a connection is asked more often than once a second", "service"),
    LintRule("unmapped_statuses", "stored statuses are in no category, or in none of the lists", "service"),
    LintRule("never_seen", "a rule names a status or event that no stored record ever had", "service"),
    LintRule("unused_metric", "no key result, guardrail or formula reads a metric", "service"),
    LintRule("unused_dataset", "no metric reads a dataset"),
    LintRule("unused_connection", "no dataset and no query uses a connection"),
    LintRule("unknown_name", "something of another team is not there yet", "service"),
    LintRule("not_applicable", "a bound to hold is given a pace, which says nothing about it"),
    LintRule("hook_address", "a connection is renamed, and with it the address that its webhooks go to", "service"),
)
RULES = {rule.code: rule for rule in _RULES}
#: A silence of a warning that is not given. It can not be silenced itself.
UNNEEDED = "unneeded_silence"
