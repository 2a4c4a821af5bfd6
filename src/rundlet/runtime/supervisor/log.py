"""What the supervisor has to tell an administrator: lines on stderr, which is RUN/supervisor.log.

Only what should not happen is told; a container's life is not.
"""

from __future__ import annotations

import os
import sys
import time


def log(text: str) -> None:
    """Never raises: a full disk under the log is no reason to fail a container."""
    stamp = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())
    try:
        os.write(2, f"{stamp} supervisor[{os.getpid()}]: {text}\n".encode(errors="backslashreplace"))
    except OSError:
        return


def log_exception(where: str) -> None:
    """The exception being handled, with the places it passed, innermost last."""
    kind, error, trace = sys.exc_info()
    places = []
    while trace is not None:
        places.append(f"{os.path.basename(trace.tb_frame.f_code.co_filename)}:{trace.tb_lineno}")
        trace = trace.tb_next
    log(f"{where}: {kind.__name__ if kind else None}: {error} ({' > '.join(places)})")
