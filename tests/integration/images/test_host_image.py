"""The image of this machine runs Python and a shell with nothing else mounted."""

from __future__ import annotations

import os
import time
from pathlib import Path

import pytest

from rundlet.images import ImageStore, Progress
from tests.integration.images.conftest import Run

pytestmark = pytest.mark.privileged
ENVIRONMENT = ("/usr/bin/env", "-i", "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin")


def test_python_and_the_shell_run_in_it(store: ImageStore, run: Run) -> None:
    told: list[Progress] = []
    image = store.assemble_host(progress=told.append)
    (root,) = store.lower_dirs(image)

    modules = "asyncio, bz2, ctypes, hashlib, json, lzma, sqlite3, ssl, subprocess, zlib"
    output = run("chroot", root, *ENVIRONMENT, "python3", "-c", f"import {modules}; print(6 * 7)")

    assert output == "42\n"
    assert run("chroot", root, *ENVIRONMENT, "sh", "-c", "ls / | sort | head -1; id -u; python3 -V").startswith(
        "bin\n0\n"
    )
    assert image.references == ("rundlet/host:latest",)
    assert image.defaults["Cmd"] == ["python3"]
    assert (told[-1].current, told[-1].total) != (0, 0)


def test_other_users_than_root_can_use_it(store: ImageStore, run: Run) -> None:
    (root,) = store.lower_dirs(store.assemble_host())

    assert run("chroot", "--userspec=65534:65534", root, *ENVIRONMENT, "python3", "-c", "print('hi')") == "hi\n"


def test_it_is_the_same_image_while_the_machine_is_the_same(store: ImageStore) -> None:
    assert store.assemble_host(programs=["ls"]).id == store.assemble_host(programs=["ls"], reference="other:1").id


def test_another_user_of_this_machine_cannot_reach_into_the_store(
    store: ImageStore, data_root: Path, run: Run
) -> None:
    """A setuid program of an image must not be there for everybody (CVE-2021-41091)."""
    (root,) = store.lower_dirs(store.assemble_host(programs=["ls"]))
    for path in (data_root.parent, data_root.parent.parent, data_root.parent.parent.parent):
        path.chmod(0o755)

    child = os.fork()
    if child == 0:
        os.setgroups([])
        os.setgid(65534)
        os.setuid(65534)
        reached = False
        for path in (data_root / "layers", root, root / "usr/local/bin/python3"):
            try:
                os.stat(path)
                reached = reached or path != data_root / "layers"
            except PermissionError:
                continue
        os._exit(reached)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0


def test_assembling_is_quick(store: ImageStore) -> None:
    """The first command of the README waits for it. Three seconds is the promise; this machine takes one."""
    begin = time.process_time()

    store.assemble_host()

    assert time.process_time() - begin < 3
