"""A group in the v1 hierarchies, and in the unified tree beside them where there is one (the hybrid layout).

The unified tree needs no controller to be of use: it kills and freezes a whole group at once (``cgroup.kill``,
``cgroup.freeze``), and a process can be born in it (CLONE_INTO_CGROUP). A task frozen by the v1 freezer does not
even die of SIGKILL before it is thawed; the v1 freezer is used only where there is nothing better.

What it will not do: sleep, except in :meth:`CgroupV1.freeze`. See cgroups(7).
"""

from __future__ import annotations

import errno
import os
import select
import signal
import time
from collections.abc import Mapping
from contextlib import suppress
from typing import Any

from rundlet.cgroups.grace import expedited_grace_periods
from rundlet.cgroups.hierarchies import Hierarchies
from rundlet.cgroups.resources import Step, Write, steps
from rundlet.cgroups.stats import Stats, keyed, read_stats
from rundlet.errors import Conflict, EngineError, InvalidArgument, Unsupported

FREEZE_TIMEOUT_S = 2.0

_GONE = (errno.ENOENT, errno.ENODEV)
"""The group is not there; ENODEV if somebody removed it between open and write."""


class CgroupV1:
    """See :class:`rundlet.cgroups.Cgroup`."""

    def __init__(self, hierarchies: Hierarchies, path: str) -> None:
        self.path = path
        self.unified_fd: int | None = None
        self._controllers = hierarchies.controllers
        names: dict[str, str] = {}
        for name, mount in hierarchies.controllers.items():
            names[mount] = f"{names[mount]},{name}" if mount in names else name
        self.directories = {name: mount + path for mount, name in names.items()}
        self._v1_directories = list(self.directories.values())
        self._unified: str | None = None
        if hierarchies.unified is not None:
            self._unified = self.directories[""] = hierarchies.unified + path

    # ── life ────────────────────────────────────────────────────────────────────────────────────────────────

    def create(self) -> None:
        made: list[str] = []
        try:
            for directory in self.directories.values():
                self._make(directory)
                made.append(directory)
            if self._unified is not None:
                self.unified_fd = os.open(self._unified, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW)
        except BaseException:
            for directory in made:
                os.rmdir(directory)
            raise

    def join(self, pid: int) -> None:
        data = str(pid).encode()
        with expedited_grace_periods():
            for directory in self._v1_directories:
                try:
                    _write(f"{directory}/cgroup.procs", data)
                except OSError as error:
                    if error.errno != errno.ENOSPC:
                        raise
                    # A cpuset without CPUs: it was not filled from its parent, because a sibling is exclusive.
                    self._fill_cpuset(self._controllers["cpuset"], self.path)
                    _write(f"{directory}/cgroup.procs", data)

    def remove(self) -> bool:
        self.close()
        removed = [_remove_tree(directory) for directory in self.directories.values()]
        return all(removed)

    def close(self) -> None:
        if self.unified_fd is not None:
            os.close(self.unified_fd)
            self.unified_fd = None

    def _make(self, directory: str) -> None:
        try:
            os.mkdir(directory, 0o755)
        except FileNotFoundError:
            self._make_parents(directory[: -len(self.path)])
            os.mkdir(directory, 0o755)
        except FileExistsError:
            # Left over from a run that was killed. Empty ones are replaced, since their limits are not ours.
            if not _remove_tree(directory):
                raise Conflict(f"cgroup {directory} exists and is in use") from None
            os.mkdir(directory, 0o755)

    def _make_parents(self, mount: str) -> None:
        path = ""
        for name in self.path.strip("/").split("/")[:-1]:
            path += f"/{name}"
            with suppress(FileExistsError):
                os.mkdir(mount + path, 0o755)
            if mount == self._controllers.get("cpuset"):
                self._fill_cpuset(mount, path)
                # From here on the kernel fills each new group below with what its parent has.
                _write(f"{mount}{path}/cgroup.clone_children", b"1")

    def _fill_cpuset(self, mount: str, path: str) -> None:
        """A cpuset without CPUs or memory nodes takes no process: give an empty one all that its parent has."""
        for file in ("cpuset.cpus", "cpuset.mems"):
            if not _read(f"{mount}{path}/{file}").strip():
                parent = path.rpartition("/")[0]
                _write(f"{mount}{path}/{file}", _read(f"{mount}{parent}/{file}").strip().encode())

    # ── limits ──────────────────────────────────────────────────────────────────────────────────────────────

    def apply(self, resources: Mapping[str, Any]) -> None:
        for step in steps(resources):
            refused = self._apply(step)
            if refused and refused[1].errno == errno.EINVAL and len(step) > 1:
                refused = self._apply(step[::-1])
            if refused:
                raise _refusal(*refused) from refused[1]

    def _apply(self, step: Step) -> tuple[Write, OSError] | None:
        """Returns the write that the kernel refused, and how."""
        for write in step:
            mount = self._controllers.get(write.controller)
            if mount is None:
                raise Unsupported(
                    f"{write.file}: the cgroup controller {write.controller} is not mounted",
                    f"mount it below /sys/fs/cgroup/{write.controller}, or do without the limit",
                )
            try:
                _write(f"{mount}{self.path}/{write.file}", write.value.encode())
            except OSError as error:
                return write, error
        return None

    # ── processes ───────────────────────────────────────────────────────────────────────────────────────────

    def pids(self) -> list[int]:
        top = self._unified or self._v1_directories[0]
        result: set[int] = set()
        for directory, _, _ in os.walk(top):
            with suppress(FileNotFoundError):
                result.update(map(int, _read(f"{directory}/cgroup.procs").split()))
        return sorted(result)

    def kill(self) -> None:
        if self._unified is not None:
            try:
                _write(f"{self._unified}/cgroup.kill", b"1")
                self._thaw_own_doing()
                return
            except OSError as error:
                if error.errno not in _GONE:
                    raise
                if not os.path.exists(self._unified):
                    return
                # Linux 5.12 and 5.13 have no cgroup.kill.
        # Frozen processes cannot fork away from the signal; whether they are frozen yet does not matter.
        self._set_frozen_if_there(True)
        try:
            for pid in self.pids():
                with suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)
        finally:
            self.thaw()

    def freeze(self) -> None:
        self._set_frozen(True)
        if not self._wait_frozen():
            self.thaw()
            raise EngineError(f"cgroup {self.path} did not freeze within {FREEZE_TIMEOUT_S:g} seconds")

    def thaw(self) -> None:
        self._set_frozen_if_there(False)
        self._thaw_own_doing()

    def _thaw_own_doing(self) -> None:
        """A container that may write its cgroups may have frozen itself with v1's freezer, which we do not use
        beside the unified tree; or a group that it made below. From the top down: a frozen parent keeps all so."""
        if self._unified is None or "freezer" not in self._controllers:
            return
        for directory, _, _ in os.walk(self._controllers["freezer"] + self.path):
            try:
                _write(f"{directory}/freezer.state", b"THAWED")
            except OSError as error:
                if error.errno not in _GONE:
                    raise

    def is_frozen(self) -> bool:
        if self._unified is not None:
            return keyed(_read(f"{self._unified}/cgroup.events")).get("frozen") == 1
        return _read(self._freezer_state()).strip() == "FROZEN"

    def _set_frozen_if_there(self, frozen: bool) -> None:
        try:
            self._set_frozen(frozen)
        except OSError as error:
            if error.errno not in _GONE:
                raise

    def _set_frozen(self, frozen: bool) -> None:
        if self._unified is not None:
            _write(f"{self._unified}/cgroup.freeze", b"1" if frozen else b"0")
        else:
            _write(self._freezer_state(), b"FROZEN" if frozen else b"THAWED")

    def _freezer_state(self) -> str:
        if "freezer" not in self._controllers:
            raise Unsupported("pausing: no cgroup freezer is mounted", "mount the unified hierarchy")
        return f"{self._controllers['freezer']}{self.path}/freezer.state"

    def _wait_frozen(self) -> bool:
        deadline = time.monotonic() + FREEZE_TIMEOUT_S
        if self._unified is None:
            while not (frozen := self.is_frozen()) and time.monotonic() < deadline:
                time.sleep(0.001)  # the v1 freezer notifies nobody; reading its state makes it try again
            return frozen
        with open(f"{self._unified}/cgroup.events", encoding="ascii") as events:
            poll = select.poll()
            poll.register(events, select.POLLPRI)
            while keyed(events.read()).get("frozen") != 1:
                remaining_s = deadline - time.monotonic()
                if remaining_s <= 0 or not poll.poll(remaining_s * 1000):
                    return False
                events.seek(0)
        return True

    # ── accounting ──────────────────────────────────────────────────────────────────────────────────────────

    def oom_kills(self) -> int:
        return keyed(self._read_file("memory", "memory.oom_control")).get("oom_kill", 0)

    def stats(self) -> Stats:
        return read_stats(self._read_file)

    def _read_file(self, controller: str, file: str) -> str:
        if controller in self._controllers:
            with suppress(FileNotFoundError):
                return _read(f"{self._controllers[controller]}{self.path}/{file}")
        return ""


def _refusal(write: Write, error: OSError) -> InvalidArgument | Unsupported:
    """What to tell of a write that the kernel refused."""
    what = f"{write.file} {write.value}"
    if error.errno == errno.ENOENT:
        return Unsupported(f"the limit {write.file}", "this kernel has no such file in the cgroup")
    if error.errno == errno.EBUSY:
        return InvalidArgument(f"cannot set {what}: it is below what is in use now")
    return InvalidArgument(f"cannot set {what}: {error.strerror}")


def _remove_tree(directory: str) -> bool:
    """rmdir, children first. True when it is gone."""
    if _rmdir(directory):
        return True
    with suppress(FileNotFoundError), os.scandir(directory) as entries:
        for entry in entries:
            if entry.is_dir(follow_symlinks=False) and not _remove_tree(entry.path):
                return False
    return _rmdir(directory)


def _rmdir(directory: str) -> bool:
    try:
        os.rmdir(directory)
    except FileNotFoundError:
        return True
    except OSError as error:
        if error.errno not in (errno.EBUSY, errno.ENOTEMPTY):
            raise
        return False
    return True


def _write(path: str, data: bytes) -> None:
    """One write(2): cgroup files take a value as a whole. Never creates a file."""
    fd = os.open(path, os.O_WRONLY)
    try:
        os.write(fd, data)
    finally:
        os.close(fd)


def _read(path: str) -> str:
    with open(path, "rb", buffering=0) as file:
        return file.read().decode()
