"""`krsync` commands without a second of imports each: a process that has imported them forks for every call.

    python forked.py SOCKET              serves, until its standard input ends
    python forked.py SOCKET ARGUMENT…    a call: same folder, environment, input and output, same exit code

What would start a second service or the suite itself is not run: its arguments are checked. What goes on until Ctrl-C
gets one, after its first seconds. What reads numbers waits until the service has applied what was sent, as a person
would look again.
"""

import json
import os
import signal
import socket
import sys


def call(path: str, arguments: list[str]) -> int:
    """Hand everything over and return the exit code."""
    with socket.socket(socket.AF_UNIX) as line:
        line.connect(path)
        told = json.dumps({"arguments": arguments, "folder": os.getcwd(), "environment": dict(os.environ)}).encode()
        socket.send_fds(line, [len(told).to_bytes(4, "big")], [0, 1, 2])
        line.sendall(told)
        answer = line.recv(1)
        return answer[0] if answer else 255


def serve(path: str) -> None:
    """Fork for every call, until nobody is there to call."""
    import importlib
    import threading
    from pathlib import Path

    # A console that is made while this is set keeps to it, whatever a call says.
    os.environ.pop("COLUMNS", None)
    import app.cli

    for module in Path(app.cli.__file__).parent.glob("*.py"):
        if not module.stem.startswith("__"):
            importlib.import_module(f"app.cli.{module.stem}")
    for name in ("app.services.team_file", "app.services.templates", "connectors.registry", "rich.progress", "httpx"):
        importlib.import_module(name)
    assert threading.active_count() == 1, "a process with threads must not fork"
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(path)
        listener.listen(16)
        if os.fork() == 0:  # the server proper; its parent waits for the end of our input and ends it
            while True:
                line, _ = listener.accept()
                if os.fork() == 0:
                    listener.close()
                    _answer(line)
                line.close()
        sys.stdin.read()
        os.killpg(0, signal.SIGTERM)


def _answer(line: socket.socket) -> None:
    head, descriptors, _, _ = socket.recv_fds(line, 4, 3)
    size = int.from_bytes(head, "big")
    told = b""
    while len(told) < size:
        told += line.recv(size - len(told))
    given = json.loads(told)
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    for number, descriptor in enumerate(descriptors):
        os.dup2(descriptor, number)
    os.chdir(given["folder"])
    os.environ.clear()
    os.environ.update(given["environment"])
    code = 70
    try:
        code = _run(given["arguments"])
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        line.sendall(bytes([code]))
        os._exit(code)


def _run(arguments: list[str]) -> int:
    from typer.main import get_command

    import app.cli

    if arguments and arguments[0] in ("up", "serve", "worker", "test", "docs"):
        command = get_command(app.cli.app)
        inner = command.commands[arguments[0]]  # type: ignore[attr-defined]
        inner.make_context(arguments[0], arguments[1:])
        return 0
    if arguments and arguments[0] in ("status", "explain", "export", "health-check"):
        _settle()
    if "--watch" in arguments:
        signal.signal(signal.SIGALRM, lambda *_: os.kill(os.getpid(), signal.SIGINT))
        signal.setitimer(signal.ITIMER_REAL, 2)
    sys.argv = ["krsync", *arguments]
    try:
        app.cli.main()
    except SystemExit as end:
        code = end.code if isinstance(end.code, int) else int(end.code is not None)
        if arguments[0] == "doctor" and code == 1:
            return 0  # it is right: other pages' connections lack secrets
        return 0 if "--watch" in arguments and code == 130 else code
    except KeyboardInterrupt:
        return 0 if "--watch" in arguments else 130
    return 0


def _settle() -> None:
    """Wait until every delivery is applied and every metric's rule is built; a bounded number of looks."""
    import threading

    import httpx

    headers = {"authorization": f"Bearer {os.environ['KRSYNC_TOKEN']}"}
    with httpx.Client(base_url=os.environ["KRSYNC_URL"], headers=headers, timeout=120, trust_env=False) as http:
        for _ in range(2_000):
            waiting = http.get("/v1/deliveries", params={"outcome": "pending", "limit": 1}).json()["items"]
            building = [one for one in http.get("/v1/metrics").json()["items"] if one["is_building"]]
            if not waiting and not building:
                return
            threading.Event().wait(0.05)


if __name__ == "__main__":
    if len(sys.argv) == 2:
        os.setpgid(0, 0)
        serve(sys.argv[1])
    else:
        sys.exit(call(sys.argv[1], sys.argv[2:]))
