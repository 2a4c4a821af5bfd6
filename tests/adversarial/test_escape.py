"""Ways out of a container that have worked elsewhere, walked for real by root inside with Docker's defaults.

Each test names the weakness that it is after; what must not happen is looked at from the host.
"""

from __future__ import annotations

import hashlib
import json
import os
import struct
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.adversarial.arena import HOST_IMAGE, Arena

pytestmark = [pytest.mark.privileged, pytest.mark.timeout(60)]

CORE_PATTERN = Path("/proc/sys/kernel/core_pattern")
WRITABLE_BY_ROOT = [
    "/proc/sys/kernel/core_pattern",
    "/proc/sys/kernel/modprobe",
    "/proc/sys/kernel/hostname",
    "/proc/sysrq-trigger",
    "/proc/sys/net/ipv4/ip_forward",
    "/proc/sys/vm/drop_caches",
    "/proc/sys/fs/binfmt_misc/register",
    "/proc/irq/default_smp_affinity",
    "/sys/kernel/mm/transparent_hugepage/enabled",
    "/sys/kernel/uevent_helper",
    "/sys/kernel/rcu_expedited",
    "/sys/power/state",
]
OF_A_CGROUP = [
    "release_agent",
    "notify_on_release",
    "devices.allow",
    "pids.max",
    "memory.limit_in_bytes",
    "tasks",
    "cgroup.procs",
    "cgroup.freeze",
    "cgroup.kill",
    "cgroup.subtree_control",
    "cgroup.clone_children",
]
SECRETS = [
    "/proc/kcore",
    "/proc/keys",
    "/proc/timer_list",
    "/proc/interrupts",
    "/proc/sched_debug",
    "/proc/latency_stats",
    "/proc/acpi/*",
    "/proc/scsi/*",
    "/sys/firmware/*",
    "/sys/devices/virtual/powercap/*",
]
CHARACTER_DEVICES = {
    "mem": (1, 1), "kmem": (1, 2), "port": (1, 4), "kmsg": (1, 11), "tty0": (4, 0), "console": (5, 1),
    "tun": (10, 200), "cuse": (10, 203), "fuse": (10, 229), "kvm": (10, 232), "loop-control": (10, 237),
}  # fmt: skip

_ZEROS = (0, 0, 0, 0, 0)
REFUSED_CALLS = {
    "mount": (165, b"none", b"/tmp", b"tmpfs", 0, 0), "umount2": (166, b"/proc", 2),
    "pivot_root": (155, b"/", b"/"), "unshare-user": (272, 0x10000000), "unshare-mount": (272, 0x20000),
    "unshare-net": (272, 0x40000000), "setns": (308, 0, 0), "open_tree": (428, -100, b"/", 1),
    "move_mount": (429, 0, b"", -100, b"/tmp", 4), "fsopen": (430, b"proc", 0), "fspick": (433, -100, b"/", 0),
    "mount_setattr": (442, -100, b"/", 0, 0, 0), "add_key": (248, b"user", b"a", b"b", 1, -3),
    "request_key": (249, b"user", b"a", 0, 0), "keyctl": (250, *_ZEROS), "bpf": (321, *_ZEROS),
    "perf_event_open": (298, *_ZEROS), "userfaultfd": (323, 0), "io_uring_setup": (425, 1, 0),
    "io_uring_enter": (426, *_ZEROS), "open_by_handle_at": (304, -100, 0, 0), "kexec_load": (246, *_ZEROS),
    "kexec_file_load": (320, *_ZEROS), "init_module": (175, *_ZEROS), "finit_module": (313, *_ZEROS),
    "delete_module": (176, b"x", 0), "reboot": (169, 0xFEE1DEAD, 672274793, 0), "swapon": (167, b"/x", 0),
    "swapoff": (168, b"/x"), "iopl": (172, 3), "ioperm": (173, 0, 1, 1), "settimeofday": (164, 0, 0),
    "clock_settime": (227, 0, 0), "adjtimex": (159, 0), "sethostname": (170, b"x", 1), "syslog": (103, 3, 0, 0),
    "acct": (163, b"/tmp/x"), "quotactl": (179, *_ZEROS), "nfsservctl": (180, *_ZEROS),
    "lookup_dcookie": (212, 0, 0, 0), "kcmp": (312, 1, 1, 0, 0, 0), "process_madvise": (440, *_ZEROS),
    "move_pages": (279, *_ZEROS), "migrate_pages": (256, *_ZEROS), "fanotify_init": (300, 0, 0),
    "personality": (135, 0x0040000), "vhangup": (153,), "AF_ALG": (41, 38, 5, 0), "AF_VSOCK": (41, 40, 1, 0),
    "clone-newuser": (56, 0x10000000 | 17, 0, 0, 0, 0), "pidfd_getfd": (438, 0, 0, 0),
}  # fmt: skip


class TestOurExecutable:
    """CVE-2019-5736: the interpreter that sets containers up must be out of their reach."""

    @pytest.fixture(autouse=True)
    def _interpreter_is_untouched(self) -> Any:
        path = Path(sys.executable).resolve()
        before = hashlib.sha256(path.read_bytes()).digest()
        yield
        assert hashlib.sha256(path.read_bytes()).digest() == before

    @pytest.mark.parametrize("program", ["/proc/self/exe", "/proc/1/exe", "/proc/thread-self/exe"])
    def test_is_nobodys_program(self, arena: Arena, program: str) -> None:
        container = arena.create("busybox", [program, "-c", "print('out')"])
        reply = arena.start(container)
        assert reply.status == 400
        assert arena.output(container) == {1: b"", 2: b""}

    def test_is_not_an_execs_program_either(self, arena: Arena) -> None:
        container = arena.spawn("busybox", ["sleep", "600"])
        arena.execute(container, ["ln", "-sf", "/proc/self/exe", "/tmp/link"])
        said = arena.execute(container, ["/tmp/link", "-c", "print('out')"])
        assert "too many levels of symbolic links" in said

    def test_cannot_be_written_by_who_watches_execs_of_a_script_that_names_it(self, arena: Arena) -> None:
        """The script's interpreter is the process that executes it: ours, until it has. Every /proc/PID/exe
        that shows up is kept open and opened for writing after its end."""
        container = arena.spawn_python("""
import pathlib, time
pathlib.Path("/tmp/script").write_text("#!/proc/self/exe\\n")
os.chmod("/tmp/script", 0o755)
print("ready", flush=True)
kept, answers = {}, set()
deadline = time.monotonic() + 20
while not os.path.exists("/tmp/enough") and time.monotonic() < deadline:
    for name in os.listdir("/proc"):
        if name.isdigit() and int(name) > 1 and name not in kept:
            try:
                kept[name] = os.open(f"/proc/{name}/exe", os.O_PATH)
            except OSError as error:
                answers.add(errno.errorcode[error.errno])
for fd in kept.values():
    answers.add(attempt_to(os.open, f"/proc/self/fd/{fd}", os.O_WRONLY))
tell(sorted(filter(None, answers)))
""")
        arena.wait_for_output(container, b"ready\n")
        for _ in range(20):
            arena.execute(container, ["/tmp/script"])
        arena.execute(container, ["touch", "/tmp/enough"])
        outcome = arena.outcome(container)
        assert outcome.status == 0, outcome
        answers = set(json.loads(outcome.stdout.splitlines()[-1]))
        # Not to be opened at all, gone, busy while it runs, read-only or sealed: never a descriptor to write to.
        assert answers <= {"EACCES", "EPERM", "ENOENT", "ESRCH", "ETXTBSY", "EROFS"}, answers


class TestWorkingDirectory:
    """CVE-2024-21626: a working directory that is a descriptor of ours."""

    @pytest.mark.parametrize("descriptor", [*range(3, 24), 63])
    def test_cannot_be_a_descriptor(self, arena: Arena, descriptor: int) -> None:
        container = arena.create("busybox", ["pwd"], WorkingDir=f"/proc/self/fd/{descriptor}")
        assert arena.start(container).status in (400, 500)
        assert arena.output(container) == {1: b"", 2: b""}

    def test_of_an_exec_cannot_be_one_by_a_symlink(self, arena: Arena) -> None:
        container = arena.spawn("busybox", ["sleep", "600"])
        for descriptor in range(3, 24):
            arena.execute(container, ["ln", "-sfn", f"/proc/self/fd/{descriptor}", "/tmp/way"])
            said = arena.execute(container, ["ls"], WorkingDir="/tmp/way")
            assert "chdir to cwd" in said, (descriptor, said)

    def test_program_and_exec_have_three_descriptors(self, arena: Arena) -> None:
        script = "import os; print(sorted(os.listdir('/proc/self/fd'))[:-1])"
        container = arena.spawn(HOST_IMAGE, ["sleep", "600"])
        assert arena.execute(container, ["python3", "-c", script]) == "['0', '1', '2']\n"


class TestImages:
    """Images whose directories are not what they seem."""

    @pytest.mark.parametrize("target", ["/tmp", "../tmp", "/etc", "/proc"])
    @pytest.mark.parametrize("name", ["proc", "sys"])
    def test_with_a_symlink_where_the_kernels_files_belong_is_refused(
        self, arena: Arena, name: str, target: str
    ) -> None:
        """CVE-2019-19921, CVE-2023-27561: masks would be put where nobody looks."""
        image = arena.load_layer({name: ("symlink", target)}, base=True)
        container = arena.create(image, ["cat", "/proc/keys"])
        assert arena.start(container).status in (400, 500)

    @pytest.mark.parametrize("absolute", [True, False])
    def test_with_a_symlink_for_dev_touches_nothing_outside(
        self, arena: Arena, tmp_path: Path, absolute: bool
    ) -> None:
        """CVE-2026-41579: links were made, and ptmx was deleted, below a path and not below the root."""
        (tmp_path / "ptmx").write_text("canary")
        target = str(tmp_path) if absolute else "../../../../../../../../.." + str(tmp_path)
        image = arena.load_layer({"dev": ("symlink", target)}, base=True)
        container = arena.create(image, ["true"], Tty=True)
        arena.start(container)
        assert {path.name: path.read_text() for path in tmp_path.iterdir()} == {"ptmx": "canary"}

    @pytest.mark.parametrize("name", ["resolv.conf", "hosts", "hostname"])
    def test_with_a_symlink_for_a_file_of_ours_makes_none_on_the_host(
        self, arena: Arena, tmp_path: Path, name: str
    ) -> None:
        image = arena.load_layer({f"etc/{name}": ("symlink", str(tmp_path / "made"))}, base=True)
        container = arena.create(image, ["true"])
        arena.start(container)
        assert list(tmp_path.iterdir()) == []

    def test_with_a_device_of_a_disk_cannot_read_it(self, arena: Arena) -> None:
        number = next(
            os.makedev(*map(int, path.read_text().split(":"))) for path in Path("/sys/block").glob("*/dev")
        )
        image = arena.load_layer({"disk": ("block", number)}, base=True)
        outcome = arena.shell("head -c 1 /disk", image=image)
        assert "Operation not permitted" in outcome.stderr

    def test_with_a_declared_volume_on_proc_is_refused(self, arena: Arena) -> None:
        container = arena.create("busybox", ["true"], Volumes={"/proc": {}})
        reply = arena.start(container)
        assert reply.status in (400, 500)
        assert "proc" in reply.message


class TestBindTargets:
    @pytest.mark.parametrize("target", ["/proc/self/attr", "/proc/sys/kernel", "/proc/1/fd/1", "/proc/self/exe"])
    @pytest.mark.parametrize("kind", ["bind", "tmpfs"])
    def test_inside_proc_are_refused(self, arena: Arena, tmp_path: Path, kind: str, target: str) -> None:
        """CVE-2019-16884, CVE-2025-52881: what is written to /proc/self/attr must arrive there."""
        host = {"Tmpfs": {target: ""}} if kind == "tmpfs" else {"Binds": [f"{tmp_path}:{target}"]}
        container = arena.create("busybox", ["true"], host)
        reply = arena.start(container)
        assert reply.status in (400, 500)

    def test_below_a_symlink_in_a_shared_volume_make_nothing_on_the_host(
        self, arena: Arena, tmp_path: Path
    ) -> None:
        """CVE-2024-45310."""
        volume, outside = tmp_path / "volume", tmp_path / "outside"
        volume.mkdir()
        outside.mkdir()
        (volume / "absolute").symlink_to(outside)
        (volume / "relative").symlink_to("../../../../../../../../../.." + str(outside))
        (volume / "dangling").symlink_to(outside / "made")
        for name in ("absolute/new", "relative/new", "dangling", "absolute/a/b/c"):
            for kind in ("directory", "file"):
                source = tmp_path / kind
                source.mkdir() if kind == "directory" else source.touch()
                container = arena.create("busybox", ["true"], {"Binds": [f"{volume}:/v", f"{source}:/v/{name}"]})
                arena.start(container)
                arena.remove(container)
                source.rmdir() if kind == "directory" else source.unlink()
        assert list(outside.iterdir()) == []

    def test_stay_inside_while_a_neighbour_exchanges_their_directory_with_a_symlink(
        self, arena: Arena, tmp_path: Path
    ) -> None:
        """CVE-2021-30465: one container renames as fast as it can in a volume that another one is mounted to."""
        volume, source, outside = tmp_path / "volume", tmp_path / "source", tmp_path / "outside"
        for path in (volume / "a", source, outside):
            path.mkdir(parents=True)
        (source / "token").touch()
        (volume / "b").symlink_to("../../../../../../../../../../.." + str(outside))
        racer = arena.spawn_python(
            """
a, b = ctypes.c_char_p(b"/v/a"), ctypes.c_char_p(b"/v/b")
print("ready", flush=True)
while True:
    attempt(316, -100, a, -100, b, 2)
""",
            {"Binds": [f"{volume}:/v"]},
        )
        arena.wait_for_output(racer, b"ready\n")
        started = 0
        for _ in range(40):
            binds = [f"{volume}:/v", f"{source}:/v/a/inner"]
            container = arena.create("busybox", ["cat", "/proc/self/mountinfo"], {"Binds": binds})
            if arena.start(container).status == 204:
                started += 1
                mounts = arena.outcome(container).stdout.splitlines()
                assert all(not line.split()[4].startswith(str(tmp_path)) for line in mounts)
            assert list(outside.iterdir()) == []
            arena.remove(container)
        arena.remove(racer)
        assert started > 0
        assert str(outside) not in Path("/proc/self/mountinfo").read_text()


class TestDev:
    def test_of_the_users_own_whose_null_leads_to_the_core_pattern_opens_it_for_nobody(
        self, arena: Arena, tmp_path: Path
    ) -> None:
        """CVE-2025-31133: files are masked by the null device, wherever that name leads."""
        (tmp_path / "null").symlink_to("/proc/sys/kernel/core_pattern")
        before = CORE_PATTERN.read_text()
        container = arena.create(
            "busybox",
            ["sh", "-c", "for file in /proc/keys /proc/timer_list /dev/null; do echo evil > $file; done"],
            {"Binds": [f"{tmp_path}:/dev"]},
        )
        arena.start(container)
        arena.remove(container)
        assert CORE_PATTERN.read_text() == before

    @pytest.mark.parametrize("name", ["console", "ptmx", "pts/0", "pts/ptmx", "tty"])
    def test_terminal_of_an_exec_is_none_of_what_the_container_put_there(self, arena: Arena, name: str) -> None:
        """CVE-2025-52565: the container replaces what it can of its terminals by links, then gets one."""
        container = arena.spawn("busybox", ["sleep", "600"], Tty=True)
        before = CORE_PATTERN.read_text()
        arena.execute(
            container, ["sh", "-c", f"rm -f /dev/{name}; ln -s /proc/sys/kernel/core_pattern /dev/{name}"]
        )
        arena.execute(container, ["sh", "-c", "echo evil"], Tty=True)
        assert CORE_PATTERN.read_text() == before

    def test_nodes_that_a_container_makes_open_nothing_of_the_host(self, arena: Arena) -> None:
        answers = arena.python(f"""
import stat
answers = {{}}
for name, (major, minor) in {CHARACTER_DEVICES!r}.items():
    os.mknod("/tmp/" + name, stat.S_IFCHR | 0o666, os.makedev(major, minor))
    answers[name] = attempt_to(os.open, "/tmp/" + name, os.O_RDWR | os.O_NOCTTY)
for line in open("/proc/partitions").readlines()[2:]:
    major, minor, _, name = line.split()
    os.mknod("/tmp/" + name, stat.S_IFBLK | 0o666, os.makedev(int(major), int(minor)))
    answers[name] = attempt_to(os.open, "/tmp/" + name, os.O_RDONLY)
tell(answers)
""").json()
        assert set(answers.values()) == {"EPERM"}, answers


@pytest.mark.skipif(os.uname().machine != "x86_64", reason="the numbers are x86's")
class TestKernelInterfaces:
    def test_system_calls_that_change_the_machine_are_refused(self, arena: Arena) -> None:
        script = f"tell({{name: attempt(*call) for name, call in {REFUSED_CALLS!r}.items()}})"
        answers = arena.python(script).json()
        allowed = {"adjtimex": "EFAULT"}  # reading the clock is allowed; a null pointer is not
        wrong = {name: answer for name, answer in answers.items() if answer not in ("EPERM", allowed.get(name))}
        # What this kernel does not have at all is as good.
        assert set(wrong.values()) <= {"ENOSYS"}, wrong

    @pytest.mark.parametrize(
        ("name", "number"), [("clone3", 435), ("unknown", 9999), ("x32 getpid", 0x40000000 + 39)]
    )
    def test_system_calls_that_programs_try_first_do_not_exist(self, arena: Arena, name: str, number: int) -> None:
        assert arena.python(f"tell(attempt({number}, 0, 0, 0, 0, 0))").json() == "ENOSYS", name

    @pytest.mark.parametrize(("number", "arguments"), [(359, (38, 5, 0)), (102, (1, 0, 0)), (20, (0, 0, 0))])
    def test_the_32_bit_door_is_shut(self, arena: Arena, number: int, arguments: tuple[int, ...]) -> None:
        """socket(AF_ALG), socketcall and getpid by int 0x80 (CVE-2026-31431)."""
        b, c, d = arguments
        code = b"\x53" + b"".join(
            opcode + struct.pack("<I", value)
            for opcode, value in ((b"\xb8", number), (b"\xbb", b), (b"\xb9", c), (b"\xba", d))
        )
        code += b"\xcd\x80\x5b\xc3"
        outcome = arena.python(f"""
import mmap
code = {code!r}
page = mmap.mmap(-1, 4096, prot=mmap.PROT_READ | mmap.PROT_WRITE | mmap.PROT_EXEC)
page.write(code)
call = ctypes.CFUNCTYPE(ctypes.c_int)(ctypes.addressof(ctypes.c_char.from_buffer(page)))
tell(errno.errorcode.get(-call(), "done"))
""")
        assert outcome.status in (0, 128 + 31), outcome
        assert outcome.status or outcome.json() in ("EPERM", "ENOSYS")

    def test_files_of_the_kernel_are_not_to_be_written(self, arena: Arena) -> None:
        answers = arena.python(f"""
import glob
paths = {WRITABLE_BY_ROOT!r} + [path for name in {OF_A_CGROUP!r} for path in glob.glob("/sys/fs/cgroup/*/" + name)]
answers = {{path: attempt_write(path, b"1") for path in paths}}
answers["mkdir"] = attempt_to(os.mkdir, "/sys/fs/cgroup/pids/x")
tell(answers)
""").json()
        assert set(answers.values()) <= {"EROFS", "ENOENT", "EACCES", "EPERM"}, answers
        assert answers["/proc/sys/kernel/core_pattern"] == "EROFS"

    def test_secrets_of_the_kernel_are_masked(self, arena: Arena) -> None:
        read = arena.python(f"""
import glob
read = {{}}
for path in (path for pattern in {SECRETS!r} for path in glob.glob(pattern)):
    try:
        read[path] = len(open(path, "rb").read(64))
    except OSError as error:
        read[path] = errno.errorcode[error.errno]
tell(read)
""").json()
        assert {value for value in read.values() if value not in ("ENOENT", "EACCES", "EPERM")} <= {0}, read

    def test_a_limit_of_its_own_cannot_be_lifted(self, arena: Arena) -> None:
        answers = arena.python("""
tell([attempt_write("/proc/self/oom_score_adj", b"-1000"), attempt_write("/proc/1/oom_score_adj", b"-999")])
""").json()
        assert answers == ["EACCES", "EACCES"]
