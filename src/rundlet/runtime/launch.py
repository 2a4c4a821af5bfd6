"""Starting a process inside a container: clone, handshake, and knowing when the program runs.

For a single-threaded, event-driven caller: nothing here waits for the child.
:meth:`Launch.fileno` is readable when :meth:`Launch.advance` has something to do.

The child is a copy of this very interpreter, so until it executes the program

- it imports nothing and runs no file of the container (its import system is taken apart),
- it ends only by execve or ``os._exit``, and
- it is not dumpable: in the container nobody may trace it or read its memory (CVE-2016-9962). That does not
  bind whoever was given CAP_SYS_PTRACE without a user namespace; nothing could.

What this module will not do: make or remove cgroups, keep any record, or reap a process. Not even one that it
killed: a slow disk can hold a dying child up, and everyone else with it.
"""

from __future__ import annotations

import contextlib
import gc
import os
import select
import signal
import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NoReturn, Self

from rundlet.cgroups import Cgroup
from rundlet.errors import InvalidArgument, Kind, RundletError
from rundlet.linux import process
from rundlet.linux.kernel import Kernel
from rundlet.runtime.config import Config, parse_process, sysctl_namespace
from rundlet.runtime.handshake import Console, End, Failure, ParentEnd, Ready, handshake
from rundlet.runtime.messages import FailureKind, Overlay
from rundlet.runtime.operations import Context, Operation, SetupError
from rundlet.runtime.plan import ChildStdio as ChildStdio
from rundlet.runtime.plan import plan_container, plan_exec

_FAILED_STATUS = 127


class LaunchError(Exception):
    """The program was not started. Of the attempt a dying child may be left, which the caller's reaper gets."""

    def __init__(self, failure: Failure) -> None:
        super().__init__(failure.message)
        self.failure = failure
        self.kind = failure.kind
        self.stage = failure.stage
        self.message = failure.message
        self.errno = failure.errno


@dataclass(frozen=True, slots=True)
class InitProcess:
    """The first process of a running container."""

    pidfd: int
    pid: int


@dataclass(frozen=True, slots=True)
class LaunchResult:
    console: int | None
    """Master of the program's terminal, now the caller's."""


class Launch:
    """A child on its way to execve. A failure and :meth:`abort` close ``pidfd``; else it is the caller's.

    ``init`` is that of the container which an exec enters.
    """

    def __init__(self, pid: int, pidfd: int, handshake: ParentEnd, init: InitProcess | None) -> None:
        self.pid = pid
        self.pidfd = pidfd
        self.start_time = 0
        """Clock ticks after boot."""
        self._handshake = handshake
        self._init = init
        self._console: int | None = None
        self._is_ready = False

    def fileno(self) -> int:
        """Readable when there is news."""
        return self._handshake.fileno()

    def advance(self) -> LaunchResult | None:
        """Take in the news. None: not started yet. LaunchError: it failed; the child is killed, all is closed."""
        while True:
            match self._handshake.receive():
                case None:
                    return None
                case Console(fd):
                    self._console = fd
                case Ready():
                    self._is_ready = True
                case Failure() as failure:
                    raise self._failed(failure)
                case End() if self._is_ready:
                    self._handshake.close()
                    return LaunchResult(self._console)
                case End():
                    raise self._failed(
                        Failure("system", "set up the container", "the process was killed during set-up")
                    )

    def _failed(self, failure: Failure) -> LaunchError:
        self.abort()
        return LaunchError(_explain(failure, self._init))

    def abort(self) -> None:
        """Kill the child, close everything. It dies in its own time."""
        with contextlib.suppress(ProcessLookupError):
            signal.pidfd_send_signal(self.pidfd, signal.SIGKILL)
        os.close(self.pidfd)
        self._handshake.close()
        if self._console is not None:
            os.close(self._console)


def launch_container(
    config: Config,
    *,
    overlay: Overlay | None,
    seccomp: bytes | None,
    cgroup: Cgroup,
    stdio: ChildStdio,
) -> Launch:
    """Begin to start the first process of a container.

    ``overlay`` is mounted on ``config.root.path``, in the container's mount namespace alone. ``seccomp`` is a
    compiled filter. ``cgroup`` exists, with its limits set. LaunchError when not even the child could be made.
    """
    with contextlib.ExitStack() as stack, _as_launch_error("make the container's process"):
        namespaces = _open_namespaces(config, stack)
        _check_sysctls(config, namespaces)
        birthplace = stack.enter_context(_Birthplace())
        for kind, _, fd in namespaces:
            if kind == process.CLONE_NEWPID:
                birthplace.join_pid_namespace(fd)
        if config.namespaces.new & process.CLONE_NEWTIME:
            birthplace.make_time_namespace(config.time_offsets)
        plan = plan_container(
            config,
            overlay=overlay,
            seccomp=seccomp,
            stdio=stdio,
            namespaces=namespaces,
            cgroups=cgroup.directories,
        )
        return _launch(plan, config.namespaces.new & ~_NOT_BY_CLONE, cgroup)


def launch_exec(
    init: InitProcess,
    document: Mapping[str, Any],
    *,
    seccomp: bytes | None,
    cgroup: Cgroup,
    stdio: ChildStdio,
    container: Config,
) -> Launch:
    """Begin to start one more program in a running container. ``document`` is an OCI ``process`` object.

    The caller changes its pid namespace for children for a moment, so that one fork suffices and the program
    is its own child.
    """
    try:
        with _Birthplace() as birthplace, _as_launch_error("make a process in the container"):
            plan = plan_exec(
                container, parse_process(document), init_pidfd=init.pidfd, seccomp=seccomp, stdio=stdio
            )
            if container.namespaces.all & process.CLONE_NEWPID:
                birthplace.join_pid_namespace(init.pidfd)
            return _launch(plan, 0, cgroup, init)
    except LaunchError as error:
        raise LaunchError(_explain(error.failure, init)) from error


_NOT_BY_CLONE = process.CLONE_NEWCGROUP | process.CLONE_NEWTIME
"""The first is made by the child once it is in its cgroup, the second by the parent, which sets its clocks."""


class _Birthplace:
    """Namespaces that a process can only be born in: the caller's children are, until the end of the block."""

    def __init__(self) -> None:
        self._own: list[tuple[int, int]] = []

    def __enter__(self) -> Self:
        return self

    def join_pid_namespace(self, fd: int) -> None:
        """``fd`` is the namespace, or the pidfd of a process in it."""
        self._remember("pid", process.CLONE_NEWPID)
        process.setns(fd, process.CLONE_NEWPID)

    def make_time_namespace(self, offsets: Sequence[tuple[str, int, int]]) -> None:
        self._remember("time", process.CLONE_NEWTIME)
        process.unshare(process.CLONE_NEWTIME)
        if offsets:
            with open("/proc/self/timens_offsets", "w", encoding="ascii") as file:
                file.writelines(f"{clock} {seconds} {nanoseconds}\n" for clock, seconds, nanoseconds in offsets)

    def _remember(self, name: str, kind: int) -> None:
        self._own.append((kind, os.open(f"/proc/self/ns/{name}", os.O_RDONLY | os.O_CLOEXEC)))

    def __exit__(self, *_: object) -> None:
        for kind, fd in self._own:
            try:
                process.setns(fd, kind)
            finally:
                os.close(fd)


def _open_namespaces(config: Config, stack: contextlib.ExitStack) -> list[tuple[int, str, int]]:
    """(kind, path, descriptor) of the namespaces to be joined."""
    opened = []
    for kind, path in config.namespaces.joined:
        fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
        stack.callback(os.close, fd)
        opened.append((kind, path, fd))
    return opened


def _check_sysctls(config: Config, namespaces: Sequence[tuple[int, str, int]]) -> None:
    """A path may lead to the host's own namespace, by way of a container that uses it: then its sysctls stay."""
    for kind, path, fd in namespaces:
        names = [name for name, _ in config.sysctl if sysctl_namespace(name) == kind]
        if names and os.path.samestat(os.fstat(fd), os.stat(f"/proc/self/ns/{_NAMESPACE_FILES[kind]}")):
            raise InvalidArgument(
                f'config.linux.sysctl: "{names[0]}" is the host\'s, to whose namespace {path} leads'
            )


_NAMESPACE_FILES = {process.CLONE_NEWNET: "net", process.CLONE_NEWIPC: "ipc", process.CLONE_NEWUTS: "uts"}
"""Of the namespaces that confine sysctls, in /proc/PID/ns."""


def _launch(
    plan: Sequence[Operation], new_namespaces: int, cgroup: Cgroup, init: InitProcess | None = None
) -> Launch:
    parent, child = handshake()
    try:
        # A process in the container could see the child before the child itself can say this.
        process.set_dumpable(False)
        pid, pidfd = process.clone3(new_namespaces, cgroup.unified_fd)
        if pid == 0:
            _become(plan, Context(Kernel(), child), parent)
    except BaseException:
        parent.close()
        raise
    finally:
        os.close(child.fd)
    launch = Launch(pid, pidfd, parent, init)
    try:
        # A child that has failed already is gone from there; advance() says why it failed.
        with contextlib.suppress(ProcessLookupError):
            cgroup.join(pid)
        parent.go()
        launch.start_time = process.start_time(pid)
    except BaseException:
        launch.abort()
        raise
    return launch


def _explain(failure: Failure, init: InitProcess | None) -> Failure:
    """The reason behind it, if that is the end of the container that an exec was to enter.

    The kernel says ESRCH then, or ENOMEM from the clone, or kills the child together with its init.
    """
    if init is None or not _is_ending(init):
        return failure
    return Failure("conflict", failure.stage, "the container has ended", failure.errno)


def _is_ending(init: InitProcess) -> bool:
    # The pid is its own as long as the pidfd is silent. That it is until all the others of its pid namespace
    # are reaped, a child of ours among them.
    poll = select.poll()
    poll.register(init.pidfd, select.POLLIN)
    return bool(poll.poll(0)) or process.is_exiting(init.pid)


@contextlib.contextmanager
def _as_launch_error(stage: str) -> Iterator[None]:
    try:
        yield
    except RundletError as error:
        raise LaunchError(Failure(_KINDS.get(error.kind, "system"), stage, str(error))) from error
    except OSError as error:
        raise LaunchError(_failure_of(stage, error)) from error


_KINDS: dict[Kind, FailureKind] = {
    Kind.INVALID: "invalid",
    Kind.NOT_FOUND: "not-found",
    Kind.CONFLICT: "conflict",
    Kind.NOT_IMPLEMENTED: "unsupported",
}


# ── in the child ────────────────────────────────────────────────────────────────────────────────────────────


def _become(plan: Sequence[Operation], context: Context, parent: ParentEnd) -> NoReturn:
    """Carry out the plan, the last step of which does not return."""
    stage = "prepare"
    try:
        parent.close()  # our copy: with it open we would not see the parent's end, and wait for ever
        _forget_the_parent()
        for operation in plan:
            operation.execute(context)
    except BaseException as error:  # noqa: BLE001 - the process boundary: the parent gets it
        stage = operation.describe() if "operation" in locals() else stage
        context.handshake.send_failure(_failure_of(stage, error))
    finally:
        os._exit(_FAILED_STATUS)


def _forget_the_parent() -> None:
    """Drop what the copied interpreter would do on its own: collect garbage, import, handle signals."""
    gc.disable()
    sys.path.clear()
    sys.path_hooks.clear()
    sys.meta_path.clear()
    signal.set_wakeup_fd(-1)
    for number in signal.valid_signals():
        # execve keeps "ignored", which Python sets for SIGPIPE and SIGXFSZ.
        if signal.getsignal(number) is signal.SIG_IGN:
            signal.signal(number, signal.SIG_DFL)
    process.reset_private_signals()
    signal.pthread_sigmask(signal.SIG_SETMASK, ())
    os.umask(0)


def _failure_of(stage: str, error: BaseException) -> Failure:
    match error:
        case SetupError():
            return Failure(error.kind, stage, str(error), error.errno)
        case OSError(errno=int(code)):
            named = f": {error.filename}" if error.filename else ""
            return Failure("system", stage, f"{stage}: {os.strerror(code).lower()}{named}", code)
        case _:
            return Failure("system", stage, f"{stage}: {type(error).__name__}: {error}")
