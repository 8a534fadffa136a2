"""`python -m bench NAME`: evaluate, reextract, forecast, ingest, jira, live, reads; `--help` says what each takes."""

import argparse
import asyncio

from bench import evaluate, forecast, ingest, jira, live, reads, reextract


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m bench", description=__doc__)
    commands = parser.add_subparsers(required=True, metavar="NAME")
    for module in (evaluate, reextract, forecast, ingest, jira, live, reads):
        command = commands.add_parser(module.NAME, help=module.HELP)
        command.add_argument("--database", metavar="URL", help="an empty database; else SQLite and PostgreSQL in turn")
        module.options(command)
        command.set_defaults(run=module.run)
    arguments = parser.parse_args()
    asyncio.run(arguments.run(arguments))


main()
