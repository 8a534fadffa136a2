"""`krsync up` keeps its processes together: it heals them, ends them, and leaves none behind."""

import os
import signal
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.services_fixtures.up import PATIENCE, WITH_FAKES, Up, have_ended

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="PR_SET_PDEATHSIG and pidfd are Linux's")


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Callable[..., Up]]:
    started: list[Up] = []

    def begin(data: Path = tmp_path / "data", *, port: int = 0, **environ: str) -> Up:
        started.append(Up(WITH_FAKES, data, str(port), **environ))
        return started[-1]

    yield begin
    for up in started:
        up.close()


def test_it_says_where_it_is_and_where_the_token_lies_but_never_the_token(start: Callable[..., Up]) -> None:
    up = start().ready()
    url = (up.data / "url").read_text().strip()
    assert f"KRSync is at {url}" in up.said
    assert f"The first admin token is in {up.data / 'admin-token'}" in up.said
    assert (up.data / "admin-token").read_text() not in "\n".join(up.said)
    assert up.ask() == up.children["serve"]


def test_the_key_is_its_owners_alone_and_stays_the_same(start: Callable[..., Up]) -> None:
    up = start().ready()
    key = up.data / "secret-key"
    first = key.read_text()
    assert key.stat().st_mode & 0o777 == 0o600
    assert len(bytes.fromhex(first.strip())) == 32
    assert up.end(signal.SIGTERM) == 0
    start().ready()
    assert key.read_text() == first


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_ends_every_child(start: Callable[..., Up], number: signal.Signals) -> None:
    up = start().ready()
    family = up.family()
    assert len(family) == 3  # Valkey, the API, the worker
    assert up.end(number) == 0
    assert have_ended(family, within=0)
    assert not (up.data / "url").exists()


def test_a_child_that_will_not_end_is_killed(start: Callable[..., Up]) -> None:
    up = start(FAKE_STUBBORN="1").ready()
    family = up.family()
    assert up.end(signal.SIGTERM) == 0
    assert have_ended(family, within=0)


def test_nothing_is_orphaned_when_up_itself_is_killed(start: Callable[..., Up]) -> None:
    up = start(FAKE_STUBBORN="1").ready()
    family = up.family()
    assert up.end(signal.SIGKILL) == -signal.SIGKILL
    assert have_ended(family)


@pytest.mark.parametrize("name", ["serve", "worker"])
def test_a_killed_child_is_started_again(start: Callable[..., Up], name: str) -> None:
    up = start().ready()
    before = up.children[name]
    os.kill(before, signal.SIGKILL)
    up.wait_for("The ")
    assert up.said[-1].endswith("ended (signal 9); starting it again")
    up.wait_for(name)
    assert up.children[name] != before
    assert up.ask() == up.children["serve"]


def test_requests_wait_while_the_api_is_started_again(start: Callable[..., Up]) -> None:
    up = start().ready()
    before = up.children["serve"]
    os.kill(before, signal.SIGKILL)
    assert have_ended([before])
    assert up.ask() != before


def test_valkey_is_started_again_at_the_same_place(start: Callable[..., Up]) -> None:
    up = start().ready()
    [valkey] = set(up.family()) - set(up.children.values())
    os.kill(valkey, signal.SIGKILL)
    up.wait_for("Valkey ended (signal 9)")
    assert have_ended([valkey])
    assert up.end(signal.SIGTERM) == 0


def test_a_second_up_on_the_same_data_is_refused(start: Callable[..., Up]) -> None:
    first = start().ready()
    second = start()
    assert f"(process {first.process.pid})" in second.wait_for("refused: ")
    assert second.process.wait(PATIENCE) == 1
    assert first.ask() == first.children["serve"]


def test_a_port_in_use_is_refused(start: Callable[..., Up], tmp_path: Path) -> None:
    first = start().ready()
    port = int((first.data / "url").read_text().rsplit(":", 1)[1])
    second = start(tmp_path / "other", port=port)
    assert f"Port {port} on 127.0.0.1 can not be used" in second.wait_for("refused: ")
    assert second.process.wait(PATIENCE) == 1


def test_an_api_that_can_not_start_ends_everything(start: Callable[..., Up], tmp_path: Path) -> None:
    fifo = tmp_path / "worker-runs"
    os.mkfifo(fifo)
    up = start(FAKE_BROKEN=str(fifo))
    up.wait_for("refused: The API ended before it was ready")
    assert up.process.wait(PATIENCE) == 1
    assert have_ended([up.children["worker"]], within=0)


def test_what_the_environment_gives_takes_the_place_of_the_embedded_part(
    start: Callable[..., Up], redis_url: str, tmp_path: Path
) -> None:
    database = f"sqlite+aiosqlite:///{tmp_path / 'elsewhere.db'}"
    up = start(KRSYNC_REDIS_URL=redis_url, KRSYNC_DATABASE_URL=database).ready()
    assert f"migrate {database}" in up.said
    assert "Starting Valkey" not in up.said
    assert sorted(up.family()) == sorted(up.children.values())
