"""The test support itself: a check that finds nothing must be one that could have found something."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from tests.support.engines import Dockerd
from tests.support.host import CGROUPS, Footprint

ROOT = Path(__file__).resolve().parents[2]


@pytest.mark.privileged
def test_footprint_finds_processes_mounts_cgroups_and_sockets(tmp_path: Path) -> None:
    footprint = Footprint("tfoot", tmp_path / "data", tmp_path / "run")
    assert footprint.everything() == []

    mounted = tmp_path / "run" / "mounted"
    mounted.mkdir(parents=True)
    cgroup = next(path for path in CGROUPS.iterdir() if (path / "cgroup.procs").exists()) / "tfoot"
    cgroup.mkdir()
    process = subprocess.Popen(["tail", "-f", "/dev/null"])
    named = subprocess.Popen(["tail", "-f", "/dev/null", tmp_path / "data"])
    (cgroup / "cgroup.procs").write_text(str(process.pid))
    subprocess.run(["mount", "-t", "tmpfs", "tmpfs", mounted], check=True)
    try:
        found = {line.split(":")[0] for line in footprint.processes()}
        assert found == {str(process.pid), str(named.pid)}
        assert str(mounted) in footprint.mounts()[0]
        assert footprint.cgroups() == [cgroup]
    finally:
        for child in (process, named):
            child.kill()
            child.wait()
        subprocess.run(["umount", mounted], check=True)
        cgroup.rmdir()
    assert footprint.everything() == []


@pytest.mark.parametrize(("ci", "expected"), [("true", "1 (failed|error)"), ("", "1 skipped")])
def test_a_skipped_privileged_test_fails_in_ci_alone(tmp_path: Path, ci: str, expected: str) -> None:
    test = "import pytest\n\n\n@pytest.mark.privileged\ndef test_it():\n    pytest.skip('no such thing')\n"
    (tmp_path / "test_skipping.py").write_text(test)
    run = subprocess.run(
        [sys.executable, "-m", "pytest", "-c", ROOT / "pyproject.toml", "-p", "tests.conftest", tmp_path],
        cwd=ROOT,
        env={**os.environ, "CI": ci, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert re.search(expected, run.stdout)
    assert "no such thing" in run.stdout or "needs root" in run.stdout


@pytest.mark.dockerd
def test_every_docker_client_of_this_machine_sees_the_image_that_dockerd_loaded(
    dockerd: Dockerd, docker: Path
) -> None:
    images: list[str | Path] = [docker, "--host", dockerd.host, "images", "--format", "{{.Repository}}:{{.Tag}}"]
    listed = subprocess.run(images, capture_output=True, text=True, check=True)
    assert listed.stdout.split() == ["busybox:latest"]
