"""Reading Jira: our connector, raw sequential reads, the `jira` package and `tap-jira`, from one fake site.

Each reader is a process of its own; they take turns. The raw reads take every page with every field, one after the
other, and parse nothing: `raw` with Python's own `http.client`, which does the least that can be done, `requests` with
the client that a script would use. The package and the tap emit every field, ours what a dataset holds. Peak memory is
over what the process holds idle. The tap gets the site over https, for it speaks to nothing else.
"""

import argparse
import asyncio
import json
import os
import shutil
import socket
import ssl
import statistics
import subprocess
import sys
import time
import urllib.request
from collections import defaultdict
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from bench.jira_site import SHAPES
from bench.jira_tap import make_certificate, read_with_tap
from bench.report import machine, table

NAME = "jira"
HELP = "reading Jira, against the jira package, tap-jira and raw sequential reads"

_READERS = ("raw", "requests", "ours", "changes")


def options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--issues", type=int, nargs="+", default=[10_000, 100_000], metavar="N")
    parser.add_argument("--latency", type=float, nargs="+", default=[0.0, 0.1], metavar="SECONDS")
    parser.add_argument("--rounds", type=int, default=5, metavar="N", help="of the fast readers (5)")
    parser.add_argument("--shape", choices=list(SHAPES), default="lean", help="of an issue: see bench.jira_site")
    parser.add_argument(
        "--gzip", action="store_true", help="answers compressed, as Jira Cloud's: every reader asks for it"
    )
    parser.add_argument("--readers", nargs="+", choices=_READERS, default=_READERS, help="those that take turns")
    parser.add_argument("--package", action="store_true", help="the jira package too, once, at the fewest issues")
    parser.add_argument("--tap", default=shutil.which("tap-jira"), metavar="PATH", help="of tap-jira: it too, once")


async def run(arguments: argparse.Namespace) -> None:
    print(f"{machine()}, load {os.getloadavg()[0]:.1f}\n")
    for issues in arguments.issues:
        for latency in arguments.latency:
            await asyncio.to_thread(_compare, arguments, issues, latency)


def _compare(arguments: argparse.Namespace, issues: int, latency: float) -> None:
    found: dict[str, list[dict[str, Any]]] = defaultdict(list)
    is_first = issues == min(arguments.issues) and not latency
    with _site(issues, latency, arguments.shape, is_gzip=arguments.gzip) as url:
        for round_number in range(arguments.rounds + 1):
            for name in arguments.readers:
                measured = _read(name, url)
                expected = issues // 100 if name == "changes" else issues
                assert measured["issues"] == expected, (name, measured)
                if round_number:  # the first one warms up
                    found[name].append(measured)
        if arguments.package and is_first:
            found["jira package"].append(_read("jira package", url))
    if arguments.tap and is_first:
        found["tap-jira"].append(_tap(arguments, issues))
    bases = [statistics.median([run["wall"] for run in found.get(name, [])] or [0]) for name in ("raw", "requests")]
    rows = []
    for name, runs in found.items():
        wall = [run["wall"] for run in runs]
        whole = statistics.median(run["process"] for run in runs)
        rows.append(
            [
                name,
                f"{statistics.median(wall):.2f}",
                f"{min(wall):.2f}–{max(wall):.2f}",
                *(f"{statistics.median(wall) / base:.3f}" if base else "" for base in bases),
                f"{whole:.2f}",
                f"{statistics.median(run['cpu'] for run in runs):.2f}",
                f"{statistics.median(run['process_cpu'] for run in runs):.2f}",
                f"{runs[0]['requests']:,}",
                f"{runs[0]['sent'] / 1e6:,.3f}",
                f"{max(run['memory'] for run in runs):.0f}",
            ]
        )
    header = ["reader", "wall s", "spread", "of raw", "of requests", "process s", "CPU s", "process CPU s"]
    header += ["requests", "MB", "peak MB"]
    packed = ", compressed" if arguments.gzip else ""
    print(
        f"{issues:,} {arguments.shape} issues, {latency * 1000:.0f} ms{packed}\n\n{table(header, rows)}\n", flush=True
    )


@contextmanager
def _site(
    issues: int, latency: float, shape: str, *, is_gzip: bool = False, certificate: Path | None = None
) -> Iterator[str]:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    command = ["-m", "bench.jira_site", "--port", str(port), "--issues", str(issues), "--latency", str(latency)]
    command += ["--shape", shape] + (["--certificate", str(certificate)] if certificate else [])
    command += ["--gzip"] if is_gzip else []
    process = subprocess.Popen([sys.executable, *command])
    url = f"{'https' if certificate else 'http'}://127.0.0.1:{port}"
    try:
        while process.poll() is None:
            try:
                _stats(url)
                break
            except OSError:
                time.sleep(0.2)
        yield url
    finally:
        process.kill()
        process.wait()


def _read(name: str, url: str) -> dict[str, Any]:
    _stats(url)
    before, began = os.times(), time.perf_counter()
    command = [sys.executable, "-m", "bench.jira_readers", name, url]
    # Every reader's modules are compiled, as what is installed is: the first round does it.
    environment = {key: value for key, value in os.environ.items() if key != "PYTHONDONTWRITEBYTECODE"}
    done = subprocess.run(command, capture_output=True, text=True, check=False, env=environment)
    if done.returncode:
        raise RuntimeError(f"{name}: {done.stderr[-800:]}")
    measured: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    whole, after = time.perf_counter() - began, os.times()
    cpu = after.children_user + after.children_system - before.children_user - before.children_system
    return measured | {"process": whole, "process_cpu": cpu} | _stats(url)


def _tap(arguments: argparse.Namespace, issues: int) -> dict[str, Any]:
    with TemporaryDirectory() as folder:
        certificate = make_certificate(Path(folder))
        with _site(issues, 0.0, arguments.shape, is_gzip=arguments.gzip, certificate=certificate) as url:
            _stats(url)
            measured = read_with_tap(arguments.tap, url, Path(folder))
            assert measured["issues"] == issues, measured
            return measured | _stats(url)


def _stats(url: str) -> dict[str, Any]:
    unproven = ssl._create_unverified_context() if url.startswith("https") else None
    with urllib.request.urlopen(f"{url}/stats", context=unproven) as answer:
        found: dict[str, Any] = json.load(answer)
    return found
