"""Runs a command so that nothing of it outlives the process that asked for it.

    python guard.py COMMAND ARGUMENT ...

Standard input is the lifeline: a pipe whose other end only the asking process holds. When it closes, because that
process wants the command to end, or has itself been killed in whatever way, the command and all that it started
end too. They also end with the command, whose exit code is passed on; a signal N becomes 128 + N.

A file of its own without imports from this project: it runs bare, in a few hundredths of a second.
"""

import ctypes
import os
import signal
import subprocess
import sys
import threading
from contextlib import suppress

_PR_SET_CHILD_SUBREAPER = 36


def run(command: list[str]) -> int:
    """The command's exit code, once all of it has ended."""
    _adopt()
    signal.signal(signal.SIGINT, signal.SIG_DFL)  # a worker ignores it, and a command would inherit that
    try:
        child = subprocess.Popen(command, stdin=subprocess.DEVNULL, process_group=0)
    except OSError as error:
        print(f"{command[0]}: {error.strerror}", file=sys.stderr)
        return 127
    threading.Thread(target=_end_with_the_lifeline, args=(child.pid,), daemon=True).start()
    code = child.wait()
    _end_all(child.pid)
    return code if code >= 0 else 128 - code


def _adopt() -> None:
    """On Linux, make this process the parent of orphaned descendants, even those in a session of their own."""
    with suppress(AttributeError, OSError):
        ctypes.CDLL(None).prctl(_PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)


def _end_with_the_lifeline(group: int) -> None:
    while os.read(0, 1):
        pass
    _end_all(group)
    os._exit(1)


def _end_all(group: int) -> None:
    with suppress(ProcessLookupError, PermissionError):
        os.killpg(group, signal.SIGKILL)
    while children := _children():  # those of a killed child come to light when it is gone
        for pid in children:
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        for pid in children:
            with suppress(ChildProcessError):
                os.waitpid(pid, 0)


def _children() -> list[int]:
    """Processes whose parent this one is; none where there is no /proc."""
    pids = []
    for name in os.listdir("/proc") if os.path.isdir("/proc") else ():
        if name.isdigit():
            with suppress(OSError), open(f"/proc/{name}/stat") as file:
                parent = file.read().rpartition(")")[2].split()[1]
                if int(parent) == os.getpid():
                    pids.append(int(name))
    return pids


if __name__ == "__main__":
    sys.exit(run(sys.argv[1:]))
