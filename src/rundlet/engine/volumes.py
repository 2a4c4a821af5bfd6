"""Named and anonymous volumes as plain directories: enough for ``-v`` and for an image's ``VOLUME``.

    DATA/volumes/<name>/_data

A volume is a row of the store and a directory. The directory comes first, the row is committed together with
the container that asks for it, and start-up sweeps directories that have no row. Drivers, labels, copy-up and
the volume API are not here.
"""

from __future__ import annotations

import errno
import os
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from rundlet.engine.mounts import MountSpec
from rundlet.errors import InvalidArgument, StorageFull
from rundlet.images.trees import Workspace

__all__ = ["Volume", "Volumes"]


@dataclass(slots=True)
class Volume:
    name: str
    created_ns: int
    anonymous: bool = False


class Volumes:
    """Owned by the loop, but for :meth:`make_directories` and :meth:`remove_directory`, which run in a thread."""

    def __init__(self, root: Path) -> None:
        """``root`` is DATA/volumes."""
        self._root = root
        self._volumes: dict[str, Volume] = {}

    def load(self, volumes: Iterable[Volume]) -> None:
        self._volumes = {volume.name: volume for volume in volumes}

    def __iter__(self) -> Iterator[Volume]:
        return iter(tuple(self._volumes.values()))

    def get(self, name: str) -> Volume | None:
        return self._volumes.get(name)

    def data_dir(self, name: str) -> Path:
        return self._root / name / "_data"

    def missing(self, mounts: Iterable[MountSpec], now_ns: int) -> list[Volume]:
        """The volumes that ``mounts`` name and that do not exist yet: to be made and committed."""
        return [
            Volume(spec.name, now_ns, spec.anonymous)
            for spec in mounts
            if spec.type == "volume" and spec.name not in self._volumes
        ]

    def add(self, volumes: Iterable[Volume]) -> None:
        for volume in volumes:
            self._volumes.setdefault(volume.name, volume)

    def discard(self, name: str) -> None:
        self._volumes.pop(name, None)

    def make_directories(self, mounts: Iterable[MountSpec]) -> None:
        """Blocking. The directories of volumes, and the missing sources of ``Binds``.

        StorageFull; InvalidArgument for a source that cannot be made.
        """
        for spec in mounts:
            if spec.type == "volume":
                path = self.data_dir(spec.name)
                spec.source = str(path)
            elif spec.create_source:
                path = Path(spec.source)
            else:
                continue
            try:
                _make(path)
            except OSError as error:
                if error.errno in (errno.ENOSPC, errno.EDQUOT):
                    raise StorageFull(str(path), "making a mount's directory") from error
                why = (error.strerror or str(error)).lower()
                raise InvalidArgument(f"error while creating mount source path '{path}': {why}") from error

    def remove_directory(self, name: str) -> None:
        """Blocking. However deep a container has nested directories in it."""
        Workspace(self._root.parent / "tmp").discard(self._root / name)

    def sweep(self) -> None:
        """Blocking; at start-up. Remove directories without a row: a create that never committed."""
        for path in self._root.iterdir() if self._root.is_dir() else ():
            if path.name not in self._volumes:
                self.remove_directory(path.name)


def _make(path: Path) -> None:
    if not path.exists():  # a bind source may well be a file or a socket
        path.parent.mkdir(mode=0o755, parents=True, exist_ok=True)
        os.makedirs(path, mode=0o755, exist_ok=True)
