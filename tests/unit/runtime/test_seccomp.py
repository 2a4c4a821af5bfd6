"""Filters decide every call as their profile says; nothing gets around them."""

from __future__ import annotations

import errno
import operator
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rundlet.errors import InvalidArgument, Unsupported
from rundlet.runtime.seccomp import compile as compile_filter
from rundlet.runtime.seccomp import default_profile, resolve
from rundlet.runtime.seccomp.compiler import X32_BIT
from rundlet.runtime.seccomp.syscalls import ARCHITECTURES
from tests.unit.runtime.bpf import (
    ALLOW,
    AUDIT_ARCH_AARCH64,
    AUDIT_ARCH_I386,
    AUDIT_ARCH_X86_64,
    KILL,
    LOG,
    decide,
    errno_action,
)

ARCHES = {"x86_64": AUDIT_ARCH_X86_64, "aarch64": AUDIT_ARCH_AARCH64}
EPERM = errno_action(errno.EPERM)
ENOSYS = errno_action(errno.ENOSYS)
_ORDINARY_NAMES = """
    CHOWN DAC_OVERRIDE FSETID FOWNER MKNOD NET_RAW SETGID SETUID SETFCAP SETPCAP NET_BIND_SERVICE SYS_CHROOT KILL
    AUDIT_WRITE
"""
ORDINARY = [f"CAP_{name}" for name in _ORDINARY_NAMES.split()]
REFUSED = """
    acct add_key bpf delete_module fanotify_init finit_module fsconfig fsmount fsopen fspick get_mempolicy
    init_module io_uring_enter io_uring_register io_uring_setup kcmp kexec_file_load kexec_load keyctl
    lookup_dcookie mbind migrate_pages mount mount_setattr move_mount move_pages nfsservctl open_by_handle_at
    open_tree perf_event_open pidfd_getfd pivot_root process_madvise quotactl quotactl_fd reboot request_key
    set_mempolicy setdomainname sethostname setns settimeofday clock_settime swapoff swapon syslog umount2 unshare
    userfaultfd vhangup iopl ioperm uselib ustat sysfs _sysctl create_module get_kernel_syms query_module
"""


def entry(names: str, action: str = "ALLOW", **more: Any) -> dict[str, Any]:
    return {"names": names.split(), "action": f"SCMP_ACT_{action}", **more}


def profile(*entries: dict[str, Any], default: str = "ERRNO", **more: Any) -> dict[str, Any]:
    return {"defaultAction": f"SCMP_ACT_{default}", "syscalls": list(entries), **more}


@pytest.fixture(params=["x86_64", "aarch64"])
def machine(request: pytest.FixtureRequest) -> str:
    return str(request.param)


# ── the compiler ────────────────────────────────────────────────────────────────────────────────────────────


def test_every_number_gets_the_action_of_its_name(machine: str) -> None:
    numbers = ARCHITECTURES[machine].numbers()
    allowed = {name for name in numbers if hash(name) % 3}
    program = compile_filter(profile(entry(" ".join(allowed))), machine)
    by_number = {number: name for name, number in numbers.items()}
    for number in range(max(numbers.values()) + 1):
        expected = ALLOW if by_number.get(number) in allowed else EPERM
        assert decide(program, ARCHES[machine], number) == expected, by_number.get(number)


@settings(max_examples=60, deadline=None)
@given(st.sets(st.sampled_from(sorted(ARCHITECTURES["x86_64"].numbers()))))
def test_any_set_of_names_is_separated_from_the_rest(allowed: set[str]) -> None:
    program = compile_filter(profile(entry(" ".join(allowed))), "x86_64")
    for name, number in ARCHITECTURES["x86_64"].numbers().items():
        assert decide(program, AUDIT_ARCH_X86_64, number) == (ALLOW if name in allowed else EPERM)


def test_calls_newer_than_we_know_are_not_implemented_rather_than_forbidden(machine: str) -> None:
    newest = max(ARCHITECTURES[machine].numbers().values())
    program = compile_filter(profile(entry("read")), machine)
    for number in (newest + 1, 9999, X32_BIT - 1):
        assert decide(program, ARCHES[machine], number) == ENOSYS
    permissive = compile_filter(profile(default="LOG"), machine)
    assert decide(permissive, ARCHES[machine], newest + 1) == LOG


@pytest.mark.parametrize("default", ["ERRNO", "ALLOW", "LOG"])
def test_other_conventions_of_calling_are_refused_whatever_the_profile_says(default: str) -> None:
    more = {"architectures": ["SCMP_ARCH_X86_64", "SCMP_ARCH_X86", "SCMP_ARCH_X32"]}
    program = compile_filter(profile(entry("read socket"), default=default, **more), "x86_64")
    for number in range(500):
        assert decide(program, AUDIT_ARCH_I386, number) == EPERM
        assert decide(program, AUDIT_ARCH_X86_64, number | X32_BIT) == ENOSYS
    assert decide(program, AUDIT_ARCH_X86_64, 0xFFFFFFFF) == ENOSYS


OPERATORS: dict[str, Callable[[int, int], bool]] = {
    "EQ": operator.eq,
    "NE": operator.ne,
    "LT": operator.lt,
    "LE": operator.le,
    "GT": operator.gt,
    "GE": operator.ge,
}
HALVES = st.sampled_from([0, 1, 2, 0x7FFFFFFF, 0x80000000, 0xFFFFFFFE, 0xFFFFFFFF])
WORDS = st.builds(lambda high, low: high << 32 | low, HALVES, HALVES)


@settings(max_examples=400, deadline=None)
@given(st.sampled_from(sorted(OPERATORS)), WORDS, WORDS, st.integers(0, 5))
def test_arguments_are_compared_in_all_64_bits(name: str, value: int, argument: int, index: int) -> None:
    rule = entry("read", args=[{"index": index, "op": f"SCMP_CMP_{name}", "value": value}])
    arguments = [0x5555555555555555] * 6
    arguments[index] = argument
    answer = decide(compile_filter(profile(rule), "x86_64"), AUDIT_ARCH_X86_64, 0, arguments)
    assert (answer == ALLOW) == OPERATORS[name](argument, value)


@settings(max_examples=200, deadline=None)
@given(WORDS, WORDS, WORDS)
def test_masked_comparisons_look_at_the_masked_bits_alone(mask: int, datum: int, argument: int) -> None:
    arguments = {"index": 0, "op": "SCMP_CMP_MASKED_EQ", "value": mask, "valueTwo": datum}
    program = compile_filter(profile(entry("read", args=[arguments])), "x86_64")
    assert (decide(program, AUDIT_ARCH_X86_64, 0, [argument]) == ALLOW) == (argument & mask == datum)


def test_comparisons_of_several_arguments_must_all_hold() -> None:
    args = [{"index": n, "op": "SCMP_CMP_EQ", "value": n + 1} for n in range(6)]
    program = compile_filter(profile(entry("read", args=args)), "x86_64")
    good = [1, 2, 3, 4, 5, 6]
    assert decide(program, AUDIT_ARCH_X86_64, 0, good) == ALLOW
    for n in range(6):
        assert decide(program, AUDIT_ARCH_X86_64, 0, [*good[:n], 99, *good[n + 1 :]]) == EPERM


def test_two_comparisons_of_one_argument_are_alternatives() -> None:
    args = [{"index": 0, "op": "SCMP_CMP_EQ", "value": value} for value in (3, 5)]
    program = compile_filter(profile(entry("read", args=args)), "x86_64")
    assert [decide(program, AUDIT_ARCH_X86_64, 0, [n]) == ALLOW for n in (3, 4, 5)] == [True, False, True]


def test_the_first_rule_that_matches_decides_and_the_default_if_none_does() -> None:
    program = compile_filter(
        profile(
            entry("read", "ERRNO", errnoRet=7, args=[{"index": 0, "op": "SCMP_CMP_EQ", "value": 1}]),
            entry("read", args=[{"index": 0, "op": "SCMP_CMP_LT", "value": 3}]),
            default="KILL",
        ),
        "x86_64",
    )
    assert [decide(program, AUDIT_ARCH_X86_64, 0, [n]) for n in (0, 1, 3)] == [ALLOW, errno_action(7), KILL]


def test_a_filter_with_a_rule_for_every_call_still_fits_and_decides() -> None:
    """Long jumps: no conditional jump reaches over so many instructions."""
    numbers = ARCHITECTURES["x86_64"].numbers()
    rules = [
        entry(name, args=[{"index": 0, "op": "SCMP_CMP_EQ", "value": number}]) for name, number in numbers.items()
    ]
    program = compile_filter(profile(*rules), "x86_64")
    for number in numbers.values():
        assert decide(program, AUDIT_ARCH_X86_64, number, [number]) == ALLOW
        assert decide(program, AUDIT_ARCH_X86_64, number, [number + 1]) == EPERM


@pytest.mark.parametrize(
    ("document", "error", "words"),
    [
        ([], InvalidArgument, "not an object"),
        ({}, InvalidArgument, "unknown action None"),
        (profile(default="NOTIFY"), InvalidArgument, "unknown action"),
        (profile(listenerPath="/x"), Unsupported, "notification"),
        (profile(entry("read", "NOSUCH")), InvalidArgument, "unknown action"),
        (profile(entry("read", "ERRNO", errnoRet=99999)), InvalidArgument, "not an errno"),
        (
            profile(entry("read", args=[{"index": 6, "op": "SCMP_CMP_EQ", "value": 1}])),
            InvalidArgument,
            "comparison",
        ),
        (profile(entry("read", args=[{"index": 0, "op": "EQ", "value": 1}])), InvalidArgument, "comparison"),
        (profile(entry("read", args=[{"index": 0, "op": "SCMP_CMP_EQ", "value": -1}])), InvalidArgument, "64-bit"),
        (profile(entry("read", includes={"caps": ["CAP_SYS_ADMIN"]})), InvalidArgument, "resolve them first"),
        (
            profile(*[entry("read", args=[{"index": 0, "op": "SCMP_CMP_EQ", "value": n}]) for n in range(1000)]),
            InvalidArgument,
            "4096 is the limit",
        ),
    ],
)
def test_what_is_no_profile_is_refused(document: Any, error: type[Exception], words: str) -> None:
    with pytest.raises(error, match=words):
        compile_filter(document, "x86_64")


def test_a_machine_without_a_table_is_unsupported() -> None:
    with pytest.raises(Unsupported, match="riscv64"):
        compile_filter(profile(), "riscv64")


# ── the default profile ─────────────────────────────────────────────────────────────────────────────────────


def answer(machine: str, capabilities: list[str], name: str, *arguments: int) -> int:
    program = compile_filter(default_profile(capabilities, machine), machine)
    return decide(program, ARCHES[machine], ARCHITECTURES[machine].numbers()[name], arguments)


def test_what_reaches_the_machine_is_refused_to_an_ordinary_container(machine: str) -> None:
    program = compile_filter(default_profile(ORDINARY, machine), machine)
    numbers = ARCHITECTURES[machine].numbers()
    known = [name for name in REFUSED.split() if name in numbers]
    assert len(known) > 40
    for name in known:
        assert decide(program, ARCHES[machine], numbers[name]) == EPERM, name


def test_an_ordinary_container_may_call_the_rest(machine: str) -> None:
    program = compile_filter(default_profile(ORDINARY, machine), machine)
    numbers = ARCHITECTURES[machine].numbers()
    allowed = {name for name, number in numbers.items() if decide(program, ARCHES[machine], number) == ALLOW}
    assert {"read", "openat", "execve", "mmap", "socket", "clone", "chroot", "ptrace", "futex_waitv"} <= allowed
    assert len(allowed) == {"x86_64": 309, "aarch64": 267}[machine]


@pytest.mark.parametrize(
    ("capability", "names"),
    [
        ("CAP_SYS_ADMIN", "mount umount2 unshare setns bpf fsopen sethostname clone3"),
        ("CAP_SYS_MODULE", "init_module finit_module delete_module"),
        ("CAP_SYS_TIME", "settimeofday clock_settime"),
        ("CAP_SYS_PTRACE", "kcmp pidfd_getfd process_madvise"),
        ("CAP_SYSLOG", "syslog"),
        ("CAP_BPF", "bpf"),
        ("CAP_DAC_READ_SEARCH", "open_by_handle_at"),
        ("CAP_SYS_NICE", "mbind set_mempolicy"),
    ],
)
def test_a_capability_brings_back_what_it_is_for(machine: str, capability: str, names: str) -> None:
    for name in names.split():
        assert answer(machine, ORDINARY, name) != ALLOW
        assert answer(machine, [*ORDINARY, capability], name) == ALLOW


def test_processes_and_threads_may_be_made_but_no_namespaces(machine: str) -> None:
    assert answer(machine, ORDINARY, "clone", 0x003D0F00) == ALLOW  # pthread_create
    assert answer(machine, ORDINARY, "clone", 17) == ALLOW  # fork
    for flag in (0x00020000, 0x02000000, 0x04000000, 0x08000000, 0x10000000, 0x20000000, 0x40000000):
        assert answer(machine, ORDINARY, "clone", flag | 17) == EPERM
    assert answer(machine, ORDINARY, "clone3") == ENOSYS


@pytest.mark.parametrize("family", [1, 2, 10, 16, 17, 37, 39, 41, 45])
def test_ordinary_socket_families_are_there(machine: str, family: int) -> None:
    assert answer(machine, ORDINARY, "socket", family) == ALLOW


@pytest.mark.parametrize("family", [38, 40, 2**32 + 38, 2**32 + 40, 2**63 + 38, 46])
def test_families_that_no_namespace_confines_are_not_in_any_spelling(machine: str, family: int) -> None:
    """The kernel looks at 32 bits of the family, the filter sees 64."""
    assert answer(machine, ORDINARY, "socket", family) == EPERM


@pytest.mark.parametrize(
    ("persona", "allowed"), [(0, True), (8, True), (0xFFFFFFFF, True), (0x0040000, False), (0x0400000, False)]
)
def test_a_persona_that_weakens_protections_is_refused(machine: str, persona: int, allowed: bool) -> None:
    assert (answer(machine, ORDINARY, "personality", persona) == ALLOW) == allowed


# ── Docker's conditions ─────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    ("conditions", "holds"),
    [
        ({}, True),
        ({"includes": {"caps": ["CAP_A"]}}, True),
        ({"includes": {"caps": ["CAP_A", "CAP_B"]}}, False),
        ({"excludes": {"caps": ["CAP_A", "CAP_B"]}}, False),
        ({"excludes": {"caps": ["CAP_B"]}}, True),
        ({"includes": {"arches": ["amd64", "x32"]}}, True),
        ({"includes": {"arches": ["arm64"]}}, False),
        ({"excludes": {"arches": ["amd64"]}}, False),
        ({"includes": {"minKernel": "5.12"}}, True),
        ({"includes": {"minKernel": "6.2"}}, False),
        ({"excludes": {"minKernel": "6.1"}}, False),
        ({"includes": {}, "excludes": None}, True),
    ],
)
def test_conditions_are_settled_for_the_container(conditions: dict[str, Any], holds: bool) -> None:
    result = resolve(profile(entry("read", **conditions)), ["CAP_A"], "x86_64", "6.1.0-13-amd64")
    assert result["syscalls"] == ([entry("read")] if holds else [])


def test_what_is_docker_s_alone_is_gone_from_the_result() -> None:
    docker = profile({"name": "read", "action": "SCMP_ACT_ALLOW", "comment": "x"}, archMap=[{"architecture": "y"}])
    assert resolve(docker, [], "x86_64", "6.1") == profile(entry("read"), architectures=["SCMP_ARCH_X86_64"])


def test_a_kernel_version_or_entry_that_is_none_is_refused() -> None:
    with pytest.raises(InvalidArgument, match="not a kernel version"):
        resolve(profile(entry("read", includes={"minKernel": "x"})), [], "x86_64", "6.1")
    with pytest.raises(InvalidArgument, match="not an entry"):
        resolve({"syscalls": ["read"]}, [], "x86_64", "6.1")
