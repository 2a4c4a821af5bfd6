"""In a chroot a container could reach what lies above: the engine does not start."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from tests.support.engines import RundletDaemon

pytestmark = pytest.mark.privileged

IN_A_CHROOT = """
mount --rbind / "$1" && cd "$1" && root=$1 && shift && exec chroot "$root" "$@"
"""


@pytest.fixture
def root(tmp_path: Path) -> Path:
    directory = tmp_path / "root"
    directory.mkdir()
    return directory


def in_a_chroot(root: Path, *command: str) -> subprocess.CompletedProcess[str]:
    """Run ``command`` with a bind mount of the host's root as its root, in a mount namespace that ends with it."""
    script = ["unshare", "--mount", "sh", "-c", IN_A_CHROOT, "sh", str(root), *command]
    return subprocess.run(script, capture_output=True, text=True, check=False, timeout=30)


def test_the_engine_says_so_and_leaves_nothing(root: Path, tmp_path: Path) -> None:
    daemon = RundletDaemon("tchroot", tmp_path / "data", tmp_path / "run")

    done = in_a_chroot(root, *daemon.command())

    assert done.returncode == 1
    [line] = done.stderr.splitlines()
    assert "does not support containers in a chroot" in line
    assert daemon.footprint.everything() == []


@pytest.mark.parametrize("chrooted", [True, False])
def test_a_chroot_is_told_from_a_mount_namespace_of_its_own(root: Path, chrooted: bool) -> None:
    program = "from rundlet.linux.chroot import is_in_chroot; print(is_in_chroot())"
    command = (sys.executable, "-c", program)
    if chrooted:
        done = in_a_chroot(root, *command)
    else:
        done = subprocess.run(["unshare", "--mount", *command], capture_output=True, text=True, check=False)
    assert done.stdout == f"{chrooted}\n", done.stderr
