"""Restart policies as decisions: whether a container that ended starts again, and how long it waits. Pure.

https://docs.docker.com/engine/containers/start-containers-automatically/
"""

from __future__ import annotations

from rundlet.wire.documents import RestartPolicy

__all__ = ["next_delay_s", "restarts_after_exit", "starts_with_daemon"]

_FIRST_DELAY_S = 0.1
_LONGEST_DELAY_S = 60.0
_HEALTHY_RUN_S = 10.0
"""A run of this length is no crash loop: the delay begins anew."""


def restarts_after_exit(
    policy: RestartPolicy, *, exit_code: int, restart_count: int, stopped_by_user: bool
) -> bool:
    if stopped_by_user:
        return False
    match policy.Name:
        case "always" | "unless-stopped":
            return True
        case "on-failure":
            return exit_code != 0 and (policy.MaximumRetryCount == 0 or restart_count < policy.MaximumRetryCount)
        case _:
            return False


def starts_with_daemon(
    policy: RestartPolicy, *, exit_code: int, restart_count: int, stopped_by_user: bool
) -> bool:
    """For a container that has run before and does not now. ``always`` means it, whoever stopped it."""
    if policy.Name == "always":
        return True
    return restarts_after_exit(
        policy, exit_code=exit_code, restart_count=restart_count, stopped_by_user=stopped_by_user
    )


def next_delay_s(last_delay_s: float, run_s: float) -> float:
    """``last_delay_s`` is 0 before the first restart. Doubles up to a minute."""
    if last_delay_s == 0 or run_s >= _HEALTHY_RUN_S:
        return _FIRST_DELAY_S
    return min(2 * last_delay_s, _LONGEST_DELAY_S)
