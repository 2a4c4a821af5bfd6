"""Have an image that a container is to be made of: what ``run`` and ``create`` do about ``--pull``."""

from __future__ import annotations

from rundlet.cli.progress import show
from rundlet.errors import InvalidReference, NotFound
from rundlet.wire import reference

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Any

    from rundlet.cli.context import Context
    from rundlet.cli.flags import Arguments


def create_container(context: Context, arguments: Arguments, body: Mapping[str, Any]) -> dict[str, Any]:
    """Create the container, getting its image if ``--pull`` asks for that: what the engine answers."""
    containers = context.engine().containers
    name, platform = arguments["name"] or None, arguments["platform"] or None
    if arguments["pull"] == "always":
        get_image(context, body["Image"], platform=platform, quiet=arguments["quiet"])
    try:
        created = containers.create(body, name=name, platform=platform)
    except NotFound:
        # The status alone says that it is the image that is missing, as for docker/cli.
        wanted = _pullable(body["Image"])
        if arguments["pull"] != "missing" or wanted is None:
            raise
        # An engine that cannot get it says so at once, and that is then the one line there is.
        with context.engine().images.pull(body["Image"], platform=platform) as reports:
            context.err(f"Unable to find image '{wanted.familiar}' locally")
            show(reports, quiet=arguments["quiet"])
        created = containers.create(body, name=name, platform=platform)
    return created


def _pullable(image: str) -> reference.Reference | None:
    """None for an image ID, which no registry knows."""
    try:
        return reference.parse(image)
    except InvalidReference:
        return None


def get_image(context: Context, image: str, *, platform: str | None, quiet: bool) -> None:
    with context.engine().images.pull(image, platform=platform) as reports:
        show(reports, quiet=quiet)
