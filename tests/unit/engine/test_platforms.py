"""An image for another machine is refused if this one was asked for, and warned of if nothing was."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from rundlet.engine.platforms import architecture_of, check_platform, platform_warnings
from rundlet.errors import ImageNotFound, InvalidArgument, NotFound
from rundlet.images.image import host_architecture
from tests.fakes.engine import IMAGE, request, running_engine

FOREIGN = "s390x" if host_architecture() != "s390x" else "amd64"
IMAGE_OF_ANOTHER = replace(IMAGE, config={**IMAGE.config, "architecture": FOREIGN})


@pytest.mark.parametrize(
    ("platform", "architecture"),
    [
        ("linux/amd64", "amd64"),
        ("amd64", "amd64"),
        ("linux/x86_64", "amd64"),
        ("linux/arm/v7", "arm"),
        ("linux", host_architecture()),
    ],
)
def test_a_platform_is_read_as_clients_write_it(platform: str, architecture: str) -> None:
    assert architecture_of(platform) == architecture


@pytest.mark.parametrize("platform", ["windows/amd64", "linux/pdp11", "/", "linux/amd64/v2/x"])
def test_what_is_no_linux_platform_is_refused(platform: str) -> None:
    with pytest.raises(InvalidArgument, match="unknown operating system or architecture"):
        architecture_of(platform)


def test_the_image_must_be_for_the_platform_that_was_asked_for() -> None:
    check_platform(IMAGE_OF_ANOTHER, "")
    check_platform(IMAGE_OF_ANOTHER, f"linux/{FOREIGN}")
    with pytest.raises(NotFound, match=f"busybox:latest was found but does not match.*actual: linux/{FOREIGN}"):
        check_platform(IMAGE_OF_ANOTHER, f"linux/{host_architecture()}")


def test_an_image_of_another_machine_is_warned_of_unless_it_was_asked_for() -> None:
    (warning,) = platform_warnings(IMAGE_OF_ANOTHER, "")
    assert f"(linux/{FOREIGN}) does not match the detected host platform" in warning
    assert platform_warnings(IMAGE_OF_ANOTHER, f"linux/{FOREIGN}") == []
    assert platform_warnings(IMAGE, "") == []


async def test_create_looks_at_both(tmp_path: Path) -> None:
    async with running_engine(tmp_path) as engine:
        engine.image_store.images = [IMAGE_OF_ANOTHER]
        _, warnings = await engine.containers.create(request("x"))
        assert any("detected host platform" in text for text in warnings)
        with pytest.raises(NotFound, match="does not match the specified platform"):
            await engine.containers.create(request("x"), "web", platform=host_architecture())
        await engine.containers.create(request("x"), "web")


async def test_nothing_is_made_for_another_machine(tmp_path: Path) -> None:
    async with running_engine(tmp_path) as engine:
        with pytest.raises(ImageNotFound, match="does not pull"):
            engine.images.pull("rundlet/host", platform=f"linux/{FOREIGN}")
