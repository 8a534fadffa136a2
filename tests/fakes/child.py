"""Run as a script: stands in for `krsync serve` and `krsync worker` under the supervisor.

Its environment says how it behaves: with FAKE_BROKEN (the path of a FIFO) `serve` ends as soon as `worker` runs, with
FAKE_STUBBORN both ignore SIGTERM. Every start adds a line `name pid` to `children` in the data directory.
"""

import os
import signal
import socket
import sys
from pathlib import Path


def main(arguments: list[str]) -> None:
    directory = Path(os.environ["KRSYNC_DATA_DIR"])
    name = arguments[0]
    fifo = os.environ.get("FAKE_BROKEN")
    if fifo and name == "serve":
        os.close(os.open(fifo, os.O_RDONLY))  # returns when the worker opens its end
        sys.exit(7)
    if os.environ.get("FAKE_STUBBORN"):
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
    line = f"{name} {os.getpid()}\n".encode()
    with (directory / "children").open("ab") as file:
        file.write(line)
    os.write(1, line)  # one write: the other child writes to the same pipe
    if fifo:
        os.close(os.open(fifo, os.O_WRONLY))
    if name == "serve":
        serve(socket.socket(fileno=int(arguments[2])))
    while True:
        signal.pause()


def serve(listener: socket.socket) -> None:
    """Answer every request with the process id, like a very small /healthz."""
    while True:
        connection, _ = listener.accept()
        with connection:
            connection.recv(4096)
            body = str(os.getpid())
            connection.sendall(f"HTTP/1.1 200 OK\r\nContent-Length: {len(body)}\r\n\r\n{body}".encode())


if __name__ == "__main__":
    main(sys.argv[1:])
