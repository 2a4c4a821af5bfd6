"""What a failure is to the person and to the shell: one line, and an exit status.

Docker's statuses for ``run``, ``start -a`` and ``exec``: 125 when the engine failed, 126 when the
program cannot be invoked, 127 when there is no such program.
"""

from __future__ import annotations

from rundlet.errors import NotFound, NotModified, RundletError, StartFailed

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from rundlet.cli.context import Context

ENGINE_FAILED, CANNOT_INVOKE, NO_SUCH_PROGRAM = 125, 126, 127

_NO_SUCH_PROGRAM_WORDS = ("executable file not found", "no such file or directory")
_CANNOT_INVOKE_WORDS = ("permission denied", "is a directory")


def one_line(error: RundletError) -> str:
    return " ".join(str(error).split())


def start_status(error: RundletError) -> int:
    """The exit status of a client whose container could not be created or started.

    Rundlet's engine says it (StartFailed). Other engines say it in words alone, which docker/cli reads, too.
    """
    if isinstance(error, StartFailed):
        # What the engine records for a failure of its own (128) is the container's; the client's is 125.
        return error.exit_code if error.exit_code in (CANNOT_INVOKE, NO_SUCH_PROGRAM) else ENGINE_FAILED
    message = str(error).lower()
    if any(words in message for words in _NO_SUCH_PROGRAM_WORDS):
        return NO_SUCH_PROGRAM
    if any(words in message for words in _CANNOT_INVOKE_WORDS):
        return CANNOT_INVOKE
    return ENGINE_FAILED


def for_each(
    context: Context,
    names: Iterable[str],
    act: Callable[[str], object],
    *,
    echo: bool = True,
    may_be_missing: bool = False,
) -> int:
    """Do it for every name, going on after failures: each gets its line. The status is 1 if there was one.

    What already is as it was asked to be is no failure; nor, if it ``may_be_missing``, what is not there.
    """
    status = 0
    for name in names:
        try:
            act(name)
        except NotModified:
            pass
        except RundletError as error:
            context.err(f"rundlet: {one_line(error)}")
            if not (may_be_missing and isinstance(error, NotFound)):
                status = 1
            continue
        if echo:
            context.out(f"{name}\n")
    return status
