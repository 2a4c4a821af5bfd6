"""The plan of the image of this machine."""

from __future__ import annotations

import io
import os
import sys
import tarfile
from pathlib import Path

import pytest

from rundlet.errors import PathNotFound
from rundlet.images import host
from rundlet.images.rootfs import Copied, Directory, Rootfs, Symlink, Written
from rundlet.images.tar import TarReader


@pytest.fixture(scope="module")
def plan() -> Rootfs:
    return host.plan(["ls", "bash"])


def follow(plan: Rootfs, path: str) -> str:
    """``path`` without symlinks, as the image itself would resolve it."""
    place = "/"
    for part in path.split("/"):
        place = os.path.normpath(os.path.join(place, part))
        if isinstance(node := plan.nodes.get(place), Symlink):
            place = follow(plan, os.path.join(os.path.dirname(place), node.target))
    return place


def test_python_and_the_shell_are_where_the_path_finds_them(plan: Rootfs) -> None:
    interpreter = plan.nodes["/usr/local/bin/python3"]

    assert isinstance(interpreter, Symlink)
    assert isinstance(plan.nodes[interpreter.target], Copied)
    assert any(f"{directory}/sh" in plan.nodes for directory in ("/bin", "/usr/bin"))
    assert host.environment(plan)[0] == f"PATH={host.PATH}"


def test_the_standard_library_comes_without_tests_and_other_peoples_packages(plan: Rootfs) -> None:
    paths = "\n".join(plan.nodes)

    assert os.path.realpath(os.__file__) in plan.nodes
    for useless in ("/site-packages", "/dist-packages", "/test/", "/tests/", "/idlelib", "/tkinter", "/_tkinter"):
        assert useless not in paths


def test_only_compiled_modules_that_python_would_believe_come_along(plan: Rootfs) -> None:
    compiled = [path for path in plan.nodes if path.endswith(".pyc")]

    assert all(sys.implementation.cache_tag in path for path in compiled)
    assert not any(".opt-" in path for path in compiled)


def test_every_symlink_leads_to_something_in_the_image(plan: Rootfs) -> None:
    for path, node in plan.nodes.items():
        if isinstance(node, Symlink):
            assert follow(plan, path) in plan.nodes, f"{path} -> {node.target}"


def test_nothing_lies_below_a_symlink(plan: Rootfs) -> None:
    for path in plan.nodes:
        assert not any(isinstance(plan.nodes.get(str(parent)), Symlink) for parent in Path(path).parents)


def test_accounts_are_the_images_own(plan: Rootfs) -> None:
    for name in ("/etc/passwd", "/etc/group", "/etc/nsswitch.conf"):
        assert isinstance(plan.nodes[name], Written)
    assert "/etc/shadow" not in plan.nodes
    assert plan.nodes["/tmp"] == Directory(0o1777)


def test_a_program_that_this_machine_lacks_is_an_error_when_it_was_asked_for() -> None:
    with pytest.raises(PathNotFound, match="no-such-program"):
        host.plan(["no-such-program"])
    with pytest.raises(PathNotFound):
        host.plan(["relative/path"])


def test_a_script_brings_its_interpreter(tmp_path: Path) -> None:
    script = tmp_path / "script"
    script.write_text("#!/bin/sh\necho hi\n")
    script.chmod(0o755)

    assert str(script) in host.plan([str(script)]).nodes


# ── the plan itself ──


def test_copying_takes_every_link_on_the_way(tmp_path: Path) -> None:
    (tmp_path / "usr/bin").mkdir(parents=True)
    (tmp_path / "usr/bin/dash").write_text("shell")
    (tmp_path / "usr/bin/sh").symlink_to("dash")
    (tmp_path / "bin").symlink_to("usr/bin")
    (tmp_path / "absolute").symlink_to(tmp_path / "bin/../bin/sh")
    rootfs = Rootfs()

    assert rootfs.copy(str(tmp_path / "absolute")) == str(tmp_path / "usr/bin/dash")

    kinds = {path.removeprefix(str(tmp_path)): type(node) for path, node in rootfs.nodes.items()}
    assert {
        "/absolute": Symlink,
        "/bin": Symlink,
        "/usr": Directory,
        "/usr/bin": Directory,
        "/usr/bin/sh": Symlink,
        "/usr/bin/dash": Copied,
    }.items() <= kinds.items()


def test_links_in_a_circle_end(tmp_path: Path) -> None:
    (tmp_path / "a").symlink_to("b")
    (tmp_path / "b").symlink_to("a")

    with pytest.raises(OSError, match="too many symlinks"):
        Rootfs().copy(str(tmp_path / "a"))


def test_only_files_are_copied(tmp_path: Path) -> None:
    with pytest.raises(IsADirectoryError):
        Rootfs().copy(str(tmp_path))


def test_the_tar_is_the_same_each_time_and_readable_by_others(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"x" * 3000)
    os.utime(tmp_path / "file", (1_600_000_000, 1_600_000_000))
    rootfs = Rootfs()
    rootfs.copy(str(tmp_path / "file"))
    rootfs.write("/etc/name/with/" + "long/" * 60 + "end", "text", 0o600)
    rootfs.symlink("/link", "t" * 300)

    data = rootfs.tar().read()

    assert data == rootfs.tar().read()
    assert (rootfs.size, rootfs.newest) == (3000, 1_600_000_000)
    with tarfile.open(fileobj=io.BytesIO(data)) as tar:
        found = {info.name: info for info in tar}
    assert found.keys() == {path.lstrip("/") for path in rootfs.nodes}
    assert all((info.uid, info.gid, info.mtime) == (0, 0, 1_600_000_000) for info in found.values())
    assert found["link"].linkname == "t" * 300
    assert [entry.name.decode().rstrip("/") for entry in TarReader(io.BytesIO(data))] == sorted(found)


def test_a_file_that_became_shorter_is_an_error_and_not_a_broken_archive(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"x" * 3000)
    rootfs = Rootfs()
    rootfs.copy(str(tmp_path / "file"))
    (tmp_path / "file").write_bytes(b"x")

    with pytest.raises(OSError, match="shorter"):
        rootfs.tar().read()
