"""``ps``, ``images`` and ``history`` print what Docker prints."""

from __future__ import annotations

import json
import time
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest

from rundlet.cli.container_row import container_row, ports
from tests.unit.cli.conftest import Rundlet, json_reply
from tests.unit.sdk.fake_engine import FakeEngine

CONTAINER_ID = "0123456789abcdef" * 4
IMAGE_ID = "sha256:" + "fedcba9876543210" * 4


def container(**more: Any) -> dict[str, Any]:
    return {
        "Id": CONTAINER_ID,
        "Names": ["/web"],
        "Image": "busybox",
        "ImageID": IMAGE_ID,
        "Command": "sh -c 'while true; do date; done'",
        "Created": int(time.time()) - 7200,
        "Ports": [],
        "Labels": {"b": "2", "a": "1"},
        "State": "running",
        "Status": "Up 2 hours",
        "HostConfig": {"NetworkMode": "default"},
        "NetworkSettings": {"Networks": {"bridge": {}}},
        "Mounts": [],
        **more,
    }


def image(**more: Any) -> dict[str, Any]:
    return {
        "Id": IMAGE_ID,
        "RepoTags": ["busybox:latest", "localhost:5000/bb:1"],
        "RepoDigests": [f"busybox@sha256:{'1' * 64}"],
        "Created": int(time.time()) - 3 * 24 * 3600,
        "Size": 4261574,
        "SharedSize": -1,
        "Containers": -1,
        **more,
    }


def query(engine: FakeEngine) -> dict[str, list[str]]:
    return parse_qs(urlsplit(engine.requests[-1][0].split(" ")[1]).query)


def test_ps_prints_dockers_table(rundlet: Rundlet, engine: FakeEngine) -> None:
    engine.will(json_reply([container(Ports=[port(80, 8080, "0.0.0.0")])]))

    assert rundlet("ps").out == (
        "CONTAINER ID   IMAGE     COMMAND                  CREATED       STATUS       PORTS                  "
        "NAMES\n"
        '0123456789ab   busybox   "sh -c \'while true; …"   2 hours ago   Up 2 hours   0.0.0.0:8080->80/tcp   '
        "web\n"
    )


def test_ps_without_containers_prints_the_headings(rundlet: Rundlet, engine: FakeEngine) -> None:
    engine.will(json_reply([]))

    assert rundlet("list").out == "CONTAINER ID   IMAGE     COMMAND   CREATED   STATUS    PORTS     NAMES\n"


@pytest.mark.parametrize(
    ("argv", "asked"),
    [
        (("-a",), {"all": "1"}),
        (("-n", "3"), {"limit": "3"}),
        (("-l",), {"limit": "1"}),
        (("-s",), {"size": "1"}),
        (("--format", "{{.Size}}"), {"size": "1"}),
    ],
)
def test_ps_asks_for_what_its_flags_say(
    rundlet: Rundlet, engine: FakeEngine, argv: tuple[str, ...], asked: dict[str, str]
) -> None:
    engine.will(json_reply([]))

    assert rundlet("ps", *argv).status == 0
    assert {key: query(engine)[key][0].lower().replace("true", "1") for key in asked} == asked


def test_ps_sends_its_filters_as_docker_does(rundlet: Rundlet, engine: FakeEngine) -> None:
    engine.will(json_reply([]))

    rundlet("ps", "--filter", "label=a=b", "-f", "label=c", "-f", "status=exited")

    assert json.loads(query(engine)["filters"][0]) == {
        "label": {"a=b": True, "c": True},
        "status": {"exited": True},
    }


def test_ps_q_prints_ids_alone(rundlet: Rundlet, engine: FakeEngine) -> None:
    engine.will(json_reply([container()]), json_reply([container()]))

    assert rundlet("ps", "-q").out == "0123456789ab\n"
    assert rundlet("ps", "-q", "--no-trunc").out == f"{CONTAINER_ID}\n"


def test_ps_json_has_dockers_fields(rundlet: Rundlet, engine: FakeEngine) -> None:
    engine.will(json_reply([container()]))

    row = json.loads(rundlet("ps", "--json").out)

    assert set(row) == {
        *("Command", "CreatedAt", "ID", "Image", "Labels", "LocalVolumes", "Mounts", "Names", "Networks"),
        *("Ports", "RunningFor", "Size", "State", "Status"),
    }
    assert (row["Labels"], row["Networks"], row["State"]) == ("a=1,b=2", "bridge", "running")


def test_a_bad_template_is_one_line(rundlet: Rundlet, engine: FakeEngine) -> None:
    engine.will(json_reply([container()]))

    outcome = rundlet("ps", "--format", "{{.Nope}}")

    assert outcome == (1, "", 'rundlet: template parsing error: map has no entry for key "Nope"\n')


@pytest.mark.parametrize(
    ("summary", "shown"),
    [
        ({"Image": "busybox:1"}, "busybox:1"),
        ({"Image": IMAGE_ID}, "fedcba987654"),
        ({"Image": "fedcba987654"}, "fedcba987654"),
        ({"Image": f"busybox:1@sha256:{'1' * 64}"}, "busybox:1"),
        ({"Image": ""}, "<no image>"),
    ],
)
def test_an_image_is_shown_the_way_people_know_it(summary: dict[str, str], shown: str) -> None:
    assert container_row(container(**summary))["Image"] == shown


def test_only_a_containers_own_name_is_shown() -> None:
    names = ["/other/link", "/web"]

    assert container_row(container(Names=names))["Names"] == "web"
    assert container_row(container(Names=names), truncate=False)["Names"] == "other/link,web"


def port(private: int, public: int = 0, ip: str = "", protocol: str = "tcp") -> dict[str, Any]:
    return {"PrivatePort": private, "Type": protocol, **({"IP": ip, "PublicPort": public} if ip else {})}


@pytest.mark.parametrize(
    ("published", "shown"),
    [
        ([], ""),
        ([port(80)], "80/tcp"),
        ([port(82), port(80), port(81), port(90)], "80-82/tcp, 90/tcp"),
        ([port(80, 8080, "0.0.0.0"), port(80, 8080, "::")], "0.0.0.0:8080->80/tcp, [::]:8080->80/tcp"),
        ([port(80, 80, "0.0.0.0"), port(81, 81, "0.0.0.0")], "0.0.0.0:80-81->80-81/tcp"),
        ([port(53, protocol="udp"), port(53)], "53/tcp, 53/udp"),
    ],
)
def test_ports_are_grouped_as_docker_groups_them(published: list[dict[str, Any]], shown: str) -> None:
    assert ports(published) == shown


def test_images_prints_a_row_a_name(rundlet: Rundlet, engine: FakeEngine) -> None:
    engine.will(json_reply([image(), image(RepoTags=[], RepoDigests=[])]))

    assert rundlet("images").out == (
        "REPOSITORY          TAG       IMAGE ID       CREATED      SIZE\n"
        "busybox             latest    fedcba987654   3 days ago   4.26MB\n"
        "localhost:5000/bb   1         fedcba987654   3 days ago   4.26MB\n"
        "<none>              <none>    fedcba987654   3 days ago   4.26MB\n"
    )


def test_images_shows_digests_when_asked(rundlet: Rundlet, engine: FakeEngine) -> None:
    engine.will(json_reply([image()]))

    lines = rundlet("images", "--digests", "--format", "{{.Repository}} {{.Tag}} {{.Digest}}").out.splitlines()

    assert lines == [f"busybox latest sha256:{'1' * 64}", "localhost:5000/bb 1 <none>"]


def test_images_q_prints_an_id_once(rundlet: Rundlet, engine: FakeEngine) -> None:
    engine.will(json_reply([image()]))

    assert rundlet("images", "-q").out == "fedcba987654\n"


def test_images_of_one_repository_are_asked_for_by_reference(rundlet: Rundlet, engine: FakeEngine) -> None:
    engine.will(json_reply([]))

    rundlet("images", "busybox")

    assert json.loads(query(engine)["filters"][0]) == {"reference": {"busybox": True}}


def test_rmi_tells_what_it_did(rundlet: Rundlet, engine: FakeEngine) -> None:
    engine.will(json_reply([{"Untagged": "busybox:latest"}, {"Deleted": IMAGE_ID}]))

    assert rundlet("rmi", "-f", "busybox").out == f"Untagged: busybox:latest\nDeleted: {IMAGE_ID}\n"
    assert engine.requests[0][0].startswith("DELETE /images/busybox?force=")


@pytest.mark.parametrize("command", ["rm", "rmi"])
@pytest.mark.parametrize(("force", "status"), [((), 1), (("-f",), 0)])
def test_removing_by_force_what_is_not_there_is_said_and_is_no_failure(
    rundlet: Rundlet, engine: FakeEngine, command: str, force: tuple[str, ...], status: int
) -> None:
    """Scripts clean up with ``rm -f`` under ``set -e``."""
    engine.will(json_reply({"message": "No such thing: x"}, status="404 Not Found"))

    assert rundlet(command, *force, "x") == (status, "", "rundlet: No such thing: x\n")


def test_history_is_newest_first_and_shortened(rundlet: Rundlet, engine: FakeEngine) -> None:
    now = int(time.time())
    engine.will(
        json_reply(
            [
                {
                    "Id": IMAGE_ID,
                    "Created": now - 60,
                    "CreatedBy": "x" * 60,
                    "Size": 0,
                    "Comment": "",
                    "Tags": None,
                },
                {"Id": "<missing>", "Created": now - 90000, "CreatedBy": "ADD /", "Size": 5000, "Comment": "c"},
            ]
        )
    )

    lines = rundlet("history", "busybox").out.splitlines()

    assert lines[0].split() == ["IMAGE", "CREATED", "CREATED", "BY", "SIZE", "COMMENT"]
    assert lines[1].startswith(f"fedcba987654   About a minute ago   {'x' * 44}…")
    assert lines[2].startswith("<missing>      25 hours ago")
    assert lines[2].endswith("5kB       c")
