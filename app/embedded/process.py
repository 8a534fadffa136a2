"""Child processes that can not outlive us."""

import os
import signal
import sys
from collections.abc import Sequence
from pathlib import Path

_LAUNCHER = Path(__file__).with_name("launch.py")


def tied_to_us(command: Sequence[str], number: signal.Signals, *, user: tuple[int, int] | None = None) -> list[str]:
    """`command` (an absolute path first) behind a launcher that has the kernel send `number` when we end.

    Linux only (`PR_SET_PDEATHSIG`); elsewhere the command comes back as it is. "We" is the thread that starts it: start
    such children from the main thread. `user` is the (uid, gid) to run as, for root on Linux.
    """
    if sys.platform != "linux":
        return list(command)
    identity = f"{user[0]}:{user[1]}" if user else "-"
    # -I -S: nothing of the environment or of site-packages is looked at, which keeps the start at some 15 ms.
    return [sys.executable, "-I", "-S", str(_LAUNCHER), str(int(number)), str(os.getpid()), identity, *command]
