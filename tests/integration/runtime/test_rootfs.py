"""The root file system: layers, what is written where, and what is read-only."""

from __future__ import annotations

import os
import stat
from collections.abc import Callable
from pathlib import Path

import pytest

from rundlet.linux.kernel import Kernel
from rundlet.runtime.launch import LaunchError
from tests.integration.runtime.sandbox import Sandbox, make_busybox_root

pytestmark = pytest.mark.privileged


def _configure_like_an_old_kernel(context: int, key: str, value: str | None = None) -> None:
    if key == "lowerdir+":
        raise OSError(22, "Invalid argument")
    raise AssertionError(f"{key} after lowerdir+ was refused")


@pytest.fixture(params=["layers one by one", "layers in one string"])
def overlay_flavour(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Linux 6.7 and later, and those before it."""
    if request.param == "layers in one string":
        real: Callable[..., None] = Kernel.configure
        is_overlay: set[int] = set()

        def open_filesystem(kind: str, real: Callable[[str], int] = Kernel.open_filesystem) -> int:
            fd = real(kind)
            if kind == "overlay":
                is_overlay.add(fd)
            return fd

        def configure(context: int, key: str, value: str | None = None) -> None:
            (_configure_like_an_old_kernel if context in is_overlay else real)(context, key, value)

        monkeypatch.setattr(Kernel, "open_filesystem", staticmethod(open_filesystem))
        monkeypatch.setattr(Kernel, "configure", staticmethod(configure))


@pytest.mark.usefixtures("overlay_flavour")
def test_upper_layers_hide_lower_ones_and_writes_go_to_the_upper_directory(
    sandbox: Sandbox, tmp_path: Path
) -> None:
    top, odd = tmp_path / "top", tmp_path / "odd, name: with\\ everything"
    for layer in (top, odd):
        layer.mkdir()
        (layer / "who").write_text(layer.name)
    (odd / "only").write_text("here")
    sandbox.lower = [top, odd, *sandbox.lower]

    output = sandbox.shell("cat /who; echo; cat /only; echo; echo new > /etc/written; rm /bin/zcat; ls /bin/zcat")

    assert output.splitlines()[:2] == ["top", "here"]
    assert (tmp_path / "upper/etc/written").read_text() == "new\n"
    whiteout = os.lstat(tmp_path / "upper/bin/zcat")
    assert stat.S_ISCHR(whiteout.st_mode)
    assert whiteout.st_rdev == 0
    assert (sandbox.lower[-1] / "bin/zcat").is_symlink()


@pytest.mark.usefixtures("overlay_flavour")
def test_two_hundred_layers_are_no_problem(sandbox: Sandbox, tmp_path: Path) -> None:
    layers = [tmp_path / f"{'long' * 50}{number}" for number in range(200)]
    for number, layer in enumerate(layers):
        layer.mkdir()
        (layer / f"file{number}").touch()
    sandbox.lower = [*layers, *sandbox.lower]

    assert sandbox.shell("ls /file* | wc -l").strip() == "200"


@pytest.mark.usefixtures("overlay_flavour")
def test_the_layers_host_paths_do_not_show_inside(sandbox: Sandbox) -> None:
    output = sandbox.shell("cat /proc/self/mountinfo")

    assert "overlay" in output
    assert str(sandbox.directory) not in output
    assert str(sandbox.lower[0]) not in output


def test_a_missing_layer_is_an_error_that_names_it(sandbox: Sandbox, tmp_path: Path) -> None:
    sandbox.lower = [tmp_path / "gone", *sandbox.lower]

    with pytest.raises(LaunchError, match=r"no such file or directory: .*/gone"):
        sandbox.run(sandbox.document("true"))


def test_without_layers_the_root_directory_itself_is_the_root(sandbox: Sandbox, tmp_path: Path) -> None:
    make_busybox_root(tmp_path / "plain")
    document = sandbox.document("sh", "-c", "echo data > /file; ls /")
    document["root"]["path"] = str(tmp_path / "plain")

    names = sandbox.run(document, overlay=False).output.split()

    assert set(names) == {"bin", "etc", "root", "tmp", "file", "dev", "proc", "sys"}
    assert (tmp_path / "plain/file").read_text() == "data\n"
    assert (
        os.listdir(tmp_path / "plain/dev") == ["pts", "mqueue", "shm"] or os.listdir(tmp_path / "plain/dev") == []
    )


def test_a_symlink_as_root_directory_is_refused(sandbox: Sandbox, tmp_path: Path) -> None:
    (tmp_path / "link").symlink_to("/")
    document = sandbox.document("true")
    document["root"]["path"] = str(tmp_path / "link")

    with pytest.raises(LaunchError):
        sandbox.run(document, overlay=False)


def test_a_read_only_root_refuses_writes_and_leaves_tmpfs_alone(sandbox: Sandbox) -> None:
    document = sandbox.document("sh", "-c", "touch /x; touch /etc/x; touch /dev/x /dev/shm/x && echo fine")
    document["root"]["readonly"] = True
    document["process"]["cwd"] = "/made/for/it"

    output = sandbox.run(document).output

    assert output.count("Read-only file system") == 2
    assert "fine" in output


@pytest.mark.parametrize(
    ("propagation", "field"),
    [("shared", "shared:"), ("slave", ""), ("private", ""), ("unbindable", "unbindable")],
)
def test_the_roots_propagation_is_the_configs_and_reaches_no_host_mount(
    sandbox: Sandbox, propagation: str, field: str
) -> None:
    """Also with "shared", which keeps the host's mounts shared with the container's while it is set up."""
    host = Path("/proc/self/mountinfo").read_text()
    document = sandbox.document("sh", "-c", "grep ' / / ' /proc/self/mountinfo")
    document["linux"]["rootfsPropagation"] = propagation

    line = sandbox.run(document).output

    optional_fields = line.partition(" - ")[0].split()[6:]
    assert [name.startswith(field) for name in optional_fields] == ([True] if field else [])
    assert Path("/proc/self/mountinfo").read_text() == host
