"""What happens inside a container between clone and exec: small objects, each one step.

A plan is a list of them: data that can be printed and tested (:mod:`rundlet.runtime.plan` makes it).

- The order is the planner's business; an operation says in its docstring what it needs to come before.
- Paths below the container's root are opened only relative to ``context.root``, through openat2(2).
- Nothing is imported here at run time, and no file is read that Python would execute: the root may be the
  container's already (CVE-2019-14271).
- Descriptors that an operation opens are *not* closed one by one: milliseconds later one close_range(2)
  takes all of them, and cannot forget any.
"""

from rundlet.runtime.operations.base import Context, Operation, SetupError

__all__ = ["Context", "Operation", "SetupError"]
