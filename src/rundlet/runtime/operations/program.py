"""The last steps: where the program starts, and starting it."""

from __future__ import annotations

import errno
import os
import stat
from dataclasses import dataclass, field
from typing import NoReturn

from rundlet.linux.process import Program
from rundlet.runtime.messages import FailureKind
from rundlet.runtime.operations.base import Context, SetupError
from rundlet.runtime.operations.credentials import home_of

HANDSHAKE_FD = 3
"""Where the handshake's descriptor is moved to, the only one left above the standard streams."""


@dataclass(frozen=True, slots=True)
class MakeWorkingDirectory:
    """An image may name a directory that nobody made. Before the root turns read-only."""

    path: str

    def execute(self, context: Context) -> None:
        context.kernel.make_directory_beneath(context.root, self.path)

    def describe(self) -> str:
        return f"make the working directory {self.path}"


@dataclass(frozen=True, slots=True)
class EnterWorkingDirectory:
    """Change the directory, and make sure that it lies inside (CVE-2024-21626). After pivot_root(2).

    As root, whom a network file system may refuse what it grants the user: see :class:`RetryDirectory`.
    """

    path: str

    def execute(self, context: Context) -> None:
        kernel = context.kernel
        try:
            kernel.chdir(kernel.open_beneath(context.root, self.path, os.O_PATH | os.O_DIRECTORY))
        except PermissionError:
            return
        except OSError as error:
            raise _chdir_error(self.path, error) from None
        refuse_outside(context)

    def describe(self) -> str:
        return f"change to the working directory {self.path}"


@dataclass(frozen=True, slots=True)
class RetryDirectory:
    """Enter the working directory as the user, if root may not have been allowed to."""

    path: str

    def execute(self, context: Context) -> None:
        if context.uid == 0 or context.kernel.kernel_getcwd() != b"/":
            return
        try:
            context.kernel.chdir(self.path)
        except OSError as error:
            raise _chdir_error(self.path, error) from None
        refuse_outside(context)

    def describe(self) -> str:
        return f"change to the working directory {self.path}"


def refuse_outside(context: Context) -> None:
    """The kernel marks a directory outside the root as "(unreachable)": then stop."""
    if not context.kernel.kernel_getcwd().startswith(b"/"):
        raise SetupError("the working directory is outside of the container's root: possible container breakout")


def _chdir_error(path: str, error: OSError) -> SetupError:
    kind: FailureKind = "no-program" if error.errno == errno.ENOENT else "not-executable"
    text = f'chdir to cwd ("{path}") set in config.json failed: {_words(error)}: unknown'
    return SetupError(text, kind, error.errno or 0)


@dataclass(frozen=True, slots=True)
class RefuseMagicLinks:
    """Do not execute what /proc/self/exe and its kind lead to: our own executable (CVE-2019-5736).

    Scripts can still name it as their interpreter, so this is the second line: the first is a sealed
    executable, see :mod:`rundlet.linux.executable`. In the working directory, before a filter.
    """

    paths: tuple[str, ...]

    def execute(self, context: Context) -> None:
        for path in self.paths:
            if context.kernel.crosses_magic_link(path):
                text = os.strerror(errno.ELOOP).lower()
                raise SetupError(f'exec: "{path}": {text}: unknown', "not-executable", errno.ELOOP)

    def describe(self) -> str:
        return "check the program's path"


@dataclass(frozen=True, slots=True)
class SetUmask:
    umask: int

    def execute(self, context: Context) -> None:
        context.kernel.umask(self.umask)

    def describe(self) -> str:
        return f"set the umask {self.umask:03o}"


@dataclass(frozen=True, slots=True)
class SetHome:
    """Add HOME to the environment that has none, from the container's /etc/passwd."""

    program: Program = field(repr=False)

    def execute(self, context: Context) -> None:
        self.program.add(f"HOME={home_of(context)}")

    def describe(self) -> str:
        return "find the home directory"


@dataclass(frozen=True, slots=True)
class CloseDescriptors:
    """Leave the program 0, 1 and 2. Really closed, not only at exec: until then a magic link could use them."""

    def execute(self, context: Context) -> None:
        context.handshake.move_to(HANDSHAKE_FD)
        context.kernel.close_range(HANDSHAKE_FD + 1)

    def describe(self) -> str:
        return "close descriptors"


@dataclass(frozen=True, slots=True)
class AnnounceReady:
    """From here on an end of file means that the program runs."""

    def execute(self, context: Context) -> None:
        context.handshake.send_ready()

    def describe(self) -> str:
        return "report to the parent"


@dataclass(frozen=True, slots=True)
class Execute:
    """Become the program. The search is execve(2) itself, as the user it will run as: no look before the leap."""

    name: str
    paths: tuple[str, ...]
    """Where it may be, in order: see :func:`candidates`."""
    program: Program = field(repr=False)

    def execute(self, context: Context) -> None:
        found: OSError | None = None
        for path in self.paths:
            error = self.program.execute(os.fsencode(path))
            if path == self.name or error.errno not in _NOT_HERE:
                self._fail(error)
            # A script whose interpreter is missing is ENOENT, too.
            if found is None and os.path.lexists(path):
                found = error
        if found is not None:
            self._fail(found)
        raise SetupError(
            f'exec: "{self.name}": executable file not found in $PATH: unknown', "no-program", errno.ENOENT
        )

    def _fail(self, error: OSError) -> NoReturn:
        path, code = error.filename, error.errno or 0
        kind: FailureKind = "no-program" if code in (errno.ENOENT, errno.ENOTDIR) else "not-executable"
        if code == errno.EACCES and _is_directory(path):
            code = errno.EISDIR
        elif code == errno.ENOENT and os.path.lexists(path):
            raise SetupError(f"exec {path}: no such file or directory: unknown", kind, code)
        what = "stat " + path + ": " if code == errno.ENOENT else ""
        raise SetupError(f'exec: "{path}": {what}{os.strerror(code).lower()}: unknown', kind, code)

    def describe(self) -> str:
        return f"execute {self.name}"


_NOT_HERE = (errno.ENOENT, errno.ENOTDIR, errno.EACCES, errno.ESTALE, errno.ENODEV, errno.ETIMEDOUT)
"""After these a search goes on to the next directory: execvp(3)."""


def candidates(name: str, search_path: str | None) -> tuple[str, ...]:
    """The paths ``name`` can mean: itself if it has a slash, else one in each directory of $PATH. execvp(3)"""
    if "/" in name:
        return (name,)
    return tuple(f"{directory or '.'}/{name}" for directory in search_path.split(":")) if search_path else ()


def _is_directory(path: str) -> bool:
    try:
        return stat.S_ISDIR(os.stat(path).st_mode)
    except OSError:
        return False


def _words(error: OSError) -> str:
    return (error.strerror or "").lower()
