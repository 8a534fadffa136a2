"""Every command in the documentation is run, by a real shell at one real `krsync up`, and prints what its page shows.

The service's clock tells the documentation's day. Team files of every page are applied to the same service.
"""

import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import pytest
import yaml

from tests.conftest import _postgres_database
from tests.docs.shell import GIVEN, environment_of, installed, missing_line, offset, run
from tests.docs.snippets import ROOT, Snippet, all_snippets
from tests.docs.team_files import is_organisation, whole
from tests.services_fixtures.postgres import usable_binaries
from tests.services_fixtures.up import FOR_REAL, Up

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="reads /proc, and a terminal's end is Linux's")

SNIPPETS = all_snippets()
PAGES: dict[str, list[Snippet]] = {}
for _snippet in SNIPPETS:
    if _snippet.language == "sh" or _snippet.mark in ("file", "shows"):
        PAGES.setdefault(_snippet.page, []).append(_snippet)
RUN = [page for page, found in PAGES.items() if any(one.language == "sh" and one.mark is None for one in found)]
FILES = [
    one
    for one in SNIPPETS
    if one.language == "yaml" and one.mark not in ("foreign", "not run", "run by", "file") and one.text.strip("# \n")
]
#: Programs that a page's commands need beside a shell.
NEEDED = ("curl", "openssl", "sqlite3")


@dataclass(frozen=True)
class Service:
    """The running service, and the environment in which its users' commands run."""

    environ: dict[str, str]
    http: httpx.Client


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    folder = tmp_path_factory.mktemp("documentation")
    by = offset()
    clock = str(ROOT / "tests" / "docs" / "clock")
    socket = folder / "krsync.sock"
    kept = {name: value for name, value in os.environ.items() if not name.startswith("KRSYNC_")}
    forked = subprocess.Popen(
        [sys.executable, "-P", str(ROOT / "tests" / "docs" / "forked.py"), str(socket)],
        cwd=ROOT,
        env=kept,
        stdin=subprocess.PIPE,
    )
    up = Up(
        FOR_REAL,
        folder / "data",
        PYTHONPATH=clock,
        DOCS_CLOCK_OFFSET=str(by),
        **environment_of(SNIPPETS),
    )
    try:
        up.wait_for("Ctrl-C")
        url = (folder / "data" / "url").read_text().strip()
        token = (folder / "data" / "admin-token").read_text().strip()
        programs = installed(folder / "bin", socket, by)
        environ = kept | {
            "PATH": f"{programs}:{kept['PATH']}",
            "KRSYNC_URL": url,
            "KRSYNC_TOKEN": token,
            "KRSYNC_DATA_DIR": str(folder / "data"),
            "TERM": "xterm",
            "COLUMNS": "140",
            "HOME": str(folder),
            **GIVEN,
        }
        headers = {"authorization": f"Bearer {token}"}
        with httpx.Client(base_url=url, headers=headers, timeout=120, trust_env=False) as http:
            yield Service(environ, http)
    finally:
        if forked.stdin is not None:
            forked.stdin.close()
        forked.wait(120)
        up.close()


@pytest.fixture
def postgres(request: pytest.FixtureRequest) -> Iterator[dict[str, str]]:
    """The addresses of two empty databases, and the programs that fit their server."""
    if os.environ.get("KRSYNC_TEST_POSTGRES"):
        pytest.skip("pg_dump fits the server that the tests start themselves")
    blank = contextmanager(_postgres_database)
    with blank(request) as database, blank(request) as restored:
        yield {
            "DATABASE": database.replace("+asyncpg", ""),
            "RESTORED": restored.replace("+asyncpg", ""),
            "PROGRAMS": str(usable_binaries(Path(), None)),
        }


@pytest.mark.parametrize("page", RUN)
def test_the_commands_of_a_page_run_and_print_what_it_shows(
    service: Service, page: str, tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    lacking = [name for name in NEEDED if shutil.which(name) is None and _mentions(page, name)]
    if lacking:
        pytest.skip(f"the page's commands use {', '.join(lacking)}")
    shutil.copytree(ROOT / "examples", tmp_path / "examples")
    (tmp_path / "krsync").write_text('#!/bin/sh\nexec krsync "$@"\n')
    (tmp_path / "krsync").chmod(0o755)
    (tmp_path / ".krsync").symlink_to(service.environ["KRSYNC_DATA_DIR"])
    environ = dict(service.environ)
    if _mentions(page, "pg_dump"):
        environ |= request.getfixturevalue("postgres")
        environ["PATH"] = f"{environ.pop('PROGRAMS')}:{environ['PATH']}"
    outputs = run(PAGES[page], tmp_path, environ)
    said = ""
    for snippet, output in zip(PAGES[page], outputs, strict=True):
        if snippet.mark == "shows":
            missing = missing_line(snippet.text, said)
            assert missing is None, f"{snippet}: not printed: {missing}\n--- but:\n{said}"
        elif snippet.language == "sh" and snippet.mark is None:
            said = output


def _mentions(page: str, program: str) -> bool:
    return any(re.search(rf"\b{program}\b", one.text) for one in PAGES[page] if one.mark is None)


@pytest.mark.parametrize("snippet", FILES, ids=str)
def test_a_team_file_is_applied_as_it_stands(service: Service, snippet: Snippet) -> None:
    # Nothing is asked of servers of these names.
    text = whole(snippet)
    for server in ("http://prometheus:9090", "https://docs.google.com"):
        text = text.replace(server, "http://127.0.0.1:9")
    if is_organisation(text):
        answer = service.http.post("/v1/organisation/plan", content=text, headers={"content-type": "application/yaml"})
    else:
        team: Any = yaml.safe_load(text)["team"]
        answer = service.http.post(
            f"/v1/teams/{team}/apply", content=text, headers={"content-type": "application/yaml"}
        )
    assert answer.status_code == 200, answer.text


def test_what_is_said_of_gauges_and_counters_is_there(service: Service) -> None:
    page = (ROOT / "docs" / "operate" / "monitor.md").read_text("utf-8")
    told = set(re.findall(r"\bkrsync_[a-z_]+", page)) - {"krsync_"}
    text = service.http.get("/metrics").text
    assert len(told) > 5
    assert {name for name in told if f"\n# TYPE {name.removesuffix('_total')} " not in f"\n{text}"} == set()
