"""Operations on a kernel that only records: each asks for what it must, in the order it must."""

from __future__ import annotations

import errno
import os
import stat

import pytest

from rundlet.linux.mount import (
    MOUNT_ATTR_NOEXEC,
    MOUNT_ATTR_RDONLY,
    MS_PRIVATE,
    MS_SHARED,
    MS_SLAVE,
    PROC_SUPER_MAGIC,
)
from rundlet.runtime.config import CapabilitySets, Device, Mount, User
from rundlet.runtime.messages import Overlay
from rundlet.runtime.mount_options import parse_mount_options
from rundlet.runtime.operations import SetupError
from rundlet.runtime.operations.cgroup_mounts import MountCgroups
from rundlet.runtime.operations.credentials import FindUser, SetCapabilities, SwitchUser
from rundlet.runtime.operations.devices import DEFAULT_DEVICES, MakeDevice
from rundlet.runtime.operations.identity import SetSysctl
from rundlet.runtime.operations.masks import MaskPath, ProtectPath
from rundlet.runtime.operations.mounts import BindMount, MountFilesystem
from rundlet.runtime.operations.program import EnterWorkingDirectory, RefuseMagicLinks, RetryDirectory
from rundlet.runtime.operations.rootfs import LeaveHostMounts, MountOverlay, PivotRoot
from rundlet.runtime.operations.streams import OpenTerminal, OwnStreams, SetStreams
from tests.unit.runtime.recording import RecordingKernel, context, status

NULL = status(stat.S_IFCHR | 0o666, os.makedev(1, 3))


def _mount(destination: str, kind: str, *options: str, source: str = "") -> Mount:
    return Mount(destination, kind, source, parse_mount_options(list(options), "options"))


def _einval() -> OSError:
    return OSError(errno.EINVAL, "Invalid argument")


def test_the_host_gets_no_mounts_because_the_whole_tree_becomes_a_slave_first() -> None:
    kernel = RecordingKernel()

    LeaveHostMounts("/rootfs", 0).execute(context(kernel))

    assert kernel.named("set_attributes") == [("set_attributes", 100, f"propagation={MS_SLAVE}", "recursive=True")]


def test_a_shared_root_has_only_the_mount_that_holds_it_made_private() -> None:
    made: list[int] = []

    def set_attributes(mount: int, **_: object) -> None:
        made.append(mount)
        if len(made) < 3:
            raise _einval()

    kernel = RecordingKernel(set_attributes=set_attributes)

    LeaveHostMounts("/a/b", MS_SHARED).execute(context(kernel))

    assert [call[1] for call in kernel.named("open")] == ["/a/b", "/a", "/"]
    assert all(call[2] == f"propagation={MS_PRIVATE}" for call in kernel.named("set_attributes"))


def test_overlay_layers_are_given_one_by_one_and_as_descriptors() -> None:
    kernel, overlay = RecordingKernel(), Overlay(["/top", "/base"], "/upper", "/work", volatile=True)
    ctx = context(kernel)

    MountOverlay("/rootfs", overlay).execute(ctx)

    assert [call[2:] for call in kernel.named("configure")] == [
        ("lowerdir+", "/proc/self/fd/100"),
        ("lowerdir+", "/proc/self/fd/101"),
        ("source", "overlay"),
        ("upperdir", "/proc/self/fd/102"),
        ("workdir", "/proc/self/fd/103"),
        ("index", "off"),
        ("metacopy", "off"),
        ("redirect_dir", "off"),
        ("volatile", None),
    ]
    assert kernel.named("attach") == [("attach", ctx.root, 106)]


def test_an_older_kernel_gets_all_layers_in_one_short_string() -> None:
    kernel, overlay = RecordingKernel(configure=_einval()), Overlay(["/a,b:c", "/base"], "/upper", "/work")

    MountOverlay("/rootfs", overlay).execute(context(kernel))

    assert kernel.named("chdir", "mount") == [
        ("chdir", "/proc/self/fd"),
        (
            "mount", "overlay", "/rootfs", "overlay", 0,
            "lowerdir=100:101,upperdir=102,workdir=103,index=off,metacopy=off,redirect_dir=off",
        ),
        ("chdir", "/"),
    ]  # fmt: skip


def test_another_error_of_a_layer_is_not_taken_for_an_older_kernel() -> None:
    kernel = RecordingKernel(configure=OSError(errno.ENOMEM, "Cannot allocate memory"))

    with pytest.raises(OSError, match="allocate"):
        MountOverlay("/rootfs", Overlay(["/a"], "/upper", "/work")).execute(context(kernel))


def test_pivot_detaches_the_old_root_and_only_then_sets_the_new_ones_propagation() -> None:
    kernel = RecordingKernel()

    PivotRoot(MS_SHARED, True).execute(context(kernel))

    assert kernel.calls[1:] == [
        ("chdir", 50),
        ("pivot_root", ".", "."),
        ("set_attributes", 100, f"propagation={MS_SLAVE}", "recursive=True"),
        ("detach", "."),
        ("chdir", "/"),
        ("set_attributes", 50, f"propagation={MS_SHARED}", "recursive=True"),
    ]


def test_a_read_only_tmpfs_is_writable_until_the_mounts_in_it_are_made() -> None:
    kernel = RecordingKernel()

    MountFilesystem(_mount("/tmp", "tmpfs", "ro", "noexec", "mode=1777")).execute(context(kernel))

    assert kernel.named("create_filesystem") == [("create_filesystem", 101, MOUNT_ATTR_NOEXEC)]


def test_a_read_only_sysfs_is_so_from_its_first_moment() -> None:
    kernel = RecordingKernel()

    MountFilesystem(_mount("/sys", "sysfs", "ro")).execute(context(kernel))

    assert kernel.named("create_filesystem") == [("create_filesystem", 101, MOUNT_ATTR_RDONLY)]


def test_a_tmpfs_takes_over_the_mode_of_the_directory_it_covers() -> None:
    kernel = RecordingKernel(stat=status(stat.S_IFDIR | 0o700))

    MountFilesystem(_mount("/root", "tmpfs")).execute(context(kernel))

    assert ("configure", 101, "mode", "700") in kernel.calls


def test_a_bind_mount_has_its_attributes_before_anybody_can_see_it() -> None:
    kernel = RecordingKernel()

    BindMount(_mount("/data", "bind", "rbind", "ro", "rnosuid", "rprivate", source="/src")).execute(
        context(kernel)
    )

    assert [call[0] for call in kernel.calls] == [
        "clone_tree", "set_attributes", "set_attributes", "set_attributes", "stat", "make_directory_beneath",
        "filesystem_magic", "attach",
    ]  # fmt: skip


@pytest.mark.parametrize("operation", [BindMount, MountFilesystem])
def test_no_mount_covers_what_is_inside_proc(operation: type[BindMount | MountFilesystem]) -> None:
    kernel = RecordingKernel(filesystem_magic=PROC_SUPER_MAGIC)

    with pytest.raises(SetupError, match="inside /proc"):
        operation(_mount("/link", "tmpfs", source="/src")).execute(context(kernel))

    assert kernel.named("attach") == []


def test_joined_controllers_of_a_v1_hierarchy_are_links_to_one_directory() -> None:
    kernel = RecordingKernel()
    directories = {"cpu,cpuacct": "/c/cpu,cpuacct/box", "name=systemd": "/c/systemd/box", "": "/c/unified/box"}

    MountCgroups(_mount("/sys/fs/cgroup", "cgroup", "ro"), directories).execute(context(kernel))

    assert [call[1] for call in kernel.named("mkdir")] == ["cpu,cpuacct", "systemd", "unified"]
    assert [call[1:3] for call in kernel.named("symlink")] == [("cpu,cpuacct", "cpu"), ("cpu,cpuacct", "cpuacct")]
    assert [call[2] for call in kernel.named("clone_tree")] == list(directories.values())
    assert kernel.calls[-1][0] == "set_attributes", "read-only after it is filled"


def test_with_the_unified_hierarchy_alone_its_directory_is_the_mount() -> None:
    kernel = RecordingKernel()

    MountCgroups(_mount("/sys/fs/cgroup", "cgroup", "ro"), {"": "/c/box"}).execute(context(kernel))

    assert kernel.named("open_filesystem", "mkdir") == []
    assert len(kernel.named("attach")) == 1


def test_a_device_is_looked_at_after_it_was_made() -> None:
    kernel = RecordingKernel(stat=status(stat.S_IFCHR | 0o666, os.makedev(1, 7)))

    with pytest.raises(SetupError, match="/dev/null: something else is there"):
        MakeDevice(DEFAULT_DEVICES[0]).execute(context(kernel))


def test_owner_and_mode_of_a_device_are_set_only_where_they_differ() -> None:
    device = Device("/dev/x", stat.S_IFCHR | 0o600, os.makedev(9, 9), 1, 2)
    kernel = RecordingKernel(stat=status(device.mode, device.device))

    MakeDevice(device).execute(context(kernel))

    assert kernel.named("chown", "chmod") == [("chown", "x", 1, 2, "dir_fd=100", "follow_symlinks=False")]


def test_masked_directories_share_one_empty_file_system() -> None:
    kernel = RecordingKernel()
    ctx = context(kernel)

    for path in ("/proc/acpi", "/proc/scsi", "/sys/firmware"):
        MaskPath(path).execute(ctx)

    assert len(kernel.named("open_filesystem")) == 1
    assert len(kernel.named("clone_tree")) == 2
    assert len(kernel.named("attach")) == 3


def test_a_file_is_masked_only_by_the_null_device() -> None:
    answers = iter([status(stat.S_IFREG), status(stat.S_IFLNK)])
    kernel = RecordingKernel(stat=lambda _: next(answers))

    with pytest.raises(SetupError, match="not the null device"):
        MaskPath("/proc/keys").execute(context(kernel))


@pytest.mark.parametrize("operation", [MaskPath("/gone"), ProtectPath("/gone")])
def test_a_path_that_does_not_exist_needs_no_mask(operation: MaskPath | ProtectPath) -> None:
    kernel = RecordingKernel(open_beneath=FileNotFoundError(errno.ENOENT, "No such file or directory"))

    operation.execute(context(kernel))

    assert kernel.named("attach") == []


def test_sysctls_are_written_through_the_containers_own_procfs() -> None:
    kernel = RecordingKernel()

    SetSysctl("net/ipv4/ip_forward", "1").execute(context(kernel, proc=77))

    assert kernel.calls[0][:3] == ("open_beneath", 77, "sys/net/ipv4/ip_forward")
    assert kernel.calls[1] == ("write", 100, b"1")


def test_without_a_procfs_in_the_container_sysctls_get_one_that_nobody_sees() -> None:
    kernel = RecordingKernel()

    SetSysctl("kernel/msgmax", "1").execute(context(kernel))

    assert [call[0] for call in kernel.calls] == ["open_filesystem", "create_filesystem", "open_beneath", "write"]


def test_dev_pts_must_be_a_devpts() -> None:
    with pytest.raises(SetupError, match="not a devpts"):
        OpenTerminal(None, console=True).execute(context(RecordingKernel()))


def test_streams_that_are_none_are_the_containers_null_device() -> None:
    kernel = RecordingKernel(stat=NULL)

    SetStreams((None, 8, 9)).execute(context(kernel))

    assert kernel.named("dup2") == [("dup2", 100, 0), ("dup2", 8, 1), ("dup2", 9, 2)]


def test_a_null_device_that_is_something_else_is_refused() -> None:
    with pytest.raises(SetupError, match="not the null device"):
        SetStreams((None, 8, 9)).execute(context(RecordingKernel(stat=status(stat.S_IFREG))))


def test_only_streams_that_are_not_devices_change_their_owner() -> None:
    answers = iter([NULL, status(stat.S_IFIFO), status(stat.S_IFIFO, uid=1000)])
    kernel = RecordingKernel(stat=lambda _: next(answers))

    OwnStreams().execute(context(kernel, uid=1000))

    assert kernel.named("chown") == [("chown", 1, 1000, -1)]


def test_the_user_changes_groups_first_and_keeps_its_capabilities() -> None:
    kernel = RecordingKernel()

    SwitchUser().execute(context(kernel, uid=1, gid=2, groups=[2, 3]))

    assert kernel.calls == [
        ("set_keep_capabilities", True),
        ("setgroups", [2, 3]),
        ("setresgid", 2, 2, 2),
        ("setresuid", 1, 1, 1),
        ("set_keep_capabilities", False),
    ]


def test_ambient_capabilities_come_after_the_sets_they_need() -> None:
    kernel = RecordingKernel()

    SetCapabilities(CapabilitySets(bounding=1, permitted=2, effective=4, inheritable=8, ambient=16)).execute(
        context(kernel)
    )

    assert kernel.calls == [("set_capabilities", 2, 4, 8), ("set_ambient", 16)]


def test_an_accounts_file_that_is_no_regular_file_is_not_read() -> None:
    """A fifo would block, a device would do who knows what."""
    kernel = RecordingKernel(stat=status(stat.S_IFIFO))
    ctx = context(kernel)

    FindUser(User(0, 0, 0o022, (), "7:8", ())).execute(ctx)

    assert kernel.named("read") == []
    assert (ctx.uid, ctx.gid, ctx.groups) == (7, 8, [8])


def test_a_working_directory_that_the_kernel_calls_unreachable_ends_it() -> None:
    kernel = RecordingKernel(kernel_getcwd=b"(unreachable)/host")

    with pytest.raises(SetupError, match="container breakout"):
        EnterWorkingDirectory("/work").execute(context(kernel))


def test_a_working_directory_that_root_may_not_enter_is_tried_again_as_the_user() -> None:
    kernel = RecordingKernel(open_beneath=PermissionError(errno.EACCES, "Permission denied"))
    ctx = context(kernel, uid=1000)

    EnterWorkingDirectory("/home/me").execute(ctx)
    RetryDirectory("/home/me").execute(ctx)

    assert kernel.named("chdir") == [("chdir", "/home/me")]


def test_every_place_where_a_program_may_be_is_checked_for_magic_links() -> None:
    kernel = RecordingKernel(crosses_magic_link=lambda path: path.startswith("/proc"))

    with pytest.raises(SetupError) as caught:
        RefuseMagicLinks(("/bin/exe", "/proc/self/exe")).execute(context(kernel))

    assert caught.value.errno == errno.ELOOP
