"""``python -m rundlet.daemon``: 0 after a graceful end, 1 with one line on stderr when it cannot serve."""

from __future__ import annotations

import asyncio
import faulthandler
import logging
import signal
import sys
from collections.abc import Callable, Sequence

from rundlet.daemon.config import parse_arguments
from rundlet.daemon.process_title import set_process_title
from rundlet.errors import RundletError


def main(arguments: Sequence[str]) -> int:
    try:
        config = parse_arguments(arguments)
        logging.basicConfig(
            level=config.log_level.upper(), format="%(asctime)s %(levelname)s %(name)s: %(message)s"
        )
        faulthandler.register(signal.SIGUSR1)  # what is every thread doing: kill -USR1
        from rundlet.daemon.service import serve  # flags and --help need none of it

        with asyncio.Runner(loop_factory=_loop_factory()) as runner:
            runner.run(serve(config))
    except RundletError as error:
        print(f"rundlet daemon: {error}", file=sys.stderr)
        return 1
    return 0


def _loop_factory() -> Callable[[], asyncio.AbstractEventLoop] | None:
    try:
        import uvloop
    except ImportError:
        return None
    return uvloop.new_event_loop


if __name__ == "__main__":
    set_process_title(["rundlet", "daemon", *sys.argv[1:]])
    sys.exit(main(sys.argv[1:]))
