"""What the host holds of one engine: processes, mounts, cgroups, files, sockets.

An engine's name on the host is its instance (cgroups), its data root and its run root (everything else), so
that a test can say after the end that nothing is left, whatever else runs on the machine. Read-only.
"""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path

CGROUPS = Path("/sys/fs/cgroup")


@cache
def missing_privileges() -> str | None:
    """Why this process cannot run containers, or None. The words are what ``pytest -ra`` prints."""
    if os.geteuid() != 0:
        return "needs root"
    if "overlay" not in Path("/proc/filesystems").read_text():
        return "needs overlayfs in the kernel"
    if not os.access(CGROUPS, os.W_OK):
        return f"needs a writable {CGROUPS}"
    unshare = subprocess.run(["unshare", "-mpinuC", "--fork", "true"], capture_output=True, text=True, check=False)
    if unshare.returncode:
        return f"needs namespaces: {unshare.stderr.strip()}"
    return None


@dataclass(frozen=True)
class Footprint:
    """Where to look for what one engine made."""

    instance: str
    data_root: Path
    run_root: Path

    def processes(self) -> list[str]:
        """``pid: command`` of every process that was started for the engine or is in one of its cgroups."""
        found = []
        for entry in _process_directories():
            try:
                command = (entry / "cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace").strip()
                cgroups = (entry / "cgroup").read_text()
            except (FileNotFoundError, ProcessLookupError):
                continue
            in_cgroup = f":/{self.instance}/" in cgroups or f":/{self.instance}\n" in cgroups
            if in_cgroup or str(self.run_root) in command or str(self.data_root) in command:
                found.append(f"{entry.name}: {command}")
        return found

    def mounts(self) -> list[str]:
        roots = (str(self.data_root), str(self.run_root))
        lines = Path("/proc/self/mountinfo").read_text().splitlines()
        return [line for line in lines if any(root in line for root in roots)]

    def cgroups(self) -> list[Path]:
        hierarchies = [CGROUPS, *(path for path in CGROUPS.iterdir() if path.is_dir())]
        return [path / self.instance for path in hierarchies if (path / self.instance).is_dir()]

    def container_files(self) -> list[Path]:
        """Everything below the places that belong to one container or to one running operation."""
        data, run = self.data_root, self.run_root
        places = [data / "containers", data / "tmp", data / "tmp" / "gone", run / "containers"]
        return [path for place in places if place.is_dir() for path in place.iterdir() if path not in places]

    def sockets(self) -> list[Path]:
        return [path for path in self.run_root.rglob("*") if path.is_socket()] if self.run_root.exists() else []

    def of_containers(self) -> list[str]:
        """What is left of containers while the engine still runs; empty when none exists."""
        inner = [str(child) for path in self.cgroups() for child in path.iterdir() if child.is_dir()]
        return [*inner, *self.mounts(), *map(str, self.container_files())]

    def everything(self) -> list[str]:
        """What is left of the engine after its end; must be empty."""
        return [*self.processes(), *self.mounts(), *map(str, (*self.cgroups(), *self.sockets()))]


def _process_directories() -> Iterator[Path]:
    own = str(os.getpid())
    return (entry for entry in Path("/proc").iterdir() if entry.name.isdigit() and entry.name != own)
