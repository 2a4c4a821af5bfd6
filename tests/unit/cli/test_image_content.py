"""How images come into the store: archives go up as they are, results come to stdout, progress to stderr."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import pytest

from tests.unit.cli.conftest import Rundlet
from tests.unit.sdk.fake_engine import FakeEngine, reply

IMAGE_ID = "sha256:" + "a" * 64


def stream(*objects: dict[str, Any]) -> bytes:
    return reply("200 OK", b"".join(json.dumps(item).encode() + b"\r\n" for item in objects))


@pytest.fixture
def archive(tmp_path: Path) -> Path:
    path = tmp_path / "image.tar"
    path.write_bytes(os.urandom(300_000))
    return path


def test_load_sends_the_file_and_tells_what_was_loaded(
    rundlet: Rundlet, engine: FakeEngine, archive: Path
) -> None:
    engine.will(
        stream(
            {"status": "Loading layer", "id": "x", "progressDetail": {"current": 1, "total": 2}},
            {"stream": "Loaded image: busybox:latest\n"},
        )
    )

    assert rundlet("load", "-i", str(archive)) == (0, "Loaded image: busybox:latest\n", "")
    request, body = engine.requests[0]
    assert request.startswith("POST /images/load")
    assert body == archive.read_bytes()


def test_a_broken_archive_is_one_line(rundlet: Rundlet, engine: FakeEngine, archive: Path) -> None:
    engine.will(stream({"errorDetail": {"message": "corrupt archive: no manifest"}, "error": "corrupt"}))

    assert rundlet("load", "-i", str(archive)) == (1, "", f"rundlet: {archive}: corrupt archive: no manifest\n")


def test_another_failure_is_not_blamed_on_the_archive(rundlet: Rundlet, engine: FakeEngine, archive: Path) -> None:
    engine.will(reply("400 Bad Request", b'{"message": "unknown instruction: FOO"}'))

    assert rundlet("import", "-c", "FOO", str(archive)) == (1, "", "rundlet: unknown instruction: FOO\n")


def test_a_file_that_is_not_there_is_named(rundlet: Rundlet, engine: FakeEngine) -> None:
    assert rundlet("load", "-i", "/nope.tar") == (1, "", "rundlet: open /nope.tar: no such file or directory\n")


def test_import_prints_the_id(rundlet: Rundlet, engine: FakeEngine, archive: Path) -> None:
    engine.will(stream({"status": IMAGE_ID}))

    outcome = rundlet("import", "-c", "CMD sh", "-m", "why", str(archive), "mine:1")

    assert outcome == (0, f"{IMAGE_ID}\n", "")
    request, body = engine.requests[0]
    assert body == archive.read_bytes()
    assert "fromSrc=-&repo=docker.io%2Flibrary%2Fmine&tag=1&message=why&changes=CMD%20sh" in request


def test_an_import_from_a_url_says_how_it_can_be_done(rundlet: Rundlet, engine: FakeEngine) -> None:
    assert "curl" in rundlet("import", "https://example.org/x.tar").err


def test_assemble_prints_the_id_and_shows_its_steps(rundlet: Rundlet, engine: FakeEngine) -> None:
    steps: list[dict[str, Any]] = [
        {"status": "Looking for programs"},
        {"status": "Assembling", "progressDetail": {"current": 1, "total": 9}},
        {"status": f"Assembled x:1: {IMAGE_ID}"},
        {"aux": {"ID": IMAGE_ID}},
    ]
    engine.will(stream(*steps), stream(*steps))

    assert rundlet("image", "assemble", "-t", "x:1", "-p", "git") == (
        0,
        f"{IMAGE_ID}\n",
        f"Looking for programs\nAssembled x:1: {IMAGE_ID}\n",
    )
    assert engine.requests[0][0] == "POST /images/assemble?reference=x%3A1&program=git"
    assert rundlet("image", "assemble", "--quiet") == (0, f"{IMAGE_ID}\n", "")
