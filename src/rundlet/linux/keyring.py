"""The session keyring: keyctl(2). Keyrings are not namespaced, so a container must not share its maker's."""

from __future__ import annotations

import ctypes
import errno

from rundlet.linux.syscalls import bind, failure

_KEYCTL_JOIN_SESSION_KEYRING = 1

_KEYCTL_SETPERM = 5
_PERMISSIONS = 0x3F000000 | 0x001B0000
"""The default, and also: the user may search it. Without that an exec would not find it by its name."""

_join = bind("keyctl", ctypes.c_int, ctypes.c_char_p)
_set_permissions = bind("keyctl", ctypes.c_int, ctypes.c_int, ctypes.c_uint)


def join_session_keyring(name: str) -> None:
    """Change to the session keyring called ``name``, made if there is none; "" is a new one without a name.

    A kernel without keys is fine.
    """
    serial = _join(_KEYCTL_JOIN_SESSION_KEYRING, name.encode() or None)
    if serial < 0 and ctypes.get_errno() == errno.ENOSYS:
        return
    if serial < 0 or _set_permissions(_KEYCTL_SETPERM, serial, _PERMISSIONS) < 0:
        raise failure(name)
