"""Which containers use which image, for two sides that do not wait for each other.

Containers are created on the loop, images removed in a thread, and the removal asks at the very moment it decides.
Whoever comes first wins: an image whose users were asked for and had none is condemned until its removal has
ended, and a create that then wants it waits and looks again.
"""

from __future__ import annotations

import threading
from collections import defaultdict

__all__ = ["ImageUses"]


class ImageUses:
    """Thread-safe; never blocks for long."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._users: defaultdict[str, set[str]] = defaultdict(set)
        self._condemned: set[str] = set()

    def take(self, image_id: str, container_id: str) -> bool:
        """False when the image is just being removed."""
        with self._lock:
            if image_id in self._condemned:
                return False
            self._users[image_id].add(container_id)
            return True

    def release(self, image_id: str, container_id: str) -> None:
        with self._lock:
            users = self._users.get(image_id)
            if users is not None:
                users.discard(container_id)
                if not users:
                    del self._users[image_id]

    def users(self, image_id: str) -> list[str]:
        with self._lock:
            return sorted(self._users.get(image_id, ()))

    def users_or_condemn(self, image_id: str) -> list[str]:
        """For a removal. Followed by :meth:`pardon` when it has ended, either way."""
        with self._lock:
            users = sorted(self._users.get(image_id, ()))
            if not users:
                self._condemned.add(image_id)
            return users

    def pardon(self, image_ids: set[str]) -> None:
        with self._lock:
            self._condemned -= image_ids
