"""Runs inside containers: raw system calls for hostile scripts. The script is appended to this text.

``attempt(number, …)`` makes a call and gives ``None`` or the name of the error, as the tests compare it.
"""

import ctypes
import errno
import json
import os

_libc = ctypes.CDLL(None, use_errno=True)
_libc.syscall.restype = ctypes.c_long


def attempt(number: int, *arguments: object) -> str | None:
    ctypes.set_errno(0)
    result = _libc.syscall(
        ctypes.c_long(number), *(ctypes.c_long(each) if isinstance(each, int) else each for each in arguments)
    )
    return None if result >= 0 else errno.errorcode[ctypes.get_errno()]


def attempt_to(action: object, *arguments: object) -> str | None:
    """The same of a function of Python."""
    try:
        action(*arguments)  # type: ignore[operator]
    except OSError as error:
        return errno.errorcode[error.errno or 0]
    return None


def attempt_write(path: str, data: bytes) -> str | None:
    try:
        fd = os.open(path, os.O_WRONLY)
    except OSError as error:
        return errno.errorcode[error.errno or 0]
    try:
        return attempt_to(os.write, fd, data)
    finally:
        os.close(fd)


def tell(document: object) -> None:
    print(json.dumps(document), flush=True)
