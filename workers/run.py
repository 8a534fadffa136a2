"""Starting a worker: the one place outside `workers.main` that knows what runs it."""

from arq.worker import run_worker

from workers.main import WorkerSettings


def run() -> None:
    """Work until SIGTERM or SIGINT."""
    run_worker(WorkerSettings)
