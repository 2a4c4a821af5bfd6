"""Control groups: limits, accounting, freezing and killing, the same for whatever this machine has mounted.

:func:`detect` finds the hierarchies, :meth:`Hierarchies.cgroup` names a group in all of them at once. cgroup v1
and the hybrid layout (v1 controllers, and an empty unified tree beside them) work; on a machine with the unified
tree alone :func:`detect` says so.

What it will not do: run anything in a group, remember one (the kernel does), or wait longer than it says.
"""

from rundlet.cgroups.hierarchies import Cgroup as Cgroup
from rundlet.cgroups.hierarchies import Hierarchies as Hierarchies
from rundlet.cgroups.hierarchies import detect as detect
from rundlet.cgroups.stats import BlockStats as BlockStats
from rundlet.cgroups.stats import CpuStats as CpuStats
from rundlet.cgroups.stats import MemoryStats as MemoryStats
from rundlet.cgroups.stats import PidsStats as PidsStats
from rundlet.cgroups.stats import Stats as Stats
