"""Which machine a request wants an image for, and whether that is the image's, and this one's. Pure.

https://docs.docker.com/reference/api/engine/version/v1.47/#operation/ContainerCreate (``platform``)
"""

from __future__ import annotations

import re

from rundlet.errors import InvalidArgument, NotFound
from rundlet.images import Image
from rundlet.images.image import ARCHITECTURES, host_architecture

__all__ = ["architecture_of", "check_platform", "platform_warnings"]

_PLATFORM = re.compile(r"(?:linux/)?([a-z0-9_]+)(?:/[a-z0-9_.]+)?")


def architecture_of(platform: str) -> str:
    """``linux/amd64``, ``amd64``, ``linux/arm/v7`` or ``linux`` -> the architecture in Go's words.

    InvalidArgument for anything that is not Linux.
    """
    if platform == "linux":
        return host_architecture()
    match = _PLATFORM.fullmatch(platform)
    name = ARCHITECTURES.get(match[1], match[1]) if match else ""
    if name not in ARCHITECTURES.values():
        raise InvalidArgument(f'"{platform}": unknown operating system or architecture: invalid argument')
    return name


def check_platform(image: Image, platform: str) -> None:
    """NotFound, in Docker's words, when the image is for another platform than the one asked for (if any)."""
    if platform and image.architecture and image.architecture != (wanted := architecture_of(platform)):
        raise NotFound(
            f"image with reference {image.references[0] if image.references else image.id} was found but does not "
            f"match the specified platform: wanted linux/{wanted}, actual: {image.os}/{image.architecture}"
        )


def platform_warnings(image: Image, platform: str) -> list[str]:
    """What to say of an image that is for another machine, unless it was asked for by that name."""
    if platform or image.architecture in ("", host_architecture()):
        return []
    theirs, ours = f"{image.os}/{image.architecture}", f"linux/{host_architecture()}"
    text = f"The requested image's platform ({theirs}) does not match the detected host platform ({ours})"
    return [f"{text} and no specific platform was requested"]
