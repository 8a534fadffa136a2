"""Client commands go where they are told, send their token nowhere else, and say by the exit code what went wrong."""

from collections.abc import Callable
from pathlib import Path

import httpx
import pytest

from app.cli.client import Service, Target, default_data_dir, find_target
from app.cli.output import CommandError

Serving = Callable[[Callable[[httpx.Request], httpx.Response]], None]


@pytest.fixture
def local(tmp_path: Path) -> dict[str, str]:
    """The environment of a user with a local `up`."""
    (tmp_path / "url").write_text("http://127.0.0.1:8123\n")
    (tmp_path / "admin-token").write_text("okr_local\n")
    return {"KRSYNC_DATA_DIR": str(tmp_path)}


def test_without_settings_the_local_service_is_meant(local: dict[str, str]) -> None:
    assert find_target(local) == Target("http://127.0.0.1:8123", "okr_local")


def test_settings_come_first(local: dict[str, str]) -> None:
    given = local | {"KRSYNC_URL": "https://okr.example/", "KRSYNC_TOKEN": "okr_mine"}
    assert find_target(given) == Target("https://okr.example", "okr_mine")
    assert find_target(local | {"KRSYNC_TOKEN": "okr_mine"}) == Target("http://127.0.0.1:8123", "okr_mine")


def test_the_local_token_is_sent_to_no_other_place(local: dict[str, str]) -> None:
    with pytest.raises(CommandError, match="no token") as caught:
        find_target(local | {"KRSYNC_URL": "https://okr.example"})
    assert caught.value.exit_code == 2
    assert find_target(local | {"KRSYNC_URL": "http://127.0.0.1:8123/"}).token == "okr_local"


def test_nothing_running_is_out_of_reach(tmp_path: Path) -> None:
    with pytest.raises(CommandError) as caught:
        find_target({"KRSYNC_DATA_DIR": str(tmp_path)})
    assert caught.value.exit_code == 3


@pytest.mark.parametrize("url", ["okr.example", "ftp://okr.example", "http://", "file:///etc/passwd"])
def test_an_address_that_is_none_is_refused(url: str, local: dict[str, str]) -> None:
    with pytest.raises(CommandError) as caught:
        find_target(local | {"KRSYNC_URL": url, "KRSYNC_TOKEN": "okr_mine"})
    assert caught.value.exit_code == 2


def test_a_target_does_not_show_its_token() -> None:
    assert "okr_mine" not in repr(Target("https://okr.example", "okr_mine"))


def test_the_data_of_a_clone_is_beside_it_and_elsewhere_follows_the_environment(tmp_path: Path) -> None:
    assert default_data_dir({}) == Path(__file__).resolve().parents[2] / ".krsync"
    assert default_data_dir({"KRSYNC_DATA_DIR": str(tmp_path)}) == tmp_path


@pytest.mark.parametrize(
    ("status", "code"),
    [(400, 1), (409, 1), (412, 1), (422, 1), (401, 2), (403, 2), (404, 2), (429, 3), (500, 3), (503, 3)],
)
def test_the_exit_code_says_whose_fault_it_was(status: int, code: int) -> None:
    problem = {"title": "Refused", "detail": "because", "errors": [{"pointer": "/a", "code": "x", "detail": "wrong"}]}

    def answer(request: httpx.Request) -> httpx.Response:
        return httpx.Response(status, json=problem, headers={"Content-Type": "application/problem+json"})

    with (
        Service(Target("http://krsync.test", "t"), transport=httpx.MockTransport(answer)) as service,
        pytest.raises(CommandError) as caught,
    ):
        service.get("/v1/teams")
    assert caught.value.exit_code == code
    assert "Refused: because" in str(caught.value)
    assert "/a: wrong" in str(caught.value)


@pytest.mark.parametrize(
    "failure", [httpx.ConnectError("no"), httpx.ReadTimeout("slow"), httpx.RemoteProtocolError("x")]
)
def test_nobody_there_is_out_of_reach(failure: Exception) -> None:
    def answer(request: httpx.Request) -> httpx.Response:
        raise failure

    with (
        Service(Target("http://krsync.test", "t"), transport=httpx.MockTransport(answer)) as service,
        pytest.raises(CommandError, match="does not answer") as caught,
    ):
        service.get("/v1/teams")
    assert caught.value.exit_code == 3


def test_an_error_that_is_no_problem_document_is_shown_all_the_same() -> None:
    def answer(request: httpx.Request) -> httpx.Response:
        return httpx.Response(502, text="<html>Bad Gateway</html>")

    with (
        Service(Target("http://krsync.test", "t"), transport=httpx.MockTransport(answer)) as service,
        pytest.raises(CommandError, match="the service answered 502"),
    ):
        service.get("/v1/teams")


def test_a_list_is_read_to_its_last_page() -> None:
    asked: list[str | None] = []

    def answer(request: httpx.Request) -> httpx.Response:
        cursor = request.url.params.get("after")
        asked.append(cursor)
        assert request.headers["authorization"] == "Bearer okr_mine"
        assert request.url.params["team"] == "ops"
        number = int(cursor or 0)
        return httpx.Response(200, json={"items": [{"n": number}], "next": str(number + 1) if number < 2 else None})

    with Service(Target("http://krsync.test", "okr_mine"), transport=httpx.MockTransport(answer)) as service:
        assert [item["n"] for item in service.items("/v1/key-results", team="ops", q=None)] == [0, 1, 2]
    assert asked == [None, "1", "2"]


def test_a_cursor_that_stands_still_ends_the_list() -> None:
    def answer(request: httpx.Request) -> httpx.Response:
        return httpx.Response(200, json={"items": [{}], "next": "same"})

    with Service(Target("http://krsync.test", "t"), transport=httpx.MockTransport(answer)) as service:
        assert len(list(service.items("/v1/key-results"))) == 2
