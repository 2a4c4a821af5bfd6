"""Giving up power: limits, user, capabilities, seccomp. The planner keeps them in the one order that works.

    limits             may need CAP_SYS_RESOURCE
    seccomp            needs CAP_SYS_ADMIN, unless no_new_privs
    bounding set       needs CAP_SETPCAP
    groups, gid, uid   need CAP_SETGID, CAP_SETUID; KEEPCAPS carries the permitted set over
    other sets
    no_new_privs, seccomp if it is set

Between a filter and execve there are only calls that a filter must allow anyway.
"""

from __future__ import annotations

import os
import stat
from dataclasses import dataclass

from rundlet.runtime.config import CapabilitySets, Rlimit, User
from rundlet.runtime.operations.base import Context, SetupError
from rundlet.runtime.users import UnknownUser, find_home, find_identity

_ACCOUNTS_LIMIT = 8 * 1024 * 1024
"""Bytes of /etc/passwd and /etc/group that are looked at."""


@dataclass(frozen=True, slots=True)
class FindUser:
    """Look a user up by name, inside."""

    user: User

    def execute(self, context: Context) -> None:
        user = self.user
        if not user.name and not user.additional_groups:
            context.uid, context.gid, context.groups = user.uid, user.gid, list(user.additional_gids)
            return
        passwd, group = read_accounts(context, "passwd"), read_accounts(context, "group")
        name = user.name or f"{user.uid}:{user.gid}"
        try:
            identity = find_identity(name, user.additional_groups, passwd, group)
        except UnknownUser as error:
            raise SetupError(str(error)) from None
        context.uid, context.gid = identity.uid, identity.gid
        context.groups = list(dict.fromkeys((*identity.groups, *user.additional_gids)))

    def describe(self) -> str:
        return f"find the user {self.user.name or self.user.uid}"


def read_accounts(context: Context, name: str) -> bytes:
    """/etc/passwd or /etc/group; empty when there is none or it is no regular file."""
    kernel = context.kernel
    try:
        fd = kernel.open_beneath(context.root, f"/etc/{name}", os.O_RDONLY | os.O_NONBLOCK | os.O_NOCTTY)
    except OSError:
        return b""
    status = kernel.stat(fd)
    return kernel.read(fd, min(status.st_size, _ACCOUNTS_LIMIT)) if stat.S_ISREG(status.st_mode) else b""


def home_of(context: Context) -> str:
    return find_home(context.uid, read_accounts(context, "passwd"))


@dataclass(frozen=True, slots=True)
class SetLimits:
    limits: tuple[Rlimit, ...]

    def execute(self, context: Context) -> None:
        for limit in self.limits:
            try:
                context.kernel.set_limit(0, limit.number, (limit.soft, limit.hard))
            except (OSError, ValueError) as error:
                code = error.errno if isinstance(error, OSError) and error.errno else 0
                why = os.strerror(code).lower() if code else str(error)
                raise SetupError(f"error setting rlimit {limit.name}: {why}", "system", code) from None

    def describe(self) -> str:
        return "set resource limits"


@dataclass(frozen=True, slots=True)
class LoadSeccomp:
    program: bytes

    def execute(self, context: Context) -> None:
        context.kernel.load_filter(self.program)

    def describe(self) -> str:
        return "load the seccomp filter"


@dataclass(frozen=True, slots=True)
class DropBounding:
    keep: int

    def execute(self, context: Context) -> None:
        context.kernel.drop_bounding(self.keep)

    def describe(self) -> str:
        return "drop capabilities from the bounding set"


@dataclass(frozen=True, slots=True)
class SwitchUser:
    """Become the user, with the capabilities still permitted."""

    def execute(self, context: Context) -> None:
        kernel = context.kernel
        kernel.set_keep_capabilities(True)
        kernel.setgroups(context.groups)
        kernel.setresgid(context.gid, context.gid, context.gid)
        kernel.setresuid(context.uid, context.uid, context.uid)
        kernel.set_keep_capabilities(False)

    def describe(self) -> str:
        return "switch to the user"


@dataclass(frozen=True, slots=True)
class SetCapabilities:
    sets: CapabilitySets

    def execute(self, context: Context) -> None:
        sets = self.sets
        context.kernel.set_capabilities(sets.permitted, sets.effective, sets.inheritable)
        context.kernel.set_ambient(sets.ambient)

    def describe(self) -> str:
        return "set capabilities"


@dataclass(frozen=True, slots=True)
class SetNoNewPrivileges:
    def execute(self, context: Context) -> None:
        context.kernel.set_no_new_privileges()

    def describe(self) -> str:
        return "set no_new_privs"
