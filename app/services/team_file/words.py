"""What each key of the team file means, in a line, with examples: for editors, by model and key."""

from typing import Any

Word = tuple[str, *tuple[Any, ...]]

_RENAMED: Word = ("What this was called before: it keeps its history. May stay once it is done.", "old_name")
_PRESET: Word = ("How status is told from progress and expectation.", "points", {"on_track": "0.95", "behind": "0.85"})
_PAUSED: Word = ("Why this is paused: it stays visible and does not weigh.", "the vendor moved the release")
_DROPPED: Word = ("Why this was given up: it stays visible and does not weigh.", "the product was discontinued")
_WEIGHT: Word = ("How much this weighs beside the others.", 2)
_WHERE: Word = ("Which records count: a condition in CEL over `record`.", "record.priority == 'P1'")

#: Description first, then examples.
WORDS: dict[str, dict[str, Word]] = {
    "TeamFile": {
        "version": ("The version of this language: 1.", 1),
        "team": ("The team's name. Its objects are known as team/name.", "operations"),
        "title": ("What people call the team.", "Operations"),
        "parent": ("The team that this one belongs to.", "company"),
        "timezone": ("Where days, quarters and business hours are counted.", "Europe/Berlin"),
        "calendar": ("Working days, business hours and public holidays.",),
        "private": ("Whether only this team's tokens may read it.",),
        "preset": _PRESET,
        "cycles": ("Cycles of one's own, by name, beside 2026-Q4, 2026-H1, 2026 and 2026-11.",),
        "notify": (
            "Where the team is told that a key result came to stand otherwise, and what else it is told.",
            {"slack": {"webhook": {"env": "SLACK_WEBHOOK"}}, "quiet_hours": "20:00-07:00"},
        ),
        "connections": ("The tools, by name.",),
        "datasets": ("What is kept of the tools, record by record, by name.",),
        "metrics": ("Named questions, by name: a unit, a window and one source each.",),
        "objectives": ("What the team wants, by name.",),
    },
    "OrganisationFile": {
        "version": ("The version of this language: 1.", 1),
        "name": ("What people call the organisation.", "Acme"),
        "fiscal_year_start": ("The month in which the fiscal year, its halves and quarters begin.", 4),
        "cycles": ("Cycles of one's own, by name, for every team.",),
        "teams": ("Which team belongs to which; null: to none.", {"company": None, "operations": "company"}),
        "timezone": ("The timezone of teams that name none.", "Europe/Berlin"),
        "presets": ("Rules of status by name, for teams, objectives and key results to refer to.",),
        "preset": ("The rule of status of teams that name none.", "points"),
    },
    "NotifySpec": {
        "slack": ("A Slack channel, and the `/okr` command.",),
        "webhook": ("Another program, by signed webhooks (Standard Webhooks).",),
        "email": ("People, by e-mail.",),
        "quiet_hours": ("When nobody is told, in the team's timezone.", "20:00-07:00"),
        "digest": ("The weekly digest: on which day, at what time.", {"weekday": "mon", "at": "09:00"}),
        "health_check": ("Whether the health check of mid-cycle is told.",),
        "settle": ("How long a change has to stand before it is told.", "5m"),
        "only": ("What alone is worth telling; its end is told too.", ["at_risk", "void", "stale", "guardrail"]),
    },
    "SlackSpec": {
        "webhook": ("An incoming webhook's address, which is a secret.", {"env": "SLACK_WEBHOOK"}),
        "channel": ("The channel's id or name, for a bot's token.", "C024BE91L"),
        "token": ("The bot's token: `chat:write`, and for check-ins a form.", {"env": "SLACK_TOKEN"}),
        "signing_secret": ("The app's signing secret, for the `/okr` command.", {"env": "SLACK_SIGNING_SECRET"}),
        "api": ("Where Slack's Web API is, for GovSlack.", "https://slack-gov.com/api"),
    },
    "WebhookTargetSpec": {
        "url": ("Where notices are sent.", "https://hooks.acme.example/okr"),
        "secret": ("What they are signed with: `whsec_` and base64.", {"env": "OKR_HOOK_SECRET"}),
    },
    "EmailSpec": {"to": ("Who is told.", ["ops@acme.example"])},
    "DigestSpec": {
        "weekday": ("On which day.", "mon"),
        "at": ("At what time, in the team's timezone.", "09:00"),
    },
    "EnvironmentReference": {"env": ("The variable that holds it.", "SLACK_WEBHOOK")},
    "FileReference": {"file": ("The file that holds it.", "/run/secrets/slack_webhook")},
    "CalendarSpec": {
        "workweek": ("The days on which the team works.", ["mon", "tue", "wed", "thu", "fri"]),
        "hours": ("The hours of a business day.", "09:00-17:00"),
        "half_days": ("Days of which the first half is worked, of every year or of one.", ["12-24", "12-31"]),
        "holidays": ("A country or region (ISO 3166) whose public holidays are free.", "DE-BE"),
    },
    "CycleDates": {
        "start": ("The first day.", "2026-09-01"),
        "end": ("The day after the last one.", "2026-12-01"),
    },
    "ConnectionSpec": {
        "connector": ("The kind of tool.", "jira", "webhook"),
        "renamed_from": _RENAMED,
    },
    "DatasetSpec": {
        "connection": ("Whose records these are.", "jira"),
        "entity": (
            "Whose event a delivery is (CEL over `body` and `headers`). Makes a dataset of events.",
            "body.po.id",
        ),
        "at": ("When it happened; when it arrived, where this is left out.", "body.occurred_at"),
        "event": ("What happened.", "body.event"),
        "where": ("Which deliveries count.", "body.po.total > 0"),
        "link": ("An address where a person sees it in the tool.", "body.po.url"),
        "key": ("What tells one event of an entity from another; all it says, where this is left out.", "body.id"),
        "deleted": ("Which deliveries say that their entity is gone.", "body.event == 'po.deleted'"),
        "each": ("The list in a delivery whose every item is an event of its own.", "body.items"),
        "preset": ("Rules that the connector brings along.", "pull_requests"),
        "renamed_from": _RENAMED,
    },
    "MetricSpec": {
        "title": ("What people call it.", "Days from start to done"),
        "description": ("What it means, and what it leaves out.",),
        "unit": ("What it is counted in. Durations: business_days, hours, …; shares: percent; money: ISO 4217.", "EUR"),
        "query": ("The tool computes one number over the window.",),
        "records": ("Filter records, take a value, aggregate.",),
        "duration": ("The time between two moments of one entity.",),
        "state_share": ("The share of measured time that was spent in good states.",),
        "ratio": ("`good` over `total`: sums divided, never an average of ratios.",),
        "formula": ("Arithmetic over other metrics; another team's is named team.metric.", "overhead / headcount"),
        "manual": ("A person or a script asserts the value.",),
        "milestones": ("Weighted steps, each done by a query that finds something or by a tick.",),
        "aggregate": ("What becomes of many values.", "count", "sum", "avg", "median", "p90"),
        "window": ("The time that is looked at.", {"trailing": "30d"}, {"to_date": "quarter"}, "cycle", "all"),
        "min_samples": ("With fewer than that the value is unknown.", 5),
        "renamed_from": _RENAMED,
    },
    "QuerySource": {"connection": ("The tool that is asked.", "jira")},
    "RecordsSource": {
        "dataset": ("Where the records are.", "tickets"),
        "where": _WHERE,
        "value": ("The value to take of each.", "record.Cost"),
        "at": (
            "The moment that places a record in the window; its creation, or the event's own moment.",
            "record.resolved",
        ),
        "per": ("Groups events by their entity: `record.events`, `record.first`, `record.last`, `record.count`.",),
    },
    "DurationSource": {
        "dataset": ("Where the records are.", "tickets"),
        "from": ("The moment it begins.", {"status": "In Progress"}),
        "to": ("The moment it ends.", {"category": "done", "pick": "last"}),
        "where": _WHERE,
        "within": ("Longer ones are left out, and listed as such.", "180d"),
        "attribute": ("Which of the two moments places it in the window.",),
        "open": ("Whether unfinished ones count, up to now.",),
    },
    "Edge": {
        "status": ("Entering that status, or one of these.", "In Progress"),
        "category": ("Entering a status of that category.",),
        "field": ("The moment in that field.", "resolved"),
        "event": ("The event of that name, or one of these.", "po.approved"),
        "pick": ("Which one, where it happens more than once.",),
    },
    "StateShareSource": {
        "dataset": ("Where the records are.", "erp_status"),
        "of": ("The one entity that is looked at; all of them, where this is left out.", "erp"),
        "good": ("The states that count as good.", ["up", "degraded"]),
        "exclude": ("The states that are not measured.", ["maintenance"]),
    },
    "RatioSource": {"good": ("What is above the line.",), "total": ("What is below the line.",)},
    "Side": {
        "query": ("The tool computes one number over the window.",),
        "records": ("Filter records, take a value.",),
        "aggregate": ("How many there are, or the sum of their values.",),
    },
    "ManualSource": {"every": ("How often a value is expected.", "14d")},
    "Milestone": {
        "name": ("What the step is called.", "go-live"),
        "weight": _WEIGHT,
        "done": ("A query that finds something once it is done, or `manual`.", "manual"),
    },
    "Distinct": {"distinct": ("What is counted once.", "record.entity")},
    "Trailing": {
        "trailing": ("The last days (whole local ones, today included), or the last hours or minutes.", "30d")
    },
    "ToDate": {"to_date": ("From the beginning of this period to now.",)},
    "ObjectiveSpec": {
        "title": ("What the team wants, in words that move.", "Customers hear from us the same day"),
        "description": ("Why, and what is left out.",),
        "cycle": ("When: a year, half, quarter or month, or a cycle of one's own.", "2026-Q4", "2026-H1"),
        "focus": ("What it is about.", "process_efficiency", "cost_management", "quality_control", "service_levels"),
        "owner": ("Who is asked.", "dana@acme.example"),
        "supports": ("Objectives that this one helps: shown, never added up.", ["company/growth"]),
        "contributes_to": (
            "Objectives in whose progress this one weighs.",
            ["company/growth"],
            [{"objective": "company/growth", "weight": 2}],
        ),
        "stand_alone": ("Contributions to this one are shown beside its own key results, and not added up.",),
        "preset": _PRESET,
        "paused": _PAUSED,
        "dropped": _DROPPED,
        "renamed_from": _RENAMED,
        "key_results": ("How it shows that it is reached, by name: two to four.",),
    },
    "Contribution": {"objective": ("As team/name.", "company/growth"), "weight": _WEIGHT},
    "KeyResultSpec": {
        "title": ("What people call it.", "Onboarding time"),
        "metric": (
            "The metric, by name; another team's as team.metric. Used once, it can be written here.",
            "lead_days",
        ),
        "baseline": ("Where it starts: a number, or measured once at the end of a period.", 15, {"measure": "2026-Q3"}),
        "target": ("Where it should end.", 5, {"change": "-25%"}, {"maintain": ">= 99.9"}),
        "kind": ("A commitment passes only at its target; of an aspiration 0.7 is good.",),
        "weight": _WEIGHT,
        "owner": ("Who is asked.", "dana@acme.example"),
        "fresh_within": ("How old the value may be; older than that it is shown as stale.", "24h"),
        "guardrails": ("What must hold beside it.", [{"metric": "satisfaction", "must": ">= 97% of baseline"}]),
        "preset": _PRESET,
        "curve": ("How progress is expected over the cycle.",),
        "checkpoints": ("What is expected by which day.", [{"on": "2026-11-15", "progress": "0.4"}]),
        "steps": ("The metric moves only at these edges: expectation does too.",),
        "paused": _PAUSED,
        "dropped": _DROPPED,
        "renamed_from": _RENAMED,
    },
    "MeasuredBaseline": {
        "measure": ("The metric's value at the end of that period, frozen with its evidence.", "2026-Q3")
    },
    "Change": {"change": ("From the baseline, signed.", "-25%", "+3")},
    "Maintain": {"maintain": ("A bound to hold, inclusive where it says so.", ">= 99.9", "<= 2")},
    "GuardrailSpec": {
        "metric": ("The metric that is watched.", "satisfaction"),
        "must": ("What must hold.", ">= 40", ">= 97% of baseline"),
        "baseline": ("What the percentage is of; its first value in the cycle, where this is left out.", 212),
    },
    "Checkpoint": {
        "on": ("By the end of that day.", "2026-11-15"),
        "value": ("The value that is expected.", 8),
        "progress": ("The part of the way that is expected.", "0.4"),
    },
    "ExpectedShares": {
        "on_track": ("The part of the expected progress from which it is on track.", "0.95"),
        "behind": ("The part from which it is merely behind.", "0.85"),
    },
    "ExpectedPoints": {
        "on_track_points": ("Percentage points below the expectation that are still on track.", 10),
        "behind_points": ("Percentage points below it that are merely behind.", 25),
    },
}
