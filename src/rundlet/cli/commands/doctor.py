"""``doctor``: what this machine can and cannot do for Rundlet, and the fix. Exit status 1 when something needed
is missing."""

from __future__ import annotations

import json
import os

from rundlet.cli import autostart
from rundlet.cli.command import Command
from rundlet.cli.doctor import FAIL, OK, Finding, examine
from rundlet.cli.failures import one_line
from rundlet.cli.flags import option, switch
from rundlet.errors import RundletError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from rundlet.cli.context import Context
    from rundlet.cli.flags import Arguments


def _doctor(context: Context, arguments: Arguments) -> int:
    findings = [*examine(arguments["data-root"]), *_engine(context)]
    if arguments["json"]:
        context.out(json.dumps([finding.as_dict() for finding in findings], indent=2) + "\n")
    else:
        for finding in findings:
            context.out(f"{finding.verdict:<5} {finding.subject:<18} {finding.fact}\n")
            if finding.fix:
                context.out(f"{'':<24} fix: {finding.fix}\n")
    return 1 if any(finding.verdict == FAIL for finding in findings) else 0


def _engine(context: Context) -> list[Finding]:
    """Whether one answers; it is not started for this."""
    engine = context.engine(start=False)
    if context.host is None and not os.path.exists(autostart.SOCKET):
        return [Finding(OK, "engine", f"none runs at unix://{autostart.SOCKET}: run starts it")]
    try:
        version = engine.system.version().get("Version", "unknown")
    except RundletError as error:
        return [Finding(OK, "engine", f"none answers: {one_line(error)}")]
    findings = [Finding(OK, "engine", f"version {version} answers at {engine.host}")]
    try:
        info = engine.system.info()
    except RundletError as error:
        return [*findings, Finding(FAIL, "engine", one_line(error), "look at the engine's log")]
    return findings + [Finding("warn", "engine", warning) for warning in info.get("Warnings") or ()]


DOCTOR = Command(
    "doctor",
    "[OPTIONS]",
    "Say what this machine can and cannot do, and how to mend it",
    _doctor,
    flags=(
        option("data-root", "Where images and containers are, or would be", default="/var/lib/rundlet"),
        switch("json", "Print JSON"),
    ),
)
