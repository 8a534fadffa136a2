"""Run as a script: ties this process to its parent, changes user where asked, then becomes the command.

    python launch.py SIGNAL PARENT UID:GID|- COMMAND ARGUMENT…

A script of its own instead of a `preexec_fn`: Python code between fork and exec can deadlock when the parent has
threads. Standard library only, and nothing of ours: it is started by path.
"""

import ctypes
import os
import sys

_PR_SET_PDEATHSIG = 1


def main(arguments: list[str]) -> None:
    """Ask the kernel to send SIGNAL when the parent thread ends (`prctl(2)`), then exec."""
    number, parent, identity, *command = arguments
    libc = ctypes.CDLL(None, use_errno=True)
    if identity != "-":
        uid, gid = map(int, identity.split(":"))
        os.setgroups([])
        os.setgid(gid)
        os.setuid(uid)
    # After the change of user, which clears it.
    libc.prctl(_PR_SET_PDEATHSIG, int(number), 0, 0, 0)
    if os.getppid() != int(parent):  # it ended before the request was in place
        sys.exit(1)
    os.execv(command[0], command)  # noqa: S606  no shell is wanted


if __name__ == "__main__":
    main(sys.argv[1:])
