"""The flags that describe a container, shared by ``run`` and ``create``: Docker's names, words and syntax.

Data alone; :mod:`rundlet.cli.create_body` makes the request of them. Docker's flags for Windows are not here,
and those that no engine of ours could honour are refused with the reason rather than ignored.
"""

from __future__ import annotations

from rundlet.cli import mounts, values
from rundlet.cli.flags import Flag, option, repeated, switch
from rundlet.wire import durations, sizes

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import NoReturn


def _refused(name: str, reason: str) -> Flag:
    def refuse(text: str) -> NoReturn:
        raise ValueError(reason)

    return option(name, f"Not supported: {reason}", convert=refuse)


def _bytes(name: str, help: str, *, short: str = "") -> Flag:  # noqa: A002
    return option(name, help, short=short, metavar="bytes", convert=sizes.parse_binary, default=0)


def _integer(name: str, help: str, *, short: str = "") -> Flag:  # noqa: A002
    return option(name, help, short=short, metavar="int", convert=values.integer, default=0)


def _duration(name: str, help: str) -> Flag:  # noqa: A002
    return option(name, f"{help} (ms|s|m|h) (default 0s)", metavar="duration", convert=durations.parse, default=0)


_GENERAL = (
    repeated("attach", "Attach to STDIN, STDOUT or STDERR", short="a", convert=values.attach_stream),
    option("cidfile", "Write the container ID to the file"),
    option("entrypoint", "Overwrite the default ENTRYPOINT of the image"),
    repeated("env", "Set environment variables", short="e", convert=values.variable),
    repeated("env-file", "Read in a file of environment variables"),
    option("hostname", "Container host name", short="h"),
    option("domainname", "Container NIS domain name"),
    switch("init", "Run an init inside the container that forwards signals and reaps processes"),
    switch("interactive", "Keep STDIN open even if not attached", short="i"),
    repeated("label", "Set meta data on a container", short="l", convert=values.label),
    repeated("label-file", "Read in a line delimited file of labels"),
    repeated("annotation", "Add an annotation to the container", metavar="map", convert=values.key_value),
    option("name", "Assign a name to the container"),
    option("platform", "Set platform if server is multi-platform capable"),
    option(
        "pull",
        'Pull image before running ("always", "missing", "never")',
        convert=values.pull_policy,
        default="missing",
    ),
    switch("quiet", "Suppress the pull output", short="q"),
    option(
        "restart",
        "Restart policy to apply when a container exits (no|always|unless-stopped|on-failure[:max-retries])",
        convert=values.restart_policy,
        default=None,
    ),
    switch("rm", "Automatically remove the container and its associated anonymous volumes when it exits"),
    option("stop-signal", "Signal to stop the container"),
    _integer("stop-timeout", "Timeout (in seconds) to stop a container"),
    switch("tty", "Allocate a pseudo-TTY", short="t"),
    option("user", "Username or UID (format: <name|uid>[:<group|gid>])", short="u"),
    repeated("group-add", "Add additional groups to join"),
    option("workdir", "Working directory inside the container", short="w"),
)

_SECURITY = (
    repeated("cap-add", "Add Linux capabilities", convert=values.capability),
    repeated("cap-drop", "Drop Linux capabilities", convert=values.capability),
    switch("privileged", "Give extended privileges to this container"),
    switch("read-only", "Mount the container's root filesystem as read only"),
    repeated("security-opt", "Security Options"),
    option("userns", "User namespace to use"),
)

_NAMESPACES = (
    option("cgroup-parent", "Optional parent cgroup for the container"),
    option("cgroupns", "Cgroup namespace to use (host|private)"),
    option("ipc", "IPC mode to use"),
    option("pid", "PID namespace to use"),
    option("runtime", "Runtime to use for this container"),
    repeated("sysctl", "Sysctl options", metavar="map", convert=values.sysctl),
    option("uts", "UTS namespace to use"),
)

_RESOURCES = (
    option("blkio-weight", "Block IO (relative weight), between 10 and 1000, or 0 to disable (default 0)",
           metavar="uint16", convert=values.weight, default=0),
    repeated("blkio-weight-device", "Block IO weight (relative device weight)", convert=values.device_weight),
    _integer("cpu-period", "Limit CPU CFS (Completely Fair Scheduler) period"),
    _integer("cpu-quota", "Limit CPU CFS (Completely Fair Scheduler) quota"),
    _integer("cpu-rt-period", "Limit CPU real-time period in microseconds"),
    _integer("cpu-rt-runtime", "Limit CPU real-time runtime in microseconds"),
    _integer("cpu-shares", "CPU shares (relative weight)", short="c"),
    option("cpus", "Number of CPUs", metavar="decimal", convert=values.nano_cpus, default=0),
    option("cpuset-cpus", "CPUs in which to allow execution (0-3, 0,1)"),
    option("cpuset-mems", "MEMs in which to allow execution (0-3, 0,1)"),
    repeated("device", "Add a host device to the container", convert=values.device),
    repeated("device-cgroup-rule", "Add a rule to the cgroup allowed devices list",
             convert=values.device_cgroup_rule),
    repeated("device-read-bps", "Limit read rate (bytes per second) from a device",
             convert=values.device_bytes_rate),
    repeated("device-read-iops", "Limit read rate (IO per second) from a device",
             convert=values.device_operations_rate),
    repeated("device-write-bps", "Limit write rate (bytes per second) to a device",
             convert=values.device_bytes_rate),
    repeated("device-write-iops", "Limit write rate (IO per second) to a device",
             convert=values.device_operations_rate),
    _bytes("memory", "Memory limit", short="m"),
    _bytes("memory-reservation", "Memory soft limit"),
    option("memory-swap", "Swap limit equal to memory plus swap: '-1' to enable unlimited swap",
           metavar="bytes", convert=values.swap_bytes, default=0),
    option("memory-swappiness", "Tune container memory swappiness (0 to 100)",
           metavar="int", convert=values.integer, default=-1),
    switch("oom-kill-disable", "Disable OOM Killer"),
    _integer("oom-score-adj", "Tune host's OOM preferences (-1000 to 1000)"),
    _integer("pids-limit", "Tune container pids limit (set -1 for unlimited)"),
    repeated("ulimit", "Ulimit options", metavar="ulimit", convert=values.ulimit),
)  # fmt: skip

_STORAGE = (
    option("log-driver", "Logging driver for the container"),
    repeated("log-opt", "Log driver options"),
    repeated("mount", "Attach a filesystem mount to the container", metavar="mount", convert=mounts.mount),
    _bytes("shm-size", "Size of /dev/shm"),
    repeated("storage-opt", "Storage driver options for the container"),
    repeated("tmpfs", "Mount a tmpfs directory"),
    repeated("volume", "Bind mount a volume", short="v", convert=mounts.volume),
    option("volume-driver", "Optional volume driver for the container"),
    repeated("volumes-from", "Mount volumes from the specified container(s)"),
)

_NETWORK = (
    repeated("add-host", "Add a custom host-to-IP mapping (host:ip)", convert=values.extra_host),
    repeated("dns", "Set custom DNS servers", convert=values.ip_address),
    repeated("dns-option", "Set DNS options"),
    repeated("dns-search", "Set custom DNS search domains", convert=values.search_domain),
    repeated("expose", "Expose a port or a range of ports", convert=mounts.expose),
    option("ip", "IPv4 address (e.g., 172.30.100.104)", convert=values.ip_address),
    option("ip6", "IPv6 address (e.g., 2001:db8::33)", convert=values.ip_address),
    repeated("link", "Add link to another container", convert=values.link),
    option("mac-address", "Container MAC address (e.g., 92:d0:c6:0a:29:33)", convert=values.mac_address),
    repeated("network", "Connect a container to a network", metavar="network"),
    repeated("network-alias", "Add network-scoped alias for the container"),
    repeated("publish", "Publish a container's port(s) to the host", short="p", convert=mounts.publish),
    switch("publish-all", "Publish all exposed ports to random ports", short="P"),
)

_HEALTH = (
    option("health-cmd", "Command to run to check health"),
    _duration("health-interval", "Time between running the check"),
    _integer("health-retries", "Consecutive failures needed to report unhealthy"),
    _duration("health-start-interval", "Time between running the check during the start period"),
    _duration(
        "health-start-period", "Start period for the container to initialize before starting retries countdown"
    ),
    _duration("health-timeout", "Maximum time to allow one check to run"),
    switch("no-healthcheck", "Disable any container-specified HEALTHCHECK"),
)

_REFUSED = (
    _refused("gpus", "this engine hands no GPUs to containers; --device passes a device file"),
    _refused("isolation", "isolation technologies are a Windows feature"),
    _refused("link-local-ip", "link-local addresses need a network that the engine manages"),
)

CONTAINER_FLAGS: tuple[Flag, ...] = tuple(
    sorted(
        (*_GENERAL, *_SECURITY, *_NAMESPACES, *_RESOURCES, *_STORAGE, *_NETWORK, *_HEALTH, *_REFUSED),
        key=lambda flag: flag.name,
    )
)

ALIASES = {"net": "network", "net-alias": "network-alias", "dns-opt": "dns-option"}
"""Old spellings that Docker still takes, and does not show in its help."""
