"""Sheets of OKRs as teams keep them, turned into team files: layouts, languages, refusals at their row and column."""

import io
from datetime import date
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from openpyxl import Workbook

from app.domain.document import read_yaml
from app.services.spreadsheet import Imported, Options, SheetError, import_sheet
from app.services.spreadsheet.binding import Binding, advice, probable_binding
from app.services.team_file import check_team_file
from connectors.registry import connectors

ENGLISH = """\
Operations OKRs 2026,,,,,,,,,
,,,,,,,,,
Objective,Key Result,Baseline,Target,Current,Unit,Owner,Quarter,Weight,Kind
O1: Scale internal infrastructure,KR1.1: Onboarding time,15,5,8.7,days,dana@acme.example,Q4 2026,2,committed
,KR1.2: Procurement time,12 days,-25%,,,,,1,aspirational
,KR1.3 ERP availability,,>= 99.9 %,99.95,%,,,,
Lower overhead,Overhead costs,"$1,200,000",$1.056M,"$1,150,000",,erik@acme.example,,50%,
,Launch the supplier portal,,Launched,,,,,,
,Move NPS from 30 to 45,,,,,,,,
"""
GERMAN = """\
Ziel;Schlüsselergebnis;Ausgangswert;Zielwert;Ist-Wert;Einheit;Verantwortlich;Fällig am;Gewichtung;Verbindlichkeit
Schneller liefern;Durchlaufzeit;12,5;8;11,25;Arbeitstage;Jörg Müller;31.12.2026;60 %;verbindlich
;Überstunden um 12 % senken;1.234,5;;;Stunden;;31.12.2026;40 %;ambitioniert
Kosten senken;Gemeinkosten;480;420;;T€;;31.12.2026;;
;Verfügbarkeit ERP;;≥ 99,9;;%;;31.12.2026;;halten
"""


def imported(text: str | bytes, name: str = "okrs.csv", **options: Any) -> Imported:
    data = text.encode() if isinstance(text, str) else text
    return import_sheet(data, name, Options(**{"team": "operations", **options}), connectors())


def tree(result: Imported) -> dict[str, Any]:
    """The file that was made; it is sound, whatever else is wrong with the sheet."""
    value: Any = read_yaml(result.text.encode()).value
    assert check_team_file(value, connectors=connectors()).problems == []
    return value  # type: ignore[no-any-return]


def key_results(result: Imported) -> dict[str, Any]:
    objectives = tree(result)["objectives"].values()
    return {name: one for objective in objectives for name, one in objective["key_results"].items()}


def problems(result: Imported) -> list[str]:
    return [str(remark) for remark in result.remarks if remark.severity == "problem"]


def notes(result: Imported) -> list[str]:
    return [str(remark) for remark in result.remarks if remark.severity == "note"]


def workbook(*rows: tuple[Any, ...], merge: tuple[str, ...] = (), formats: dict[str, str] | None = None) -> bytes:
    """A workbook with one sheet."""
    book = Workbook()
    sheet = book.active
    assert sheet is not None
    for row in rows:
        sheet.append(row)
    for area in merge:
        sheet.merge_cells(area)
    for place, number_format in (formats or {}).items():
        sheet[place].number_format = number_format
    target = io.BytesIO()
    book.save(target)
    return target.getvalue()


# --- whole sheets ----------------------------------------------------------------------------------------------------


def test_an_english_sheet_becomes_a_team_file() -> None:
    result = imported(ENGLISH)
    assert problems(result) == []
    file = tree(result)
    assert file["team"] == "operations"
    first, second = file["objectives"]["scale_internal_infrastructure"], file["objectives"]["lower_overhead"]
    assert (first["title"], first["cycle"], second["cycle"]) == ("Scale internal infrastructure", "2026-Q4", "2026-Q4")
    found = key_results(result)
    assert found["onboarding_time"] == {
        "title": "Onboarding time",
        "metric": "onboarding_time",
        "baseline": 15,
        "target": 5,
        "kind": "committed",
        "weight": 2,
        "owner": "dana@acme.example",
    }
    assert (found["procurement_time"]["baseline"], found["procurement_time"]["target"]) == (12, {"change": "-25%"})
    assert found["erp_availability"]["target"] == {"maintain": ">= 99.9"}
    assert (found["overhead_costs"]["baseline"], found["overhead_costs"]["target"]) == (1200000, 1056000)
    assert found["overhead_costs"]["weight"] == 50
    assert (found["move_nps_from_30_to_45"]["baseline"], found["move_nps_from_30_to_45"]["target"]) == (30, 45)
    units = {name: metric["unit"] for name, metric in file["metrics"].items()}
    assert units == {
        "onboarding_time": "days",
        "procurement_time": "days",
        "erp_availability": "percent",
        "overhead_costs": "USD",
        "launch_the_supplier_portal": "percent",
        "move_nps_from_30_to_45": "score",
    }
    assert file["metrics"]["launch_the_supplier_portal"]["milestones"] == [
        {"name": "Launch the supplier portal", "done": "manual"}
    ]
    assert [(one.metric, one.value, one.row + 1) for one in result.values] == [
        ("onboarding_time", Decimal("8.7"), 4),
        ("erp_availability", Decimal("99.95"), 6),
        ("overhead_costs", Decimal(1150000), 7),
    ]


def test_a_german_sheet_becomes_a_team_file() -> None:
    result = imported(GERMAN)
    assert problems(result) == []
    file, found = tree(result), key_results(result)
    assert {one["cycle"] for one in file["objectives"].values()} == {"2026-Q4"}
    assert (found["durchlaufzeit"]["baseline"], found["durchlaufzeit"]["target"]) == (Decimal("12.5"), 8)
    assert (found["durchlaufzeit"]["owner"], found["durchlaufzeit"]["kind"]) == ("Jörg Müller", "committed")
    overtime = found["ueberstunden_um_12_percent_senken"]
    assert (overtime["baseline"], overtime["target"], overtime["weight"]) == (Decimal("1234.5"), {"change": "-12%"}, 40)
    assert (found["gemeinkosten"]["baseline"], found["gemeinkosten"]["target"]) == (480000, 420000)
    assert found["verfuegbarkeit_erp"]["target"] == {"maintain": ">= 99.9"}
    assert file["metrics"]["durchlaufzeit"]["unit"] == "business_days"
    assert file["metrics"]["gemeinkosten"]["unit"] == "EUR"


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "cp1252"])
def test_the_encodings_that_spreadsheets_write(encoding: str) -> None:
    text = GERMAN.replace("≥", ">=")
    assert imported(text.encode(encoding)).text == imported(text).text


@pytest.mark.parametrize("delimiter", [",", ";", "\t", "|"])
def test_the_delimiters_that_spreadsheets_write(delimiter: str) -> None:
    rows = [("Objective", "Key result", "Baseline", "Target", "Unit"), ("Faster", "Lead time", "15.5", "5", "days")]
    text = "\r\n".join(delimiter.join(row) for row in rows)
    assert key_results(imported(text, cycle="2026-Q4"))["lead_time"]["baseline"] == Decimal("15.5")


HIERARCHIES = {
    "prefixes": """\
OKR,Start,Target,Unit
Objective 1: Faster,,,
KR 1.1: Lead time,15,5,days
KR 1.2 - Wait,4,1,days
Objective 2: Cheaper,,,
KR 2.1: Cost,10,8,EUR
""",
    "types": """\
Type,Title,Baseline,Target,Unit
Objective,Faster,,,
Key Result,Lead time,15,5,days
KR,Wait,4,1,days
O,Cheaper,,,
KR,Cost,10,8,EUR
""",
    "numbers": """\
No.,Objectives & Key Results,Baseline,Target,Unit
1,Faster,,,
1.1,Lead time,15,5,days
1.2,Wait,4,1,days
2,Cheaper,,,
2.1,Cost,10,8,EUR
""",
    "indents": """\
Objective / Key Result,Baseline,Target,Unit
Faster,,,
  Lead time,15,5,days
  Wait,4,1,days
Cheaper,,,
  Cost,10,8,EUR
""",
    "lists": """\
OKR;Baseline;Target;Unit
1. Faster;;;
1.1. Lead time;15;5;days
1.2) Wait;4;1;days
2. Cheaper;;;
1. Cost;10;8;EUR
""",
    "bullets": """\
Goals,From,To,Unit
Faster,,,
- Lead time,15,5,days
• Wait,4,1,days
Cheaper,,,
* Cost,10,8,EUR
""",
    "measures alone": """\
Title,Baseline,Target,Unit
Faster,,,
Lead time,15,5,days
Wait,4,1,days
Cheaper,,,
Cost,10,8,EUR
""",
    "an objective's own row": """\
Objective,Key Result,Baseline,Target,Unit
Faster,,,,
,Lead time,15,5,days
,Wait,4,1,days
Cheaper,,,,
,Cost,10,8,EUR
""",
    "repeated": """\
Objective,Key Result,Baseline,Target,Unit
Faster,Lead time,15,5,days
Faster,Wait,4,1,days
Cheaper,Cost,10,8,EUR
""",
    "a range": """\
Objective,Key Result,Baseline → Target
Faster,Lead time,15 → 5 days
,Wait,from 4 to 1 days
Cheaper,Cost,€10 -> €8
""",
    "in the titles": """\
Objective,Key Result
Faster,Lead time: 15 → 5 days
,Wait from 4 to 1 days
Cheaper,Cost from €10 to €8
""",
    "misspelt headers and totals": """\
Objektive,Key Reslt,Basline,Taget,Unit
Faster,Lead time,15,5,days
,Wait,4,1,days
Cheaper,Cost,10,8,EUR
Total,,29,14,
""",
}


@pytest.mark.parametrize("name", HIERARCHIES)
def test_objectives_and_key_results_are_told_apart(name: str) -> None:
    result = imported(HIERARCHIES[name], cycle="2026-Q4")
    assert problems(result) == []
    shape = {
        objective["title"]: [(one["baseline"], one["target"]) for one in objective["key_results"].values()]
        for objective in tree(result)["objectives"].values()
    }
    assert shape == {"Faster": [(15, 5), (4, 1)], "Cheaper": [(10, 8)]}
    assert [metric["unit"] for metric in tree(result)["metrics"].values()] == ["days", "days", "EUR"]


# --- workbooks -------------------------------------------------------------------------------------------------------

HEADERS = ("Objective", "Key Result", "Baseline", "Target", "Current", "Unit", "Owner", "Due date")


def test_a_workbook_with_merged_cells_and_formats() -> None:
    data = workbook(
        HEADERS,
        ("Better service", "First response", 24, 4, 8.1 + 0.2, "hours", "dana", date(2026, 12, 31)),
        (None, "Availability", 0.985, 0.999, 0.99, None, None, date(2026, 12, 31)),
        ("Lower costs", "Overhead", 480000, 422400, None, None, None, date(2026, 12, 31)),
        merge=("A2:A3", "G2:G3"),
        formats={"C3": "0.0%", "D3": "0.0%", "E3": "0%", "C4": '#,##0.00 "€"', "D4": "#,##0.00 [$€-407]"},
    )
    result = imported(data, "okrs.xlsx")
    assert problems(result) == []
    found, file = key_results(result), tree(result)
    assert (found["availability"]["baseline"], found["availability"]["target"]) == (Decimal("98.5"), Decimal("99.9"))
    assert [found[name].get("owner") for name in found] == ["dana", "dana", None]
    assert [metric["unit"] for metric in file["metrics"].values()] == ["hours", "percent", "EUR"]
    assert [(one.metric, one.value) for one in result.values] == [
        ("first_response", Decimal("8.3")),  # as the sheet shows 8.299999999999999
        ("availability", Decimal(99)),
    ]
    assert {one["cycle"] for one in file["objectives"].values()} == {"2026-Q4"}


def test_a_merged_key_result_is_one() -> None:
    data = workbook(
        ("Objective", "Key Result", "Baseline", "Target"),
        ("Faster", "Lead time", 15, 5),
        (None, None, None, None),
        merge=("A2:A3", "B2:B3", "C2:C3", "D2:D3"),
    )
    assert list(key_results(imported(data, "a.xlsx", cycle="2026-Q4"))) == ["lead_time"]


def test_the_sheet_of_a_workbook_is_chosen() -> None:
    book = Workbook()
    first = book.active
    assert first is not None
    first.append(("Nothing", "here"))
    second = book.create_sheet("OKRs")
    second.append(("Objective", "Key Result", "Baseline", "Target"))
    second.append(("Faster", "Lead time", 15, 5))
    target = io.BytesIO()
    book.save(target)
    with pytest.raises(SheetError, match="no row of headers"):
        imported(target.getvalue(), "a.xlsx", cycle="2026-Q4")
    assert list(key_results(imported(target.getvalue(), "a.xlsx", cycle="2026-Q4", sheet="OKRs"))) == ["lead_time"]
    with pytest.raises(SheetError, match="there are Sheet, OKRs"):
        imported(target.getvalue(), "a.xlsx", cycle="2026-Q4", sheet="OKR")


def test_a_formula_without_a_stored_value_is_said() -> None:
    data = workbook(("Objective", "Key Result", "Baseline", "Target"), ("Faster", "Lead time", "=10+5", 5))
    result = imported(data, "a.xlsx", cycle="2026-Q4")
    assert problems(result) == ["2:C: this formula has no stored value: open and save the workbook once"]


def test_a_day_where_a_number_is_expected_is_said() -> None:
    rows = (("Faster", "Lead time", date(2026, 5, 1), 5), (None, "Wait", 4, 1))
    data = workbook(("Objective", "Key Result", "Baseline", "Target"), *rows)
    (line,) = problems(imported(data, "a.xlsx", cycle="2026-Q4"))
    assert line.startswith("2:C:")
    assert "2026-05-01" in line


# --- one row ---------------------------------------------------------------------------------------------------------


def row(baseline: str = "15", target: str = "5", unit: str = "", title: str = "Lead time", **options: Any) -> Imported:
    """A sheet with one key result."""
    cells = ";".join('"' + cell.replace('"', '""') + '"' for cell in ("Faster", title, baseline, target, unit))
    text = f"Objective;Key Result;Baseline;Target;Unit\n{cells}\n"
    return imported(text, **{"cycle": "2026-Q4", "decimal": ".", **options})


@pytest.mark.parametrize(
    ("baseline", "target", "unit", "expected"),
    [
        ("15", "5", "days", (15, 5, "days")),
        ("15 Tage", "5", "", (15, 5, "days")),
        ("15 days", "5 d", "Tage", (15, 5, "days")),
        ("1.234,5", "1.000,0", "", ("1234.5", 1000, "count")),
        ("1,234.5", "999", "", ("1234.5", 999, "count")),
        ("1 234,5", "1\u00a0000,5", "", ("1234.5", "1000.5", "count")),
        ("1'234.50", "1’000", "CHF", ("1234.5", 1000, "CHF")),
        ("80 %", "95%", "", (80, 95, "percent")),
        ("80", "95", "%", (80, 95, "percent")),
        ("$1.2M", "$900k", "", (1200000, 900000, "USD")),
        ("1,2 Mio. €", "900 T€", "", (1200000, 900000, "EUR")),
        ("1.2", "0.9", "€M", (1200000, 900000, "EUR")),
        ("€14 per ticket", "9 EUR/ticket", "", (14, 9, "EUR/ticket")),
        ("(3,000.5)", "0", "EUR", ("-3000.5", 0, "EUR")),
        ("−5", "5", "points", (-5, 5, "points")),
        ("4h", "90", "hours", (4, 90, "hours")),
        ("0.125", ".05", "", ("0.125", "0.05", "count")),
        ("", "15 → 5 days", "", (15, 5, "days")),
        ("", "from 15 to 5 days", "", (15, 5, "days")),
        ("", "von 15 auf 5 Tage", "", (15, 5, "days")),
        ("", "1.2 → 1.5M", "USD", (1200000, 1500000, "USD")),
        ("ca. 15", "≤ 5", "days", (15, 5, "days")),
        ("12 open tickets", "3", "", (12, 3, "open tickets")),
        ("15", "5", "true", (15, 5, "true")),
    ],
)
def test_numbers_as_people_write_them(baseline: str, target: str, unit: str, expected: tuple[Any, ...]) -> None:
    result = row(baseline, target, unit)
    assert problems(result) == []
    (one,) = key_results(result).values()
    (metric,) = tree(result)["metrics"].values()
    assert (Decimal(one["baseline"]), Decimal(one["target"])) == (Decimal(expected[0]), Decimal(expected[1]))
    assert metric["unit"] == expected[2]


@pytest.mark.parametrize(
    ("baseline", "target", "title", "expected"),
    [
        ("200", "-25%", "Costs", {"change": "-25%"}),
        ("200", "+10 %", "Revenue", {"change": "+10%"}),
        ("200", "+3", "Customers", {"change": "+3"}),
        ("200", "reduce by 25 %", "Costs", {"change": "-25%"}),
        ("200", "", "Cut overhead by 12.5%", {"change": "-12.5%"}),
        ("", ">= 99.9", "Uptime", {"maintain": ">= 99.9"}),
        ("", "mindestens 99.9", "Uptime", {"maintain": ">= 99.9"}),
        ("", "at most 2", "Incidents", {"maintain": "<= 2"}),
        ("", "< 2", "Incidents", {"maintain": "< 2"}),
        ("", "", "Keep uptime above 99.9 %", {"maintain": "> 99.9"}),
        ("95", "95", "Maintain satisfaction", {"maintain": ">= 95"}),
    ],
)
def test_changes_and_bounds(baseline: str, target: str, title: str, expected: dict[str, str]) -> None:
    result = row(baseline, target, title=title)
    assert problems(result) == []
    (one,) = key_results(result).values()
    assert one["target"] == expected


@pytest.mark.parametrize(
    ("baseline", "target", "unit", "said"),
    [
        ("abc", "5", "", "C: “abc” is not a number"),
        ("15", "5 or 6", "", "D: “5 or 6” is not a number"),
        ("15", "", "", "D: no target is said"),
        ("", "5", "", "C: no baseline is said"),
        ("5", "5", "", "D: baseline and target are equal"),
        ("15 days", "5 hours", "", "D: the units differ: “days” and “hours”"),
        ("15 days", "5", "hours", "E: the units differ"),
        ("4 %", "-50%", "", "D: -50% of a percentage"),
        ("", "-25%", "", "C: -25% of what?"),
        ("#REF!", "5", "", "C: the sheet itself has an error here: #REF!"),
        ("=A1", "5", "", "C: this is a formula"),
        ("@SUM(1)", "5", "", "C: this is a formula"),
        ("+cmd|' /C calc'!A0", "5", "", "C: this is a formula"),
        ("(15", "5", "", "C: “(15” has a bracket that is not closed"),
        ("1" * 29, "5", "", "has more than 28 digits"),
        ("15", "1e300000", "", "D: “1e300000” is not a number"),
        ("15", "Infinity", "", "D: “Infinity” is not a number"),
        ("NaN", "NaN", "", "D: “NaN” is not a number"),
    ],
)
def test_what_is_wrong_is_said_with_row_and_column(baseline: str, target: str, unit: str, said: str) -> None:
    result = row(baseline, target, unit)
    (line,) = problems(result)
    assert line.startswith("2:")
    assert said in line
    assert result.key_results == 0


@pytest.mark.parametrize("title", ["=1+1", "…", "x" * 201, "\u202e"])
def test_an_objective_without_a_title_takes_its_key_results_with_it(title: str) -> None:
    text = f"Objective,Key Result,Baseline,Target\n{title},Lead time,15,5\nCheaper,Cost,10,8\n"
    result = imported(text, cycle="2026-Q4")
    assert problems(result)[0].startswith("2:A: ")
    assert list(key_results(result)) == ["cost"]


def test_a_number_that_can_be_read_in_two_ways_is_not_guessed_in_silence() -> None:
    text = "Objective,Key Result,Baseline,Target\nFaster,Orders,{},{}\n"

    def read(baseline: str, target: str, **options: Any) -> tuple[Any, list[str], list[str]]:
        result = imported(text.format(baseline, target), cycle="2026-Q4", **options)
        found = key_results(result) if result.key_results else {}
        return found.get("orders", {}).get("baseline"), problems(result), notes(result)

    assert read("1.234", "2.5")[:2] == (Decimal("1.234"), [])
    assert read("1.234", '"2,5"')[:2] == (1234, [])
    assert read("1.234", "9", decimal=",")[:2] == (1234, [])
    value, wrong, noted = read("1.234", "9")
    assert (value, wrong) == (Decimal("1.234"), [])
    assert any("read as 1.234; --decimal" in line for line in noted)
    text = 'Objective,Key Result,Baseline,Target\nFaster,Orders,{},{}\n,Weight,2.5,"3,5"\n'
    assert "say --decimal" in read("1.234", "9")[1][0]


@pytest.mark.parametrize(("title", "unit"), [("Revenue (USD)", "USD"), ("Lead time [days]", "days"), ("NPS", "score")])
def test_the_title_can_say_the_unit(title: str, unit: str) -> None:
    (metric,) = tree(row(title=title))["metrics"].values()
    assert metric["unit"] == unit


def test_a_delimiter_within_cells_is_none() -> None:
    text = "Objective,Key Result,Baseline,Target\n" + ",a;b;c;d;e,1,2\n" * 5
    assert len(key_results(imported(text.replace("\n,", "\nFaster,", 1), cycle="2026-Q4"))) == 5


def test_a_count_at_the_beginning_of_a_title_stays() -> None:
    (one,) = key_results(row("0", "2", "offices", title="2 new offices opened")).values()
    assert one["title"] == "2 new offices opened"


def test_from_no_to_yes_is_a_step_to_tick() -> None:
    result = row("no", "yes", title="Handbook is public")
    assert problems(result) == []
    (metric,) = tree(result)["metrics"].values()
    assert metric["milestones"] == [{"name": "Handbook is public", "done": "manual"}]


# --- when ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("header", "cells", "cycle"),
    [
        ("Cycle", "Q4 2026", "2026-Q4"),
        ("Quartal", "4. Quartal 2026", "2026-Q4"),
        ("Period", "2026/H2", "2026-H2"),
        ("Zeitraum", "2. Halbjahr 2026", "2026-H2"),
        ("Period", "Nov 2026", "2026-11"),
        ("Period", "FY2026", "2026"),
        ("Period", "Oct - Dec 2026", "2026-Q4"),
        ("Period", "Q1-Q2 2026", "2026-H1"),
        ("Period", "Q4 2026 (Oct - Nov)", "2026-Q4"),
        ("Period", "Jahr 2026", "2026"),
        ("Start date,End date", "2026-10-01,2026-12-31", "2026-Q4"),
        ("Start,End", "01.07.2026,31.12.2026", "2026-H2"),
        ("Due", '"Dec 31, 2026"', "2026-Q4"),
        ("Frist", "31. Dezember 2026", "2026-Q4"),
        ("Start date,Due date", "2026-09-15,2026-11-30", "from_2026_09_15_to_2026_11_30"),
    ],
)
def test_cycles_and_days_as_people_write_them(header: str, cells: str, cycle: str) -> None:
    result = imported(f"Objective,Key Result,Baseline,Target,{header}\nFaster,Lead time,15,5,{cells}\n")
    assert problems(result) == []
    file = tree(result)
    assert str(file["objectives"]["faster"]["cycle"]) == cycle
    if cycle.startswith("from"):
        assert file["cycles"] == {cycle: {"start": "2026-09-15", "end": "2026-12-01"}}


@pytest.mark.parametrize(
    "cell",
    [
        "Q5 2026",
        "2026-Q5",
        "H3 2026",
        "2026-13",
        "2026/27",
        "2026-2027",
        "Summer 2026",
        "Q4 2026 / Q1 2027",
        "Q2-Q3 2026",
    ],
)
def test_a_part_of_a_year_that_is_not_understood_is_not_the_whole_year(cell: str) -> None:
    result = imported(f"Objective,Key Result,Baseline,Target,Cycle\nFaster,Lead time,15,5,{cell}\n")
    assert len(problems(result)) == 1
    assert f"“{cell}” is not a cycle" in problems(result)[0]


def test_a_header_or_the_call_can_say_the_cycle() -> None:
    assert "cycle: 2027-Q1" in imported("Objective,Key Result,Start,Target Q1 2027\nFaster,Lead time,15,5\n").text
    plain = "Objective,Key Result,Start,Target\nFaster,Lead time,15,5\n"
    assert "cycle: 2026-H1" in imported(plain, cycle="2026-H1").text
    assert "say --cycle" in problems(imported(plain))[0]
    with pytest.raises(SheetError, match="a cycle is"):
        imported(plain, cycle="Q4")
    quarters = "Objective,Key Result,Start,Target,Quarter\nFaster,Lead time,15,5,Q3\n"
    assert "cycle: 2026-Q3" in imported(quarters, cycle="2026").text
    assert problems(imported(quarters)) == ["2:E: “Q3” does not say its year: say --cycle 2026-Q4, or write the year"]


def test_the_same_objective_in_two_cycles_is_two() -> None:
    text = "Objective,Key Result,Start,Target,Cycle\nFaster,Lead time,15,10,2026-Q3\n,Lead time,10,5,2026-Q4\n"
    file = tree(imported(text))
    assert {name: one["cycle"] for name, one in file["objectives"].items()} == {
        "faster": "2026-Q3",
        "faster_2": "2026-Q4",
    }
    assert list(file["metrics"]) == ["lead_time", "lead_time_2"]


def test_a_day_that_can_be_read_in_two_ways_is_asked_about() -> None:
    text = "Objective,Key Result,Start,Target,Due\nFaster,Lead time,15,5,3/4/2026\n"
    assert "say --dates" in problems(imported(text))[0]
    assert "cycle: 2026-Q2" in imported(text, dates="dmy").text
    assert "cycle: 2026-Q1" in imported(text, dates="mdy").text
    assert "cycle: 2026-Q2" in imported(text + ",Wait,15,5,30/4/2026\n").text


def test_a_due_date_within_the_cycle_is_kept_as_a_comment() -> None:
    text = "Objective,Key Result,Start,Target,Cycle,Due\nFaster,Lead time,15,5,2026-Q4,2026-11-30\n"
    result = imported(text)
    assert "lead_time: # due 2026-11-30" in result.text
    assert any("due 2026-11-30" in line for line in notes(result))


def test_due_dates_beside_cycles_and_days_that_are_none_are_no_targets() -> None:
    lines = ["Faster,Lead time,15,5,31.12.2026", ",Wait,9,4,Q4 2026", ",Queue,8,3,30.02.2026"]
    result = imported("\n".join(["Objective,Key Result,Start,Target,Due", *lines]) + "\n", cycle="2026-Q4")
    assert [note for note in notes(result) if "two columns" in note] == []
    assert [line[:3] for line in problems(result)] == ["3:E", "4:E"]
    assert "Lead time" in result.text


# --- teams, hints, hostile cells -------------------------------------------------------------------------------------

TEAMS = (
    "Team,Objective,Key Result,Start,Target\nIT Operations,Faster,Lead time,15,5\nSales,More,Deals,1,2\n,,Calls,3,4\n"
)


def test_one_team_of_several() -> None:
    with pytest.raises(SheetError, match="say --team with one of IT Operations, Sales"):
        imported(TEAMS, team=None, cycle="2026-Q4")
    file = tree(imported(TEAMS, team="it_operations", cycle="2026-Q4"))
    assert (file["team"], file["title"], list(file["metrics"])) == ("it_operations", "IT Operations", ["lead_time"])
    assert list(tree(imported(TEAMS, team="Sales", cycle="2026-Q4"))["metrics"]) == ["deals", "calls"]
    with pytest.raises(SheetError, match="there are IT Operations, Sales"):
        imported(TEAMS, team="support", cycle="2026-Q4")


@pytest.mark.parametrize(
    ("title", "hint"),
    [
        ("Close tickets in time", "probably known to a jira connection (tickets)"),
        ("ERP uptime", "probably known to a webhook connection (erp)"),
        ("Something else", "no tool is named"),
    ],
)
def test_a_comment_says_where_the_value_probably_is(title: str, hint: str) -> None:
    assert hint in row(title=title).text


@pytest.mark.parametrize(
    ("title", "connector", "word"),
    [
        ("Availability of the shop", "prometheus", "availability"),
        ("Overhead costs", "sql", "overhead"),
        ("Reviews of merged code", "github", "reviews"),
    ],
)
def test_the_comment_knows_which_connectors_there_are(title: str, connector: str, word: str) -> None:
    binding = probable_binding(title)
    assert binding == Binding(connector, word)
    assert advice(binding, [connector]) == f"probably known to a {connector} connection ({word})"
    assert advice(binding, []) == f"probably known to {connector} ({word}): a webhook or a script can say it"


HOSTILE = [
    'x"\n  evil: true # y',
    "x\u2028metrics: {}",
    "a: {b: c}",
    "- [x",
    "*alias &anchor !!python/object",
    "${HOME} %s {{x}}",
    "<script>alert(1)</script>",
    "\u202egnirts",
    "null",
    "1e5",
    "# comment",
]


@pytest.mark.parametrize("title", HOSTILE)
def test_no_title_gets_out_of_its_quotes(title: str) -> None:
    result = row(title=title)
    assert problems(result) == []
    file = tree(result)
    (one,) = key_results(result).values()
    assert set(file) == {"version", "team", "metrics", "objectives"}
    assert one["title"].isprintable()
    assert (one["baseline"], one["target"]) == (15, 5)


@settings(deadline=None, max_examples=150)
@given(st.lists(st.lists(st.text(max_size=12), min_size=1, max_size=7), max_size=6))
def test_whatever_stands_in_the_cells_there_is_an_answer(rows: list[list[str]]) -> None:
    head = ["Objective", "Key Result", "Baseline", "Target", "Unit", "Due", "Weight"]
    lines = [
        ",".join('"' + cell.replace('"', '""').replace("\x00", "") + '"' for cell in cells) for cells in [head, *rows]
    ]
    data = "\n".join(lines).encode("utf-8", "replace")
    result = imported(data, cycle="2026-Q4")
    assert check_team_file(read_yaml(result.text.encode()).value, connectors=connectors()).problems == []


@pytest.mark.parametrize(
    ("data", "name", "said"),
    [
        (b"", "a.csv", "no row of headers"),
        (b"\x00\x01\x02", "a.csv", "not text"),
        (b"\xd0\xcf\x11\xe0old", "a.xls", "save it as .xlsx"),
        (b"PK\x03\x04broken", "a.xlsx", "can not be read"),
        (b"a,b\n1,2\n", "a.csv", "no row of headers"),
        (b"Ziel,Start\n5,1\n6,2\n", "a.csv", "no row of headers"),
        (b"x" * (10 * 1024 * 1024 + 1), "a.csv", "larger than 10 MiB"),
        (b"Objective,Key Result,Target\n" + b"a,b,1\n" * 2001, "a.csv", "more than 2000 rows"),
        (b"Objective," + b"," * 200, "a.csv", "more than 100 columns"),
    ],
)
def test_what_is_no_sheet_of_okrs_is_refused(data: bytes, name: str, said: str) -> None:
    with pytest.raises(SheetError, match=said):
        imported(data, name)


def test_the_same_sheet_makes_the_same_file() -> None:
    assert imported(ENGLISH).text == imported(ENGLISH).text
    assert imported(ENGLISH).text.startswith("# yaml-language-server: $schema=krsync.schema.json\n")
