"""Runs hostile programs in containers of a real engine and says what became of them.

The programs are Python scripts in the image that is made of this machine's own Python, or shell scripts in
busybox. What is hostile about them is for the tests to say; here they are only started and waited for.
"""

from __future__ import annotations

import io
import json
import os
import secrets
import socket
import tarfile
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tests.support.busybox import build_archive, build_layer
from tests.support.engines import RundletDaemon, wait_until
from tests.support.http import Reply, demultiplex

HOST_IMAGE = "rundlet/host"
PRELUDE = (Path(__file__).parent / "inside.py").read_text()
"""What every Python script starts with: see there."""


@dataclass(frozen=True)
class Outcome:
    status: int
    stdout: str
    stderr: str

    def json(self) -> Any:
        """What the script printed; it is shown with its errors if that is no JSON."""
        assert self.status == 0, self
        return json.loads(self.stdout)


@dataclass(frozen=True)
class Arena:
    daemon: RundletDaemon
    evil_images: list[str] = field(default_factory=list)

    def create(self, image: str, command: list[str], host: Mapping[str, Any] | None = None, **fields: Any) -> str:
        body = {"Image": image, "Cmd": command, "HostConfig": {"NetworkMode": "none", **(host or {})}, **fields}
        reply = self.daemon.client.post("/containers/create", body)
        assert reply.status == 201, reply.body
        container = reply.json()["Id"]
        assert isinstance(container, str)
        return container

    def start(self, container: str) -> Reply:
        return self.daemon.client.post(f"/containers/{container}/start")

    def spawn(self, image: str, command: list[str], host: Mapping[str, Any] | None = None, **fields: Any) -> str:
        """Create and start; the id."""
        container = self.create(image, command, host, **fields)
        reply = self.start(container)
        assert reply.status == 204, reply.body
        return container

    def shell(
        self, script: str, host: Mapping[str, Any] | None = None, *, image: str = "busybox", **fields: Any
    ) -> Outcome:
        """Run ``sh -c script`` to its end."""
        return self.outcome(self.spawn(image, ["sh", "-c", script], host, **fields))

    def python(self, script: str, host: Mapping[str, Any] | None = None, **fields: Any) -> Outcome:
        """Run a Python script to its end, with the names of :mod:`tests.adversarial.inside`."""
        return self.outcome(self.spawn_python(script, host, **fields))

    def spawn_python(self, script: str, host: Mapping[str, Any] | None = None, **fields: Any) -> str:
        return self.spawn(HOST_IMAGE, ["python3", "-c", PRELUDE + script], host, **fields)

    def outcome(self, container: str) -> Outcome:
        status = self.daemon.client.request("POST", f"/containers/{container}/wait", timeout_s=50).json()
        streams = self.output(container)
        return Outcome(
            status["StatusCode"], streams[1].decode(errors="replace"), streams[2].decode(errors="replace")
        )

    def execute(self, container: str, command: list[str], **fields: Any) -> str:
        """The output of an exec, both streams as one."""
        body = {"Cmd": command, "AttachStdout": True, "AttachStderr": True, **fields}
        created = self.daemon.client.post(f"/containers/{container}/exec", body)
        assert created.status == 201, created.body
        reply = self.daemon.client.post(f"/exec/{created.json()['Id']}/start", {"Detach": False, "Tty": False})
        assert reply.status == 200, reply.body
        return b"".join(demultiplex(reply.body).values()).decode(errors="replace")

    def output(self, container: str) -> dict[int, bytes]:
        reply = self.daemon.client.get(f"/containers/{container}/logs", stdout="1", stderr="1")
        assert reply.status == 200, reply.body
        return demultiplex(reply.body)

    def wait_for_output(self, container: str, expected: bytes) -> None:
        """Until stdout is ``expected``."""
        wait_until(lambda: self.output(container)[1] == expected, f"output {expected!r}: {self.output(container)}")

    def wait_until_gone(self, container: str) -> None:
        wait_until(lambda: self.daemon.client.get(f"/containers/{container}/json").status == 404, "its removal")

    def wait_for(self, container: str, condition: str) -> None:
        """Until a shell in the container says that ``condition`` holds."""
        command = ["sh", "-c", f"if {condition}; then echo yes; fi"]
        wait_until(lambda: self.execute(container, command) == "yes\n", condition)

    def load_layer(self, members: Mapping[str, tuple[str, Any]], *, base: bool = False) -> str:
        """An image of one layer with these members, name -> (kind, contents); ``base``: and with busybox.

        It is gone with the test.
        """
        reference = f"evil-{secrets.token_hex(4)}:latest"
        reply = self.load(build_archive(reference, build_evil_layer(members, base=base)))
        assert reply.status == 200, reply.body
        assert b"error" not in reply.body, reply.body
        self.evil_images.append(reference)
        return reference

    def load(self, archive: bytes) -> Reply:
        return self.daemon.client.post("/images/load", archive)

    def forget_images(self) -> None:
        for reference in self.evil_images:
            assert self.daemon.client.delete(f"/images/{reference}").status == 200
        self.evil_images.clear()

    def processes_of(self, container: str) -> list[int]:
        """Process ids on the host."""
        for path in Path("/sys/fs/cgroup").glob(f"pids/{self.daemon.instance}/{container}/cgroup.procs"):
            return [int(pid) for pid in path.read_text().split()]
        return []

    def wait_for_processes(self, container: str, count: int) -> None:
        wait_until(lambda: len(self.processes_of(container)) >= count, f"{count} processes")

    def connect(self) -> socket.socket:
        sock = socket.socket(socket.AF_UNIX)
        sock.settimeout(10)
        sock.connect(str(self.daemon.socket_path))
        return sock

    def open(self, request: str) -> socket.socket:
        """A connection with one request on it, of which nobody reads the answer."""
        sock = self.connect()
        head = f"{request} HTTP/1.1\r\nHost: engine\r\nUpgrade: tcp\r\nConnection: Upgrade\r\n\r\n"
        sock.sendall(head.encode())
        return sock

    def descriptors(self) -> int:
        """Of the daemon."""
        return len(os.listdir(f"/proc/{self.daemon.pid}/fd"))

    def state(self, container: str) -> dict[str, Any]:
        document = self.daemon.client.get(f"/containers/{container}/json").json()["State"]
        assert isinstance(document, dict)
        return document

    def remove(self, container: str) -> None:
        reply = self.daemon.client.delete(f"/containers/{container}", force="1", v="1")
        assert reply.status == 204, reply.body


_KINDS = {
    "file": tarfile.REGTYPE,
    "symlink": tarfile.SYMTYPE,
    "hardlink": tarfile.LNKTYPE,
    "block": tarfile.BLKTYPE,
}
_KINDS |= {"character": tarfile.CHRTYPE, "directory": tarfile.DIRTYPE, "fifo": tarfile.FIFOTYPE}


def build_evil_layer(members: Mapping[str, tuple[str, Any]], *, base: bool = False) -> bytes:
    """A tar of members: name -> (kind, contents, link target or device number). With ``base`` they come after
    busybox's, whose members of the same name are left out."""
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w", format=tarfile.PAX_FORMAT) as tar:
        if base:
            _copy_members(tar, frozenset(members))
        for name, (kind, contents) in members.items():
            info = tarfile.TarInfo(name)
            info.type, info.mode = _KINDS[kind], 0o755
            data = contents if kind == "file" else b""
            info.size = len(data)
            if kind in ("symlink", "hardlink"):
                info.linkname = contents
            elif kind in ("block", "character"):
                info.devmajor, info.devminor = os.major(contents), os.minor(contents)
            tar.addfile(info, io.BytesIO(data))
    return out.getvalue()


def _copy_members(tar: tarfile.TarFile, without: frozenset[str]) -> None:
    with tarfile.open(fileobj=io.BytesIO(build_layer())) as original:
        for info in original:
            if info.name not in without:
                tar.addfile(info, original.extractfile(info) if info.isreg() else None)
