"""The example's organisation and team files, as the documents that the API takes."""

from typing import Any

from app.demo.calendar import DemoCalendar
from app.domain.cycle import Cycle

Document = dict[str, Any]

#: Teams, parents first.
TEAMS = ("company", "people", "procurement", "it")
#: The connections that events come through, by team.
CONNECTIONS = {
    "people": ("hris", "sensors", "assets"),
    "procurement": ("orders", "invoices"),
    "it": ("desk", "monitor"),
}
#: Whose one secret is in this variable of the service's environment.
SECRET = "DEMO_WEBHOOK_SECRET"  # noqa: S105  the name of a variable
_WIDE = {"on_track": "0.95", "behind": "0.5"}


def organisation(calendar: DemoCalendar) -> Document:
    """`organisation.yaml` of the example."""
    return {
        "version": 1,
        "name": "Example Operations",
        "fiscal_year_start": calendar.fiscal_year_start,
        "timezone": "Europe/Berlin",
        "teams": {"company": None, "people": "company", "procurement": "company", "it": "company"},
    }


def team_files(calendar: DemoCalendar, *, past: bool) -> dict[str, Document]:
    """Every team's file: of the quarter (and month) before, or of the current ones."""
    quarter = calendar.quarter_before if past else calendar.quarter
    month = calendar.month_before if past else calendar.month
    return {
        "company": _company(quarter),
        "people": _people(quarter, past=past),
        "procurement": _procurement(calendar, quarter, month, past=past),
        "it": _it(quarter, past=past),
    }


def _file(team: str, title: str, **sections: Any) -> Document:
    connections = {
        name: {"connector": "webhook", "verify": {"scheme": "standard-webhooks", "secret": {"env": SECRET}}}
        for name in CONNECTIONS.get(team, ())
    }
    return {
        "version": 1,
        "team": team,
        "title": title,
        "timezone": "Europe/Berlin",
        "calendar": {"holidays": "DE-BE"},
        **({"parent": "company"} if team != "company" else {}),
        "connections": connections,
        **sections,
    }


def _company(quarter: Cycle) -> Document:
    return _file(
        "company",
        "Company",
        metrics={
            "headcount": {"unit": "people", "manual": {"every": "45d"}},
            "pulse": {"title": "Pulse of the offices", "unit": "score", "manual": {"every": "14d"}},
            "spend_per_head": {"unit": "EUR/people", "formula": "procurement.spend_4_weeks / headcount"},
        },
        objectives={
            "scale": {
                "title": "Operations scale with the company",
                "cycle": quarter.name,
                "focus": "cost_management",
                "owner": "operations@example.com",
                "key_results": {
                    "spend_per_head": {
                        "title": "What operations spend on each colleague in four weeks",
                        "metric": "spend_per_head",
                        "baseline": 420,
                        "target": 340,
                    },
                    "pulse": {
                        "title": "How content people are with their offices",
                        "metric": "pulse",
                        "baseline": "6.8",
                        "target": "8",
                        "preset": _WIDE,
                    },
                },
            }
        },
    )


def _people(quarter: Cycle, *, past: bool) -> Document:
    equipped = "record.event == 'equipped'"
    return _file(
        "people",
        "People and workplace",
        datasets={
            "starts": {"connection": "hris", "entity": "body.person", "at": "body.at", "event": "body.event"},
            "occupancy": {"connection": "sensors", "entity": "body.floor", "at": "body.at", "event": "body.event"},
            "badges": {"connection": "assets", "entity": "body.badge", "at": "body.at", "event": "body.event"},
        },
        metrics={
            "onboarding_days": {
                "unit": "business_days",
                "duration": {"dataset": "starts", "from": {"event": "started"}, "to": {"event": "productive"}},
                "aggregate": "avg",
                "window": {"trailing": "30d"},
                "min_samples": 3,
            },
            "equipped_on_day_one": {
                "unit": "percent",
                "ratio": {
                    "good": {"records": {"dataset": "starts", "where": f"{equipped} && record.body.on_time"}},
                    "total": {"records": {"dataset": "starts", "where": equipped}},
                },
                "window": {"trailing": "60d"},
            },
            "newcomer_pulse": {"unit": "score", "manual": {"every": "14d"}},
            "badges_ready": {
                "unit": "badges",
                "records": {"dataset": "badges", "where": "record.event == 'ready'"},
                "window": {"to_date": "quarter"},
            },
            "desk_use": {
                "unit": "percent",
                "records": {"dataset": "occupancy", "value": "record.body.share"},
                "aggregate": "avg",
                "window": {"trailing": "7d"},
            },
            "energy": {"unit": "kWh", "manual": {"every": "31d"}},
        },
        objectives={
            "fast_start": {
                "title": "New colleagues are at home from the first day",
                "cycle": quarter.name,
                "focus": "process_efficiency",
                "owner": "people@example.com",
                "contributes_to": [{"objective": "company/scale", "weight": 2}],
                "key_results": {
                    "onboarding_time": {
                        "title": "From the first day to the first own task",
                        "metric": "onboarding_days",
                        "baseline": 18 if past else 15,
                        "target": 15 if past else 5,
                    },
                    "equipped": {
                        "title": "Newcomers with a working laptop on day one",
                        "metric": "equipped_on_day_one",
                        "baseline": 60 if past else 70,
                        "target": 80 if past else 95,
                        "kind": "aspirational",
                    },
                    "newcomer_pulse": {
                        "title": "How newcomers rate their first month",
                        "metric": "newcomer_pulse",
                        "baseline": 7,
                        "target": "8.5",
                    },
                },
            },
            "workplace": {
                "title": "Offices that people like to come to",
                "cycle": quarter.name,
                "focus": "quality_control",
                "owner": "workplace@example.com",
                "supports": ["company/scale"],
                "key_results": {
                    "desk_use": {
                        "title": "Desks in use on an ordinary day",
                        "metric": "desk_use",
                        "baseline": 40,
                        "target": 65,
                        "fresh_within": "2m",
                    },
                    "badges": {
                        "title": "Badges ready before somebody arrives",
                        "metric": "badges_ready",
                        "baseline": 0,
                        "target": 30,
                    },
                    "energy": {
                        "title": "Electricity in a month",
                        "metric": "energy",
                        "baseline": 42000,
                        "target": 36000,
                        **({} if past else {"paused": "The meters are being replaced"}),
                    },
                },
            },
        },
    )


def _procurement(calendar: DemoCalendar, quarter: Cycle, month: Cycle, *, past: bool) -> Document:
    approved = "record.event == 'po.approved'"
    return _file(
        "procurement",
        "Procurement",
        datasets={
            "purchase_orders": {"connection": "orders", "entity": "body.po", "at": "body.at", "event": "body.event"},
            "booked": {"connection": "invoices", "entity": "body.invoice", "at": "body.at", "event": "body.event"},
        },
        metrics={
            "procurement_days": {
                "unit": "business_days",
                "duration": {
                    "dataset": "purchase_orders",
                    "from": {"event": "po.requested"},
                    "to": {"event": "po.approved", "pick": "last"},
                    "within": "180d",
                },
                "aggregate": "median",
                "window": {"trailing": "28d"},
            },
            "spend": {
                "unit": "EUR",
                "records": {"dataset": "purchase_orders", "where": approved, "value": "record.body.total"},
                "aggregate": "sum",
                "window": {"to_date": "quarter"},
            },
            "spend_4_weeks": {
                "unit": "EUR",
                "records": {"dataset": "purchase_orders", "where": approved, "value": "record.body.total"},
                "aggregate": "sum",
                "window": {"trailing": "28d"},
            },
            "under_contract": {
                "unit": "percent",
                "ratio": {
                    "good": {
                        "records": {
                            "dataset": "purchase_orders",
                            "where": f"{approved} && record.body.contract",
                            "value": "record.body.total",
                        },
                        "aggregate": "sum",
                    },
                    "total": {
                        "records": {"dataset": "purchase_orders", "where": approved, "value": "record.body.total"},
                        "aggregate": "sum",
                    },
                },
                "window": {"trailing": "60d"},
            },
            "invoices_matched": {
                "unit": "percent",
                "ratio": {
                    "good": {"records": {"dataset": "booked", "where": "record.event == 'matched'"}},
                    "total": {"records": {"dataset": "booked"}},
                },
                "window": {"to_date": "month"},
            },
        },
        objectives={
            "lean_buying": {
                "title": "Buying is quick, and bound by contract",
                "cycle": quarter.name,
                "focus": "process_efficiency",
                "owner": "procurement@example.com",
                "contributes_to": ["company/scale"],
                "key_results": {
                    "procurement_time": {
                        "title": "From a request to an approved order",
                        "metric": "procurement_days",
                        "baseline": 9 if past else {"measure": calendar.quarter_before.name},
                        "target": {"change": "-20%"},
                        "kind": "aspirational",
                        "weight": 2,
                        "preset": _WIDE,
                    },
                    "budget": {
                        "title": "Spend within the quarter's budget",
                        "metric": "spend",
                        "baseline": 180000,
                        "target": 150000,
                    },
                    "contracts": {
                        "title": "Spend that a contract covers",
                        "metric": "under_contract",
                        "baseline": 50,
                        "target": 55 if past else 60,
                    },
                },
            },
            "clean_month": {
                "title": "A month that closes by itself",
                "cycle": month.name,
                "focus": "quality_control",
                "owner": "accounting@example.com",
                "key_results": {
                    "matched": {
                        "title": "Invoices that match their order",
                        "metric": "invoices_matched",
                        "target": {"maintain": ">= 96"},
                    }
                },
            },
        },
    )


def _it(quarter: Cycle, *, past: bool) -> Document:
    resolved = "record.event == 'resolved'"
    solved = {"dataset": "tickets", "per": "entity", "at": "record.last"}
    is_solved, in_time = "'resolved' in record.events", 'record.last - record.first < duration("48h")'
    steps = [("Data migrated", 3), ("Interfaces tested", 2), ("Users trained", 2), ("Go-live", 3)]
    return _file(
        "it",
        "IT services",
        datasets={
            "tickets": {"connection": "desk", "entity": "body.ticket", "at": "body.at", "event": "body.event"},
            "major_incidents": {
                "connection": "desk",
                "entity": "body.ticket",
                "at": "body.at",
                "event": "body.event",
                "where": "body.major",
            },
            "erp": {"connection": "monitor", "entity": "body.service", "at": "body.at", "event": "body.state"},
        },
        metrics={
            "erp_uptime": {
                "unit": "percent",
                "state_share": {
                    "dataset": "erp",
                    "of": "erp",
                    "good": ["up", "degraded"],
                    "exclude": ["maintenance"],
                },
                "window": {"to_date": "quarter"},
            },
            "help_hours": {
                "unit": "hours",
                "duration": {"dataset": "tickets", "from": {"event": "opened"}, "to": {"event": "resolved"}},
                "aggregate": "avg",
                "window": {"trailing": "14d"},
            },
            "reply_minutes": {
                "unit": "minutes",
                "duration": {"dataset": "tickets", "from": {"event": "opened"}, "to": {"event": "replied"}},
                "aggregate": "median",
                "window": {"trailing": "14d"},
            },
            "solved_in_time": {
                "unit": "percent",
                "ratio": {
                    "good": {"records": {**solved, "where": f"{is_solved} && {in_time}"}},
                    "total": {"records": {**solved, "where": is_solved}},
                },
                "window": {"trailing": "28d"},
            },
            "reopened": {
                "unit": "percent",
                "ratio": {
                    "good": {"records": {"dataset": "tickets", "where": "record.event == 'reopened'"}},
                    "total": {"records": {"dataset": "tickets", "where": resolved}},
                },
                "window": {"trailing": "28d"},
            },
            "recovery_hours": {
                "unit": "hours",
                "duration": {
                    "dataset": "major_incidents",
                    "from": {"event": "opened"},
                    "to": {"event": "resolved"},
                },
                "aggregate": "p90",
                "window": {"trailing": "28d"},
                "min_samples": 8,
            },
            "articles": {"unit": "articles", "manual": {"every": "14d"}},
            "cutover": {
                "unit": "percent",
                "milestones": [{"name": name, "weight": weight, "done": "manual"} for name, weight in steps],
            },
        },
        objectives={
            "dependable": {
                "title": "Services that people can depend on",
                "cycle": quarter.name,
                "focus": "service_levels",
                "owner": "it@example.com",
                "contributes_to": ["company/scale"],
                "key_results": {
                    "erp_available": {
                        "title": "The ERP is available",
                        "metric": "erp_uptime",
                        "target": {"maintain": ">= 99.5"},
                    },
                    "help_time": {
                        "title": "A ticket is solved within half a day",
                        "metric": "help_hours",
                        "baseline": 36 if past else 30,
                        "target": 31 if past else 12,
                    },
                    "first_reply": {
                        "title": "The first answer comes within half an hour",
                        "metric": "reply_minutes",
                        "baseline": 120 if past else 90,
                        "target": 60 if past else 30,
                        "kind": "aspirational",
                        "preset": _WIDE,
                    },
                    "solved": {
                        "title": "Tickets solved within two days",
                        "metric": "solved_in_time",
                        "baseline": 60,
                        "target": 95,
                        "guardrails": [{"metric": "reopened", "must": "<= 8"}],
                    },
                },
            },
            "new_erp": {
                "title": "The new ERP goes live without a lost day",
                "cycle": quarter.name,
                "focus": "process_efficiency",
                "owner": "it@example.com",
                "supports": ["company/scale"],
                "key_results": {
                    "cutover": {"title": "Steps to the new ERP", "metric": "cutover", "baseline": 0, "target": 100},
                    "recovery": {
                        "title": "Major incidents are over within four hours",
                        "metric": "recovery_hours",
                        "baseline": 8,
                        "target": 4,
                    },
                    "self_help": {
                        "title": "Answers that people find by themselves",
                        "metric": "articles",
                        "baseline": 20,
                        "target": 30 if past else 60,
                    },
                },
            },
        },
    )
