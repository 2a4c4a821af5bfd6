"""``inspect``: everything the engine says about containers and images."""

from __future__ import annotations

import json

from rundlet.cli.command import Command, CommandFailed
from rundlet.cli.failures import one_line
from rundlet.cli.flags import option, switch
from rundlet.cli.template import Template, TemplateError
from rundlet.errors import NotFound, RundletError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from rundlet.cli.context import Context
    from rundlet.cli.flags import Arguments

_TYPES = ("", "container", "image")
_BAD_TEMPLATE_STATUS = 64


def _inspect(context: Context, arguments: Arguments) -> int:
    kind = arguments["type"]
    if kind not in _TYPES:
        raise CommandFailed(f'unknown type: "{kind}": must be one of "container", "image"')
    return _print(context, arguments, kind, size=arguments["size"])


def _inspect_containers(context: Context, arguments: Arguments) -> int:
    return _print(context, arguments, "container", size=arguments["size"])


def _inspect_images(context: Context, arguments: Arguments) -> int:
    return _print(context, arguments, "image", size=False)


def _print(context: Context, arguments: Arguments, kind: str, *, size: bool) -> int:
    """What is found goes to stdout, and what is not is told one by one: the status is 1 then."""
    layout = arguments["format"]
    template = _template(layout)
    found, failures = [], []
    for name in arguments.positional:
        try:
            found.append(_find(context, name, kind, size))
        except RundletError as error:
            failures.append(one_line(error))
    try:
        if template is not None:
            context.out("".join(template.render(item) + "\n" for item in found) or "\n")
        elif layout == "json":
            context.out(json.dumps(found, ensure_ascii=False, separators=(",", ":")) + "\n")
        else:
            context.out(json.dumps(found, ensure_ascii=False, indent=4) + "\n")
    except TemplateError as error:
        failures.append(f"template parsing error: {error}")
    for failure in failures:
        context.err(f"rundlet: {failure}")
    return 1 if failures else 0


def _template(layout: str) -> Template | None:
    if layout in ("", "json"):
        return None
    try:
        return Template(layout)
    except TemplateError as error:
        raise CommandFailed(f"template parsing error: {error}", _BAD_TEMPLATE_STATUS) from error


def _find(context: Context, name: str, kind: str, size: bool) -> dict[str, Any]:
    engine = context.engine()
    if kind == "container":
        return engine.containers.inspect(name, size=size)
    if kind == "image":
        return engine.images.inspect(name)
    try:
        return engine.containers.inspect(name, size=size)
    except NotFound:
        pass
    try:
        return engine.images.inspect(name)
    except NotFound:
        raise NotFound(f"No such object: {name}") from None


_FORMAT = option("format", "Format output: 'json', or a Go template", short="f")
_SIZE = switch("size", "Display total file sizes if the type is container", short="s")

INSPECT = Command(
    "inspect",
    "[OPTIONS] NAME|ID [NAME|ID...]",
    "Return low-level information on containers and images",
    _inspect,
    flags=(_FORMAT, _SIZE, option("type", "Only inspect objects of the given type (container|image)")),
    at_least=1,
    at_most=None,
    completes="container",
)
CONTAINER_INSPECT = Command(
    "container inspect",
    "[OPTIONS] CONTAINER [CONTAINER...]",
    "Display detailed information on one or more containers",
    _inspect_containers,
    flags=(_FORMAT, _SIZE),
    at_least=1,
    at_most=None,
    completes="container",
)
IMAGE_INSPECT = Command(
    "image inspect",
    "[OPTIONS] IMAGE [IMAGE...]",
    "Display detailed information on one or more images",
    _inspect_images,
    flags=(_FORMAT,),
    at_least=1,
    at_most=None,
    completes="image",
)
