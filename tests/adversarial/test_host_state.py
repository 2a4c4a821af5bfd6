"""What a container of the host is made of and could change for everybody: nodes, cgroups, its own limits."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.adversarial.arena import Arena

pytestmark = pytest.mark.privileged

NULL = Path("/dev/null")


@pytest.fixture
def _null_device() -> Iterator[None]:
    """Owner and mode of the host's null device are the same afterwards; put right, whatever happens."""
    before = NULL.stat()
    yield
    after = NULL.stat()
    os.chown(NULL, before.st_uid, before.st_gid)
    NULL.chmod(before.st_mode & 0o7777)
    assert (after.st_mode, after.st_uid, after.st_gid) == (before.st_mode, before.st_uid, before.st_gid)


@pytest.mark.usefixtures("_null_device")
@pytest.mark.parametrize("as_exec", [False, True], ids=["init", "exec"])
def test_stdin_that_nobody_gave_is_not_the_hosts_null_device(arena: Arena, as_exec: bool) -> None:
    script = "chmod 0640 /proc/self/fd/0; chown 1:1 /proc/self/fd/0; stat -L -c %d /proc/self/fd/0 /dev/null"
    if as_exec:
        container = arena.spawn("busybox", ["sleep", "600"])
        output = arena.execute(container, ["sh", "-c", script])
    else:
        output = arena.shell(script).stdout
    stdin, null = output.split()
    assert stdin == null


@pytest.mark.usefixtures("_null_device")
def test_a_masked_file_hands_nobody_the_hosts_null_device(arena: Arena) -> None:
    outcome = arena.shell(
        "for path in /proc/keys /proc/timer_list /proc/interrupts; do cat $path || exit 1;"
        " chmod 0640 $path; chown 1:1 $path; touch -d 2001-01-01 $path; done; echo masked"
    )
    assert outcome.stdout == "masked\n"
    assert outcome.stderr.count("Read-only file system") == 9


@pytest.mark.parametrize("name", ["hosts", "hostname", "resolv.conf"])
def test_what_a_container_writes_to_its_files_in_etc_fills_no_memory_of_the_machine(
    arena: Arena, name: str
) -> None:
    """The run root lies in memory where the machine keeps its sockets; a container may write to these at will."""
    run_root = arena.daemon.run_root
    container = arena.spawn("busybox", ["sh", "-c", f"dd if=/dev/zero of=/etc/{name} bs=1M count=20; sleep 600"])
    arena.wait_for(container, f"test $(stat -c %s /etc/{name}) = 20971520")
    grown = [path for path in run_root.rglob("*") if path.is_file() and path.stat().st_size > 1_000_000]
    assert grown == []
