"""Containers are found as Docker finds them, and a name belongs to one at a time."""

from __future__ import annotations

import re

import pytest

from rundlet.engine.container import Container
from rundlet.engine.names import check_name, generate_name
from rundlet.engine.output import Output
from rundlet.engine.registry import Entry, Registry
from rundlet.engine.tasks import Tasks
from rundlet.errors import ContainerNotFound, InvalidArgument, NameInUse
from tests.fakes.records import container


def named(name: str, container_id: str) -> Container:
    subject = container()
    subject.definition.id, subject.definition.name = container_id, name
    return subject


async def registry(*names: tuple[str, str]) -> Registry:
    result = Registry()
    tasks = Tasks()
    for name, container_id in names:
        result.add(Entry(named(name, container_id), Output(name, tasks)))
    return result


ONE, TWO, THREE = "aa11" + "0" * 60, "aa22" + "0" * 60, "bb33" + "0" * 60


@pytest.mark.parametrize("ref", [ONE, "web", "/web", "aa11"])
async def test_by_id_name_and_unique_prefix(ref: str) -> None:
    subject = await registry(("web", ONE), ("db", TWO))
    assert subject.resolve(ref).id == ONE


async def test_a_name_wins_over_a_prefix() -> None:
    subject = await registry(("web", ONE), ("aa1", TWO))
    assert subject.resolve("aa1").id == TWO


async def test_an_ambiguous_prefix_is_refused() -> None:
    subject = await registry(("web", ONE), ("db", TWO))
    with pytest.raises(InvalidArgument, match="Multiple IDs found with provided prefix"):
        subject.resolve("aa")


@pytest.mark.parametrize("ref", ["nope", "", "/", "web2"])
async def test_nobody_by_that_name(ref: str) -> None:
    subject = await registry(("web", ONE))
    with pytest.raises(ContainerNotFound, match=f"No such container: {ref}"):
        subject.resolve(ref)


async def test_a_name_in_use_names_its_holder() -> None:
    subject = await registry(("web", ONE))
    with pytest.raises(NameInUse, match=f'"/web" is already in use by container "{ONE}"'):
        subject.reserve_name("/web", TWO)


async def test_a_reserved_name_is_taken_before_the_container_exists() -> None:
    subject = await registry()
    subject.reserve_name("web", ONE)
    with pytest.raises(NameInUse):
        subject.reserve_name("web", TWO)
    with pytest.raises(ContainerNotFound):
        subject.resolve("web")
    subject.release_name("web")
    assert subject.reserve_name("web", TWO) == "web"


async def test_a_removed_container_frees_name_and_prefix() -> None:
    subject = await registry(("web", ONE), ("db", TWO))
    subject.remove(subject.resolve("web"))
    assert subject.resolve("aa").id == TWO
    assert subject.reserve_name("web", THREE) == "web"


async def test_generated_names_do_not_collide() -> None:
    subject = await registry()
    names = {subject.reserve_name(None, str(n)) for n in range(3000)}
    assert len(names) == 3000
    assert all(check_name(name) == name for name in names)


def test_a_generated_name_is_an_adjective_and_a_noun() -> None:
    assert re.fullmatch("[a-z]+_[a-z]+", generate_name())


@pytest.mark.parametrize("name", ["a", "_x", "a b", "é!", "a/b", "-x", "x" * 2 + "\n"])
def test_names_that_are_none(name: str) -> None:
    with pytest.raises(InvalidArgument, match=r"only \[a-zA-Z0-9\]\[a-zA-Z0-9_.-\] are allowed"):
        check_name(name)
