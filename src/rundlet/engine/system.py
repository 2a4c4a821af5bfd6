"""What the engine says of itself and of its machine: GET /version and GET /info."""

from __future__ import annotations

import os
import platform
import sys
from collections import Counter
from datetime import UTC, datetime
from importlib import metadata
from pathlib import Path
from typing import Any

from rundlet.engine.container import Status
from rundlet.engine.core import Core
from rundlet.images.image import host_architecture

__all__ = ["System"]

API_VERSION = "1.47"
MIN_API_VERSION = "1.24"
_PLATFORM = "Rundlet"


class System:
    def __init__(self, core: Core) -> None:
        self._core = core
        self._version = _package_version()

    def version(self) -> dict[str, Any]:
        details = {
            "ApiVersion": API_VERSION,
            "Arch": host_architecture(),
            "BuildTime": "",
            "Experimental": "false",
            "GitCommit": "",
            "GoVersion": f"python {platform.python_version()}",
            "KernelVersion": platform.release(),
            "MinAPIVersion": MIN_API_VERSION,
            "Os": "linux",
        }
        return {
            "Platform": {"Name": _PLATFORM},
            "Components": [{"Name": "Engine", "Version": self._version, "Details": details}],
            "Version": self._version,
            "ApiVersion": API_VERSION,
            "MinAPIVersion": MIN_API_VERSION,
            "GitCommit": "",
            "GoVersion": details["GoVersion"],
            "Os": "linux",
            "Arch": host_architecture(),
            "KernelVersion": platform.release(),
            "BuildTime": "",
        }

    async def info(self) -> dict[str, Any]:
        core = self._core
        counts = Counter(entry.container.state.visible for entry in core.registry)
        images = await core.tasks.in_thread(core.images.list)
        up = counts[Status.RUNNING] + counts[Status.RESTARTING]
        return {
            "ID": _engine_id(core.config.data_root),
            "Name": platform.node(),
            "Containers": len(core.registry),
            "ContainersRunning": up,
            "ContainersPaused": counts[Status.PAUSED],
            "ContainersStopped": len(core.registry) - up - counts[Status.PAUSED],
            "Images": len(images),
            "Driver": "overlay2",
            "DriverStatus": [],
            "DockerRootDir": str(core.config.data_root),
            "SystemTime": datetime.now(UTC).isoformat().replace("+00:00", "Z"),
            "ServerVersion": self._version,
            "OSType": "linux",
            "OperatingSystem": _operating_system(),
            "OSVersion": "",
            "Architecture": platform.machine(),
            "KernelVersion": platform.release(),
            "NCPU": os.cpu_count() or 1,
            "MemTotal": os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES"),
            "CgroupDriver": "cgroupfs",
            "CgroupVersion": "1" if core.hierarchies.controllers else "2",
            "LoggingDriver": core.config.log_driver,
            "DefaultRuntime": "rundlet",
            "Runtimes": {"rundlet": {"path": sys.executable}},
            "SecurityOptions": ["name=seccomp,profile=builtin"],
            "IndexServerAddress": "https://index.docker.io/v1/",
            "RegistryConfig": {"InsecureRegistryCIDRs": [], "IndexConfigs": {}, "Mirrors": []},
            "Plugins": {
                "Volume": ["local"],
                "Network": ["host", "null"],
                "Authorization": None,
                "Log": ["json-file", "none"],
            },
            "Swarm": {"NodeID": "", "NodeAddr": "", "LocalNodeState": "inactive", "ControlAvailable": False},
            "LiveRestoreEnabled": True,
            "MemoryLimit": True,
            "SwapLimit": True,
            "CpuCfsPeriod": True,
            "CpuCfsQuota": True,
            "CPUShares": True,
            "CPUSet": True,
            "PidsLimit": True,
            "OomKillDisable": True,
            "IPv4Forwarding": True,
            "BridgeNfIptables": False,
            "BridgeNfIp6tables": False,
            "Debug": core.config.debug,
            "NFd": len(os.listdir("/proc/self/fd")),
            "NEventsListener": core.events.listeners,
            "NGoroutines": 0,
            "ExperimentalBuild": False,
            "InitBinary": "",
            "HttpProxy": "",
            "HttpsProxy": "",
            "NoProxy": "",
            "Labels": [],
            "Warnings": None,
        }


def _package_version() -> str:
    try:
        return metadata.version("rundlet")
    except metadata.PackageNotFoundError:  # run from a source tree that is not installed
        return "0.0.0"


def _engine_id(data_root: Path) -> str:
    return (data_root / "engine-id").read_text().strip()


def _operating_system() -> str:
    try:
        return platform.freedesktop_os_release().get("PRETTY_NAME", "Linux")
    except OSError:
        return "Linux"
