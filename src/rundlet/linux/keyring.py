"""The session keyring: keyctl(2). Keyrings are not namespaced, so a container must not share its maker's."""

from __future__ import annotations

import ctypes
import errno

from rundlet.linux.syscalls import bind, failure

_KEYCTL_JOIN_SESSION_KEYRING = 1

_keyctl = bind("keyctl", ctypes.c_int, ctypes.c_char_p)


def join_session_keyring(name: str) -> None:
    """Change to the session keyring called ``name``, made if there is none. A kernel without keys is fine."""
    if _keyctl(_KEYCTL_JOIN_SESSION_KEYRING, name.encode()) < 0 and ctypes.get_errno() != errno.ENOSYS:
        raise failure(name)
