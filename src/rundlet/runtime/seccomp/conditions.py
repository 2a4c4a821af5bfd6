"""Profiles with conditions, as Docker's clients send them, made into what the OCI runtime-spec knows.

An entry of ``syscalls`` may have ``includes`` and ``excludes``: capabilities, architectures (in Go's words), a
least kernel version. They are about one container, so they are settled when it is made, and the result has none.

What this module will not do: judge a profile. :func:`rundlet.runtime.seccomp.compile` does.
"""

from __future__ import annotations

import os
import re
from collections.abc import Collection, Mapping
from typing import Any

from rundlet.errors import InvalidArgument
from rundlet.runtime.seccomp.profile import DEFAULT
from rundlet.runtime.seccomp.syscalls import ARCHITECTURES

_GO_NAMES = {"x86_64": "amd64", "aarch64": "arm64"}


def default_profile(
    capabilities: Collection[str], machine: str | None = None, kernel: str | None = None
) -> dict[str, Any]:
    """The ordinary profile for a container whose bounding set has these capabilities (``CAP_…``)."""
    return resolve(DEFAULT, capabilities, machine, kernel)


def resolve(
    profile: Mapping[str, Any],
    capabilities: Collection[str],
    machine: str | None = None,
    kernel: str | None = None,
) -> dict[str, Any]:
    """``profile`` for such a container on ``machine`` (``uname -m``) with ``kernel`` (``uname -r``), or this one.

    InvalidArgument when it has not the form of a profile.
    """
    machine, kernel = machine or os.uname().machine, kernel or os.uname().release
    result = {key: value for key, value in profile.items() if key not in ("archMap", "architectures", "syscalls")}
    if machine in ARCHITECTURES:
        result["architectures"] = [ARCHITECTURES[machine].oci_name]
    result["syscalls"] = []
    for entry in profile.get("syscalls") or ():
        if not isinstance(entry, Mapping):
            raise InvalidArgument(f"seccomp profile: not an entry of syscalls: {entry!r}")
        if _holds(entry, capabilities, machine, kernel):
            rest = {
                key: value
                for key, value in entry.items()
                if key not in ("includes", "excludes", "comment", "name")
            }
            rest["names"] = [*(entry.get("names") or ()), *([entry["name"]] if entry.get("name") else ())]
            result["syscalls"].append(rest)
    return result


def _holds(entry: Mapping[str, Any], capabilities: Collection[str], machine: str, kernel: str) -> bool:
    includes, excludes = entry.get("includes") or {}, entry.get("excludes") or {}
    architecture = _GO_NAMES.get(machine, machine)
    if not set(includes.get("caps") or ()) <= set(capabilities):
        return False
    if set(excludes.get("caps") or ()) & set(capabilities):
        return False
    if includes.get("arches") and architecture not in includes["arches"]:
        return False
    if architecture in (excludes.get("arches") or ()):
        return False
    if (least := includes.get("minKernel")) and _version(kernel) < _version(least):
        return False
    return not ((least := excludes.get("minKernel")) and _version(kernel) >= _version(least))


def _version(text: str) -> tuple[int, int]:
    match = re.match(r"(\d+)\.(\d+)", text)
    if match is None:
        raise InvalidArgument(f"seccomp profile: not a kernel version: {text!r}")
    return int(match[1]), int(match[2])
