"""An image of this machine: the Python that runs the engine, a shell and the usual tools, with their libraries.

    /usr/local/bin/python3 -> the interpreter, at the path that it has on this machine
    <stdlib>                  without tests, caches of other versions, Tk and IDLE
    sh, bash, ls, cat, …      those that exist here, with every symlink on the way (/bin -> usr/bin)
    shared libraries          found as the dynamic loader finds them, at their own paths
    /etc                      a passwd and group of its own; os-release, ld.so.cache, certificates from here

So the first container runs with no registry and no network. Everything keeps its path: programs know where
their libraries and modules are. This module only plans (:class:`rundlet.images.rootfs.Rootfs`); it reads this
machine and writes nothing. It copies programs and libraries, never configuration that could hold a secret.
"""

from __future__ import annotations

import os
import shutil
import struct
import sys
import sysconfig
from collections.abc import Iterable, Iterator
from importlib.util import MAGIC_NUMBER
from pathlib import Path

from rundlet.errors import PathNotFound
from rundlet.images.elf import Linker
from rundlet.images.rootfs import Copied, Rootfs

REFERENCE = "rundlet/host:latest"
PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"

_USUAL = """
    sh bash busybox [ awk base64 basename cat chmod chown comm cp cut date dd df diff dirname du echo env expr
    false find free fold getent grep gzip head hostname id install kill less ln ls md5sum mkdir mkfifo mktemp
    more mount mv nice nl nohup nproc od paste patch pgrep pkill printenv printf ps pwd readlink realpath rm
    rmdir sed seq setsid sha256sum shuf sleep sort split stat stty sync tac tail tar tee test timeout top touch
    tr true truncate tty umount uname uniq unlink uptime wc which whoami xargs yes
"""
PROGRAMS = tuple(_USUAL.split())
"""What is taken if this machine has it. Only ``sh`` has to be there."""

_USELESS = "__pycache__ dist-packages idlelib lib2to3 site-packages test tests tkinter turtledemo"
_LEFT_OUT = frozenset(_USELESS.split())
"""Directories of the standard library that are of no use in a container."""
_LEFT_OUT_PREFIXES = ("config-", "_ctypes_test", "_test", "_tkinter", "_xx", "xx")
"""How static libraries, Tk and the modules that test the interpreter begin."""

_DLOPENED = ("libnss_files.so.2", "libnss_dns.so.2", "libresolv.so.2", "libgcc_s.so.1")
"""What libc and Python open by name while they run, so that no ELF file tells of it."""

_CERTIFICATES = (
    "/etc/ssl/certs/ca-certificates.crt",
    "/etc/pki/tls/certs/ca-bundle.crt",
    "/etc/ssl/ca-bundle.pem",
    "/etc/ssl/cert.pem",
)
_KNOWN_TERMINALS = "ansi dumb linux screen screen-256color tmux-256color vt100 xterm xterm-256color"
_TERMINALS = tuple(_KNOWN_TERMINALS.split())
_FROM_HERE = ("/etc/os-release", "/etc/ld.so.cache", "/etc/protocols", "/etc/services")
_LOCALES = ("/usr/lib/locale/C.utf8", "/usr/lib/locale/C.UTF-8")

_DIRECTORIES = {
    "/dev": 0o755,
    "/home": 0o755,
    "/mnt": 0o755,
    "/opt": 0o755,
    "/proc": 0o555,
    "/root": 0o711,  # an interpreter of pyenv's lives below it, and must be found by every user
    "/run": 0o755,
    "/srv": 0o755,
    "/sys": 0o555,
    "/tmp": 0o1777,
    "/usr/local/bin": 0o755,
    "/var/lib": 0o755,
    "/var/log": 0o755,
    "/var/tmp": 0o1777,
}
_PASSWD = """\
root:x:0:0:root:/root:/bin/sh
daemon:x:1:1:daemon:/usr/sbin:/usr/sbin/nologin
nobody:x:65534:65534:nobody:/nonexistent:/usr/sbin/nologin
"""
_GROUP = """\
root:x:0:
daemon:x:1:
tty:x:5:
nogroup:x:65534:
"""
_NSSWITCH = """\
passwd: files
group: files
hosts: files dns
"""


def plan(programs: Iterable[str]) -> Rootfs:
    """What the image holds. ``programs`` are names or absolute paths beside the shell and Python.

    A name of :data:`PROGRAMS` that this machine lacks is left out; any other raises PathNotFound.
    """
    rootfs = Rootfs()
    interpreter = _add_python(rootfs)
    _add_programs(rootfs, ["sh", *programs])
    _add_libraries(rootfs, interpreter)
    _add_etc(rootfs)
    _add_terminals_and_locale(rootfs)
    for path, mode in _DIRECTORIES.items():
        rootfs.directory(path, mode)
    return rootfs


def environment(rootfs: Rootfs) -> list[str]:
    """What the image's ``Env`` says, so that programs find each other and the certificates."""
    certificates = next((path for path in _CERTIFICATES if path in rootfs.nodes), None)
    return [
        f"PATH={PATH}",
        "LANG=C.UTF-8",
        *([f"SSL_CERT_FILE={certificates}"] if certificates else []),
    ]


# ── Python ──


def _add_python(rootfs: Rootfs) -> str:
    # In a virtual environment this is the interpreter that it was made from.
    interpreter = os.path.realpath(getattr(sys, "_base_executable", None) or sys.executable)
    rootfs.copy(interpreter)
    version = f"python{sys.version_info.major}.{sys.version_info.minor}"
    for name in ("python", "python3", version):
        place = f"/usr/local/bin/{name}"
        if place != interpreter:
            rootfs.symlink(place, interpreter)
    stdlib = os.path.dirname(os.path.realpath(os.__file__))
    extensions = sysconfig.get_config_var("DESTSHARED") or f"{stdlib}/lib-dynload"
    for directory in {stdlib, os.path.realpath(extensions)}:
        for path in _modules(directory):
            rootfs.copy(path)
    return interpreter


def _modules(directory: str) -> Iterator[str]:
    """The files of the standard library below ``directory``: sources, extensions, data, compiled modules.

    Compiled modules are worth their room: without them every container compiles what it imports again, which
    takes ``import asyncio`` from 50 to 300 ms. Only those are taken that the interpreter would believe.
    """
    with os.scandir(directory) as entries:
        for entry in entries:
            if entry.name in _LEFT_OUT or entry.name.startswith(_LEFT_OUT_PREFIXES):
                continue
            if entry.is_dir():
                yield from _modules(entry.path)
            elif entry.is_file():
                yield entry.path
                if entry.name.endswith(".py") and (compiled := _compiled(entry.path)):
                    yield compiled


def _compiled(source: str) -> str | None:
    """The compiled module of ``source`` if it is up to date: PEP 552 says how the interpreter decides that."""
    directory, name = os.path.split(source)
    path = f"{directory}/__pycache__/{name[:-3]}.{sys.implementation.cache_tag}.pyc"
    try:
        with open(path, "rb", buffering=0) as file:
            header = file.read(16)
        status = os.stat(source)
    except OSError:
        return None
    if len(header) < 16 or header[:4] != MAGIC_NUMBER:
        return None
    flags, mtime, size = struct.unpack("<III", header[4:])
    fresh = (mtime, size) == (int(status.st_mtime) & 0xFFFFFFFF, status.st_size & 0xFFFFFFFF)
    return path if flags or fresh else None


# ── programs and libraries ──


def _add_programs(rootfs: Rootfs, programs: Iterable[str]) -> None:
    todo = list(programs)
    while todo:
        program = todo.pop()
        path = shutil.which(program, path=PATH)
        if path is None or not os.path.isabs(path):
            if program in PROGRAMS and program != "sh":
                continue
            raise PathNotFound(program, "program")
        if path in rootfs.nodes:
            continue
        place = rootfs.copy(path)
        # A script needs its interpreter: "#!/usr/bin/env python3" is served by what is there anyway.
        with open(place, "rb") as file:
            first = file.readline(256)
        if first.startswith(b"#!") and (words := first[2:].split()):
            todo.append(os.fsdecode(words[0]))


def _add_libraries(rootfs: Rootfs, interpreter: str) -> None:
    linker = Linker()
    needed: set[str] = set()
    for path, node in rootfs.nodes.items():
        if isinstance(node, Copied) and (node.mode & 0o111 or ".so" in os.path.basename(path)):
            needed |= linker.closure(path)
    for name in _DLOPENED:
        if library := linker.library(name, interpreter):
            needed |= {library, *linker.closure(library)}
    for path in sorted(needed):
        rootfs.copy(path)


# ── everything else ──


def _add_etc(rootfs: Rootfs) -> None:
    rootfs.write("/etc/passwd", _PASSWD)
    rootfs.write("/etc/group", _GROUP)
    rootfs.write("/etc/nsswitch.conf", _NSSWITCH)
    rootfs.write("/etc/shells", "/bin/sh\n")
    for path in _FROM_HERE:
        if os.path.isfile(path):
            rootfs.copy(path)
    if certificates := next((path for path in _CERTIFICATES if os.path.isfile(path)), None):
        rootfs.copy(certificates)


def _add_terminals_and_locale(rootfs: Rootfs) -> None:
    for database in ("/etc/terminfo", "/lib/terminfo", "/usr/share/terminfo"):
        for name in _TERMINALS:
            path = f"{database}/{name[0]}/{name}"
            if os.path.isfile(path):
                rootfs.copy(path)
    for locale in _LOCALES:
        for file in sorted(Path(locale).rglob("*")) if os.path.isdir(locale) else ():
            if file.is_file():
                rootfs.copy(str(file))
