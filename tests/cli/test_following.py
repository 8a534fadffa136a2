"""`status --watch`: a look when the service tells of something, and now and then where it can not."""

import threading
from collections.abc import Callable, Iterator

import httpx
import pytest
from rich.console import Console

from app.cli import following, reading
from app.cli.client import Service, Target
from app.cli.following import News
from tests.cli.conftest import Krsync
from tests.cli.test_reading import KEY_RESULT, Serving

#: Seconds that a test waits for another thread at most.
PATIENCE = 120.0


class Stream(httpx.SyncByteStream):
    """An event stream that says what it is given, and ends when it is told to."""

    def __init__(self) -> None:
        self._pieces: list[bytes] = []
        self._more = threading.Condition()
        self.is_over = False

    def say(self, text: str, *, is_last: bool = False) -> None:
        with self._more:
            self._pieces.append(text.encode())
            self.is_over = is_last
            self._more.notify_all()

    def __iter__(self) -> Iterator[bytes]:
        while True:
            with self._more:
                while not self._pieces and not self.is_over:
                    self._more.wait(PATIENCE)
                if not self._pieces:
                    return
                piece = self._pieces.pop(0)
            yield piece


def service_of(answer: Callable[[httpx.Request], httpx.Response]) -> Service:
    return Service(Target("http://krsync.test", "okr_test"), transport=httpx.MockTransport(answer))


def told(news: News) -> bool:
    """Whether it wakes by itself in time."""
    done = threading.Event()

    def wait() -> None:
        news.wait()
        done.set()

    threading.Thread(target=wait, daemon=True).start()
    return done.wait(PATIENCE)


def test_news_come_from_the_stream_with_the_token_in_a_header(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(following, "QUIET", 2 * PATIENCE)  # only an event ends a wait in time
    stream, asked = Stream(), []

    def answer(request: httpx.Request) -> httpx.Response:
        asked.append(request)
        return httpx.Response(200, headers={"content-type": "text/event-stream"}, stream=stream)

    with service_of(answer) as service, News(service, 0.01) as news:
        stream.say("event: ready\ndata: {}\n\n")
        assert told(news)
        assert news.is_live
        for _ in range(3):
            stream.say("event: key_result\ndata: {}\n\n")
            assert told(news)
        stream.say("", is_last=True)
    assert asked[0].url.path == "/v1/live"
    assert asked[0].headers["authorization"] == "Bearer okr_test"
    assert not asked[0].url.query


def test_without_a_stream_it_looks_every_so_often() -> None:
    with (
        service_of(lambda request: httpx.Response(404, json={"title": "Not found"})) as service,
        News(service, 0.01) as news,
    ):
        for _ in range(3):
            assert told(news)
        assert not news.is_live


def test_watching_looks_again_when_something_has_changed(
    krsync: Krsync, serving: Serving, monkeypatch: pytest.MonkeyPatch
) -> None:
    looks: list[str] = []
    stream = Stream()

    def answer(request: httpx.Request) -> httpx.Response:
        if request.url.path == "/v1/live":
            return httpx.Response(200, stream=stream)
        if request.url.path == "/v1/metrics":
            return httpx.Response(200, json={"items": [], "next": None})
        looks.append(request.url.path)
        if len(looks) == 3:
            raise KeyboardInterrupt
        stream.say("event: key_result\ndata: {}\n\n")
        return httpx.Response(200, json={"items": [KEY_RESULT], "next": None})

    serving(answer)
    monkeypatch.setattr(reading, "console", Console(force_terminal=True, width=200))
    outcome = krsync("status", "--watch", "--every", "0.5")
    stream.say("", is_last=True)
    assert outcome.code == 0
    assert len(looks) == 3
    assert "onboarding_time" in outcome.out


def test_watching_in_a_pipe_names_the_command_for_it(krsync: Krsync, serving: Serving) -> None:
    serving(lambda request: httpx.Response(200, json={"items": [], "next": None}))
    outcome = krsync("status", "--watch")
    assert (outcome.code, "status --json" in outcome.err) == (2, True)
