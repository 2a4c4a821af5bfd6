"""``--change`` reads Dockerfile instructions as Docker does."""

from __future__ import annotations

from typing import Any

import pytest

from rundlet.errors import InvalidArgument
from rundlet.images.changes import apply_changes


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        ('CMD ["a", "b c"]', {"Cmd": ["a", "b c"]}),
        ("cmd echo hi", {"Cmd": ["/bin/sh", "-c", "echo hi"]}),
        ("CMD ['a']", {"Cmd": ["/bin/sh", "-c", "['a']"]}),
        ('ENTRYPOINT ["/init"]', {"Entrypoint": ["/init"]}),
        ("ENTRYPOINT []", {"Entrypoint": []}),
        ("ENV A=1 B='2 3' C=\"4 5\" D=6\\ 7", {"Env": ["A=1", "B=2 3", "C=4 5", "D=6 7"]}),
        ("ENV OLD the whole rest", {"Env": ["OLD=the whole rest"]}),
        ("LABEL a=b c.d='e f'", {"Labels": {"a": "b", "c.d": "e f"}}),
        (
            "EXPOSE 80 53/udp 8000-8001/TCP",
            {"ExposedPorts": {"80/tcp": {}, "53/udp": {}, "8000/tcp": {}, "8001/tcp": {}}},
        ),
        ('VOLUME ["/a", "/b c"]', {"Volumes": {"/a": {}, "/b c": {}}}),
        ("VOLUME /a /b", {"Volumes": {"/a": {}, "/b": {}}}),
        ("USER 1000:1000", {"User": "1000:1000"}),
        ("WORKDIR /a/../b", {"WorkingDir": "/b"}),
        ("STOPSIGNAL SIGINT", {"StopSignal": "SIGINT"}),
        ("ONBUILD RUN make", {"OnBuild": ["RUN make"]}),
        ("HEALTHCHECK NONE", {"Healthcheck": {"Test": ["NONE"]}}),
        (
            "HEALTHCHECK --interval=1m --retries=3 CMD curl -f x",
            {"Healthcheck": {"Interval": 60_000_000_000, "Retries": 3, "Test": ["CMD-SHELL", "curl -f x"]}},
        ),
        ('HEALTHCHECK CMD ["true"]', {"Healthcheck": {"Test": ["CMD", "true"]}}),
    ],
)
def test_an_instruction_sets_its_part(change: str, expected: dict[str, Any]) -> None:
    assert apply_changes({}, [change]) == expected


def test_instructions_build_on_what_is_there_and_on_each_other() -> None:
    before = {"Env": ["A=1", "B=2"], "WorkingDir": "/srv", "Labels": {"x": "y"}, "Cmd": ["old"]}

    after = apply_changes(before, ["ENV B=3", "WORKDIR app", "WORKDIR sub", "LABEL z=1", "ENV C=4"])

    assert after == {
        "Env": ["A=1", "B=3", "C=4"],
        "WorkingDir": "/srv/app/sub",
        "Labels": {"x": "y", "z": "1"},
        "Cmd": ["old"],
    }
    assert before["Env"] == ["A=1", "B=2"]


def test_one_change_may_hold_many_lines_with_comments_and_continuations() -> None:
    change = "# a comment\nENV A=1 \\\n  B=2\n\nUSER me\\"

    assert apply_changes({}, [change]) == {"Env": ["A=1", "B=2"], "User": "me"}


@pytest.mark.parametrize(
    "change",
    [
        "FROM x",
        "RUN x",
        "nonsense",
        "ENV",
        "ENV A",
        "ENV =x",
        "ENV A=1 B",
        "ENV A='open",
        "EXPOSE 0",
        "EXPOSE 70000",
        "EXPOSE 9-8",
        "EXPOSE x",
        "USER a b",
        'VOLUME [" "]',
        "HEALTHCHECK CMD",
        "HEALTHCHECK --nonsense=1 CMD x",
        "HEALTHCHECK --retries=x CMD x",
        "HEALTHCHECK --interval=x CMD x",
        "HEALTHCHECK x",
    ],
)
def test_what_is_no_change_is_refused(change: str) -> None:
    with pytest.raises(InvalidArgument):
        apply_changes({}, [change])
