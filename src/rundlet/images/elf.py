"""Which shared libraries a program needs, read from its ELF file, and where the dynamic loader finds them.

Enough of the format for that and no more: the interpreter (PT_INTERP) and four entries of the dynamic section.
Nothing is executed or loaded, unlike with ldd. Format: elf(5); search order: ld.so(8).
"""

from __future__ import annotations

import glob
import os
import struct
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

_PT_LOAD, _PT_DYNAMIC, _PT_INTERP = 1, 2, 3
_DT_NEEDED, _DT_STRTAB, _DT_RPATH, _DT_RUNPATH = 1, 5, 15, 29
_MAX_TABLE = 1 << 20
"""Bytes of a dynamic section or of one string; files of this machine are trusted, but not to be whole."""

_LD_SO_CONF = Path("/etc/ld.so.conf")
_DEFAULT_DIRECTORIES = ("/lib64", "/usr/lib64", "/lib", "/usr/lib", "/usr/local/lib", "/lib32", "/usr/lib32")


@dataclass(frozen=True)
class Elf:
    machine: tuple[int, int]
    """(class, e_machine): a library is only good for a program of the same."""
    interpreter: str | None
    """The dynamic loader; None for libraries and static programs."""
    needed: tuple[str, ...]
    rpath: tuple[str, ...]
    runpath: tuple[str, ...]


def read_elf(path: str | Path) -> Elf | None:
    """None for what is not an ELF file, or a damaged one. Raises OSError."""
    with open(path, "rb", buffering=0) as file:
        ident = file.read(16)
        if not ident.startswith(b"\x7fELF") or len(ident) < 16 or ident[4] not in (1, 2):
            return None
        try:
            return _Reader(file.fileno(), wide=ident[4] == 2, order="<" if ident[5] == 1 else ">").read()
        except (struct.error, _DamagedError):
            return None


class _DamagedError(Exception):
    """An offset leads nowhere."""


class _Reader:
    def __init__(self, fd: int, *, wide: bool, order: str) -> None:
        self._fd = fd
        self._wide = wide
        self._order = order

    def read(self) -> Elf:
        word = "Q" if self._wide else "I"
        header = self._unpack(f"HHI{word}{word}{word}IHHH", 16)
        machine, table, entry_size, count = header[1], header[4], header[8], header[9]
        segments = [self._segment(table + number * entry_size) for number in range(count)]
        dynamic = self._dynamic(segments)
        strings = self._file_offset(segments, dynamic[_DT_STRTAB][0]) if dynamic.get(_DT_STRTAB) else 0
        interpreter = next((offset for kind, offset, _, _ in segments if kind == _PT_INTERP), None)

        def texts(tag: int) -> tuple[str, ...]:
            return tuple(self._string(strings + value) for value in dynamic.get(tag, ()))

        return Elf(
            machine=(2 if self._wide else 1, machine),
            interpreter=None if interpreter is None else self._string(interpreter),
            needed=texts(_DT_NEEDED),
            rpath=_split(texts(_DT_RPATH)),
            runpath=_split(texts(_DT_RUNPATH)),
        )

    def _segment(self, at: int) -> tuple[int, int, int, int]:
        """(type, offset, address, size in the file)"""
        if self._wide:
            kind, _, offset, address, _, size = self._unpack("IIQQQQ", at)
        else:
            kind, offset, address, _, size = self._unpack("IIIII", at)
        return kind, offset, address, size

    def _dynamic(self, segments: list[tuple[int, int, int, int]]) -> dict[int, list[int]]:
        entries: dict[int, list[int]] = {}
        for kind, offset, _, size in segments:
            if kind == _PT_DYNAMIC:
                data = self._pread(min(size, _MAX_TABLE), offset)
                pair = struct.Struct(self._order + ("qQ" if self._wide else "iI"))
                for tag, value in pair.iter_unpack(data[: len(data) // pair.size * pair.size]):
                    if tag == 0:
                        break
                    entries.setdefault(tag, []).append(value)
        return entries

    def _file_offset(self, segments: list[tuple[int, int, int, int]], address: int) -> int:
        for kind, offset, start, size in segments:
            if kind == _PT_LOAD and start <= address < start + size:
                return address - start + offset
        raise _DamagedError

    def _string(self, at: int) -> str:
        text = b""
        while b"\0" not in text:
            piece = self._pread(256, at + len(text))
            if not piece or len(text) > _MAX_TABLE:
                raise _DamagedError
            text += piece
        return os.fsdecode(text.partition(b"\0")[0])

    def _unpack(self, layout: str, at: int) -> tuple[int, ...]:
        form = struct.Struct(self._order + layout)
        return form.unpack(self._pread(form.size, at))

    def _pread(self, size: int, at: int) -> bytes:
        try:
            return os.pread(self._fd, size, at)
        except (OSError, OverflowError) as error:
            raise _DamagedError from error


def _split(paths: tuple[str, ...]) -> tuple[str, ...]:
    return tuple(part for path in paths for part in path.split(":") if part)


class Linker:
    """Finds libraries as the dynamic loader would, with no environment: RPATH, RUNPATH, the system's directories.

    Remembers what it has read, so it is good for one look at this machine and not for the next.
    """

    def __init__(self) -> None:
        self._system = (*_configured(_LD_SO_CONF), *_DEFAULT_DIRECTORIES)
        self._elfs: dict[str, Elf | None] = {}

    def closure(self, path: str) -> set[str]:
        """Everything that must be there for the program or library ``path`` to load: libraries and loader.

        Not ``path`` itself. What cannot be found is left out: the program would not find it here either.
        """
        found: set[str] = set()
        todo: list[tuple[str, tuple[str, ...]]] = [(path, ())]
        while todo:
            current, inherited = todo.pop()
            if (elf := self._elf(current)) is None:
                continue
            # RPATH also counts for the libraries of a library, RUNPATH only for its own; RUNPATH disables RPATH.
            rpath = () if elf.runpath else (*_expanded(elf.rpath, current), *inherited)
            directories = (*rpath, *_expanded(elf.runpath, current), *self._system)
            if elf.interpreter is not None and os.path.exists(elf.interpreter):
                found.add(elf.interpreter)
            for name in elf.needed:
                library = self._find(name, directories, elf.machine)
                if library is not None and library not in found:
                    found.add(library)
                    todo.append((library, rpath))
        return found

    def library(self, name: str, like: str) -> str | None:
        """Where the library ``name`` is that a program like ``like`` could open."""
        elf = self._elf(like)
        return None if elf is None else self._find(name, self._system, elf.machine)

    def _find(self, name: str, directories: tuple[str, ...], machine: tuple[int, int]) -> str | None:
        for candidate in [name] if "/" in name else [f"{directory}/{name}" for directory in directories]:
            if (elf := self._elf(candidate)) is not None and elf.machine == machine:
                return candidate
        return None

    def _elf(self, path: str) -> Elf | None:
        if path not in self._elfs:
            self._elfs[path] = read_elf(path) if os.path.isfile(path) else None
        return self._elfs[path]


def _expanded(paths: tuple[str, ...], owner: str) -> Iterator[str]:
    origin = os.path.dirname(os.path.realpath(owner))
    for path in paths:
        yield path.replace("${ORIGIN}", origin).replace("$ORIGIN", origin)


def _configured(conf: Path) -> Iterator[str]:
    """The directories of ld.so.conf(5), with what it includes."""
    try:
        lines = conf.read_text().splitlines()
    except OSError:
        return  # not every libc has it
    for line in lines:
        words = line.partition("#")[0].split()
        if words[:1] == ["include"]:
            for pattern in words[1:]:
                for included in sorted(glob.glob(os.path.join(conf.parent, pattern))):
                    yield from _configured(Path(included))
        else:
            yield from words
