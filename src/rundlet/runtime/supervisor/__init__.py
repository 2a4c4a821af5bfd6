"""The supervisor: one small process per engine that starts every container of it and reaps them.

    daemon ──connection──▶ service ──▶ starter ──▶ launching ──▶ task ──▶ container
                              │                                    │         │
                              └─ reaper (orphans)          pidfd ──┘         └─ pump ──▶ spool

It outlives the daemon and holds what a daemon must not take along when it dies: the containers' standard streams,
pidfds and exit statuses. Single-threaded, standard library only, event-driven; nothing in it waits.
"""

from rundlet.runtime.supervisor.spawn import spawn_supervisor as spawn_supervisor
