"""What ``ps`` shows for this process: the command as it was typed.

``rundlet daemon …`` becomes ``python -m rundlet.daemon …`` by exec, and the kernel keeps those words. They lie in
the process' own memory, between arg_start and arg_end of proc_pid_stat(5), where a process may write over them;
what is not needed becomes NUL. No other process is touched, and nothing reads the words back.
"""

from __future__ import annotations

import os
from collections.abc import Sequence

_ARG_START, _ARG_END = 45, 46  # fields 48 and 49 of the file, counted from the one behind the command's name


def set_process_title(words: Sequence[str]) -> None:
    """Show ``words`` as the command line. Left as it is where they do not fit or /proc is not there."""
    title = b"".join(os.fsencode(word) + b"\0" for word in words)
    try:
        with open("/proc/self/stat", "rb") as file:
            fields = file.read().rpartition(b")")[2].split()
        start, end = int(fields[_ARG_START]), int(fields[_ARG_END])
        if len(title) > end - start:
            return
        with open("/proc/self/mem", "r+b", buffering=0) as memory:
            memory.seek(start)
            memory.write(title.ljust(end - start, b"\0"))
        with open("/proc/self/comm", "wb", buffering=0) as file:
            file.write(os.fsencode(words[0]))
    except OSError:
        return
