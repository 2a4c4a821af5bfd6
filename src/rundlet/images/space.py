"""What happens when the disk is full: one error that names what there was no room for."""

from __future__ import annotations

import contextlib
import errno
from collections.abc import Iterator

from rundlet.errors import StorageFull


def is_full(error: OSError) -> bool:
    """No space, no inodes (both ENOSPC) or a quota reached."""
    return error.errno in (errno.ENOSPC, errno.EDQUOT)


@contextlib.contextmanager
def needed(path: object, doing: str) -> Iterator[None]:
    """Turn "no space left" of the block into StorageFull; cleaning up is the block's own business."""
    try:
        yield
    except OSError as error:
        if not is_full(error):
            raise
        raise full(path, doing) from error


def full(path: object, doing: str) -> StorageFull:
    return StorageFull(str(path), doing)
