"""``--security-opt`` read; and the seccomp profile as text, made once for each set of capabilities."""

from __future__ import annotations

import functools
import json
import platform
from collections.abc import Sequence
from dataclasses import dataclass

from rundlet.errors import InvalidArgument
from rundlet.runtime.seccomp import default_profile, resolve

__all__ = ["SecurityOptions", "read_security_options", "seccomp_text"]

UNCONFINED = "unconfined"
BUILTIN = "builtin"


@dataclass(frozen=True, slots=True)
class SecurityOptions:
    no_new_privileges: bool = False
    seccomp: str = BUILTIN
    """``builtin``, ``unconfined``, or a profile's JSON text."""


def read_security_options(options: Sequence[str] | None) -> SecurityOptions:
    """InvalidArgument for what is unknown, and for labels that nothing here would enforce."""
    no_new_privileges, seccomp = False, BUILTIN
    for option in options or ():
        name, separator, value = option.partition("=")
        if not separator:
            name, separator, value = option.partition(":")
        if name == "no-new-privileges" and value in ("", "true", "false"):
            no_new_privileges = value != "false"
        elif name == "seccomp" and value:
            seccomp = value
        elif name in ("apparmor", "label") and value in (UNCONFINED, "disable", "docker-default"):
            continue
        elif name == "systempaths" and value == UNCONFINED:
            continue  # clients turn it into empty MaskedPaths and ReadonlyPaths themselves
        else:
            raise InvalidArgument(f'invalid --security-opt: "{option}"')
    if seccomp not in (BUILTIN, UNCONFINED):
        _check_profile(seccomp)
    return SecurityOptions(no_new_privileges, seccomp)


def seccomp_text(options: SecurityOptions, capabilities: tuple[str, ...], *, privileged: bool) -> str | None:
    """The OCI ``linux.seccomp`` object as JSON text; None: not confined."""
    if options.seccomp == UNCONFINED or (privileged and options.seccomp == BUILTIN):
        return None
    if options.seccomp != BUILTIN:
        return _resolved_text(options.seccomp, capabilities)
    return _default_text(capabilities)


@functools.lru_cache(maxsize=64)
def _default_text(capabilities: tuple[str, ...]) -> str:
    return json.dumps(default_profile(capabilities, platform.machine(), platform.release()))


@functools.lru_cache(maxsize=64)
def _resolved_text(text: str, capabilities: tuple[str, ...]) -> str:
    """A client's profile without Docker's conditions, which are about this container's capabilities."""
    return json.dumps(resolve(json.loads(text), capabilities, platform.machine(), platform.release()))


def _check_profile(text: str) -> None:
    try:
        profile = json.loads(text)
    except ValueError as error:
        raise InvalidArgument(f"Decoding seccomp profile failed: {error}") from error
    if not isinstance(profile, dict) or "defaultAction" not in profile:
        raise InvalidArgument("Decoding seccomp profile failed: it has no defaultAction")
