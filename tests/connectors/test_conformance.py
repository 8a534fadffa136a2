"""The conformance suite on our own connectors, with webhooks in each of their schemes."""

import base64
import hashlib
import hmac
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import httpx
import pytest
from standardwebhooks import Webhook

from connectors.contract import Connector, InboundDelivery, Window
from connectors.github import GITHUB
from connectors.http_json import HTTP_JSON
from connectors.jira import JIRA
from connectors.prometheus import PROMETHEUS
from connectors.sheet import SHEET
from connectors.sql import SQL
from connectors.testing import ConformanceCase, ConnectorConformance, Site
from connectors.testing.pull import PullConformance
from connectors.testing.shape import ShapeConformance
from connectors.webhook import WEBHOOK
from tests.fakes import github
from tests.fakes.hostile import HARMLESS, HOSTILE
from tests.fakes.jira_cloud import EMAIL, JiraCloudFake
from tests.fakes.jira_issues import FLUID_STATUSES, SYSTEM_FIELDS, issue, status_change
from tests.fakes.jira_streams import sprint

NOW = datetime(2026, 11, 22, 9, 30, tzinfo=UTC)
BODY = b'{"event": "po.approved", "po": {"id": "PO-7", "total": 120.50}}'
SECRET = "whsec_" + base64.b64encode(b"conformance secret of 32 bytes !").decode()
OTHER = "whsec_" + base64.b64encode(b"a forger's secret of 32 bytes !!").decode()
TOKEN = "jira-token-5d0e"


def delivery(*headers: tuple[str, str], body: bytes = BODY) -> InboundDelivery:
    return InboundDelivery([("content-type", "application/json"), *headers], body, NOW)


def standard(secret: str = SECRET, at: datetime = NOW, body: bytes = BODY) -> InboundDelivery:
    return delivery(
        ("webhook-id", "msg_1"),
        ("webhook-timestamp", str(int(at.timestamp()))),
        ("webhook-signature", Webhook(secret).sign("msg_1", at, BODY.decode())),
        body=body,
    )


def signed(secret: str = SECRET, body: bytes = BODY, kind: str = "sha256") -> InboundDelivery:
    digest = hmac.new(secret.encode(), BODY, kind).hexdigest()
    return delivery(("x-hub-signature-256", f"{kind}={digest}"), body=body)


class TestStandardWebhooks(ConnectorConformance):
    case = ConformanceCase(
        connector=WEBHOOK,
        config={"verify": {"scheme": "standard-webhooks", "secret": {"env": "HOOK"}, "previous": {"file": "/old"}}},
        secrets={"HOOK": SECRET, "/old": OTHER[::-1]},
        accepted=[standard(), standard(at=NOW - timedelta(minutes=3))],
        refused=[standard(OTHER), standard(at=NOW - timedelta(seconds=301)), standard(body=BODY + b" "), delivery()],
    )


class TestHmacSha256(ConnectorConformance):
    case = ConformanceCase(
        connector=WEBHOOK,
        config={"verify": {"scheme": "hmac-sha256", "secret": {"env": "HOOK"}, "id_header": "x-delivery"}},
        secrets={"HOOK": SECRET},
        accepted=[signed()],
        refused=[signed(OTHER), signed(kind="sha1"), signed(body=BODY + b" "), delivery()],
    )


class TestBearerToken(ConnectorConformance):
    case = ConformanceCase(
        connector=WEBHOOK,
        config={"verify": {"scheme": "bearer", "secret": {"env": "HOOK"}}},
        secrets={"HOOK": SECRET},
        accepted=[delivery(("authorization", f"Bearer {SECRET}"), ("idempotency-key", "po-7"))],
        refused=[delivery(("authorization", f"Bearer {OTHER}")), delivery(("authorization", "Bearer ")), delivery()],
    )


def slack(secret: str = SECRET, at: datetime = NOW, body: bytes = BODY) -> InboundDelivery:
    seconds = str(int(at.timestamp()))
    digest = hmac.new(secret.encode(), f"v0:{seconds}:".encode() + BODY, "sha256").hexdigest()
    return delivery(("x-slack-request-timestamp", seconds), ("x-slack-signature", f"v0={digest}"), body=body)


class TestNamedProvider(ConnectorConformance):
    case = ConformanceCase(
        connector=WEBHOOK,
        config={"verify": {"scheme": "slack", "secret": {"env": "HOOK"}}, "redact": ["body.po.total"]},
        secrets={"HOOK": SECRET},
        accepted=[slack(), slack(at=NOW + timedelta(minutes=5))],
        refused=[slack(OTHER), slack(at=NOW - timedelta(seconds=301)), slack(body=BODY + b" "), delivery()],
    )


def jira_fake() -> JiraCloudFake:
    """25 issues on pages of ten, each with one change of status; a new site each time."""
    start = datetime(2026, 1, 1, tzinfo=UTC)
    issues = []
    for number in range(1, 26):
        at = (start + timedelta(minutes=number)).strftime("%Y-%m-%dT%H:%M:%S.000+0000")
        fields = {
            "project": {"id": "1", "key": "ERP", "name": "Resource planning"},
            "status": FLUID_STATUSES[1],
            "created": at,
            "updated": at,
        }
        issues.append(issue(number, f"ERP-{number}", fields, [status_change(number, at, *FLUID_STATUSES[:2])]))
    return JiraCloudFake(
        issues,
        FLUID_STATUSES,
        SYSTEM_FIELDS,
        page_size=10,
        ids_page_size=10,
        changelog_page_size=10,
        token=TOKEN,
        now=lambda: NOW,
    )


def jira_site() -> Site:
    return httpx.ASGITransport(jira_fake()).handle_async_request


def jira_worklogs_site() -> Site:
    """Work on each issue, more on the first than comes with it; one is of the last hour."""
    fake = jira_fake()
    for number in range(1, 51):
        fake.worklogs.log(number, str(max(number - 25, 1)), NOW - timedelta(minutes=60 - number), 60 * number)
    return httpx.ASGITransport(fake).handle_async_request


def jira_sprints_site() -> Site:
    fake = jira_fake()
    fake.boards = {1: {"id": 1, "name": "Team", "type": "scrum", "filter": "1"}}
    dates = {"startDate": "2026-10-05T09:00:00.000Z", "completeDate": "2026-10-16T13:30:00.000Z"}
    fake.sprints = {id: sprint(id, "closed", **dates) for id in range(1, 60)} | {60: sprint(60)}
    return httpx.ASGITransport(fake).handle_async_request


JIRA_HOOK = "jira-hook-secret-8c1d"
JIRA_BODY = b'{"webhookEvent": "jira:issue_updated", "issue": {"id": "10040", "key": "TES-41"}}'


def jira_delivery(body: bytes = JIRA_BODY, secret: str = JIRA_HOOK) -> InboundDelivery:
    digest = hmac.new(secret.encode(), JIRA_BODY, hashlib.sha256).hexdigest()
    proof = ("x-hub-signature", f"sha256={digest}")
    return InboundDelivery((proof, ("x-atlassian-webhook-identifier", "f1a2-77")), body, NOW)


class TestJira(ConnectorConformance):
    case = ConformanceCase(
        connector=JIRA,
        config={
            "url": "https://acme.atlassian.net",
            "email": EMAIL,
            "token": {"env": "JIRA_TOKEN"},
            "webhook_secret": {"env": "JIRA_HOOK"},
        },
        secrets={"JIRA_TOKEN": TOKEN, "JIRA_HOOK": JIRA_HOOK},
        accepted=[jira_delivery()],
        refused=[jira_delivery(JIRA_BODY + b" "), jira_delivery(secret="another")],
        site=jira_site,
        query={"jql": "project = ERP"},
        dataset={"jql": "project = ERP"},
        now=NOW,
    )


class TestJiraWorklogs(PullConformance):
    case = replace(TestJira.case, site=jira_worklogs_site, dataset={"stream": "worklogs", "project": "ERP"})


class TestJiraSprints(PullConformance):
    case = replace(TestJira.case, site=jira_sprints_site, dataset={"stream": "sprints", "board": "Team"})


class TestGitHub(ConnectorConformance):
    case = ConformanceCase(
        connector=GITHUB,
        config={"token": {"env": "GITHUB_TOKEN"}},
        secrets={"GITHUB_TOKEN": github.TOKEN},
        site=lambda: github.GitHubFake(pulls=[github.pull(number) for number in range(1, 26)], page_size=10),
        dataset={"stream": "pull_requests", "repository": github.REPOSITORY},
        now=NOW,
    )


def prometheus_site() -> Site:
    """A server with one series, its names and its version."""

    def answer(request: httpx.Request) -> httpx.Response:
        if request.headers.get("authorization") != f"Bearer {TOKEN}":
            return httpx.Response(401, text="Unauthorized")
        place = request.url.path.removeprefix("/api/v1/")
        data: dict[str, object] = {
            "query": {"resultType": "vector", "result": [{"metric": {}, "value": [1.5, "0.25"]}]},
            "status/buildinfo": {"version": "3.5.0"},
            "label/__name__/values": ["up", "probe_success"],
            "label/job/values": ["erp"],
        }
        return httpx.Response(200, json={"status": "success", "data": data[place]})

    return answer


class TestPrometheus(ConnectorConformance):
    case = ConformanceCase(
        connector=PROMETHEUS,
        config={"url": "https://prometheus.acme.example", "token": {"env": "PROMETHEUS_TOKEN"}},
        secrets={"PROMETHEUS_TOKEN": TOKEN},
        site=prometheus_site,
        query={"promql": "sum(sum_over_time(probe_success[{window}]))"},
        window=Window(NOW - timedelta(days=1), NOW),
        now=NOW,
    )


def crm_site() -> Site:
    """An API that knows its key, with two numbers and a list of three pages."""

    def answer(request: httpx.Request) -> httpx.Response:
        if request.headers.get("x-api-key") != TOKEN:
            return httpx.Response(401, json={"message": "who are you?"})
        if request.url.path == "/api/deals":
            page = int(request.url.params.get("page", "1"))
            deals = [{"id": f"D-{number}", "amount": number} for number in range(page * 10 - 9, page * 10 + 1)]
            said = {"link": f'</api/deals?page={page + 1}>; rel="next"'} if page < 3 else {}
            return httpx.Response(200, json={"deals": deals}, headers=said)
        return httpx.Response(200, json={"data": {"open": 17, "won": ["1.5", 2.25]}})

    return answer


class TestHttpJson(ConnectorConformance):
    case = ConformanceCase(
        connector=HTTP_JSON,
        config={"url": "https://crm.acme.example/api", "headers": {"x-api-key": {"env": "CRM_KEY"}}, "check": "/me"},
        secrets={"CRM_KEY": TOKEN},
        site=crm_site,
        query={"path": "/stats?from={from}&to={to:date}", "value": "body.data.open"},
        dataset={"path": "/deals", "items": "body.deals", "id": "item.id"},
        window=Window(NOW - timedelta(days=1), NOW),
        now=NOW,
    )


class TestHttpJsonPost(PullConformance):
    case = replace(
        TestHttpJson.case,
        config={
            "url": "https://crm.acme.example/api",
            "username": "okr",
            "password": {"env": "CRM_KEY"},
            "headers": {"x-api-key": {"env": "CRM_KEY"}},
        },
        query={"post": {"since": "{from:unix}"}, "value": "body.data.won[*]", "aggregate": "sum"},
    )


def files_site() -> Site:
    """A server of files that knows its reader, and leads to where the file lies."""
    sheet = "Ticket;Opened;Hours\n" + "".join(f"T-{n};{n}.10.2026;{n},5\n" for n in range(1, 26))

    def answer(request: httpx.Request) -> httpx.Response:
        if request.headers.get("authorization") != f"Bearer {TOKEN}":
            return httpx.Response(401)
        if request.url.path == "/tickets.csv":
            return httpx.Response(307, headers={"location": "/store/5f3a"})
        return httpx.Response(200, text=sheet, headers={"content-type": "text/csv"})

    return answer


class TestSheet(ConnectorConformance):
    case = ConformanceCase(
        connector=SHEET,
        config={"url": "https://files.acme.example/tickets.csv", "token": {"env": "FILES_TOKEN"}},
        secrets={"FILES_TOKEN": TOKEN},
        site=files_site,
        query={"row": "T-7", "column": "Hours"},
        dataset={"id": "Ticket", "created": "Opened"},
        now=NOW,
    )


class TestSql(ShapeConformance):
    """Its value and its models: a database is no site that the suite could play (tests/connectors/sql has one)."""

    case = ConformanceCase(connector=SQL, config={"dsn": {"env": "WAREHOUSE_DSN"}}, query={"sql": "select 1"})


# --- the suite itself ------------------------------------------------------------------------------------------------


def checks_of(connector: Connector) -> Iterator[Callable[[], object]]:
    """The checks that look at what hooks do, on a tool that is never asked."""

    class Suite(ConnectorConformance):
        case = ConformanceCase(
            connector=connector,
            config={"token": {"env": "TOKEN"}},
            site=lambda: lambda request: httpx.Response(200),
            query={},
            dataset={},
            now=NOW + timedelta(days=1),
            patience=timedelta(seconds=0.2),
            accepted=[delivery()],
        )

    suite = Suite()
    yield suite.test_measure_gives_an_exact_number_with_its_question
    yield suite.test_read_gives_records_that_can_be_stored
    yield suite.test_read_ends_with_a_cursor_to_go_on_from
    yield suite.test_read_goes_on_from_a_cursor_that_was_stored_as_json
    yield suite.test_a_session_closes_and_leaves_no_task_behind
    yield suite.test_a_session_lets_an_error_out
    if connector.verify is not None:
        yield suite.test_a_proven_sender_is_accepted
        yield suite.test_what_a_delivery_says_can_be_stored


def failed(check: Callable[[], object]) -> bool:
    try:
        check()
    except BaseException:  # a hostile connector raises anything, and so does a failed check of pytest's
        return True
    return False


@pytest.mark.parametrize("connector", HOSTILE.values(), ids=HOSTILE.keys())
def test_the_suite_catches_a_hostile_connector(connector: Connector) -> None:
    assert any(failed(check) for check in checks_of(connector))


def test_the_suite_passes_a_harmless_connector() -> None:
    for check in checks_of(HARMLESS):
        check()


def test_the_checks_of_a_side_that_is_not_there_are_left_out() -> None:
    def names(suite: type) -> set[str]:
        return {name for name in dir(suite) if name.startswith("test_") and callable(getattr(suite, name))}

    both = names(ConnectorConformance)
    assert names(TestJira) == both
    assert names(TestBearerToken) == both - names(PullConformance)


def test_the_digest_of_the_refused_sha1_delivery_is_a_real_one() -> None:
    """So that it is refused for its kind and not for being nonsense."""
    digest = hmac.new(SECRET.encode(), BODY, hashlib.sha1).hexdigest()
    assert signed(kind="sha1").header("x-hub-signature-256") == f"sha1={digest}"
