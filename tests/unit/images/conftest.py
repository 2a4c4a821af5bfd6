"""Fixtures of the image tests. Nothing here needs root: what is unpacked belongs to whoever runs the tests."""

from __future__ import annotations

import io
import os
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from rundlet.images import ImageStore
from rundlet.images.tar import TarReader
from rundlet.images.trees import Workspace
from rundlet.images.unpack import Unpacked, unpack

Unpack = Callable[[bytes], Unpacked]


@pytest.fixture
def workspace(tmp_path: Path) -> Workspace:
    return Workspace(tmp_path / "tmp")


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """Where :func:`unpack_tar` unpacks; ``canary`` beside it must never change."""
    (tmp_path / "canary").write_text("alive")
    path = tmp_path / "layer"
    path.mkdir()
    return path


@pytest.fixture
def unpack_tar(root: Path, workspace: Workspace) -> Unpack:
    """Unpack a tar into ``root``."""

    def run(data: bytes) -> Unpacked:
        fd = os.open(root, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            return unpack(TarReader(io.BytesIO(data)), fd, workspace)
        finally:
            os.close(fd)

    return run


@pytest.fixture
def data_root(tmp_path: Path) -> Path:
    return tmp_path / "data"


@pytest.fixture
def store(data_root: Path) -> Iterator[ImageStore]:
    opened = ImageStore(data_root)
    yield opened
    opened.close()
