"""From an OCI ``linux.seccomp`` object to the program that the kernel runs at every system call.

    load arch;     another one than ours                ─▶ EPERM
    load number;   x32 (bit 30)                         ─▶ ENOSYS
                   newer than any that we know          ─▶ ENOSYS, if the default action refuses
                   binary search over ranges of numbers ─▶ action
                                                        ─▶ comparisons of arguments, rule by rule ─▶ action

**One architecture.** Calls by any other convention are refused, whatever the profile lists: on x86_64 the 32-bit
``socketcall`` would pass socket families that the 64-bit rules deny, since a filter cannot look behind the
pointer.

**ENOSYS** for what is newer: a C library that gets EPERM for a call it tries first does not fall back to the
older one.

The kernel itself remembers for which numbers the answer is "allow" without looking at arguments, so the depth of
the search costs nothing then. What this module will not do: load a program, or know which calls are dangerous.
See seccomp(2), Documentation/networking/filter.rst, runtime-spec config-linux.md "Seccomp".
"""

from __future__ import annotations

import errno
import os
import struct
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from rundlet.errors import InvalidArgument, Unsupported
from rundlet.runtime.seccomp.syscalls import ARCHITECTURES, Architecture

INSTRUCTIONS_LIMIT = 4096
"""BPF_MAXINSNS."""
X32_BIT = 0x40000000

_LOAD = 0x20  # BPF_LD | BPF_W | BPF_ABS
_AND = 0x54  # BPF_ALU | BPF_AND | BPF_K
_JUMP = 0x05  # BPF_JMP | BPF_JA
_IF_EQUAL = 0x15  # BPF_JMP | BPF_JEQ | BPF_K
_IF_GREATER = 0x25
_IF_AT_LEAST = 0x35
_RETURN = 0x06

_NUMBER_OFFSET = 0  # struct seccomp_data
_ARCH_OFFSET = 4
_ARGUMENTS_OFFSET = 16

_ALLOW = 0x7FFF0000
_ERRNO = 0x00050000
_ACTIONS = {
    "SCMP_ACT_KILL": 0x00000000,
    "SCMP_ACT_KILL_THREAD": 0x00000000,
    "SCMP_ACT_KILL_PROCESS": 0x80000000,
    "SCMP_ACT_TRAP": 0x00030000,
    "SCMP_ACT_ERRNO": _ERRNO,
    "SCMP_ACT_TRACE": 0x7FF00000,
    "SCMP_ACT_LOG": 0x7FFC0000,
    "SCMP_ACT_ALLOW": _ALLOW,
}
_WITH_NUMBER = ("SCMP_ACT_ERRNO", "SCMP_ACT_TRACE")
_PERMISSIVE = (_ALLOW, _ACTIONS["SCMP_ACT_LOG"])

_Code = list[tuple[int, int, int, int]]
"""Instructions: code, jump if true, jump if false (both relative to the next one), operand."""


@dataclass(frozen=True)
class _Condition:
    index: int
    operator: str
    value: int
    datum: int
    """Of a masked comparison, whose mask is ``value``."""


@dataclass(frozen=True)
class _Rule:
    conditions: tuple[_Condition, ...]
    action: int


_Decision = tuple[_Rule, ...]
"""The rules of one number, in order: the first that matches decides. None matches: the default action."""


def compile(profile: Mapping[str, Any], machine: str | None = None) -> bytes:  # noqa: A001  the field's word
    """An array of struct sock_filter for ``machine`` (``uname -m``; this one if None).

    InvalidArgument for what is no profile, Unsupported for what cannot be enforced here. Names of calls that the
    architecture does not have are skipped.
    """
    architecture = ARCHITECTURES.get(machine or os.uname().machine)
    if architecture is None:
        raise Unsupported(f"seccomp filters on {machine or os.uname().machine}")
    if not isinstance(profile, Mapping):
        raise InvalidArgument("linux.seccomp: not an object")
    if profile.get("listenerPath"):
        raise Unsupported("seccomp notification (linux.seccomp.listenerPath)")
    default = _action(profile.get("defaultAction"), profile.get("defaultErrnoRet"))
    code = _program(architecture, default, _decisions(profile, architecture.numbers()))
    if len(code) > INSTRUCTIONS_LIMIT:
        raise InvalidArgument(
            f"linux.seccomp: the filter has {len(code)} instructions, {INSTRUCTIONS_LIMIT} is the limit"
        )
    return b"".join(struct.pack("=HBBI", *instruction) for instruction in code)


# ── reading the profile ─────────────────────────────────────────────────────────────────────────────────────


def _decisions(profile: Mapping[str, Any], numbers: Mapping[str, int]) -> dict[int, _Decision]:
    decisions: dict[int, _Decision] = {}
    for entry in profile.get("syscalls") or ():
        if entry.get("includes") or entry.get("excludes"):
            raise InvalidArgument(
                "linux.seccomp: includes and excludes are Docker's, not OCI's; resolve them first"
            )
        action = _action(entry.get("action"), entry.get("errnoRet"))
        rules = _rules(entry.get("args") or (), action)
        for name in entry.get("names") or ():
            if (number := numbers.get(name)) is not None:
                decisions[number] = decisions.get(number, ()) + rules
    return decisions


def _rules(arguments: Sequence[Mapping[str, Any]], action: int) -> _Decision:
    """One rule in which all comparisons must hold; one for each if two are about the same argument, as in runc."""
    conditions = tuple(_condition(argument) for argument in arguments)
    if len({condition.index for condition in conditions}) < len(conditions):
        return tuple(_Rule((condition,), action) for condition in conditions)
    return (_Rule(conditions, action),)


def _condition(argument: Mapping[str, Any]) -> _Condition:
    index, operator = argument.get("index"), argument.get("op")
    value, datum = argument.get("value"), argument.get("valueTwo") or 0
    if index not in range(6) or operator not in _COMPARISONS:
        raise InvalidArgument(f"linux.seccomp: not a comparison of an argument: {dict(argument)}")
    for number in (value, datum):
        if not isinstance(number, int) or not 0 <= number < 2**64:
            raise InvalidArgument(f"linux.seccomp: not a 64-bit number: {number!r}")
    return _Condition(int(index), str(operator), int(value), int(datum))  # type: ignore[arg-type]  # checked above


def _action(name: Any, number: Any) -> int:
    action = _ACTIONS.get(name)
    if action is None:
        raise InvalidArgument(f"linux.seccomp: unknown action {name!r}")
    if name not in _WITH_NUMBER:
        return action
    number = errno.EPERM if number is None else number
    if not isinstance(number, int) or not 0 <= number <= 0xFFF:
        raise InvalidArgument(f"linux.seccomp: not an errno: {number!r}")
    return action | number


# ── writing the program ─────────────────────────────────────────────────────────────────────────────────────


def _program(architecture: Architecture, default: int, decisions: Mapping[int, _Decision]) -> _Code:
    newest = max(architecture.numbers().values())
    beyond = default if default in _PERMISSIVE else _ERRNO | errno.ENOSYS
    ranges: list[tuple[int, _Decision]] = []
    for number in range(newest + 1):
        decision = decisions.get(number, ())
        if not ranges or ranges[-1][1] != decision:
            ranges.append((number, decision))
    return [
        (_LOAD, 0, 0, _ARCH_OFFSET),
        (_IF_EQUAL, 1, 0, architecture.audit),
        *_return(_ERRNO | errno.EPERM),
        (_LOAD, 0, 0, _NUMBER_OFFSET),
        *_split(
            X32_BIT,
            [*_split(newest + 1, _search(ranges, default), _return(beyond))],
            _return(_ERRNO | errno.ENOSYS),
        ),
    ]


def _search(ranges: Sequence[tuple[int, _Decision]], default: int) -> _Code:
    """A binary search; ``ranges`` are their first number and decision, without gaps."""
    if len(ranges) == 1:
        return _decide(ranges[0][1], default)
    middle = len(ranges) // 2
    return _split(ranges[middle][0], _search(ranges[:middle], default), _search(ranges[middle:], default))


def _split(bound: int, below: _Code, from_bound: _Code) -> _Code:
    """Below ``bound`` the one, from it on the other. A conditional jump alone reaches no further than 255."""
    if len(below) <= 0xFF:
        return [(_IF_AT_LEAST, len(below), 0, bound), *below, *from_bound]
    return [(_IF_AT_LEAST, 0, 1, bound), (_JUMP, 0, 0, len(below)), *below, *from_bound]


def _decide(decision: _Decision, default: int) -> _Code:
    code: _Code = []
    for rule in decision:
        if not rule.conditions:
            return code + _return(rule.action)
        code += _test(rule)
    return code + _return(default)


def _test(rule: _Rule) -> _Code:
    """Returns the action if every comparison holds, and goes on behind itself if not."""
    code = _return(rule.action)
    for condition in reversed(rule.conditions):
        code = _compare(condition, len(code)) + code
    return code


def _compare(condition: _Condition, to_fail: int) -> _Code:
    """Goes on behind itself if the comparison holds, else skips ``to_fail`` instructions there.

    Arguments have 64 bits and the machine 32, so the high half comes first. Both architectures are little-endian.
    """
    low = _ARGUMENTS_OFFSET + 8 * condition.index
    return _COMPARISONS[condition.operator](low, condition.value, condition.datum, to_fail)


def _equal(low: int, value: int, _: int, to_fail: int) -> _Code:
    return _masked_equal(low, 2**64 - 1, value, to_fail)


def _masked_equal(low: int, mask: int, datum: int, to_fail: int) -> _Code:
    second: _Code = _masked_load(low, mask & 0xFFFFFFFF)
    second += [(_IF_EQUAL, 0, to_fail, datum & 0xFFFFFFFF)]
    first: _Code = _masked_load(low + 4, mask >> 32)
    return [*first, (_IF_EQUAL, 0, len(second) + to_fail, datum >> 32), *second]


def _not_equal(low: int, value: int, _: int, to_fail: int) -> _Code:
    return [
        (_LOAD, 0, 0, low + 4),
        (_IF_EQUAL, 0, 2, value >> 32),
        (_LOAD, 0, 0, low),
        (_IF_EQUAL, to_fail, 0, value & 0xFFFFFFFF),
    ]


def _above(low: int, value: int, to_fail: int, if_low: int) -> _Code:
    """Greater, or by ``if_low`` also equal."""
    return [
        (_LOAD, 0, 0, low + 4),
        (_IF_GREATER, 3, 0, value >> 32),
        (_IF_EQUAL, 0, 2 + to_fail, value >> 32),
        (_LOAD, 0, 0, low),
        (if_low, 0, to_fail, value & 0xFFFFFFFF),
    ]


def _below(low: int, value: int, to_fail: int, if_not_low: int) -> _Code:
    """Not greater, or by ``if_not_low`` also not equal."""
    return [
        (_LOAD, 0, 0, low + 4),
        (_IF_GREATER, 3 + to_fail, 0, value >> 32),
        (_IF_EQUAL, 0, 2, value >> 32),
        (_LOAD, 0, 0, low),
        (if_not_low, to_fail, 0, value & 0xFFFFFFFF),
    ]


_COMPARISONS: dict[str, Callable[[int, int, int, int], _Code]] = {
    "SCMP_CMP_EQ": _equal,
    "SCMP_CMP_NE": _not_equal,
    "SCMP_CMP_MASKED_EQ": _masked_equal,
    "SCMP_CMP_GT": lambda low, value, _, to_fail: _above(low, value, to_fail, _IF_GREATER),
    "SCMP_CMP_GE": lambda low, value, _, to_fail: _above(low, value, to_fail, _IF_AT_LEAST),
    "SCMP_CMP_LT": lambda low, value, _, to_fail: _below(low, value, to_fail, _IF_AT_LEAST),
    "SCMP_CMP_LE": lambda low, value, _, to_fail: _below(low, value, to_fail, _IF_GREATER),
}


def _masked_load(offset: int, mask: int) -> _Code:
    load: _Code = [(_LOAD, 0, 0, offset)]
    return load if mask == 0xFFFFFFFF else [*load, (_AND, 0, 0, mask)]


def _return(action: int) -> _Code:
    return [(_RETURN, 0, 0, action)]
