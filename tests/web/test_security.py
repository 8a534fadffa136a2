"""What somebody who means harm tries on the dashboard."""

import re

import httpx

from app.services.tokens import COOKIE
from tests.web.conftest import FROM_HERE, Window, World, on_sqlite, window
from tests.web.test_pages import PAGES, filled

pytestmark = on_sqlite
SCRIPT = "<script>alert(1)</script>"


async def test_every_page_lets_nothing_else_in(world: World) -> None:
    await filled(world)
    admin = await window(world, "admin")
    answers = [await admin.get(path) for path in (*PAGES, "/audit", "/login", "/nowhere")]
    answers.append(await Window(world, None).get("/"))
    for answer in answers:
        policy = answer.headers["content-security-policy"]
        assert "default-src 'none'" in policy
        assert "frame-ancestors 'none'" in policy
        assert "form-action 'self'" in policy
        assert "unsafe" not in policy
        assert answer.headers["x-frame-options"] == "DENY"
        assert answer.headers["x-content-type-options"] == "nosniff"
        assert answer.headers["referrer-policy"] == "same-origin"
        assert answer.headers["cache-control"] == "no-store"
        assert " style=" not in answer.text
        assert not re.search(r"<[^>]+ on[a-z]+=", answer.text)
        assert not re.search(r"<script>", answer.text)


async def test_titles_and_names_are_text(world: World) -> None:
    key_results = {"up": {"title": SCRIPT, "metric": "satisfaction", "baseline": 1, "target": 2, "owner": f'"{SCRIPT}'}}
    await world.apply(title=SCRIPT, objectives={"o": {"title": SCRIPT, "cycle": "2026-Q4", "key_results": key_results}})
    admin = await window(world, "admin")
    for path in (
        "/",
        "/teams/operations",
        "/alignment",
        "/key-results/operations/up",
        "/key-results/operations/up/why",
        "/teams/operations/file",
        "/teams/operations/health-check",
        "/teams/operations/cycles",
        "/audit",
    ):
        page = await admin.get(path)
        assert page.status_code == 200, path
        assert SCRIPT not in page.text, path
        assert "&lt;script&gt;" in page.text, path


async def test_a_link_is_one_only_where_it_leads_to_a_page(world: World) -> None:
    await filled(world)
    headers, reader = await world.as_("write"), await window(world, "read")
    path = "/v1/metrics/operations/satisfaction/values/2026-11-21"
    for link in ("javascript:alert(1)", "data:text/html,x", "https:", " JAVASCRIPT:alert(1)"):
        await world.http.put(path, json={"value": 7, "link": link}, headers=headers)
        page = (await reader.get("/key-results/operations/satisfaction_up/why")).text
        assert not re.search(r'href="\s*(javascript|data|https:")', page, re.IGNORECASE), link


ACTS = {
    "/key-results/operations/satisfaction_up/check-ins": {"note": "not mine"},
    "/teams/operations/file": {"file": "version: 1\nteam: operations\n", "do": "apply"},
    "/teams/operations/health-check": {},
    "/connections/operations/erp/try": {"body": "{}"},
    "/connections/operations/erp/replay": {},
    "/deliveries/1/replay": {},
    "/logout": {},
    "/login": {"token": "okr_x"},
}


FROM_ELSEWHERE: list[dict[str, str]] = [
    {"Sec-Fetch-Site": "cross-site", "Origin": "https://evil.example"},
    {"Sec-Fetch-Site": "same-site", "Origin": "http://krsync.test"},
    {"Sec-Fetch-Site": "none"},
    {"Origin": "https://evil.example"},
    {"Origin": "null"},
    {},
]


async def test_another_site_can_not_act(world: World) -> None:
    await filled(world)
    admin = await window(world, "admin")
    for path, fields in ACTS.items():
        for headers in FROM_ELSEWHERE:
            answer = await admin.post(path, fields, headers=headers)
            assert answer.status_code == 403, (path, headers)
            assert "set-cookie" not in answer.headers


async def test_an_older_browser_may_act_by_its_origin(world: World) -> None:
    await filled(world)
    admin = await window(world, "admin")
    act = "/key-results/operations/satisfaction_up/check-ins"
    answer = await admin.post(act, {"note": "mine"}, headers={"Origin": "http://krsync.test"})
    assert answer.status_code == 303


async def test_a_form_is_the_only_thing_that_is_taken(world: World) -> None:
    await filled(world)
    token = await world.token("admin")
    headers = {"Cookie": f"{COOKIE}={token}", "Accept": "text/html", **FROM_HERE}
    path = "/key-results/operations/satisfaction_up/check-ins"
    sent = await world.http.post(path, json={"note": "x"}, headers=headers)
    assert sent.status_code == 422
    large = await world.http.post(path, data={"note": "x" * 3_000_001}, headers=headers)
    assert large.status_code in (413, 422)
    many = await world.http.post(path, data={f"f{number}": "x" for number in range(60)}, headers=headers)
    assert many.status_code == 422


async def signed_in(world: World, token: str, next: str = "/", **headers: str) -> httpx.Response:
    return await Window(world, None).post("/login", {"token": token, "next": next}, headers=FROM_HERE | headers)


async def test_the_cookie_is_for_this_site_and_no_script(world: World) -> None:
    answer = await signed_in(world, await world.token("read"))
    cookie = answer.headers["set-cookie"]
    assert answer.status_code == 303
    for flag in ("HttpOnly", "SameSite=strict", "Path=/"):
        assert flag in cookie
    assert "Secure" not in cookie
    assert "Domain" not in cookie
    out = await Window(world, await world.token("read")).post("/logout")
    assert "Max-Age=0" in out.headers["set-cookie"]


async def test_the_cookie_is_kept_from_plain_http_where_the_site_has_better(world: World) -> None:
    token = await world.token("read")
    answer = await world.http.post("https://krsync.test/login", data={"token": token}, headers=FROM_HERE)
    assert "Secure" in answer.headers["set-cookie"]


ELSEWHERE = (
    "//evil.example",
    "https://evil.example/",
    "/\\evil.example",
    "\\\\evil.example",
    "evil",
    "/\t/evil.example",
    "/\r\nSet-Cookie: a=b",
    "javascript:alert(1)",
    "",
)


async def test_signing_in_leads_to_our_own_pages_only(world: World) -> None:
    token = await world.token("read")
    for next in ELSEWHERE:
        answer = await signed_in(world, token, next)
        assert (answer.status_code, answer.headers["location"]) == (303, "/"), next


async def test_signing_in_leads_back_to_where_one_was(world: World) -> None:
    answer = await signed_in(world, await world.token("read"), "/teams/operations?show=stale")
    assert answer.headers["location"] == "/teams/operations?show=stale"


async def test_a_token_in_an_address_is_no_token(world: World) -> None:
    token = await world.token("admin")
    for path in (f"/?token={token}", f"/?{COOKIE}={token}", f"/?access_token={token}"):
        assert (await Window(world, None).get(path)).status_code == 303, path
    assert (await world.http.get(f"/v1/key-results?token={token}")).status_code in (401, 422)
    header = await world.http.get("/", headers={"Authorization": f"Bearer {token}", "Accept": "text/html"})
    assert header.status_code == 303  # pages are for browsers: a header is no sign of one


async def test_the_api_does_not_take_the_cookie(world: World) -> None:
    await filled(world)
    cookie = {"Cookie": f"{COOKIE}={await world.token('admin')}"}
    assert (await world.http.get("/v1/key-results", headers=cookie)).status_code == 401
    assert (await world.http.delete("/v1/key-results/operations/orders_up", headers=cookie)).status_code == 401


async def test_a_revoked_token_is_signed_out(world: World) -> None:
    token = await world.token("read")
    visitor = Window(world, token)
    assert (await visitor.get("/")).status_code == 200
    admin = await world.as_("admin")
    listed = (await world.http.get("/v1/tokens", headers=admin)).json()["items"]
    (mine,) = (item["id"] for item in listed if item["name"] == "read")
    assert (await world.http.delete(f"/v1/tokens/{mine}", headers=admin)).status_code == 204
    assert (await visitor.get("/")).status_code == 303


async def test_scopes_hold(world: World) -> None:
    await filled(world)
    hook = Window(world, await world.token("ingest"))
    assert (await hook.get("/")).status_code == 403
    assert (await signed_in(world, await world.token("ingest"))).status_code == 403
    assert (await (await window(world, "read", "write")).get("/audit")).status_code == 403


async def test_errors_do_not_say_what_was_sent(world: World) -> None:
    await filled(world)
    admin = await window(world, "admin")
    marker = "zqxj<i>"
    for path in (
        f"/{marker}",
        f"/teams/{marker}",
        f"/key-results/operations/{marker}",
        f"/teams/operations/cycles/{marker}",
        f"/deliveries?before={marker}",
        f"/runs?after={marker}",
        f"/static/{marker}",
    ):
        answer = await admin.get(path)
        assert answer.status_code in (404, 422), path
        assert "zqxj" not in answer.text.replace("next=", ""), path
    login = await Window(world, None).post("/login", {"token": marker}, headers=FROM_HERE)
    assert login.status_code == 401
    assert "zqxj" not in login.text
    page = await admin.post(
        "/key-results/operations/satisfaction_up/check-ins", {"note": "x", "value": marker}, headers=FROM_HERE
    )
    assert page.status_code == 422
    assert "zqxj" not in page.text


async def test_static_files_may_be_kept_and_are_only_what_lies_there(world: World) -> None:
    page = (await Window(world, None).get("/login")).text
    for address in re.findall(r'(?:src|href)="(/static/[^"]+)"', page):
        answer = await world.http.get(address)
        assert answer.status_code == 200, address
        assert "immutable" in answer.headers["cache-control"], address
    sheet = (await world.http.get("/static/app.css")).text
    (font,) = re.findall(r'url\("([^"]+)"\)', sheet)
    assert "immutable" in (await world.http.get(f"/static/{font}")).headers["cache-control"]
    for path in ("/static/..%2frender.py", "/static/%2e%2e/render.py", "/static/"):
        assert (await world.http.get(path)).status_code == 404, path
