"""The hierarchies of a machine are read from its mounts; groups are laid out in all of them."""

from __future__ import annotations

from pathlib import Path

import pytest

from rundlet.cgroups import detect, grace
from rundlet.cgroups.grace import expedited_grace_periods, switch_put_back
from rundlet.cgroups.hierarchies import Hierarchies
from rundlet.cgroups.stats import BlockStats, read_stats
from rundlet.errors import Unsupported

HYBRID = """\
31 23 0:28 / /sys/fs/cgroup rw,relatime - tmpfs tmpfs rw,mode=755
32 31 0:29 / /sys/fs/cgroup/cpu,cpuacct rw,relatime shared:9 - cgroup cgroup rw,cpu,cpuacct
33 31 0:32 / /sys/fs/cgroup/with\\040blank rw,relatime - cgroup cgroup rw,xattr,memory
34 31 0:37 / /sys/fs/cgroup/systemd rw,relatime - cgroup cgroup rw,release_agent=/x,name=systemd
35 31 0:38 / /sys/fs/cgroup/unified rw,relatime - cgroup2 cgroup2 rw
36 31 0:29 / /elsewhere rw,relatime - cgroup cgroup rw,cpu,cpuacct
"""


def mounts(tmp_path: Path, text: str) -> str:
    path = tmp_path / "mountinfo"
    path.write_text(text)
    return str(path)


def test_the_hybrid_layout_is_found_with_joined_and_named_hierarchies(tmp_path: Path) -> None:
    assert detect(mounts(tmp_path, HYBRID)) == Hierarchies(
        {
            "cpu": "/sys/fs/cgroup/cpu,cpuacct",
            "cpuacct": "/sys/fs/cgroup/cpu,cpuacct",
            "memory": "/sys/fs/cgroup/with blank",
            "name=systemd": "/sys/fs/cgroup/systemd",
        },
        "/sys/fs/cgroup/unified",
    )


def test_v1_alone_is_found(tmp_path: Path) -> None:
    assert detect(mounts(tmp_path, HYBRID.splitlines()[1])).unified is None


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("31 23 0:28 / /sys/fs/cgroup rw - cgroup2 cgroup2 rw\n", "cgroup v2 alone.*; boot with"),
        ("31 23 0:28 / / rw - ext4 /dev/vda rw\n", "without control groups; mount"),
    ],
)
def test_a_machine_without_v1_is_told_what_to_do(tmp_path: Path, text: str, words: str) -> None:
    with pytest.raises(Unsupported, match=words):
        detect(mounts(tmp_path, text))


def test_a_group_is_made_once_in_each_hierarchy_and_removed_from_all(tmp_path: Path) -> None:
    """Two controllers that are mounted together are one directory."""
    roots = {name: tmp_path / name for name in ("cpu,cpuacct", "memory", "unified")}
    for root in roots.values():
        root.mkdir()
    joined = str(roots["cpu,cpuacct"])
    hierarchies = Hierarchies(
        {"cpu": joined, "cpuacct": joined, "memory": str(roots["memory"])}, str(roots["unified"])
    )
    cgroup = hierarchies.cgroup("/rundlet/abc")
    assert cgroup.directories == {
        "cpu,cpuacct": f"{joined}/rundlet/abc",
        "memory": f"{roots['memory']}/rundlet/abc",
        "": f"{roots['unified']}/rundlet/abc",
    }

    cgroup.create()
    assert all((root / "rundlet/abc").is_dir() for root in roots.values())
    assert cgroup.unified_fd is not None
    (roots["memory"] / "rundlet/abc/below").mkdir()

    assert cgroup.remove()
    assert not any((root / "rundlet/abc").exists() for root in roots.values())
    assert cgroup.unified_fd is None
    assert cgroup.remove(), "removing what is gone is no failure"


def test_a_group_that_cannot_be_made_everywhere_is_made_nowhere(tmp_path: Path) -> None:
    (tmp_path / "cpu").mkdir()
    hierarchies = Hierarchies({"cpu": str(tmp_path / "cpu"), "memory": str(tmp_path / "missing")}, None)
    with pytest.raises(FileNotFoundError):
        hierarchies.cgroup("/rundlet/abc").create()
    assert list((tmp_path / "cpu/rundlet").iterdir()) == []


def test_a_limit_of_a_controller_that_is_not_mounted_is_unsupported(tmp_path: Path) -> None:
    cgroup = Hierarchies({"cpu": str(tmp_path)}, None).cgroup("/x")
    with pytest.raises(Unsupported, match=r"pids\.max: the cgroup controller pids is not mounted"):
        cgroup.apply({"pids": {"limit": 1}})
    with pytest.raises(Unsupported, match="no cgroup freezer"):
        cgroup.freeze()


def test_a_limit_that_this_kernel_does_not_have_is_unsupported(tmp_path: Path) -> None:
    with pytest.raises(Unsupported, match=r"the limit blkio\.weight"):
        Hierarchies({"blkio": str(tmp_path)}, None).cgroup("/x").apply({"blockIO": {"weight": 100}})


def test_figures_are_read_as_the_kernel_writes_them() -> None:
    files = {
        "cpuacct.usage": "123456789\n",
        "cpuacct.usage_percpu": "100 200 \n",
        "cpuacct.stat": "user 3\nsystem 4\n",
        "cpu.stat": "nr_periods 5\nnr_throttled 6\nthrottled_time 7\n",
        "memory.usage_in_bytes": "4096\n",
        "memory.max_usage_in_bytes": "8192\n",
        "memory.limit_in_bytes": "9223372036854771712\n",
        "memory.failcnt": "2\n",
        "memory.stat": "cache 1\ntotal_inactive_file 10\n",
        "pids.current": "3\n",
        "pids.max": "max\n",
        "blkio.throttle.io_service_bytes_recursive": "8:0 Read 11\n8:0 Write 12\nTotal 23\n",
    }
    stats = read_stats(lambda _, file: files.get(file, ""))
    assert (stats.cpu.total_ns, stats.cpu.user_ns, stats.cpu.per_cpu_ns) == (123456789, 30_000_000, (100, 200))
    assert (stats.cpu.throttled_periods, stats.cpu.throttled_ns) == (6, 7)
    assert (stats.memory.usage_bytes, stats.memory.stat) == (4096, {"cache": 1, "total_inactive_file": 10})
    assert (stats.pids.current, stats.pids.limit) == (3, None)
    assert stats.block_bytes == (BlockStats(8, 0, "Read", 11), BlockStats(8, 0, "Write", 12))
    assert stats.block_operations == ()


@pytest.mark.parametrize(("before", "within"), [("0\n", b"1"), ("1\n", b"1")])
def test_grace_periods_are_expedited_for_a_moment_only(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, before: str, within: bytes
) -> None:
    switch = tmp_path / "rcu_expedited"
    switch.write_text(before)
    monkeypatch.setattr(grace, "_SWITCH", str(switch))
    with expedited_grace_periods():
        assert switch.read_bytes().strip() == within
    assert switch.read_text() == before


@pytest.mark.parametrize("before", ["0", "1"])
def test_a_switch_that_a_killed_process_left_on_is_put_back_by_the_next(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, before: str
) -> None:
    """And an administrator's stays on."""
    switch, note = tmp_path / "rcu_expedited", tmp_path / "note"
    switch.write_text(before)
    monkeypatch.setattr(grace, "_SWITCH", str(switch))
    killed = switch_put_back(str(note))
    killed.__enter__()
    switch.write_text("1")
    with switch_put_back(str(note)):
        assert switch.read_text() == before
    assert not note.exists()


def test_a_machine_without_the_switch_is_served_as_well(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(grace, "_SWITCH", str(tmp_path / "missing"))
    done = False
    with expedited_grace_periods():
        done = True
    assert done
