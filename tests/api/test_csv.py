"""Key results for a spreadsheet: exact, whole over pages, and nothing that it would compute."""

import csv
import io

import pytest

from app.api.table import safe_cell
from tests.api.conftest import World


def rows(text: str) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO(text, newline="")))


async def test_a_list_as_csv_has_exact_numbers_and_no_formula(world: World) -> None:
    title = '=HYPERLINK("https://evil.example","click")'
    key_results = {
        "satisfaction_up": {"metric": "satisfaction", "baseline": "-6.10", "target": 8, "title": title},
        "orders_up": {"metric": "orders_placed", "baseline": 0, "target": 10, "owner": "@SUM(A1:A9)"},
    }
    await world.apply(objectives={"happy_desk": {"title": "T", "cycle": "2026-Q4", "key_results": key_results}})
    reader, writer = await world.as_("read"), await world.as_("write")
    path = "/v1/metrics/operations/satisfaction/values/2026-11-21"
    await world.http.put(path, json={"value": "-0.1000000000000000000001"}, headers=writer)

    answer = await world.http.get("/v1/key-results?format=csv", headers=reader)
    assert answer.headers["content-type"].startswith("text/csv")
    orders, satisfaction = rows(answer.text)
    assert (satisfaction["title"], orders["owner"]) == (f"'{title}", "'@SUM(A1:A9)")
    assert (satisfaction["baseline"], satisfaction["value"]) == ("-6.10", "-0.1000000000000000000001")
    assert (satisfaction["metric"], satisfaction["unit"]) == ("operations/satisfaction", "score")
    known = await world.http.get(
        "/v1/key-results?format=csv", headers={**reader, "If-None-Match": answer.headers["etag"]}
    )
    assert known.status_code == 304

    first = await world.http.get("/v1/key-results?format=csv&limit=1", headers=reader)
    following = first.links["next"]["url"]
    second = await world.http.get(following, headers=reader)
    assert [row["id"] for row in (*rows(first.text), *rows(second.text))] == [orders["id"], satisfaction["id"]]
    assert "next" not in second.links


@pytest.mark.parametrize("text", ["=1", "+1", "-1", "@A1", "\t=1", "\r=1", "\n=1", " =1", "＝1"])
def test_what_could_be_a_formula_is_text(text: str) -> None:
    assert safe_cell(text) == f"'{text}"


@pytest.mark.parametrize("text", ["", "a=1", "Onboarding - faster", "2026-Q4", "'quoted"])
def test_what_is_plain_stays_as_it_is(text: str) -> None:
    assert safe_cell(text) == text
