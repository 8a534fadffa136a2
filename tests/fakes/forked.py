"""Run as a script: the API and a worker as forks of one process that has everything imported, each forked again at
once when it ends. A kill and a new start then cost tenths of a second, not the seconds that importing takes.

Says `url URL`, and `serve PID` and `worker PID` with every start. SIGTERM ends all of it.
"""

import ctypes
import os
import signal
import socket
import sys
import threading
from collections.abc import Callable

import app.main  # imported here, once, before the forks
import app.serving  # noqa: F401
import workers.run  # noqa: F401
from app.cli.running import serve, worker

_PR_SET_PDEATHSIG = 1


def say(text: str) -> None:
    os.write(1, f"{text}\n".encode())


def fork(name: str, run: Callable[[], object]) -> int:
    """Start one; its process id."""
    parent = os.getpid()
    pid = os.fork()
    if pid == 0:
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
        if os.getppid() != parent:
            os._exit(1)
        os.close(0)
        os.dup2(2, 1)  # what is said here is for the test alone
        try:
            run()
        finally:
            os._exit(1)
    say(f"{name} {pid}")
    return pid


def main() -> None:
    assert threading.active_count() == 1, "a fork takes one thread along"
    listener = socket.create_server(("127.0.0.1", 0), backlog=1024)
    os.set_inheritable(listener.fileno(), True)
    say(f"url http://127.0.0.1:{listener.getsockname()[1]}")
    parts: dict[str, Callable[[], object]] = {
        "serve": lambda: serve(host=None, port=None, descriptor=os.dup(listener.fileno())),
        "worker": worker,
    }
    pids = {fork(name, run): name for name, run in parts.items()}
    while True:
        pid, _ = os.wait()
        name = pids.pop(pid)
        pids[fork(name, parts[name])] = name


if __name__ == "__main__":
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
    main()
