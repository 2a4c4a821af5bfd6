"""Containers without an engine: a busybox root, Docker's defaults as an OCI config, one process to wait for."""

from __future__ import annotations

import os
import select
import shutil
import signal
import subprocess
import traceback
import warnings
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from rundlet.cgroups import Cgroup, Hierarchies
from rundlet.runtime.config import Config, parse
from rundlet.runtime.launch import (
    ChildStdio,
    InitProcess,
    Launch,
    LaunchError,
    LaunchResult,
    launch_container,
    launch_exec,
)
from rundlet.runtime.messages import Overlay

Document = dict[str, Any]

CAPABILITIES = [
    "CAP_CHOWN", "CAP_DAC_OVERRIDE", "CAP_FSETID", "CAP_FOWNER", "CAP_MKNOD", "CAP_NET_RAW", "CAP_SETGID",
    "CAP_SETUID", "CAP_SETFCAP", "CAP_SETPCAP", "CAP_NET_BIND_SERVICE", "CAP_SYS_CHROOT", "CAP_KILL",
    "CAP_AUDIT_WRITE",
]  # fmt: skip
MASKED = [
    "/proc/acpi", "/proc/asound", "/proc/interrupts", "/proc/kcore", "/proc/keys", "/proc/latency_stats",
    "/proc/sched_debug", "/proc/scsi", "/proc/timer_list", "/proc/timer_stats", "/sys/firmware",
]  # fmt: skip
READONLY = ["/proc/bus", "/proc/fs", "/proc/irq", "/proc/sys", "/proc/sysrq-trigger"]
_DEVICES = ((1, 3), (1, 5), (1, 7), (1, 8), (1, 9), (5, 0), (5, 1), (5, 2), (136, None))
_MOUNTS = (
    ("/proc", "proc", "nosuid,noexec,nodev"),
    ("/dev", "tmpfs", "nosuid,strictatime,mode=755,size=65536k"),
    ("/dev/pts", "devpts", "nosuid,noexec,newinstance,ptmxmode=0666,mode=0620,gid=5"),
    ("/sys", "sysfs", "nosuid,noexec,nodev,ro"),
    ("/sys/fs/cgroup", "cgroup", "ro,nosuid,noexec,nodev"),
    ("/dev/mqueue", "mqueue", "nosuid,noexec,nodev"),
    ("/dev/shm", "tmpfs", "nosuid,noexec,nodev,mode=1777,size=67108864"),
)
_PASSWD = "root:x:0:0:root:/root:/bin/sh\nalice:x:1000:1001::/home/alice:/bin/sh\n1000:x:0:0::/:/bin/sh\n"
_GROUP = "root:x:0:\nalice:x:1001:\nwheel:x:10:root,alice\nvideo:x:44:\n"


def make_busybox_root(directory: Path) -> None:
    """Busybox, its names, /etc/passwd and /etc/group, and nothing else: no /proc, no /dev."""
    for name in ("bin", "etc", "root", "tmp"):
        (directory / name).mkdir(parents=True)
    shutil.copy("/bin/busybox", directory / "bin")
    listing = subprocess.run(["/bin/busybox", "--list"], capture_output=True, text=True, check=True)
    for applet in set(listing.stdout.split()) - {"busybox"}:
        (directory / "bin" / applet).symlink_to("busybox")
    (directory / "etc/passwd").write_text(_PASSWD)
    (directory / "etc/group").write_text(_GROUP)


def children() -> set[str]:
    """The processes that this one has not reaped yet. Not none at all: a test runner may have some of its own."""
    return set(" ".join(path.read_text() for path in Path("/proc/self/task").glob("*/children")).split())


def run_alone(work: Callable[[], None]) -> None:
    """Do ``work`` in a process with a single thread, as the supervisor has one: a test runner may have more."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # of fork in a process with threads, Python 3.12
        pid = os.fork()
    if pid == 0:
        status = 1
        try:
            work()
            status = 0
        except BaseException:  # noqa: BLE001 - the process boundary
            traceback.print_exc()
        finally:
            os._exit(status)
    assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 0


@dataclass(frozen=True)
class Outcome:
    status: int
    """As a shell has it: 128+n after signal n."""
    output: str


class Running:
    """A program in a container, with its output in one pipe or on a terminal."""

    def __init__(self, launch: Launch, result: LaunchResult, output: int, config: Config, cgroup: Cgroup) -> None:
        self.pid, self.pidfd, self.start_time = launch.pid, launch.pidfd, launch.start_time
        self.console = result.console
        self.config, self.cgroup = config, cgroup
        self._output = output
        self._status: int | None = None

    def read(self) -> str:
        """All output until the last writer is gone."""
        data = b""
        while chunk := _read_terminal(self._output):
            data += chunk
        return data.decode()

    def read_line(self) -> str:
        data = b""
        while not data.endswith(b"\n") and (byte := _read_terminal(self._output, 1)):
            data += byte
        return data.decode().rstrip("\r\n")

    def wait(self) -> Outcome:
        output = self.read()
        return Outcome(self.wait_exit(), output)

    def wait_exit(self) -> int:
        if self._status is None:
            exited = os.waitid(os.P_PIDFD, self.pidfd, os.WEXITED)
            assert exited is not None
            self._status = exited.si_status + (0 if exited.si_code == os.CLD_EXITED else 128)
        return self._status

    def kill(self) -> None:
        if self._status is None:
            signal.pidfd_send_signal(self.pidfd, signal.SIGKILL)
            self.wait_exit()

    def close(self) -> None:
        self.kill()
        for fd in {self.pidfd, self._output, self.console} - {None}:
            assert fd is not None
            os.close(fd)

    def descriptors_of(self, pid: int) -> dict[str, str]:
        directory = Path(f"/proc/{pid}/fd")
        return {entry.name: str(entry.readlink()) for entry in directory.iterdir()}


def _read_terminal(fd: int, size: int = 65536) -> bytes:
    try:
        return os.read(fd, size)
    except OSError:  # EIO: nobody has the other end of the terminal open
        return b""


@dataclass
class Sandbox:
    """Makes one container at a time, below ``directory`` and in one cgroup of its own."""

    directory: Path
    lower: Sequence[Path]
    hierarchies: Hierarchies
    cgroup: Cgroup
    started: list[Running] = field(default_factory=list)
    children_before: set[str] = field(default_factory=lambda: children())

    def document(self, *args: str) -> Document:
        """What Docker would ask for to run ``args``."""
        return {
            "ociVersion": "1.2.0",
            "root": {"path": str(self.directory / "rootfs")},
            "hostname": "box",
            "process": self.process(*args),
            "mounts": [
                {"destination": path, "type": kind, "source": kind, "options": options.split(",")}
                for path, kind, options in _MOUNTS
            ],
            "linux": {
                "cgroupsPath": self.cgroup.path,
                "namespaces": [{"type": kind} for kind in ("mount", "network", "uts", "pid", "ipc")],
                "maskedPaths": list(MASKED),
                "readonlyPaths": list(READONLY),
                "resources": {"devices": _device_rules()},
            },
        }

    def process(self, *args: str, **members: Any) -> Document:
        sets = ("bounding", "effective", "permitted")
        return {
            "args": list(args),
            "env": ["PATH=/usr/bin:/bin"],
            "cwd": "/",
            "user": {"uid": 0, "gid": 0},
            "capabilities": {name: list(CAPABILITIES) for name in sets},
        } | members

    @property
    def overlay(self) -> Overlay:
        upper, work = self.directory / "upper", self.directory / "work"
        return Overlay([str(path) for path in self.lower], str(upper), str(work))

    def start(
        self,
        document: Document,
        *,
        terminal: bool = False,
        size: tuple[int, int] | None = None,
        seccomp: bytes | None = None,
        overlay: bool = True,
        stdin: int | None = None,
    ) -> Running:
        """LaunchError when the container does not come to run its program."""
        config = parse(document)
        self.cgroup.apply(config.resources)
        output, stdio = _pipe(terminal, size, stdin)
        try:
            launch = launch_container(
                config,
                overlay=self.overlay if overlay else None,
                seccomp=seccomp,
                cgroup=self.cgroup,
                stdio=stdio,
            )
            return self._running(launch, output, config)
        except LaunchError:
            os.close(output)
            raise
        finally:
            _close_streams(stdio)

    def exec(
        self,
        container: Running,
        *args: str,
        terminal: bool = False,
        size: tuple[int, int] | None = None,
        seccomp: bytes | None = None,
        **members: Any,
    ) -> Running:
        output, stdio = _pipe(terminal, size, None)
        try:
            launch = launch_exec(
                InitProcess(container.pidfd, container.pid),
                self.process(*args, **members),
                seccomp=seccomp,
                cgroup=self.cgroup,
                stdio=stdio,
                container=container.config,
            )
            return self._running(launch, output, container.config)
        except LaunchError:
            os.close(output)
            raise
        finally:
            _close_streams(stdio)

    def run(self, document: Document, **options: Any) -> Outcome:
        return self.start(document, **options).wait()

    def shell(self, script: str) -> str:
        """The output of a shell script in a container with the defaults."""
        return self.run(self.document("sh", "-c", script)).output

    def launch(self, document: Document, cgroup: Cgroup | None = None) -> Launch:
        """No more than begun, without input or output."""
        return launch_container(
            parse(document),
            overlay=self.overlay,
            seccomp=None,
            cgroup=cgroup or self.cgroup,
            stdio=ChildStdio(),
        )

    def reap(self) -> list[int]:
        """Wait for what failed launches have left to whoever reaps; how they ended, -n by signal n."""
        kept = self.children_before | {str(running.pid) for running in self.started}
        statuses = [os.waitpid(int(pid), 0)[1] for pid in children() - kept]
        return [os.waitstatus_to_exitcode(status) for status in statuses]

    def _running(self, launch: Launch, output: int, config: Config) -> Running:
        result = wait_started(launch)
        if result.console is not None:
            os.close(output)
            output = result.console
        running = Running(launch, result, output, config, self.cgroup)
        self.started.append(running)
        return running


def wait_started(launch: Launch) -> LaunchResult:
    while (result := launch.advance()) is None:
        select.select([launch], [], [])
    return result


def _pipe(terminal: bool, size: tuple[int, int] | None, stdin: int | None) -> tuple[int, ChildStdio]:
    if terminal:
        return os.open("/dev/null", os.O_RDONLY), ChildStdio(terminal=True, console_size=size)
    reading, writing = os.pipe()
    return reading, ChildStdio(stdin, writing, writing)


def _close_streams(stdio: ChildStdio) -> None:
    if stdio.stdout is not None:
        os.close(stdio.stdout)


def _device_rules() -> list[Document]:
    rules: list[Document] = [{"allow": False, "access": "rwm"}]
    rules += [{"allow": True, "type": kind, "access": "m"} for kind in "cb"]
    for major, minor in _DEVICES:
        rules.append({"allow": True, "type": "c", "major": major, "minor": minor, "access": "rwm"})
    return rules
