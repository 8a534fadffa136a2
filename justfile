# The same recipes on a laptop, in pre-commit and in CI. Needs nothing but ./krsync; `just` is a convenience.

# What there is.
default:
    @just --list --unsorted

# Format, lint, types, import contracts, then every test on SQLite, PostgreSQL and Valkey.
check *arguments:
    ./krsync test {{ arguments }}

alias test := check

# The same with the slow runs: faults and soaks.
long *arguments:
    ./krsync test --long {{ arguments }}

# The documentation site into site/, or on a port while you write (--serve).
docs *arguments:
    ./krsync docs {{ arguments }}

# Write the code in the house's format, and mend what the linter can (after a first `./krsync test`).
format:
    .venv/bin/ruff format .
    .venv/bin/ruff check --fix .

# Pin the newest versions that pyproject.toml allows, for Python 3.11 and later on every platform. Needs uv.
lock:
    uv pip compile --quiet --upgrade --universal --python-version 3.11 --no-header --no-annotate \
        --no-emit-index-url --no-emit-find-links pyproject.toml --output-file requirements.lock
    uv pip compile --quiet --upgrade --universal --python-version 3.11 --no-header --no-annotate \
        --no-emit-index-url --no-emit-find-links --constraints requirements.lock --group dev pyproject.toml \
        --output-file requirements-dev.lock

# A new migration from the difference between the tables in the code and an up-to-date database.
migration message:
    #!/bin/sh
    set -eu
    database=$(mktemp --directory)/new.db
    .venv/bin/python -P -c 'import sys; from app.store import migrate as m; m.upgrade(sys.argv[1]); m.create(*sys.argv[1:])' \
        "sqlite+aiosqlite:///$database" "{{ message }}"

# The benchmarks, ours and the yardsticks in one run (docs/performance.md).
bench *arguments:
    .venv/bin/python -P -m bench {{ arguments }}
