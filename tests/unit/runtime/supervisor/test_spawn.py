"""What a fresh supervisor imports, and whether one is there."""

from __future__ import annotations

import socket
import subprocess
import sys
from pathlib import Path

from rundlet.runtime.supervisor import spawn


def test_what_is_installed_beside_the_package_does_not_take_the_place_of_the_standard_library(
    tmp_path: Path,
) -> None:
    (tmp_path / "json.py").write_text("")
    package = tmp_path / "rundlet/runtime/supervisor"
    package.mkdir(parents=True)
    (package / "main.py").write_text("import json\n\ndef main():\n    print(json.loads('7'))\n")
    code = spawn._BOOTSTRAP.format(path=str(tmp_path))
    result = subprocess.run([sys.executable, "-I", "-S", "-c", code], capture_output=True, text=True, check=True)
    assert result.stdout == "7\n"


def test_a_socket_that_a_dead_supervisor_s_child_still_holds_is_no_supervisor(tmp_path: Path) -> None:
    with socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET) as left_over:
        left_over.bind(f"{tmp_path}/{spawn.SOCKET_NAME}")
        left_over.listen()
        assert not spawn.is_serving(str(tmp_path))
        (tmp_path / spawn.LOCK_NAME).touch()
        assert not spawn.is_serving(str(tmp_path))
