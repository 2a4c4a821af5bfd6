"""The kernel's side of a seccomp filter, simulated: what does it answer to a call?"""

from __future__ import annotations

import struct
from collections.abc import Sequence

AUDIT_ARCH_X86_64 = 0xC000003E
AUDIT_ARCH_I386 = 0x40000003
AUDIT_ARCH_AARCH64 = 0xC00000B7

ALLOW = 0x7FFF0000
KILL = 0
LOG = 0x7FFC0000


def errno_action(number: int) -> int:
    return 0x00050000 | number


def decide(program: bytes, arch: int, number: int, arguments: Sequence[int] = ()) -> int:
    """Run the filter. Fails on whatever the kernel's checker would refuse: a jump out, no return, an odd load."""
    instructions: list[tuple[int, int, int, int]] = list(struct.iter_unpack("=HBBI", program))
    padded = [*arguments, *([0] * (6 - len(arguments)))]
    data = struct.pack("=IIQ6Q", number, arch, 0, *padded)
    accumulator = position = 0
    while True:
        code, if_true, if_false, operand = instructions[position]
        position += 1
        match code:
            case 0x20:
                assert operand % 4 == 0
                (accumulator,) = struct.unpack_from("=I", data, operand)
            case 0x54:
                accumulator &= operand
            case 0x05:
                position += operand
            case 0x15:
                position += if_true if accumulator == operand else if_false
            case 0x25:
                position += if_true if accumulator > operand else if_false
            case 0x35:
                position += if_true if accumulator >= operand else if_false
            case 0x06:
                return operand
            case _:
                raise AssertionError(f"instruction {code:#x}")
