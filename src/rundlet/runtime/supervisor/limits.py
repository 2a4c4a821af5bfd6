"""What the supervisor raises for itself, and what its children get instead.

It serves every container of an engine: it needs descriptors for all of them, and it must not be the one whom the
kernel kills when memory runs out. Both would be inherited, so a program whose config says nothing of them gets
what the supervisor was started with.
"""

from __future__ import annotations

import contextlib
import resource
from collections.abc import Mapping
from typing import Any

OOM_SCORE_ADJ = -999
_OOM_SCORE_ADJ_FILE = "/proc/self/oom_score_adj"


class OwnLimits:
    """Raise the supervisor's limits as far as it is allowed to, and remember what they were."""

    def __init__(self) -> None:
        self._files = resource.getrlimit(resource.RLIMIT_NOFILE)
        resource.setrlimit(resource.RLIMIT_NOFILE, (self._files[1], self._files[1]))
        with open(_OOM_SCORE_ADJ_FILE, encoding="ascii") as file:
            self._oom_score_adj = int(file.read())
        with contextlib.suppress(PermissionError), open(_OOM_SCORE_ADJ_FILE, "w", encoding="ascii") as file:
            file.write(str(OOM_SCORE_ADJ))

    def for_child(self, process: Any) -> Any:
        """An OCI ``process`` object that says explicitly what is not to be inherited; what is none comes back."""
        if not isinstance(process, Mapping):
            return process
        result = dict(process)
        if result.get("oomScoreAdj") is None:
            result["oomScoreAdj"] = self._oom_score_adj
        rlimits = result.get("rlimits") or []
        if isinstance(rlimits, list) and {"RLIMIT_NOFILE"}.isdisjoint(map(_type_of, rlimits)):
            soft, hard = self._files
            result["rlimits"] = [*rlimits, {"type": "RLIMIT_NOFILE", "soft": soft, "hard": hard}]
        return result


def _type_of(rlimit: Any) -> Any:
    return rlimit.get("type") if isinstance(rlimit, dict) else None
