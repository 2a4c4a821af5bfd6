"""What a start that fails leaves behind."""

from __future__ import annotations

from pathlib import Path

import pytest

from rundlet.engine import launcher
from rundlet.errors import ContainerNotFound, StartFailed
from tests.fakes.engine import request, running_engine


async def test_after_a_failure_that_nobody_thought_of_it_can_be_started_and_removed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def surprise(*_: object) -> None:
        raise ValueError("embedded null byte")

    async with running_engine(tmp_path) as engine:
        container, _ = await engine.containers.create(request("serve"), None)
        with monkeypatch.context() as patch:
            patch.setattr(launcher, "write_network_files", surprise)
            with pytest.raises(StartFailed, match="embedded null byte"):
                await engine.containers.start(container)
        assert (await engine.containers.inspect(container)).State.Status == "created"
        await engine.containers.start(container)
        await engine.containers.remove(container, force=True)
        with pytest.raises(ContainerNotFound):
            await engine.containers.inspect(container)
