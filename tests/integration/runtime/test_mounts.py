"""Mounts of a config: what they are in the container, and where they cannot lead."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from rundlet.runtime.launch import LaunchError
from tests.integration.runtime.sandbox import Document, Sandbox

pytestmark = pytest.mark.privileged


def _bind(source: Path | str, destination: str, *options: str) -> Document:
    return {"destination": destination, "type": "bind", "source": str(source), "options": ["rbind", *options]}


@pytest.fixture
def shared(tmp_path: Path) -> Path:
    directory = tmp_path / "shared"
    directory.mkdir()
    (directory / "file").write_text("content\n")
    return directory


def test_the_default_mounts_are_dockers(sandbox: Sandbox) -> None:
    lines = [line.split() for line in sandbox.shell("cat /proc/self/mounts").splitlines()]
    mounts = {target: (kind, set(options.split(","))) for _, target, kind, options, *_ in lines}

    assert mounts["/proc"] == ("proc", {"rw", "nosuid", "nodev", "noexec", "relatime"})
    assert mounts["/dev"] == ("tmpfs", {"rw", "nosuid", "size=65536k", "mode=755"})
    assert mounts["/dev/pts"][1] >= {"rw", "nosuid", "noexec", "gid=5", "mode=620", "ptmxmode=666"}
    assert mounts["/sys"] == ("sysfs", {"ro", "nosuid", "nodev", "noexec", "relatime"})
    assert mounts["/sys/fs/cgroup"][1] >= {"ro", "nosuid", "nodev", "noexec"}
    assert mounts["/dev/mqueue"] == ("mqueue", {"rw", "nosuid", "nodev", "noexec", "relatime"})
    assert mounts["/dev/shm"] == ("tmpfs", {"rw", "nosuid", "nodev", "noexec", "relatime", "size=65536k"})


def test_a_bind_mount_is_the_hosts_directory(sandbox: Sandbox, shared: Path) -> None:
    document = sandbox.document("sh", "-c", "cat /data/file; echo back > /data/new")
    document["mounts"].append(_bind(shared, "/data", "rprivate"))

    assert sandbox.run(document).output == "content\n"
    assert (shared / "new").read_text() == "back\n"


def test_a_file_is_bound_on_a_file_that_is_made_for_it(sandbox: Sandbox, shared: Path) -> None:
    document = sandbox.document("cat", "/some/where/hosts", "/etc/passwd")
    document["mounts"] += [_bind(shared / "file", "/some/where/hosts"), _bind(shared / "file", "/etc/passwd")]

    assert sandbox.run(document).output == "content\ncontent\n"


def test_a_read_only_bind_mount_refuses_writes(sandbox: Sandbox, shared: Path) -> None:
    document = sandbox.document("sh", "-c", "touch /data/new")
    document["mounts"].append(_bind(shared, "/data", "rprivate", "ro"))

    assert "Read-only file system" in sandbox.run(document).output
    assert os.listdir(shared) == ["file"]


def test_ro_is_for_the_mount_and_rro_for_those_below_it_too(sandbox: Sandbox) -> None:
    document = sandbox.document("cat", "/proc/self/mounts")
    document["mounts"] += [_bind("/dev", "/ro", "ro"), _bind("/dev", "/rro", "rro")]

    lines = [line.split() for line in sandbox.run(document).output.splitlines()]
    mode = {target: options.split(",")[0] for _, target, _, options, *_ in lines}

    assert (mode["/ro"], mode["/ro/shm"]) == ("ro", "rw")
    assert (mode["/rro"], mode["/rro/shm"]) == ("ro", "ro")


def test_mounts_are_made_in_the_order_of_the_config(sandbox: Sandbox, shared: Path) -> None:
    document = sandbox.document("sh", "-c", "ls /tmp; ls /tmp/inner")
    document["mounts"] += [
        {"destination": "/tmp", "type": "tmpfs", "source": "tmpfs", "options": ["ro"]},
        _bind(shared, "/tmp/inner"),
    ]

    assert sandbox.run(document).output == "inner\nfile\n"


def test_a_tmpfs_has_the_size_and_mode_asked_for_and_else_the_mode_it_covers(sandbox: Sandbox) -> None:
    document = sandbox.document("sh", "-c", "stat -c %a /root /a /b; df -k /a | tail -1; touch /c/x")
    document["process"]["args"][-1] = "chmod 700 /root; " + document["process"]["args"][-1]
    for path, options in (("/root", []), ("/a", ["size=64k", "mode=0711"]), ("/b", []), ("/c", ["ro"])):
        document["mounts"].append({"destination": path, "type": "tmpfs", "source": "tmpfs", "options": options})

    lines = sandbox.run(document).output.splitlines()

    assert lines[:3] == ["700", "711", "1777"]
    assert lines[3].split()[1] == "64"
    assert "Read-only file system" in lines[4]


@pytest.mark.parametrize("link", ["/", "../../../../../.."])
def test_a_symlink_in_the_image_cannot_lead_a_mount_target_outside(
    sandbox: Sandbox, shared: Path, tmp_path: Path, link: str
) -> None:
    layer = tmp_path / "layer"
    layer.mkdir()
    (layer / "link").symlink_to(link)
    sandbox.lower = [layer, *sandbox.lower]
    canary = tmp_path / "canary"
    document = sandbox.document("cat", f"{canary}/deep/file")
    document["mounts"].append(_bind(shared, f"/link{canary}/deep"))

    assert sandbox.run(document).output == "content\n"
    assert not canary.exists()


def test_a_mount_target_through_a_magic_link_is_refused(sandbox: Sandbox, shared: Path) -> None:
    document = sandbox.document("true")
    document["mounts"].append(_bind(shared, "/tmp/link/deep"))
    (sandbox.directory / "upper/tmp").mkdir()
    (sandbox.directory / "upper/tmp/link").symlink_to("/proc/self/root")

    with pytest.raises(LaunchError, match="too many levels of symbolic links"):
        sandbox.run(document)


@pytest.mark.parametrize("path", ["/proc", "/sys"])
def test_proc_and_sys_are_never_mounted_through_a_symlink(sandbox: Sandbox, tmp_path: Path, path: str) -> None:
    layer = tmp_path / "layer"
    layer.mkdir()
    (layer / path[1:]).symlink_to("/elsewhere")
    (layer / "elsewhere").mkdir()
    sandbox.lower = [layer, *sandbox.lower]

    with pytest.raises(LaunchError, match=f"on {path}: too many levels of symbolic links"):
        sandbox.run(sandbox.document("true"))


def test_nothing_is_mounted_inside_proc_by_way_of_a_symlink(
    sandbox: Sandbox, shared: Path, tmp_path: Path
) -> None:
    layer = tmp_path / "layer"
    layer.mkdir()
    (layer / "innocent").symlink_to("/proc/sys")
    sandbox.lower = [layer, *sandbox.lower]
    for mount in _bind(shared, "/innocent"), {"destination": "/innocent", "type": "tmpfs", "source": "tmpfs"}:
        document = sandbox.document("true")
        document["mounts"].append(mount)

        with pytest.raises(LaunchError, match="inside /proc") as caught:
            sandbox.run(document)

        assert caught.value.kind == "invalid"


def test_a_directory_that_is_no_procfs_is_not_bound_on_proc(sandbox: Sandbox, shared: Path) -> None:
    document = sandbox.document("true")
    document["mounts"][0] = _bind(shared, "/proc")

    with pytest.raises(LaunchError, match="not a procfs"):
        sandbox.run(document)


def test_a_missing_source_is_an_error_that_names_it(sandbox: Sandbox) -> None:
    document = sandbox.document("true")
    document["mounts"].append(_bind("/does/not/exist", "/data"))

    with pytest.raises(LaunchError, match="bind /does/not/exist to /data: no such file or directory") as caught:
        sandbox.run(document)

    assert caught.value.errno == 2


def test_an_unknown_file_system_is_an_error_that_names_it(sandbox: Sandbox) -> None:
    document = sandbox.document("true")
    document["mounts"].append({"destination": "/x", "type": "nosuchfs", "source": "none"})

    with pytest.raises(LaunchError, match="mount nosuchfs on /x: no such device"):
        sandbox.run(document)


def test_the_default_devices_are_there_and_work(sandbox: Sandbox) -> None:
    output = sandbox.shell(
        "cd /dev; stat -c '%n %F %t:%T %a' null zero full random urandom tty;"
        "head -c 4 zero | wc -c; head -c 8 urandom | wc -c; echo x > null; "
        "for l in ptmx fd stdin stdout stderr; do readlink $l; done"
    ).splitlines()

    assert [line.split()[0] for line in output[:6]] == ["null", "zero", "full", "random", "urandom", "tty"]
    assert all("character special file" in line and line.endswith("666") for line in output[:6])
    assert [line.split()[-2] for line in output[:6]] == ["1:3", "1:5", "1:7", "1:8", "1:9", "5:0"]
    assert output[6:8] == ["4", "8"]
    assert output[-5:] == ["pts/ptmx", *("/proc/self/fd" + end for end in ("", "/0", "/1", "/2"))]


def test_a_devices_owner_and_mode_are_the_configs(sandbox: Sandbox) -> None:
    document = sandbox.document("stat", "-c", "%F %t:%T %a %u:%g", "/dev/mine", "/dev/pipe")
    document["linux"]["devices"] = [
        {"path": "/dev/mine", "type": "c", "major": 10, "minor": 666, "fileMode": 0o640, "uid": 3, "gid": 4},
        {"path": "/dev/pipe", "type": "p", "fileMode": 0o600},
    ]

    assert sandbox.run(document).output.splitlines() == [
        "character special file a:29a 640 3:4",
        "fifo 0:0 600 0:0",
    ]


def test_a_device_path_that_is_something_else_already_is_refused(sandbox: Sandbox, tmp_path: Path) -> None:
    """CVE-2025-31133: a null device that is none would unmask what it covers."""
    layer = tmp_path / "layer"
    (layer / "dev").mkdir(parents=True)
    (layer / "dev/null").symlink_to("/proc/sys/kernel/core_pattern")
    sandbox.lower = [layer, *sandbox.lower]
    document = sandbox.document("true")
    document["mounts"] = [mount for mount in document["mounts"] if not mount["destination"].startswith("/dev")]

    with pytest.raises(LaunchError, match="/dev/null: something else is there"):
        sandbox.run(document)


def test_nothing_is_made_in_a_dev_that_is_bound_from_the_host(sandbox: Sandbox, tmp_path: Path) -> None:
    own = tmp_path / "dev"
    own.mkdir()
    os.mknod(own / "null", 0o20666, os.makedev(1, 3))
    document = sandbox.document("ls", "/dev")
    document["mounts"] = [document["mounts"][0], _bind(own, "/dev")]

    assert sandbox.run(document).output == "null\n"
    assert os.listdir(own) == ["null"]


def test_masked_paths_are_empty_and_read_only_ones_refuse_writes(sandbox: Sandbox) -> None:
    output = sandbox.shell(
        "cat /proc/keys /proc/timer_list /proc/interrupts | wc -c; ls -A /sys/firmware | wc -l;"
        "echo 1 > /proc/sys/kernel/core_pattern; touch /sys/firmware/x; echo 0 > /proc/irq/default_smp_affinity"
    )

    assert output.split()[:2] == ["0", "0"]
    assert output.count("Read-only file system") == 3


def test_masks_follow_the_images_symlinks_inside_and_skip_what_is_missing(
    sandbox: Sandbox, tmp_path: Path
) -> None:
    layer = tmp_path / "layer"
    (layer / "secret").mkdir(parents=True)
    (layer / "secret/file").write_text("secret")
    (layer / "link").symlink_to("/secret")
    sandbox.lower = [layer, *sandbox.lower]
    document = sandbox.document("sh", "-c", "ls /secret; touch /tmp/x; touch /bin/x")
    document["linux"]["maskedPaths"] = ["/link", "/no/such/path", "/bin/busybox/below/a/file"]
    document["linux"]["readonlyPaths"] = ["/tmp", "/no/such/path"]

    output = sandbox.run(document).output

    assert output == "touch: /tmp/x: Read-only file system\n"


def test_a_mask_that_leads_through_a_loop_of_symlinks_is_an_error(sandbox: Sandbox, tmp_path: Path) -> None:
    layer = tmp_path / "layer"
    layer.mkdir()
    (layer / "loop").symlink_to("/loop")
    sandbox.lower = [layer, *sandbox.lower]
    document = sandbox.document("true")
    document["linux"]["maskedPaths"] = ["/loop"]

    with pytest.raises(LaunchError, match="mask /loop: too many levels of symbolic links"):
        sandbox.run(document)
