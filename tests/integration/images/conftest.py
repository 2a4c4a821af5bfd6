"""Fixtures of the image tests that need the real thing: root, overlayfs, skopeo, umoci."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from rundlet.images import Image, ImageStore

Run = Callable[..., str]


@pytest.fixture
def data_root(tmp_path: Path) -> Path:
    return tmp_path / "data"


@pytest.fixture
def store(data_root: Path) -> Iterator[ImageStore]:
    opened = ImageStore(data_root)
    yield opened
    opened.close()


@pytest.fixture
def run(tmp_path: Path) -> Run:
    """Run a program to its end and return its output."""

    def run(*command: str | Path, **options: str) -> str:
        done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False, **options)  # type: ignore[call-overload]  # options are subprocess's own
        assert done.returncode == 0, f"{command}: {done.stdout}{done.stderr}"
        return str(done.stdout)

    return run


@pytest.fixture
def rootfs(tmp_path: Path) -> Path:
    """A root filesystem with busybox as its shell."""
    path = tmp_path / "rootfs"
    for directory in ("bin", "etc", "tmp", "proc", "data/old"):
        (path / directory).mkdir(parents=True)
    shutil.copy("/bin/busybox", path / "bin/busybox")
    for applet in ("sh", "ls", "cat", "id"):
        os.link(path / "bin/busybox", path / "bin" / applet)
    (path / "etc/motd").write_text("first")
    (path / "data/old/file").write_text("old")
    (path / "tmp").chmod(0o1777)
    return path


@pytest.fixture
def mounted(tmp_path: Path, run: Run) -> Iterator[Callable[[ImageStore, Image], Path]]:
    """Mount an image as a container would see it, and return where."""
    mounts: list[Path] = []

    def mount(store: ImageStore, image: Image) -> Path:
        place = tmp_path / f"merged{len(mounts)}"
        for name in ("", "-upper", "-work"):
            (tmp_path / f"{place.name}{name}").mkdir()
        lower = ":".join(str(path) for path in store.lower_dirs(image))
        options = f"lowerdir={lower},upperdir={place}-upper,workdir={place}-work"
        run("mount", "-t", "overlay", "overlay", "-o", options, place)
        mounts.append(place)
        return place

    yield mount
    for place in mounts:
        run("umount", place)
