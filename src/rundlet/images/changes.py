"""``--change`` of import and commit: Dockerfile instructions that only touch the configuration.

CMD ENTRYPOINT ENV EXPOSE HEALTHCHECK LABEL ONBUILD STOPSIGNAL USER VOLUME WORKDIR, one or several lines each,
with Dockerfile's continuation lines and comments. Variables are not expanded: there is nothing here to expand
them from. Pure; the words are https://docs.docker.com/reference/dockerfile/.
"""

from __future__ import annotations

import json
import posixpath
import re
import shlex
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any

from rundlet.errors import InvalidArgument
from rundlet.wire import durations

Config = dict[str, Any]

_PORTS = re.compile(r"([0-9]{1,5})(?:-([0-9]{1,5}))?(?:/(tcp|udp|sctp))?", re.IGNORECASE)
_SHELL = ["/bin/sh", "-c"]
_HEALTH_FLAGS = {
    "--interval": "Interval",
    "--timeout": "Timeout",
    "--start-period": "StartPeriod",
    "--start-interval": "StartInterval",
}


def apply_changes(config: Mapping[str, Any], changes: Iterable[str]) -> Config:
    """A copy of an image's ``config`` with the instructions applied in order. Raises InvalidArgument."""
    result = dict(config)
    for line in _lines(changes):
        instruction, _, rest = line.partition(" ")
        apply = _INSTRUCTIONS.get(instruction.upper())
        if apply is None:
            raise InvalidArgument(f"{instruction.upper()[:40]} is not a valid change command")
        if not rest.strip():
            raise InvalidArgument(f"{instruction.upper()} requires at least one argument")
        apply(result, rest.strip())
    return result


def _lines(changes: Iterable[str]) -> Iterator[str]:
    """Logical lines: comments and empty lines left out, continuations joined."""
    pending = ""
    for line in "\n".join(changes).splitlines():
        line = line.strip().replace("\t", " ")
        if not line or line.startswith("#"):
            continue
        if line.endswith("\\"):
            pending += line[:-1]
            continue
        yield pending + line
        pending = ""
    if pending:
        yield pending


def _json_list(text: str) -> list[str] | None:
    """The exec form, ``["a", "b"]``; None for anything else, which is then a shell command or plain words."""
    try:
        value = json.loads(text)
    except (ValueError, RecursionError):
        return None
    return value if isinstance(value, list) and all(isinstance(item, str) for item in value) else None


def _words(text: str) -> list[str]:
    try:
        return shlex.split(text)
    except ValueError as error:
        raise InvalidArgument(f"cannot read {text[:100]!r}: {error}") from error


def _pairs(text: str, instruction: str) -> list[tuple[str, str]]:
    """``key=value …``, or the old form ``key value``, which takes the rest of the line."""
    first, _, rest = text.partition(" ")
    if "=" not in first:
        if not rest.strip():
            raise InvalidArgument(f"{instruction} must have two arguments")
        return [(first, rest.strip())]
    pairs = []
    for word in _words(text):
        key, equals, value = word.partition("=")
        if not equals or not key:
            raise InvalidArgument(f"{instruction}: cannot find = in {word[:100]!r}: write name=value")
        pairs.append((key, value))
    return pairs


def _command(config: Config, text: str) -> list[str]:
    exec_form = _json_list(text)
    return [*(config.get("Shell") or _SHELL), text] if exec_form is None else exec_form


def _cmd(config: Config, text: str) -> None:
    config["Cmd"] = _command(config, text)


def _entrypoint(config: Config, text: str) -> None:
    config["Entrypoint"] = _command(config, text)


def _env(config: Config, text: str) -> None:
    variables = dict(item.partition("=")[::2] for item in config.get("Env") or ())
    variables.update(_pairs(text, "ENV"))
    config["Env"] = [f"{key}={value}" for key, value in variables.items()]


def _label(config: Config, text: str) -> None:
    config["Labels"] = {**(config.get("Labels") or {}), **dict(_pairs(text, "LABEL"))}


def _expose(config: Config, text: str) -> None:
    ports = dict(config.get("ExposedPorts") or {})
    for word in _words(text):
        match = _PORTS.fullmatch(word)
        first, last = (int(match[1]), int(match[2] or match[1])) if match else (1, 0)
        if match is None or not 0 < first <= last <= 65535:
            raise InvalidArgument(f"invalid containerPort: {word[:100]}")
        ports |= {f"{port}/{(match[3] or 'tcp').lower()}": {} for port in range(first, last + 1)}
    config["ExposedPorts"] = ports


def _volume(config: Config, text: str) -> None:
    paths = _json_list(text)
    volumes = dict(config.get("Volumes") or {})
    for path in _words(text) if paths is None else paths:
        if not path.strip():
            raise InvalidArgument("VOLUME specified can not be an empty string")
        volumes[path.strip()] = {}
    config["Volumes"] = volumes


def _workdir(config: Config, text: str) -> None:
    config["WorkingDir"] = posixpath.normpath(posixpath.join(config.get("WorkingDir") or "/", text))


def _one_word(key: str, instruction: str) -> Callable[[Config, str], None]:
    def apply(config: Config, text: str) -> None:
        words = _words(text)
        if len(words) != 1:
            raise InvalidArgument(f"{instruction} requires exactly one argument")
        config[key] = words[0]

    return apply


def _onbuild(config: Config, text: str) -> None:
    config["OnBuild"] = [*(config.get("OnBuild") or ()), text]


def _healthcheck(config: Config, text: str) -> None:
    if text.upper() == "NONE":
        config["Healthcheck"] = {"Test": ["NONE"]}
        return
    check: dict[str, Any] = {}
    while text.startswith("--"):
        flag, _, text = text.partition(" ")
        name, _, value = flag.partition("=")
        text = text.strip()
        if name in _HEALTH_FLAGS:
            check[_HEALTH_FLAGS[name]] = durations.parse(value)
        elif name == "--retries" and value.isdecimal():
            check["Retries"] = int(value)
        else:
            raise InvalidArgument(f"HEALTHCHECK: bad flag {flag[:100]!r}")
    kind, _, command = text.partition(" ")
    if kind.upper() != "CMD" or not command.strip():
        raise InvalidArgument("HEALTHCHECK must be followed by CMD and a command, or by NONE")
    exec_form = _json_list(command)
    check["Test"] = ["CMD-SHELL", command.strip()] if exec_form is None else ["CMD", *exec_form]
    config["Healthcheck"] = check


_INSTRUCTIONS: dict[str, Callable[[Config, str], None]] = {
    "CMD": _cmd,
    "ENTRYPOINT": _entrypoint,
    "ENV": _env,
    "EXPOSE": _expose,
    "HEALTHCHECK": _healthcheck,
    "LABEL": _label,
    "ONBUILD": _onbuild,
    "STOPSIGNAL": _one_word("StopSignal", "STOPSIGNAL"),
    "USER": _one_word("User", "USER"),
    "VOLUME": _volume,
    "WORKDIR": _workdir,
}
