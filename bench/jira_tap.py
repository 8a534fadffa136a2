"""`tap-jira` beside the readers of `bench.jira`: it speaks to nothing but https, so it gets a site with a certificate.

It takes its certificate authorities from `certifi` whatever its environment says, so its process finds one there that
knows ours as well.
"""

import json
import os
import re
import subprocess
import time
from datetime import UTC, datetime, timedelta
from ipaddress import IPv4Address
from pathlib import Path
from typing import Any

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

_TRUSTING = """import os, certifi
certifi.where = lambda: os.environ["BENCH_AUTHORITIES"]
"""
_STREAMS = ("issues", "changelogs")


def make_certificate(folder: Path) -> Path:
    """A key and a certificate for 127.0.0.1, in one file."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "127.0.0.1")])
    now = datetime.now(UTC)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.IPAddress(IPv4Address("127.0.0.1"))]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .sign(key, hashes.SHA256())
    )
    both = folder / "site.pem"
    both.write_bytes(
        key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
        + certificate.public_bytes(serialization.Encoding.PEM)
    )
    return both


def read_with_tap(tap: str, url: str, folder: Path) -> dict[str, Any]:
    """Issues and their changelogs, as the tap writes them to a file: how many, seconds of wall and of CPU."""
    (folder / "sitecustomize.py").write_text(_TRUSTING)
    config = {"username": "bot@acme.example", "password": "token", "base_url": url, "user_agent": "bench"}
    (folder / "config.json").write_text(json.dumps(config | {"start_date": "2020-01-01T00:00:00Z"}))
    environment = os.environ | {"PYTHONPATH": str(folder), "BENCH_AUTHORITIES": str(folder / "site.pem")}
    command = [tap, "--config", str(folder / "config.json")]
    catalog = json.loads(_run([*command, "--discover"], environment))
    for stream in catalog["streams"]:
        if stream["tap_stream_id"] in _STREAMS:
            next(one for one in stream["metadata"] if not one["breadcrumb"])["metadata"]["selected"] = True
            for one in stream["metadata"]:
                one["metadata"]["selected"] = True
    (folder / "catalog.json").write_text(json.dumps(catalog))
    before, began = os.times(), time.perf_counter()
    written = _run([*command, "--properties", str(folder / "catalog.json")], environment)
    wall, after = time.perf_counter() - began, os.times()
    cpu = after.children_user + after.children_system - before.children_user - before.children_system
    return {
        "issues": len(re.findall(r'^\{"type": ?"RECORD", "stream": ?"issues"', written, re.MULTILINE)),
        "wall": wall,
        "process": wall,
        "cpu": cpu,
        "process_cpu": cpu,
        "memory": 0.0,
    }


def _run(command: list[str], environment: dict[str, str]) -> str:
    done = subprocess.run(command, capture_output=True, text=True, check=False, env=environment)
    if done.returncode:
        raise RuntimeError(f"{command[0]}: {done.stderr[-800:]}")
    return done.stdout
