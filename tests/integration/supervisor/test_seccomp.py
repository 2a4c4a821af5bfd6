"""Filters as the real kernel applies them."""

from __future__ import annotations

import ctypes
import errno
import mmap
import os

import pytest

from rundlet.linux.seccomp import load_filter
from rundlet.runtime.seccomp import compile as compile_filter
from rundlet.runtime.seccomp import default_profile

pytestmark = [
    pytest.mark.privileged,
    pytest.mark.skipif(os.uname().machine != "x86_64", reason="the numbers and the machine code are x86_64's"),
]

LIBC = ctypes.CDLL(None, use_errno=True)
LIBC.syscall.restype = ctypes.c_long
ORDINARY = ["CAP_SYS_CHROOT", "CAP_NET_RAW", "CAP_MKNOD"]


def confined(number: int, *arguments: int) -> int:
    """The errno of a call in a process under the default profile; 0 for success."""
    program = compile_filter(default_profile(ORDINARY))
    child = os.fork()
    if child == 0:
        load_filter(program)
        result = LIBC.syscall(ctypes.c_long(number), *map(ctypes.c_long, arguments))
        os._exit(ctypes.get_errno() if result < 0 else 0)
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])


@pytest.mark.parametrize(
    ("what", "number", "arguments", "expected"),
    [
        ("getpid", 39, (), 0),
        ("personality, asked", 135, (0xFFFFFFFF,), 0),
        ("socket AF_INET", 41, (2, 1, 0), 0),
        ("socket AF_ALG", 41, (38, 5, 0), errno.EPERM),
        ("socket AF_ALG in disguise", 41, (2**32 + 38, 5, 0), errno.EPERM),
        ("socket AF_VSOCK", 41, (40, 1, 0), errno.EPERM),
        ("keyctl", 250, (0, -3, 0), errno.EPERM),
        ("unshare", 272, (0x10000000,), errno.EPERM),
        ("clone3", 435, (0, 0), errno.ENOSYS),
        ("bpf", 321, (0, 0, 0), errno.EPERM),
        ("io_uring_setup", 425, (1, 0), errno.EPERM),
        ("userfaultfd", 323, (0,), errno.EPERM),
        ("newer than anything", 9999, (), errno.ENOSYS),
        ("getpid by x32", 0x40000000 | 39, (), errno.ENOSYS),
    ],
)
def test_the_default_profile_holds(what: str, number: int, arguments: tuple[int, ...], expected: int) -> None:
    assert confined(number, *arguments) == expected


def test_32_bit_calls_are_refused() -> None:
    """By machine code that calls by int 0x80: socketcall would get past the rules about socket families."""
    code = mmap.mmap(-1, mmap.PAGESIZE, prot=mmap.PROT_READ | mmap.PROT_WRITE | mmap.PROT_EXEC)
    # push rbx; mov eax, edi; mov ebx, esi; int 0x80; cdqe; pop rbx; ret
    code.write(b"\x53\x89\xf8\x89\xf3\xcd\x80\x48\x98\x5b\xc3")
    address = ctypes.addressof(ctypes.c_char.from_buffer(code))
    call = ctypes.CFUNCTYPE(ctypes.c_long, ctypes.c_int, ctypes.c_int)(address)
    program = compile_filter(default_profile(ORDINARY))
    child = os.fork()
    if child == 0:
        load_filter(program)
        os._exit(min(-result, 255) if (result := call(20, 0)) < 0 else 0)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) in (errno.EPERM, errno.ENOSYS)
