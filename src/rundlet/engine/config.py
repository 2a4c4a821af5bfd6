"""Where an engine keeps its things, and its defaults: one frozen value, passed in, never global.

It reads no environment and no file: that is the daemon's business.

    DATA/                                           RUN/
      engine.db            SQLite, WAL                supervisor.sock
      containers/<id>/     upper/ work/ spool/        supervisor.log
                           log.json log.1.json …      containers/<id>/   rootfs/
                           etc/hosts hostname …
      volumes/<name>/_data
      blobs/ layers/ tmp/  (rundlet.images)
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from pathlib import Path

from rundlet.errors import InvalidArgument

__all__ = ["EngineConfig"]

_INSTANCE = re.compile(r"[a-z0-9]{1,8}")
"""Names that the engine makes on the host carry the instance's; an interface name has 15 bytes in all."""


@dataclass(frozen=True, slots=True)
class EngineConfig:
    instance: str = "rundlet"
    """Prefix of everything the engine makes on the host (cgroups, later interfaces): two engines never meet."""
    data_root: Path = Path("/var/lib/rundlet")
    run_root: Path = Path("/run/rundlet")
    log_driver: str = "json-file"
    log_options: dict[str, str] = field(default_factory=lambda: {"max-size": "10m", "max-file": "3"})
    """For containers that name no driver of their own. Docker's own default never rotates: ours does."""
    stop_timeout_s: int = 10
    debug: bool = False

    def __post_init__(self) -> None:
        if not _INSTANCE.fullmatch(self.instance):
            raise InvalidArgument(f'invalid instance name "{self.instance}": it has 1 to 8 of a-z and 0-9')
        for root in (self.data_root, self.run_root):
            if not root.is_absolute():
                raise InvalidArgument(f"data root and run root must be absolute paths: {root}")

    @property
    def database(self) -> Path:
        return self.data_root / "engine.db"

    def container_dir(self, container_id: str) -> Path:
        """What of a container outlives the machine's uptime."""
        return self.data_root / "containers" / container_id

    def spool_dir(self, container_id: str) -> Path:
        return self.container_dir(container_id) / "spool"

    def etc_dir(self, container_id: str) -> Path:
        """Files that a container may write to, as much as it likes: not in the run root, which lies in memory and
        holds the sockets of the machine."""
        return self.container_dir(container_id) / "etc"

    def runtime_dir(self, container_id: str) -> Path:
        """What of a container is made anew at each start."""
        return self.run_root / "containers" / container_id

    def cgroup_path(self, container_id: str) -> str:
        return f"/{self.instance}/{container_id}"

    @property
    def volumes_dir(self) -> Path:
        return self.data_root / "volumes"
