"""``info`` and ``version``: what the engine and this client are."""

from __future__ import annotations

import os
import sys

from rundlet.cli.command import Command, CommandFailed
from rundlet.cli.failures import one_line
from rundlet.cli.flags import option, switch
from rundlet.cli.template import Template, TemplateError
from rundlet.errors import EngineUnavailable
from rundlet.version import VERSION
from rundlet.wire import sizes

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from rundlet.cli.context import Context
    from rundlet.cli.flags import Arguments

    Json = dict[str, Any]

_BAD_TEMPLATE_STATUS = 64
_API_VERSION = "1.47"

_INFO_LINES = (
    ("Containers", "Containers"),
    (" Running", "ContainersRunning"),
    (" Paused", "ContainersPaused"),
    (" Stopped", "ContainersStopped"),
    ("Images", "Images"),
    ("Server Version", "ServerVersion"),
    ("Storage Driver", "Driver"),
    ("Logging Driver", "LoggingDriver"),
    ("Cgroup Driver", "CgroupDriver"),
    ("Cgroup Version", "CgroupVersion"),
    ("Default Runtime", "DefaultRuntime"),
    ("Kernel Version", "KernelVersion"),
    ("Operating System", "OperatingSystem"),
    ("OSType", "OSType"),
    ("Architecture", "Architecture"),
    ("CPUs", "NCPU"),
    ("Total Memory", "MemTotal"),
    ("Name", "Name"),
    ("ID", "ID"),
    ("Root Dir", "DockerRootDir"),
    ("Debug Mode", "Debug"),
    ("Live Restore Enabled", "LiveRestoreEnabled"),
)


def _client() -> Json:
    system = os.uname()
    return {
        "Version": VERSION,
        "ApiVersion": _API_VERSION,
        "PythonVersion": sys.version.split()[0],
        "Os": system.sysname.lower(),
        "Arch": {"x86_64": "amd64", "aarch64": "arm64"}.get(system.machine, system.machine),
    }


def _info(context: Context, arguments: Arguments) -> int:
    info = context.engine().system.info()
    layout = "json" if arguments["json"] else arguments["format"]
    if layout:
        return _render(context, layout, {**info, "ClientInfo": _client()})
    context.out(f"Client:\n Version:    {VERSION}\n\nServer:\n")
    for heading, field in _INFO_LINES:
        if field in info:
            context.out(f" {heading}: {_text(field, info[field])}\n")
    if options := info.get("SecurityOptions"):
        context.out(" Security Options:\n")
        for text in options:
            context.out(f"  {text.removeprefix('name=')}\n")
    context.warn_all(warning.removeprefix("WARNING: ") for warning in info.get("Warnings") or ())
    return 0


def _text(field: str, value: Any) -> str:
    if field == "MemTotal":
        return sizes.format_binary(value)
    return str(value).lower() if isinstance(value, bool) else str(value)


def _version(context: Context, arguments: Arguments) -> int:
    """Never starts an engine: that none answers is told, and the status is 1, as with Docker."""
    layout = "json" if arguments["json"] else arguments["format"]
    server, problem = None, ""
    try:
        server = context.engine(start=False).system.version()
    except EngineUnavailable as error:
        problem = one_line(error)
    if layout:
        _render(context, layout, {"Client": _client(), "Server": server})
    else:
        context.out(_version_text(server))
    if problem:
        context.err(f"rundlet: {problem}")
    return 1 if problem else 0


def _version_text(server: Json | None) -> str:
    client = _client()
    lines = [
        "Client:",
        f" Version:           {client['Version']}",
        f" API version:       {client['ApiVersion']}",
        f" Python version:    {client['PythonVersion']}",
        f" OS/Arch:           {client['Os']}/{client['Arch']}",
    ]
    if server is not None:
        platform = (server.get("Platform") or {}).get("Name", "")
        api = f"{server.get('ApiVersion', '')} (minimum version {server.get('MinAPIVersion', '')})"
        lines += [
            "",
            f"Server: {platform}".rstrip(),
            " Engine:",
            f"  Version:          {server.get('Version', '')}",
            f"  API version:      {api}",
            f"  OS/Arch:          {server.get('Os', '')}/{server.get('Arch', '')}",
            f"  Kernel version:   {server.get('KernelVersion', '')}",
        ]
    return "\n".join(lines) + "\n"


def _render(context: Context, layout: str, data: Json) -> int:
    try:
        context.out(Template("{{json .}}" if layout == "json" else layout).render(data) + "\n")
    except TemplateError as error:
        raise CommandFailed(f"template parsing error: {error}", _BAD_TEMPLATE_STATUS) from error
    return 0


_FORMAT = option("format", "Format output: 'json', or a Go template", short="f")
_JSON = switch("json", "Print JSON: --format json")

INFO = Command("info", "[OPTIONS]", "Display system-wide information", _info, flags=(_FORMAT, _JSON))
VERSION_COMMAND = Command(
    "version", "[OPTIONS]", "Show the Rundlet version information", _version, flags=(_FORMAT, _JSON)
)
