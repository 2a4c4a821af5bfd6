"""Images: content, layers, names, and the writable side of containers.

:class:`ImageStore` is the face of it; :class:`Snapshots` makes the directories that a container writes to.
Blocking, safe to use from several threads. No registry, no mounts, no asyncio.
"""

from rundlet.images.image import Image
from rundlet.images.progress import OnProgress, Progress
from rundlet.images.removal import Users
from rundlet.images.snapshots import Snapshots, Upper
from rundlet.images.store import ImageStore, Loaded

__all__ = ["Image", "ImageStore", "Loaded", "OnProgress", "Progress", "Snapshots", "Upper", "Users"]
