"""A tool's base URL as a team writes it: one rule for every connector, in the words of each."""

import pytest
from pydantic import ValidationError
from pydantic_core import PydanticCustomError

from connectors.github import GitHubConfig
from connectors.jira import JiraConfig
from connectors.prometheus import PrometheusConfig
from connectors.urls import base_url, is_loopback

CHECKED = base_url("site's", "https://acme.example")
PLAIN = base_url("server's", "http://server:9090", may_be_plain=True)


@pytest.mark.parametrize(
    "given",
    [
        "https://acme.example",
        "https://acme.example/jira/",
        "http://localhost:8080",
        "http://127.0.0.2",
        "http://[::1]:1",
    ],
)
def test_a_base_url_loses_its_last_slash_only(given: str) -> None:
    assert CHECKED(given) == given.rstrip("/")
    assert PLAIN(given) == given.rstrip("/")


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ("acme.example", "a URL such as https://acme.example"),
        ("https://", "a URL such as"),
        ("https://acme.example/a b", "a URL such as"),
        ("https://acme.example\\@evil.example", "a URL such as"),
        ("https://acme.example:99999", "not a URL"),
        ("https://[::1", "not a URL"),
        ("https://bot:secret@acme.example", "the site's address only"),
        ("https://acme.example?x=1", "the site's address only"),
        ("https://acme.example/#a", "the site's address only"),
        ("http://acme.example", "https:// is required"),
        ("ftp://acme.example", "https:// is required"),
        ("http://localhost.evil.example", "https:// is required"),
    ],
)
def test_what_is_no_base_url_is_refused_without_being_repeated(given: str, words: str) -> None:
    with pytest.raises(PydanticCustomError) as refused:
        CHECKED(given)
    assert words in refused.value.message()
    assert "secret" not in refused.value.message()


def test_a_server_inside_may_be_asked_plainly() -> None:
    assert PLAIN("http://prometheus:9090/") == "http://prometheus:9090"
    with pytest.raises(PydanticCustomError, match="a URL such as http://server:9090"):
        PLAIN("ftp://prometheus:9090")


def test_every_connector_says_it_in_its_words() -> None:
    wrong = {"url": "https://a:b@acme.example", "token": {"env": "TOKEN"}}
    for config, words in ((JiraConfig, "the site's"), (GitHubConfig, "the API's"), (PrometheusConfig, "the server's")):
        with pytest.raises(ValidationError, match=f"{words} address only"):
            config.model_validate(wrong)


def test_this_computer_is_known_by_name_and_address() -> None:
    assert [one for one in ("localhost", "127.1.2.3", "::1", "10.0.0.1", "acme.example") if is_loopback(one)] == [
        "localhost",
        "127.1.2.3",
        "::1",
    ]
