"""What a container is called and which kernel objects are its own: namespaces, names, keyring, sysctls."""

from __future__ import annotations

import os
from dataclasses import dataclass

from rundlet.linux.beneath import RESOLVE_NO_SYMLINKS, RESOLVE_NO_XDEV
from rundlet.linux.process import CLONE_NEWCGROUP
from rundlet.runtime.operations.base import Context, SetupError


@dataclass(frozen=True, slots=True)
class SetOomScore:
    """First of all: while the process is not dumpable an unprivileged one may not write the file (proc(5))."""

    score: int

    def execute(self, context: Context) -> None:
        fd = context.kernel.open("/proc/self/oom_score_adj", os.O_WRONLY | os.O_CLOEXEC)
        context.kernel.write(fd, str(self.score).encode())

    def describe(self) -> str:
        return f"set oom_score_adj to {self.score}"


@dataclass(frozen=True, slots=True)
class JoinNamespace:
    """Enter one namespace that exists. The descriptor was opened before the clone: paths vanish on the way."""

    kind: int
    path: str
    fd: int

    def execute(self, context: Context) -> None:
        context.kernel.setns(self.fd, self.kind)

    def describe(self) -> str:
        return f"join the namespace {self.path}"


@dataclass(frozen=True, slots=True)
class JoinContainer:
    """Enter namespaces of a running container, by the pidfd of its init. Its root becomes ours."""

    pidfd: int
    kinds: int

    def execute(self, context: Context) -> None:
        context.kernel.setns(self.pidfd, self.kinds)
        context.root = context.kernel.open("/", os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)

    def describe(self) -> str:
        return "join the container's namespaces"


@dataclass(frozen=True, slots=True)
class AwaitCgroups:
    """Wait until the parent has put the process into its cgroups. Meanwhile both are at work.

    Before anything that a limit should count or that depends on the cgroup, and long before anything of
    the container runs: whatever it starts is born in the cgroups.
    """

    def execute(self, context: Context) -> None:
        if not context.handshake.wait_go():
            raise SetupError("the parent is gone", "system")

    def describe(self) -> str:
        return "wait for the cgroups"


@dataclass(frozen=True, slots=True)
class NewCgroupNamespace:
    """Only now: the cgroup that the process is in at this moment becomes the root of the namespace."""

    def execute(self, context: Context) -> None:
        context.kernel.unshare(CLONE_NEWCGROUP)

    def describe(self) -> str:
        return "make a cgroup namespace"


@dataclass(frozen=True, slots=True)
class NewSession:
    """No controlling terminal of the host to push input into (TIOCSTI), no signals from its process group."""

    def execute(self, context: Context) -> None:
        context.kernel.setsid()

    def describe(self) -> str:
        return "start a session"


@dataclass(frozen=True, slots=True)
class JoinKeyring:
    name: str

    def execute(self, context: Context) -> None:
        context.kernel.join_session_keyring(self.name)

    def describe(self) -> str:
        return "join the container's session keyring"


@dataclass(frozen=True, slots=True)
class SetHostName:
    name: str

    def execute(self, context: Context) -> None:
        context.kernel.set_host_name(self.name)

    def describe(self) -> str:
        return f"set the host name {self.name}"


@dataclass(frozen=True, slots=True)
class SetDomainName:
    name: str

    def execute(self, context: Context) -> None:
        context.kernel.set_domain_name(self.name)

    def describe(self) -> str:
        return f"set the domain name {self.name}"


@dataclass(frozen=True, slots=True)
class RaiseLoopback:
    def execute(self, context: Context) -> None:
        context.kernel.raise_loopback()

    def describe(self) -> str:
        return "bring the loopback interface up"


@dataclass(frozen=True, slots=True)
class SetSysctl:
    """Write a sysctl through the container's own procfs. Before its paths are masked.

    Neither a symlink nor anything mounted over it may divert the write (CVE-2025-52881).
    """

    path: str
    """Below /proc/sys."""
    value: str

    def execute(self, context: Context) -> None:
        kernel = context.kernel
        if context.proc < 0:
            context.proc = kernel.create_filesystem(kernel.open_filesystem("proc"))
        resolve = RESOLVE_NO_SYMLINKS | RESOLVE_NO_XDEV
        fd = kernel.open_beneath(context.proc, f"sys/{self.path}", os.O_WRONLY, resolve=resolve)
        kernel.write(fd, self.value.encode())

    def describe(self) -> str:
        return f"set sysctl {self.path}={self.value}"
