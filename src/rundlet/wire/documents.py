"""The JSON documents of the Docker Engine API, as dataclasses that daemon and SDK share.

Attribute names are the API's own (Engine API 1.47, https://docs.docker.com/reference/api/engine/version/v1.47/),
so that nobody has to translate. A request document has a default for every field, since clients leave out
and null out whatever they like; Go's rules for reading one (case-insensitive keys, unknown keys ignored,
null anywhere) are :func:`rundlet.api.parse`'s business. Extensions of Rundlet are marked as such.

No I/O, no validation beyond types, no behaviour.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

ZERO_TIME = "0001-01-01T00:00:00Z"
"""Go's zero time, which Docker writes where a time has not come yet."""


# ── requests ────────────────────────────────────────────────────────────────────────────────────────────────


@dataclass
class HealthConfig:
    Test: list[str] | None = None
    Interval: int = 0
    """Nanoseconds, like every duration of the API."""
    Timeout: int = 0
    Retries: int = 0
    StartPeriod: int = 0
    StartInterval: int = 0


@dataclass
class ContainerConfig:
    """What of a container is portable: the image's configuration, overridden by the request."""

    Hostname: str = ""
    Domainname: str = ""
    User: str = ""
    AttachStdin: bool = False
    AttachStdout: bool = False
    AttachStderr: bool = False
    ExposedPorts: dict[str, Any] | None = None
    Tty: bool = False
    OpenStdin: bool = False
    StdinOnce: bool = False
    Env: list[str] | None = None
    Cmd: list[str] | None = None
    Healthcheck: HealthConfig | None = None
    ArgsEscaped: bool | None = None
    Image: str = ""
    Volumes: dict[str, Any] | None = None
    WorkingDir: str = ""
    Entrypoint: list[str] | None = None
    NetworkDisabled: bool | None = None
    MacAddress: str | None = None
    OnBuild: list[str] | None = None
    Labels: dict[str, str] | None = None
    StopSignal: str | None = None
    StopTimeout: int | None = None
    """Seconds."""
    Shell: list[str] | None = None


@dataclass
class LogConfig:
    Type: str = ""
    Config: dict[str, str] | None = None


@dataclass
class RestartPolicy:
    Name: str = ""
    """``""``, ``no``, ``always``, ``unless-stopped`` or ``on-failure``."""
    MaximumRetryCount: int = 0


@dataclass
class PortBinding:
    HostIp: str = ""
    HostPort: str = ""


@dataclass
class Ulimit:
    Name: str = ""
    Soft: int = 0
    Hard: int = 0


@dataclass
class DeviceMapping:
    PathOnHost: str = ""
    PathInContainer: str = ""
    CgroupPermissions: str = ""


@dataclass
class WeightDevice:
    Path: str = ""
    Weight: int = 0


@dataclass
class ThrottleDevice:
    Path: str = ""
    Rate: int = 0
    """Bytes or operations a second."""


@dataclass
class DeviceRequest:
    Driver: str = ""
    Count: int = 0
    DeviceIDs: list[str] | None = None
    Capabilities: list[list[str]] | None = None
    Options: dict[str, str] | None = None


@dataclass
class BindOptions:
    Propagation: str = ""
    NonRecursive: bool = False
    CreateMountpoint: bool = False
    ReadOnlyNonRecursive: bool = False
    ReadOnlyForceRecursive: bool = False


@dataclass
class VolumeDriverConfig:
    Name: str = ""
    Options: dict[str, str] | None = None


@dataclass
class VolumeOptions:
    NoCopy: bool = False
    Labels: dict[str, str] | None = None
    DriverConfig: VolumeDriverConfig | None = None
    Subpath: str = ""


@dataclass
class TmpfsOptions:
    SizeBytes: int = 0
    Mode: int = 0
    Options: list[list[str]] | None = None


@dataclass
class Mount:
    Type: str = ""
    """``bind``, ``volume``, ``tmpfs``."""
    Source: str = ""
    Target: str = ""
    ReadOnly: bool = False
    Consistency: str = ""
    BindOptions: BindOptions | None = None
    VolumeOptions: VolumeOptions | None = None
    TmpfsOptions: TmpfsOptions | None = None


@dataclass
class HostConfig:
    """What of a container depends on the machine. Echoed unchanged by inspect."""

    # Resources
    CpuShares: int = 0
    Memory: int = 0
    """Bytes; 0 is no limit."""
    NanoCpus: int = 0
    CgroupParent: str = ""
    BlkioWeight: int = 0
    BlkioWeightDevice: list[WeightDevice] | None = None
    BlkioDeviceReadBps: list[ThrottleDevice] | None = None
    BlkioDeviceWriteBps: list[ThrottleDevice] | None = None
    BlkioDeviceReadIOps: list[ThrottleDevice] | None = None
    BlkioDeviceWriteIOps: list[ThrottleDevice] | None = None
    CpuPeriod: int = 0
    """Microseconds."""
    CpuQuota: int = 0
    CpuRealtimePeriod: int = 0
    CpuRealtimeRuntime: int = 0
    CpusetCpus: str = ""
    CpusetMems: str = ""
    Devices: list[DeviceMapping] | None = None
    DeviceCgroupRules: list[str] | None = None
    DeviceRequests: list[DeviceRequest] | None = None
    MemoryReservation: int = 0
    MemorySwap: int = 0
    """Bytes of memory and swap together; -1 is no limit, 0 is twice ``Memory``."""
    MemorySwappiness: int | None = None
    OomKillDisable: bool | None = None
    PidsLimit: int | None = None
    Ulimits: list[Ulimit] | None = None
    CpuCount: int = 0
    CpuPercent: int = 0
    IOMaximumIOps: int = 0
    IOMaximumBandwidth: int = 0
    # The rest
    Binds: list[str] | None = None
    ContainerIDFile: str = ""
    LogConfig: LogConfig = field(default_factory=LogConfig)
    NetworkMode: str = ""
    PortBindings: dict[str, list[PortBinding] | None] | None = None
    RestartPolicy: RestartPolicy = field(default_factory=RestartPolicy)
    AutoRemove: bool = False
    VolumeDriver: str = ""
    VolumesFrom: list[str] | None = None
    ConsoleSize: list[int] | None = None
    """Rows, columns."""
    Annotations: dict[str, str] | None = None
    CapAdd: list[str] | None = None
    CapDrop: list[str] | None = None
    CgroupnsMode: str = ""
    Dns: list[str] | None = None
    DnsOptions: list[str] | None = None
    DnsSearch: list[str] | None = None
    ExtraHosts: list[str] | None = None
    GroupAdd: list[str] | None = None
    IpcMode: str = ""
    Cgroup: str = ""
    Links: list[str] | None = None
    OomScoreAdj: int = 0
    PidMode: str = ""
    Privileged: bool = False
    PublishAllPorts: bool = False
    ReadonlyRootfs: bool = False
    SecurityOpt: list[str] | None = None
    StorageOpt: dict[str, str] | None = None
    Tmpfs: dict[str, str] | None = None
    UTSMode: str = ""
    UsernsMode: str = ""
    ShmSize: int = 0
    Sysctls: dict[str, str] | None = None
    Runtime: str = ""
    Isolation: str = ""
    MaskedPaths: list[str] | None = None
    ReadonlyPaths: list[str] | None = None
    Init: bool | None = None
    Mounts: list[Mount] | None = None


@dataclass
class EndpointIPAMConfig:
    IPv4Address: str = ""
    IPv6Address: str = ""
    LinkLocalIPs: list[str] | None = None


@dataclass
class EndpointSettings:
    IPAMConfig: EndpointIPAMConfig | None = None
    Links: list[str] | None = None
    Aliases: list[str] | None = None
    MacAddress: str = ""
    DriverOpts: dict[str, str] | None = None
    NetworkID: str = ""
    EndpointID: str = ""
    Gateway: str = ""
    IPAddress: str = ""
    IPPrefixLen: int = 0
    IPv6Gateway: str = ""
    GlobalIPv6Address: str = ""
    GlobalIPv6PrefixLen: int = 0
    DNSNames: list[str] | None = None


@dataclass
class NetworkingConfig:
    EndpointsConfig: dict[str, EndpointSettings | None] | None = None


@dataclass
class ContainerCreateRequest(ContainerConfig):
    """Body of POST /containers/create: the configuration with two more objects beside its fields."""

    HostConfig: HostConfig = field(default_factory=HostConfig)
    NetworkingConfig: NetworkingConfig = field(default_factory=NetworkingConfig)


@dataclass
class ExecCreateRequest:
    """Body of POST /containers/{id}/exec. ``Timeout`` and ``OnDisconnect`` are Rundlet's (DESIGN §6)."""

    User: str = ""
    Privileged: bool = False
    Tty: bool = False
    ConsoleSize: list[int] | None = None
    AttachStdin: bool = False
    AttachStdout: bool = False
    AttachStderr: bool = False
    DetachKeys: str = ""
    Env: list[str] | None = None
    WorkingDir: str = ""
    Cmd: list[str] | None = None
    Detach: bool = False


@dataclass
class ExecStartRequest:
    Detach: bool = False
    Tty: bool = False
    ConsoleSize: list[int] | None = None


# ── replies ─────────────────────────────────────────────────────────────────────────────────────────────────


@dataclass
class ContainerCreateResponse:
    Id: str
    Warnings: list[str]


@dataclass
class ContainerState:
    """``State`` of an inspected container. ``Status`` is one of Docker's seven words."""

    Status: str = "created"
    Running: bool = False
    Paused: bool = False
    Restarting: bool = False
    OOMKilled: bool = False
    Dead: bool = False
    Pid: int = 0
    ExitCode: int = 0
    Error: str = ""
    StartedAt: str = ZERO_TIME
    FinishedAt: str = ZERO_TIME


@dataclass
class MountPoint:
    Type: str
    Name: str
    Source: str
    Destination: str
    Driver: str
    Mode: str
    RW: bool
    Propagation: str


@dataclass
class NetworkSettings:
    Bridge: str = ""
    SandboxID: str = ""
    SandboxKey: str = ""
    HairpinMode: bool = False
    LinkLocalIPv6Address: str = ""
    LinkLocalIPv6PrefixLen: int = 0
    Ports: dict[str, list[PortBinding] | None] = field(default_factory=dict)
    SecondaryIPAddresses: list[Any] | None = None
    SecondaryIPv6Addresses: list[Any] | None = None
    EndpointID: str = ""
    Gateway: str = ""
    GlobalIPv6Address: str = ""
    GlobalIPv6PrefixLen: int = 0
    IPAddress: str = ""
    IPPrefixLen: int = 0
    IPv6Gateway: str = ""
    MacAddress: str = ""
    Networks: dict[str, EndpointSettings] = field(default_factory=dict)


@dataclass
class GraphDriver:
    Name: str
    Data: dict[str, str] | None


@dataclass
class ContainerInspect:
    Id: str
    Created: str
    Path: str
    Args: list[str]
    State: ContainerState
    Image: str
    ResolvConfPath: str
    HostnamePath: str
    HostsPath: str
    LogPath: str
    Name: str
    """With a leading slash."""
    RestartCount: int
    Driver: str
    Platform: str
    MountLabel: str
    ProcessLabel: str
    AppArmorProfile: str
    ExecIDs: list[str] | None
    HostConfig: HostConfig
    GraphDriver: GraphDriver
    Mounts: list[MountPoint]
    Config: ContainerConfig
    NetworkSettings: NetworkSettings
    SizeRw: int | None = None
    SizeRootFs: int | None = None


@dataclass
class Port:
    PrivatePort: int
    Type: str
    IP: str = ""
    PublicPort: int = 0


@dataclass
class SummaryHostConfig:
    NetworkMode: str
    Annotations: dict[str, str] | None = None


@dataclass
class SummaryNetworkSettings:
    Networks: dict[str, EndpointSettings]


@dataclass
class ContainerSummary:
    Id: str
    Names: list[str]
    Image: str
    ImageID: str
    Command: str
    Created: int
    """Unix seconds."""
    Ports: list[Port]
    Labels: dict[str, str]
    State: str
    Status: str
    HostConfig: SummaryHostConfig
    NetworkSettings: SummaryNetworkSettings
    Mounts: list[MountPoint]
    SizeRw: int | None = None
    SizeRootFs: int | None = None


@dataclass
class WaitError:
    Message: str


@dataclass
class WaitResponse:
    StatusCode: int
    Error: WaitError | None = None


@dataclass
class ExecProcessConfig:
    tty: bool
    entrypoint: str
    arguments: list[str]
    privileged: bool
    user: str


@dataclass
class ExecInspect:
    ID: str
    ContainerID: str
    Running: bool
    ExitCode: int | None
    """None until the exit."""
    ProcessConfig: ExecProcessConfig
    OpenStdin: bool
    OpenStdout: bool
    OpenStderr: bool
    CanRemove: bool
    DetachKeys: str
    Pid: int


@dataclass
class RootFS:
    Type: str
    Layers: list[str]


@dataclass
class ImageInspect:
    Id: str
    RepoTags: list[str]
    RepoDigests: list[str]
    Parent: str
    Comment: str
    Created: str
    DockerVersion: str
    Author: str
    Config: ContainerConfig
    ContainerConfig: ContainerConfig
    """Gone from Docker 1.45 on; compose v1 reads it."""
    Architecture: str
    Variant: str
    Os: str
    Size: int
    VirtualSize: int
    GraphDriver: GraphDriver
    RootFS: RootFS
    Metadata: dict[str, Any]


@dataclass
class ImageSummary:
    Id: str
    ParentId: str
    RepoTags: list[str]
    RepoDigests: list[str]
    Created: int
    Size: int
    SharedSize: int
    VirtualSize: int
    Labels: dict[str, str] | None
    Containers: int


@dataclass
class ImageDeleteItem:
    """One of the two is set."""

    Untagged: str | None = None
    Deleted: str | None = None


@dataclass
class ImageHistoryItem:
    """One line of GET /images/{name}/history, newest first."""

    Id: str
    Created: int
    """Unix seconds."""
    CreatedBy: str
    Tags: list[str] | None
    Size: int
    Comment: str
