"""Every exception that Rundlet raises, and the two tables that give it a number.

    RundletError
    ├── InvalidArgument            the caller can fix the request
    │   └── InvalidReference       not an image reference
    ├── NotFound                   no such object
    │   ├── ContainerNotFound
    │   ├── ExecNotFound
    │   ├── ImageNotFound
    │   └── PathNotFound           a host path that the request names
    ├── Conflict                   the object exists, in a state that forbids the call
    │   ├── NameInUse
    │   ├── ContainerNotRunning
    │   ├── ContainerStateConflict
    │   ├── ImageInUse
    │   └── DataRootLocked         another daemon serves this data root
    ├── NotModified                it already is as the call wants it
    ├── Forbidden
    ├── NotImplementedHere         a known call that this engine does not offer
    ├── EngineUnavailable          nothing answers at that address
    ├── EngineTimeout              the engine took longer than the caller allowed
    ├── ConnectionLost             the connection ended in the middle of a call
    ├── StorageFull                no space left for what the call must keep
    ├── CorruptArchive             an archive or blob that is not what it claims
    ├── StartFailed                the program of a container or exec could not be started
    ├── Unsupported                this machine lacks something; says what, and the fix
    ├── ProtocolError              the peer broke the protocol
    └── EngineError                the engine failed and says no more

One class per *condition that a caller handles*. A message is built from typed fields, in lower
case, without a full stop, and names the object. Where Docker's clients look for words in a
message ("No such container"), the words are Docker's.

This module holds no policy: what a layer does about an error is that layer's business.
"""

from __future__ import annotations

import enum

__all__ = [
    "EXIT_STATUS",
    "HTTP_STATUS",
    "Conflict",
    "ConnectionLost",
    "ContainerNotFound",
    "ContainerNotRunning",
    "ContainerStateConflict",
    "CorruptArchive",
    "DataRootLocked",
    "EngineError",
    "EngineTimeout",
    "EngineUnavailable",
    "ExecNotFound",
    "Forbidden",
    "ImageInUse",
    "ImageNotFound",
    "InvalidArgument",
    "InvalidReference",
    "Kind",
    "NameInUse",
    "NotFound",
    "NotImplementedHere",
    "NotModified",
    "PathNotFound",
    "ProtocolError",
    "RundletError",
    "StartFailed",
    "StorageFull",
    "Unsupported",
    "error_from_status",
]


class Kind(enum.Enum):
    """What went wrong, as far as a caller needs to tell it apart."""

    INVALID = "invalid"
    NOT_FOUND = "not found"
    CONFLICT = "conflict"
    NOT_MODIFIED = "not modified"
    FORBIDDEN = "forbidden"
    NOT_IMPLEMENTED = "not implemented"
    UNAVAILABLE = "unavailable"
    INTERNAL = "internal"


HTTP_STATUS: dict[Kind, int] = {
    Kind.INVALID: 400,
    Kind.NOT_FOUND: 404,
    Kind.CONFLICT: 409,
    Kind.NOT_MODIFIED: 304,
    Kind.FORBIDDEN: 403,
    Kind.NOT_IMPLEMENTED: 501,
    Kind.UNAVAILABLE: 503,
    Kind.INTERNAL: 500,
}
"""Kind -> status of the Engine API (moby, ``daemon/server/httpstatus``)."""

EXIT_STATUS: dict[Kind, int] = dict.fromkeys(Kind, 1)
"""Kind -> exit status of the CLI. ``run``, ``create``, ``start -a`` and ``exec`` override it with Docker's
125 (the engine failed), 126 (the program cannot be invoked) and 127 (there is no such program)."""


class RundletError(Exception):
    """Root of the tree. ``str(error)`` is one line for a person."""

    kind: Kind = Kind.INTERNAL

    @property
    def http_status(self) -> int:
        return HTTP_STATUS[self.kind]


class InvalidArgument(RundletError):
    """The request is malformed or asks for the impossible: the message says which part."""

    kind = Kind.INVALID


class InvalidReference(InvalidArgument):
    """``reference`` is not an image reference (distribution/reference grammar)."""

    def __init__(self, reference: str, why: str = "") -> None:
        self.reference = reference
        super().__init__(f'invalid reference format: "{reference}"' + (f": {why}" if why else ""))


class NotFound(RundletError):
    kind = Kind.NOT_FOUND


class ContainerNotFound(NotFound):
    def __init__(self, container: str) -> None:
        self.container = container
        super().__init__(f"No such container: {container}")


class ExecNotFound(NotFound):
    def __init__(self, exec_id: str) -> None:
        self.exec_id = exec_id
        super().__init__(f"No such exec instance: {exec_id}")


class ImageNotFound(NotFound):
    def __init__(self, image: str, hint: str = "") -> None:
        self.image = image
        super().__init__(f"No such image: {image}" + (f" ({hint})" if hint else ""))


class PathNotFound(NotFound):
    """A path on the engine's machine that the request names does not exist."""

    kind = Kind.INVALID

    def __init__(self, path: str, what: str = "path") -> None:
        self.path = path
        super().__init__(f"{what} does not exist: {path}")


class Conflict(RundletError):
    kind = Kind.CONFLICT


class NameInUse(Conflict):
    def __init__(self, name: str, container_id: str) -> None:
        self.name = name
        self.container_id = container_id
        super().__init__(
            f'Conflict. The container name "/{name}" is already in use by container "{container_id}". '
            "You have to remove (or rename) that container to be able to reuse that name."
        )


class ContainerNotRunning(Conflict):
    def __init__(self, container: str) -> None:
        self.container = container
        super().__init__(f"container {container} is not running")


class ContainerStateConflict(Conflict):
    """The container's state forbids the operation; both are named."""

    def __init__(self, container: str, state: str, operation: str, hint: str = "") -> None:
        self.container = container
        self.state = state
        self.operation = operation
        super().__init__(
            f"cannot {operation} container {container}: it is {state}" + (f": {hint}" if hint else "")
        )


class ImageInUse(Conflict):
    """``image`` is an ID or a reference in quotes; ``force`` says what forcing would do."""

    def __init__(self, image: str, force: str, why: str) -> None:
        self.image = image
        what = f"remove repository reference {image}" if image.startswith('"') else f"delete {image}"
        super().__init__(f"conflict: unable to {what} ({force}) - {why}")


class DataRootLocked(Conflict):
    def __init__(self, path: str, pid: int | None) -> None:
        self.path = path
        self.pid = pid
        super().__init__(f"data root {path} is in use by another daemon" + (f" (pid {pid})" if pid else ""))


class NotModified(RundletError):
    """The object already is in the state asked for."""

    kind = Kind.NOT_MODIFIED


class Forbidden(RundletError):
    kind = Kind.FORBIDDEN


class NotImplementedHere(RundletError):
    kind = Kind.NOT_IMPLEMENTED


class EngineUnavailable(RundletError):
    kind = Kind.UNAVAILABLE

    def __init__(self, address: str, why: str) -> None:
        self.address = address
        super().__init__(f"cannot reach the engine at {address}: {why}")


class EngineTimeout(RundletError):
    """The engine at ``address`` was reached and may still be at work; the caller waits no longer."""

    kind = Kind.UNAVAILABLE

    def __init__(self, address: str, timeout_s: float) -> None:
        self.address = address
        self.timeout_s = timeout_s
        super().__init__(f"the engine at {address} did not answer within {timeout_s:g} s")


class ConnectionLost(RundletError):
    """Whether the call took effect is unknown: ask the engine before repeating it."""

    kind = Kind.UNAVAILABLE

    def __init__(self, address: str, why: str) -> None:
        self.address = address
        super().__init__(f"lost the connection to the engine at {address}: {why}")


class StorageFull(RundletError):
    """The kernel said ENOSPC or EDQUOT while ``doing`` something for ``path``. Nothing half-made is left."""

    def __init__(self, path: str, doing: str) -> None:
        self.path = path
        super().__init__(f"no space left on device while {doing}: {path}")


class CorruptArchive(InvalidArgument):
    def __init__(self, what: str, why: str) -> None:
        self.what = what
        super().__init__(f"corrupt {what}: {why}")


class StartFailed(RundletError):
    """The program was not started. ``exit_code`` is 127 (no such program), 126 (cannot be invoked) or 125/128."""

    kind = Kind.INVALID

    def __init__(self, message: str, exit_code: int, kind: Kind = Kind.INVALID) -> None:
        self.exit_code = exit_code
        self.kind = kind
        super().__init__(message)


class Unsupported(RundletError):
    """This machine lacks ``what``; ``fix`` tells how to get it."""

    def __init__(self, what: str, fix: str = "") -> None:
        self.what = what
        self.fix = fix
        super().__init__(f"this machine does not support {what}" + (f"; {fix}" if fix else ""))


class ProtocolError(RundletError):
    """The peer sent something that the protocol does not allow."""


class EngineError(RundletError):
    """An engine answered with an error status that no other class stands for."""

    def __init__(self, message: str, status: int = 500) -> None:
        self.status = status
        super().__init__(message)


_BY_STATUS: dict[int, type[RundletError]] = {
    304: NotModified,
    400: InvalidArgument,
    403: Forbidden,
    404: NotFound,
    409: Conflict,
    501: NotImplementedHere,
}


def error_from_status(status: int, message: str) -> RundletError:
    """The error that an Engine API reply of ``status`` stands for, with the engine's own words.

    Only the status decides; text is never searched (style: code or kind, never text). A closed table: no
    name that comes over the wire chooses a class.
    """
    if cls := _BY_STATUS.get(status):
        return cls(message)
    return EngineError(message, status)
