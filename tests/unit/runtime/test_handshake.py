"""Parent and child between clone and exec, both played by one process."""

from __future__ import annotations

import os
from collections.abc import Iterator

import pytest

from rundlet.runtime.handshake import ChildEnd, Console, End, Failure, ParentEnd, Ready, handshake


@pytest.fixture
def ends() -> Iterator[tuple[ParentEnd, ChildEnd]]:
    parent, child = handshake()
    yield parent, child
    parent.close()
    try:
        os.close(child.fd)
    except OSError:
        assert child.fd == -1, "only a test that closed it says so"


def _close(child: ChildEnd) -> None:
    os.close(child.fd)
    child.fd = -1


def test_the_parent_never_waits(ends: tuple[ParentEnd, ChildEnd]) -> None:
    assert ends[0].receive() is None


def test_go_reaches_the_child(ends: tuple[ParentEnd, ChildEnd]) -> None:
    parent, child = ends

    parent.go()

    assert child.wait_go()


def test_the_child_hears_of_its_parents_end(ends: tuple[ParentEnd, ChildEnd]) -> None:
    parent, child = ends

    parent.close()

    assert not child.wait_go()


def test_ready_and_then_the_end_are_two_messages(ends: tuple[ParentEnd, ChildEnd]) -> None:
    parent, child = ends
    child.send_ready()
    _close(child)

    assert isinstance(parent.receive(), Ready)
    assert isinstance(parent.receive(), End)


def test_a_child_that_never_listened_is_an_end(ends: tuple[ParentEnd, ChildEnd]) -> None:
    parent, child = ends
    parent.go()
    _close(child)

    assert isinstance(parent.receive(), End)
    parent.go()


def test_a_console_arrives_as_a_descriptor_of_its_own_and_close_on_exec(ends: tuple[ParentEnd, ChildEnd]) -> None:
    parent, child = ends
    reading, writing = os.pipe()

    child.send_console(writing)
    os.close(writing)
    news = parent.receive()

    assert isinstance(news, Console)
    assert not os.get_inheritable(news.fd)
    os.write(news.fd, b"x")
    assert os.read(reading, 1) == b"x"
    os.close(news.fd)
    os.close(reading)


def test_a_failure_keeps_its_words_and_is_cut_to_one_packet(ends: tuple[ParentEnd, ChildEnd]) -> None:
    parent, child = ends

    child.send_failure(Failure("no-program", "execute x", "é\udcff\n" + "x" * 10**6, 2))
    news = parent.receive()

    assert isinstance(news, Failure)
    assert (news.kind, news.stage, news.errno) == ("no-program", "execute x", 2)
    assert news.message.startswith("é\udcff\nx")
    assert len(news.message) == 4096


def test_the_childs_end_moves_and_stays_close_on_exec(ends: tuple[ParentEnd, ChildEnd]) -> None:
    parent, child = ends
    old, place = child.fd, os.open("/dev/null", os.O_RDONLY)

    child.move_to(place)
    os.close(old)
    child.send_ready()

    assert child.fd == place
    assert not os.get_inheritable(place)
    assert isinstance(parent.receive(), Ready)
