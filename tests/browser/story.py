"""An organisation with everything that a dashboard has to show, told to a running service through its API.

Three teams and a private one, in the quarter of today: numbers of every size, names of every script, a breached
guardrail, a stale and a waiting source, a dead letter, a closed cycle with grades, and a rule that was changed.
"""

import json
from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx

TOKEN = "let-me-in"
ENVIRON = {
    "DESK_TOKEN": TOKEN,
    "WRONG_TOKEN": "not-this-one",
    "JIRA_TOKEN": "fake-api-token",
    "KRSYNC_SECRETS_ALLOW": "*=*",
    "KRSYNC_OUTBOUND_ALLOW": "127.0.0.0/8",
}
LONG_TITLE = (
    "Every request of a colleague is answered by somebody who can help, within the same working day, "
    "in the language in which it was asked, whatever office they are in"
)


@dataclass
class Story:
    """The organisation at `http`, whose client holds an administrator's token. Days are counted from `now`.

    Without `has_every_script` all names are Latin, for pictures taken where there is no font for others."""

    http: httpx.Client
    now: datetime = field(default_factory=lambda: datetime.now(UTC))
    has_every_script: bool = True

    @property
    def cycle(self) -> str:
        return quarter_of(self.now)

    @property
    def cycle_before(self) -> str:
        return quarter_of(quarter_start(self.now) - timedelta(days=1))

    # --- through the doors --------------------------------------------------------------------------------------------

    def apply(self, document: dict[str, Any]) -> None:
        self._sent("POST", f"/v1/teams/{document['team']}/apply", json=document)

    def value(self, metric: str, day: datetime, value: str) -> None:
        team, _, name = metric.partition("/")
        self._sent("PUT", f"/v1/metrics/{team}/{name}/values/{day:%Y-%m-%d}", json={"value": value})

    def values(self, metric: str, values: Iterable[tuple[int, str]]) -> None:
        """(how many days ago, value), the oldest first; what would lie before the quarter is of its first day."""
        for ago, value in values:
            self.value(metric, max(self.now - timedelta(days=ago), quarter_start(self.now)), value)

    def deliver(self, body: Any, *, token: str = TOKEN) -> httpx.Response:
        """A ticket's event to the help desk's hook."""
        content = body if isinstance(body, bytes) else json.dumps(body).encode()
        headers = {"Authorization": f"Bearer {token}", "Content-Type": "application/json"}
        return self.http.post("/v1/hooks/operations/desk", content=content, headers=headers)

    def ticket(self, name: str, opened: datetime, hours: float | None = None) -> None:
        """A ticket that was opened, and answered so many hours later."""
        self.deliver({"ticket": name, "event": "opened", "at": opened.isoformat()})
        if hours is not None:
            answered = opened + timedelta(hours=hours)
            self.deliver({"ticket": name, "event": "replied", "at": answered.isoformat()})

    def token(self, name: str, *scopes: str, team: str | None = None) -> str:
        """A new token's text."""
        return str(self._sent("POST", "/v1/tokens", json={"name": name, "scopes": scopes, "team": team})["token"])

    def _sent(self, method: str, path: str, **options: Any) -> Any:
        response = self.http.request(method, path, **options)
        assert response.is_success, f"{method} {path}: {response.status_code} {response.text}"
        return response.json() if response.content else None

    # --- the whole of it ----------------------------------------------------------------------------------------------

    def tell(self) -> None:
        """Everything."""
        self._sent("PUT", "/v1/organisation", json={"version": 1, "name": "Acme"})
        self._past()
        self.apply(self.company())
        self.apply(self.operations())
        self.apply(self.platform())
        self.apply(self.people())
        self._numbers()
        self._tickets()
        self._words()

    def company(self) -> dict[str, Any]:
        return {
            "version": 1,
            "team": "company",
            "title": "Company",
            "metrics": {"revenue": {"unit": "EUR", "manual": {"every": "40d"}}, "margin": manual("percent")},
            "objectives": {
                "grow": {
                    "title": "Grow without losing what makes us good",
                    "cycle": self.cycle,
                    "owner": "cfo@acme.example",
                    "focus": "growth",
                    "key_results": {
                        "revenue": {"metric": "revenue", "baseline": 248_750_000_000, "target": 287_500_000_000},
                        "margin": {"metric": "margin", "target": {"maintain": ">= 12.5"}},
                    },
                }
            },
        }

    def operations(self, *, reply_target: int = 4) -> dict[str, Any]:
        return {
            "version": 1,
            "team": "operations",
            "title": "Operations",
            "parent": "company",
            "timezone": "Europe/Berlin",
            "connections": {
                "desk": {
                    "connector": "webhook",
                    "verify": {"scheme": "bearer", "secret": {"env": "DESK_TOKEN"}},
                }
            },
            "datasets": {
                "tickets": {
                    "connection": "desk",
                    "entity": "body.ticket",
                    "event": "body.event",
                    "at": "body.at",
                    "where": "body.event != 'viewed'",
                }
            },
            "metrics": {
                "reply_hours": {
                    "unit": "hours",
                    "duration": {"dataset": "tickets", "from": {"event": "opened"}, "to": {"event": "replied"}},
                    "aggregate": "avg",
                    "window": {"to_date": "quarter"},
                },
                "onboarding_days": manual("business_days"),
                "overhead": manual("EUR"),
                "headcount": manual("people"),
                "uptime": manual("percent"),
                "satisfaction": {"unit": "score", "manual": {"every": "2d"}},
                "backlog": manual("tickets"),
            },
            "objectives": {
                "fast_start": {
                    "title": "New colleagues are productive within a week",
                    "cycle": self.cycle,
                    "focus": "process_efficiency",
                    "owner": "ops@acme.example",
                    "contributes_to": ["company/grow"],
                    "key_results": {
                        "onboarding_time": {
                            "metric": "onboarding_days",
                            "baseline": 15,
                            "target": 5,
                            "curve": "s_curve",
                            "owner": "ops@acme.example",
                        },
                        "reply_time": {
                            "title": LONG_TITLE,
                            "metric": "reply_hours",
                            "baseline": 24,
                            "target": reply_target,
                            "kind": "aspirational",
                        },
                        "backlog": {"metric": "backlog", "baseline": 120, "target": 20, "steps": "month"},
                    },
                },
                "lean": {
                    "title": "Spend less without doing less",
                    "cycle": self.cycle,
                    "focus": "cost_management",
                    "supports": ["company/grow"],
                    "key_results": {
                        "overhead_down": {
                            "metric": "overhead",
                            "baseline": 1_400_000,
                            "target": 1_232_000,
                            "guardrails": [{"metric": "headcount", "must": ">= 212"}],
                        },
                        "uptime_kept": {"metric": "uptime", "target": {"maintain": ">= 99.9"}},
                        "satisfied": {"metric": "satisfaction", "baseline": "3.9", "target": "4.5"},
                    },
                },
            },
        }

    def platform(self) -> dict[str, Any]:
        """Another script, an objective with forty key results, and one with none."""
        names = [f"service_{number:02}" for number in range(1, 41)]
        return {
            "version": 1,
            "team": "platform",
            "title": self._in("平台工程", "Platform"),
            "parent": "company",
            "connections": {
                "monitor": {
                    "connector": "webhook",
                    "verify": {"scheme": "bearer", "secret": {"env": "DESK_TOKEN"}},
                }
            },
            "metrics": {name: manual("percent") for name in names} | {"latency": manual("ms")},
            "objectives": {
                "dependable": {
                    "title": self._in("每一项服务都像自来水一样可靠", "Services as dependable as water from the tap"),
                    "cycle": self.cycle,
                    "contributes_to": ["operations/fast_start"],
                    "key_results": {
                        name: {
                            "metric": name,
                            "baseline": 90,
                            "target": 99.9,
                            "owner": self._in("平台团队", "platform@acme.example"),
                        }
                        for name in names
                    },
                },
                "swift": {
                    "title": self._in("خدمات سريعة لكل زميل في كل مكتب", "Fast for every colleague in every office"),
                    "cycle": self.cycle,
                    "supports": ["operations/lean"],
                    "key_results": {
                        "latency": {
                            "title": self._in("زمن الاستجابة", "Response time"),
                            "metric": "latency",
                            "baseline": 480,
                            "target": 200,
                            "checkpoints": [{"on": f"{self.middle:%Y-%m-%d}", "progress": "0.3"}],
                        }
                    },
                },
            },
        }

    def people(self) -> dict[str, Any]:
        return {
            "version": 1,
            "team": "people",
            "title": "People",
            "private": True,
            "metrics": {"leavers": manual("people")},
            "objectives": {
                "stay": {
                    "title": "Those we want to stay do stay",
                    "cycle": self.cycle,
                    "key_results": {"leavers": {"metric": "leavers", "baseline": 9, "target": 3}},
                }
            },
        }

    @property
    def middle(self) -> datetime:
        return quarter_start(self.now) + timedelta(days=45)

    def _in(self, own: str, latin: str) -> str:
        return own if self.has_every_script else latin

    def _past(self) -> None:
        """The quarter before, closed and graded, with a value that was mended since."""
        file = self.operations()
        for objective in file["objectives"].values():
            objective["cycle"] = self.cycle_before
            objective.pop("contributes_to", None)
            objective.pop("supports", None)
        file.pop("parent")
        self.apply(file)
        end = quarter_start(self.now)
        for metric, before, after in (
            ("onboarding_days", "17", "14.2"),
            ("backlog", "160", "118"),
            ("uptime", "99.2", "99.95"),
        ):
            self.value(f"operations/{metric}", end - timedelta(days=60), before)
            self.value(f"operations/{metric}", end - timedelta(days=5), after)
        path = f"/v1/cycles/operations/{self.cycle_before}"
        self._sent("POST", f"{path}/close", json={"reason": "The quarter is over"})
        self._sent(
            "PUT",
            f"{path}/grades/onboarding_time",
            json={"score": "0.4", "note": "A late start was not the team's doing"},
        )
        self.value("operations/backlog", end - timedelta(days=4), "121")

    def _numbers(self) -> None:
        onboarding = ("14.6", "14.1", "13.2", "12.4", "11.6", "10.9", "9.6", "8.9", "8.7")
        self.values("operations/onboarding_days", zip((50, 44, 38, 31, 25, 18, 11, 4, 1), onboarding, strict=True))
        self.values("operations/overhead", [(45, "1390000"), (25, "1310000"), (3, "1228000")])
        self.values("operations/headcount", [(45, "214"), (3, "209")])
        self.values("operations/uptime", [(30, "99.91"), (12, "99.93"), (2, "99.94")])
        self.values("operations/satisfaction", [(28, "4.0"), (14, "4.1")])
        self.values("operations/backlog", [(40, "112"), (20, "96"), (2, "81")])
        self.values("company/revenue", [(45, "251400000000"), (2, "268123456789.12")])
        self.values("company/margin", [(20, "13.1"), (1, "12.2")])
        self.values("platform/latency", [(40, "470"), (20, "420"), (1, "390")])
        for number in range(1, 31):
            self.values(f"platform/service_{number:02}", [(1, str(91 + number % 9))])
        self.values("people/leavers", [(1, "6")])

    def _tickets(self) -> None:
        start = max(quarter_start(self.now), self.now - timedelta(days=40))
        days = (self.now - start).days
        for number in range(min(days, 24)):
            opened = start + timedelta(days=number, hours=9)
            if opened + timedelta(hours=20) < self.now:
                self.ticket(f"T-{1000 + number}", opened, hours=5 + (number * 7) % 13)
        self.ticket("T-2000", self.now - timedelta(hours=2))
        self.deliver({"ticket": "T-1001", "event": "viewed", "at": self.now.isoformat()})
        self.deliver({"event": "opened", "at": self.now.isoformat()})

    def _words(self) -> None:
        path = "/v1/key-results/operations/onboarding_time/check-ins"
        self._sent("POST", path, json={"note": "Laptops arrive on the first day now", "confidence": "0.7"})
        self._sent("POST", path, json={"note": "Two offices to go", "confidence": "0.8", "blockers": ["badges"]})


def manual(unit: str) -> dict[str, Any]:
    return {"unit": unit, "manual": {"every": "30d"}}


def quarter_start(moment: datetime) -> datetime:
    """The first midnight (UTC) of the quarter."""
    return datetime(moment.year, (moment.month - 1) // 3 * 3 + 1, 1, tzinfo=UTC)


def quarter_of(moment: datetime) -> str:
    return f"{moment.year}-Q{(moment.month - 1) // 3 + 1}"
