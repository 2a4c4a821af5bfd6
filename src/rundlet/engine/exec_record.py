"""What the engine knows of an exec. Plain data, which the store writes as JSON."""

from __future__ import annotations

from dataclasses import dataclass, field

__all__ = ["ExecRecord"]


@dataclass(slots=True)
class ExecRecord:
    id: str
    container_id: str
    run: int
    """The run of the container that it belongs to."""
    args: list[str]
    env: list[str] = field(default_factory=list)
    """Added to, or overriding, the container's."""
    user: str = ""
    working_dir: str = ""
    privileged: bool = False
    tty: bool = False
    console_size: tuple[int, int] | None = None
    """Rows, columns."""
    detach_keys: str = ""
    stdin: bool = False
    stdout: bool = False
    stderr: bool = False
    created_ns: int = 0
    started: bool = False
    pid: int = 0
    exit_code: int | None = None
    """None until the exit."""
    finished_ns: int = 0

    @property
    def is_running(self) -> bool:
        return self.started and self.exit_code is None
