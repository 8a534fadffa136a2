"""One command on a fresh machine: `krsync up` for real, and what stays when its parts are killed."""

import os
import signal
import stat
import subprocess
import sys
from pathlib import Path

import pytest

from app.cli.client import Service, find_target
from tests.services_fixtures.up import FOR_REAL, PATIENCE, ROOT, Up, have_ended

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")

TEAM = """\
version: 1
team: ops
title: Operations
metrics:
  satisfaction: {unit: score, manual: {every: 14d}}
objectives:
  better:
    title: Better
    cycle: 2026-Q4
    key_results:
      happy: {metric: satisfaction, baseline: 5, target: 8}
"""


def krsync(up: Up, *arguments: str) -> str:
    """The output of a client command of another process, as a user at the same machine runs it."""
    environ = {name: value for name, value in os.environ.items() if not name.startswith("KRSYNC_")}
    result = subprocess.run(
        [sys.executable, "-P", "-m", "app.cli", *arguments],
        env=environ | {"KRSYNC_DATA_DIR": str(up.data)},
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=PATIENCE,
        check=False,
    )
    assert result.returncode == 0, result.stderr
    return result.stdout


def worker_of(up: Up) -> int:
    """The process id of the worker: the child whose command line ends so."""
    found = [pid for pid in up.family() if Path(f"/proc/{pid}/cmdline").read_bytes().endswith(b"\0worker\0")]
    assert len(found) == 1
    return found[0]


def test_everything_starts_keeps_what_it_was_told_and_ends(tmp_path: Path) -> None:
    data, team = tmp_path / "data", tmp_path / "ops.yaml"
    team.write_text(TEAM)
    up = Up(FOR_REAL, data)
    try:
        up.wait_for("Ctrl-C")
        token = (data / "admin-token").read_text().strip()
        assert token not in "\n".join(up.said)
        for name in ("admin-token", "secret-key", "krsync.db"):
            assert stat.S_IMODE((data / name).stat().st_mode) == 0o600
        assert "applied" in krsync(up, "apply", str(team))
        assert "ops/happy" in krsync(up, "status")
        family = up.family()
        assert up.end(signal.SIGTERM) == 0
        assert have_ended(family, within=0)
    finally:
        up.close()

    again = Up(FOR_REAL, data)
    try:
        again.wait_for("Ctrl-C")
        assert (data / "admin-token").read_text().strip() == token
        assert "ops/happy" in krsync(again, "status")
        assert "satisfaction" in krsync(again, "export", "ops")
    finally:
        again.close()


def test_a_killed_worker_comes_back_and_the_service_goes_on(tmp_path: Path) -> None:
    up = Up(FOR_REAL, tmp_path)
    try:
        up.wait_for("Ctrl-C")
        before = worker_of(up)
        os.kill(before, signal.SIGKILL)
        up.wait_for("The worker ended (signal 9)")
        with Service(find_target({"KRSYNC_DATA_DIR": str(tmp_path)})) as service:
            assert service.request("GET", "/readyz").status_code == 200
            assert list(service.items("/v1/key-results")) == []
        assert have_ended([before])
        up.wait_for_word("worker.started")
        assert worker_of(up) != before
    finally:
        up.close()
