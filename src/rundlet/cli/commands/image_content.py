"""``load``, ``import``, ``pull``, ``image assemble``: how images come into the store."""

from __future__ import annotations

import os
import sys
from contextlib import contextmanager

from rundlet.cli.command import Command, CommandFailed
from rundlet.cli.failures import one_line
from rundlet.cli.flags import option, repeated, switch
from rundlet.cli.get_image import get_image
from rundlet.cli.progress import show
from rundlet.errors import RundletError
from rundlet.wire import reference

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator
    from typing import BinaryIO

    from rundlet.cli.context import Context
    from rundlet.cli.flags import Arguments


@contextmanager
def _archive(path: str) -> Iterator[BinaryIO]:
    """The file at ``path``, or stdin for ``-``."""
    if path == "-":
        if os.isatty(0):
            raise CommandFailed("requested load from stdin, but stdin is empty")
        yield sys.stdin.buffer
        return
    try:
        file = open(path, "rb")  # noqa: SIM115 - closed below; opening alone is to be guarded
    except OSError as error:
        raise CommandFailed(f"open {path}: {(error.strerror or str(error)).lower()}") from error
    with file:
        try:
            yield file
        except RundletError as error:
            if not str(error).startswith("corrupt "):  # the engine has a stream, and does not know its name
                raise
            raise CommandFailed(f"{path}: {one_line(error)}") from error


def _load(context: Context, arguments: Arguments) -> int:
    with (
        _archive(arguments["input"] or "-") as archive,
        context.engine().images.load(archive, quiet=arguments["quiet"]) as reports,
    ):
        for report in show(reports, quiet=True):
            context.out(report.get("stream", ""))
    return 0


def _import(context: Context, arguments: Arguments) -> int:
    source, name = arguments.positional[0], next(iter(arguments.positional[1:]), None)
    if "://" in source:
        raise CommandFailed(
            f"importing from a URL is not supported: {source}; pipe it in: curl … | rundlet import -"
        )
    with (
        _archive(source) as archive,
        context.engine().images.import_(
            archive, reference=name, changes=arguments["change"], message=arguments["message"]
        ) as reports,
    ):
        results = show(reports, quiet=True)
    if results:
        context.out(f"{results[-1].get('status', '')}\n")
    return 0


def _pull(context: Context, arguments: Arguments) -> int:
    image = arguments.positional[0]
    get_image(context, image, platform=arguments["platform"] or None, quiet=arguments["quiet"])
    context.out(f"{reference.parse(image)}\n")
    return 0


def _assemble(context: Context, arguments: Arguments) -> int:
    with context.engine().images.assemble(
        reference=arguments["tag"] or None, programs=arguments["program"]
    ) as reports:
        results = show(reports, quiet=arguments["quiet"])
    for report in results:
        if image_id := (report.get("aux") or {}).get("ID"):
            context.out(f"{image_id}\n")
    return 0


LOAD = Command(
    "load",
    "[OPTIONS]",
    "Load an image from a tar archive or STDIN",
    _load,
    flags=(
        option("input", "Read from tar archive file, instead of STDIN", short="i"),
        switch("quiet", "Suppress the load output", short="q"),
    ),
)
IMPORT = Command(
    "import",
    "[OPTIONS] file|- [REPOSITORY[:TAG]]",
    "Import the contents from a tarball to create a filesystem image",
    _import,
    flags=(
        repeated("change", "Apply Dockerfile instruction to the created image", short="c"),
        option("message", "Set commit message for imported image", short="m"),
    ),
    at_least=1,
    at_most=2,
    completes="file",
)
PULL = Command(
    "pull",
    "[OPTIONS] NAME[:TAG|@DIGEST]",
    "Get an image",
    _pull,
    flags=(
        option("platform", "Set platform if server is multi-platform capable"),
        switch("quiet", "Suppress verbose output", short="q"),
    ),
    at_least=1,
    at_most=1,
)
ASSEMBLE = Command(
    "image assemble",
    "[OPTIONS]",
    "Make an image of this machine's own programs, without a network",
    _assemble,
    flags=(
        repeated("program", "A program more to put in, by name or path", short="p"),
        switch("quiet", "Suppress the progress", short="q"),
        option("tag", "Name of the image (default rundlet/host:latest)", short="t"),
    ),
)
