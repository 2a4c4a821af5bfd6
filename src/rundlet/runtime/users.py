"""Users and groups as an image's /etc/passwd and /etc/group name them, in Docker's way of looking.

Pure: the files come as bytes. Not the machine's own user database, and never its name services, which
would load libraries (``pwd``, ``grp``). passwd(5), group(5); moby/sys/user is what Docker uses.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

_HIGHEST_ID = 2**31 - 1
"""As Docker has it."""


class UnknownUser(Exception):
    """The message is in Docker's words."""


@dataclass(frozen=True, slots=True)
class Identity:
    uid: int
    gid: int
    groups: tuple[int, ...]
    """Every group of the process, the primary one first: without it a file could be denied to the group that
    owns it and still be read (CVE-2022-36109)."""


def find_identity(user: str, additional_groups: Sequence[str], passwd: bytes, group: bytes) -> Identity:
    """Whom ``name|uid[:group|gid]`` means; UnknownUser when a name is in no file."""
    user_name, _, group_name = user.partition(":")
    uid, gid, name = _find_user(user_name, passwd)
    entries = list(_entries(group, 4))
    groups: list[int] = []
    if group_name:
        gid = _find_group(group_name, entries)
    elif name:
        groups = [
            entry_gid for fields in entries if name in fields[3].split(b",") if (entry_gid := _id(fields[2])) >= 0
        ]
    groups += [_find_group(wanted, entries) for wanted in additional_groups]
    return Identity(uid, gid, tuple(dict.fromkeys([gid, *groups])))


def find_home(uid: int, passwd: bytes) -> str:
    """The home directory of ``uid``; "/" when nobody says."""
    for fields in _entries(passwd, 6):
        if _id(fields[2]) == uid:
            return fields[5].decode(errors="surrogateescape") or "/"
    return "/"


def _find_user(user: str, passwd: bytes) -> tuple[int, int, bytes]:
    """(uid, gid, name). A number is a uid even where a user is named so (CVE-2016-3697)."""
    uid = _id(user.encode()) if user else 0
    for fields in _entries(passwd, 4):
        entry_uid = _id(fields[2])
        if entry_uid >= 0 and (
            entry_uid == uid if uid >= 0 else fields[0] == user.encode(errors="surrogateescape")
        ):
            return entry_uid, max(_id(fields[3]), 0), fields[0]
    if uid < 0:
        raise UnknownUser(f"unable to find user {user}: no matching entries in passwd file")
    return uid, 0, b""


def _find_group(group: str, entries: Sequence[list[bytes]]) -> int:
    gid = _id(group.encode(errors="surrogateescape"))
    if gid >= 0:
        return gid
    for fields in entries:
        if fields[0] == group.encode(errors="surrogateescape") and (gid := _id(fields[2])) >= 0:
            return gid
    raise UnknownUser(f"unable to find group {group}: no matching entries in group file")


def _entries(data: bytes, fields: int) -> Iterator[list[bytes]]:
    """The lines that have at least that many fields. Others are nobody's, whatever they hold."""
    for line in data.splitlines():
        entry = line.strip().split(b":")
        if len(entry) >= fields and not line.startswith(b"#"):
            yield entry


def _id(text: bytes) -> int:
    """A uid or gid; -1 if it is none."""
    return int(text) if text.isdigit() and len(text) <= 10 and int(text) <= _HIGHEST_ID else -1
