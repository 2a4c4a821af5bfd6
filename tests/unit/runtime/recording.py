"""A kernel that does nothing but remember: what the operations asked for, in order."""

from __future__ import annotations

import inspect
import itertools
import os
import stat
from collections.abc import Callable
from inspect import isfunction
from typing import Any

from rundlet.linux.kernel import Kernel
from rundlet.runtime.handshake import ChildEnd, Failure
from rundlet.runtime.operations import Context

Call = tuple[Any, ...]

_DESCRIPTORS = {
    "open", "open_beneath", "make_directory_beneath", "make_file_beneath", "clone_tree", "open_filesystem",
    "create_filesystem", "open_peer",
}  # fmt: skip
_OTHERS: dict[str, Any] = {"crosses_magic_link": False, "filesystem_magic": 0, "read": b"", "kernel_getcwd": b"/"}


class RecordingKernel(Kernel):
    """Every call of ours is checked against the real one's parameters. A descriptor is a new number from 100 on.

    ``answers`` replaces the result of a call by name: a value, an error to raise, or a function of its
    arguments.
    """

    def __init__(self, **answers: Any) -> None:
        self.calls: list[Call] = []
        self._descriptors = itertools.count(100)
        self._answers: dict[str, Any] = {"stat": status(stat.S_IFDIR | 0o755)} | _OTHERS | answers
        for name, member in vars(Kernel).items():
            if isinstance(member, staticmethod):
                setattr(self, name, self._recorder(name, member.__func__))

    def _recorder(self, name: str, real: Callable[..., Any]) -> Callable[..., Any]:
        signature = inspect.signature(real) if isfunction(real) else None

        def record(*args: Any, **kwargs: Any) -> Any:
            if signature is not None:
                signature.bind(*args, **kwargs)
            self.calls.append((name, *args, *(f"{key}={value}" for key, value in kwargs.items())))
            answer = self._answers.get(name)
            if isinstance(answer, BaseException):
                raise answer
            if callable(answer):
                return answer(*args, **kwargs)
            return next(self._descriptors) if answer is None and name in _DESCRIPTORS else answer

        return record

    def named(self, *names: str) -> list[Call]:
        return [call for call in self.calls if call[0] in names]


class RecordingHandshake(ChildEnd):
    def __init__(self) -> None:
        super().__init__(-1)
        self.said: list[Any] = []

    def wait_go(self) -> bool:
        self.said.append("waited")
        return True

    def send_console(self, master: int) -> None:
        self.said.append(("console", master))

    def send_ready(self) -> None:
        self.said.append("ready")

    def send_failure(self, failure: Failure) -> None:
        self.said.append(failure)

    def move_to(self, fd: int) -> None:
        self.said.append(("moved to", fd))


def context(kernel: Kernel, **members: Any) -> Context:
    return Context(kernel, RecordingHandshake(), **({"root": 50} | members))


def status(mode: int, device: int = 0, uid: int = 0, gid: int = 0) -> os.stat_result:
    """What stat(2) says of such a file."""
    return os.stat_result((mode, 0, 0, 0, uid, gid, 0, 0, 0, 0), {"st_rdev": device})
