"""What power a program in a container has, and whom it can reach: never more than Docker's defaults give it."""

from __future__ import annotations

import os
import socket

import pytest

from tests.adversarial.arena import Arena

pytestmark = pytest.mark.privileged


class TestPower:
    @pytest.mark.parametrize(
        ("user", "privileged", "expected"),
        [
            ("", False, ("0000000000000000", "00000000a80425fb", "00000000a80425fb", "0000000000000000")),
            ("1000", False, ("0000000000000000", "0000000000000000", "00000000a80425fb", "0000000000000000")),
            ("1000", True, ("0000000000000000", "0000000000000000", None, "0000000000000000")),
        ],
    )
    def test_of_an_exec_is_dockers(
        self, arena: Arena, user: str, privileged: bool, expected: tuple[str | None, ...]
    ) -> None:
        """Inheritable and ambient sets are empty (CVE-2022-24769, CVE-2022-29162)."""
        container = arena.spawn("busybox", ["sleep", "600"])
        text = arena.execute(container, ["grep", "^Cap", "/proc/self/status"], User=user, Privileged=privileged)
        sets = dict(line.split(":\t") for line in text.splitlines())
        found = tuple(sets[f"Cap{name}"] for name in ("Inh", "Eff", "Bnd", "Amb"))
        assert all(want in (None, have) for want, have in zip(expected, found, strict=True)), found

    def test_groups_of_the_host_are_left_behind(self, arena: Arena) -> None:
        """CVE-2022-36109: and the primary group is among the supplementary ones."""
        said = arena.python("tell([os.getgroups(), os.getgid()])", User="65534:65534").json()
        assert said == [[65534], 65534]

    def test_a_file_that_is_denied_to_its_group_is(self, arena: Arena) -> None:
        script = (
            "echo secret > /tmp/f; chown 0:1000 /tmp/f; chmod 604 /tmp/f; su -s /bin/sh nobody -c true; sleep 600"
        )
        container = arena.spawn("busybox", ["sh", "-c", script])
        arena.wait_for(container, "test $(stat -c %a /tmp/f) = 604")
        said = arena.execute(container, ["cat", "/tmp/f"], User="1234:1000")
        assert "Permission denied" in said

    def test_session_keyrings_are_each_containers_own(self, arena: Arena) -> None:
        """Without a filter keyctl(2) works; what a neighbour has put into its keyring must not be there."""
        host = {"SecurityOpt": ["seccomp=unconfined"]}
        script = (
            'print(_libc.syscall(250, 0, -3, 0)); print(_libc.syscall(248, b"user", b"secret", b"x", 1, -3) > 0)'
        )
        ids = [arena.python(script, host).stdout.split()[0] for _ in range(3)]
        assert len(set(ids)) == 3
        said = arena.python('tell(_libc.syscall(250, 10, -3, b"user", b"secret", 0))', host).json()
        assert said == -1

    def test_a_number_means_a_uid_even_where_the_image_has_a_user_of_that_name(self, arena: Arena) -> None:
        """CVE-2016-3697; and lines that are none are nobody's."""
        lines = (b"1000:x:0:0::/:/bin/sh", b"\0\0:", b"a" * 100_000 + b":x:0:0")
        passwd = b"\n".join((*lines, b"big:x:4294967295:0::/:", b"minus:x:-1:0::/:\n"))
        image = arena.load_layer({"etc/passwd": ("file", passwd)}, base=True)
        assert arena.shell("id -u", User="1000", image=image).stdout == "1000\n"
        for user in ("big", "minus", "4294967295", "-1", "4294967296"):
            container = arena.create(image, ["id"], User=user)
            assert arena.start(container).status in (400, 500), user


class TestNeighbours:
    def test_do_not_see_each_other_or_the_host(self, arena: Arena) -> None:
        first = arena.spawn("busybox", ["sleep", "600"], {"IpcMode": "private"})
        text = arena.execute(first, ["sh", "-c", "ps -o comm; ls /proc | grep -c '^[0-9]'"])
        assert "python" not in text

    def test_cannot_reach_sockets_of_the_host(self, arena: Arena) -> None:
        """CVE-2020-15257: abstract sockets belong to the network namespace."""
        with socket.socket(socket.AF_UNIX) as listener, socket.create_server(("127.0.0.1", 0)) as server:
            listener.bind("\0rundlet-adversary")
            listener.listen()
            port = server.getsockname()[1]
            for mode in ("none", "default", "bridge"):
                answers = arena.python(
                    f"""
import socket
tell([attempt_to(socket.socket(socket.AF_UNIX).connect, "\\0rundlet-adversary"),
      attempt_to(socket.socket().connect, ("127.0.0.1", {port}))])
""",
                    {"NetworkMode": mode},
                ).json()
                assert answers == ["ECONNREFUSED", "ECONNREFUSED"], mode

    def test_of_the_host_cannot_run_set_uid_programs_of_containers(self, arena: Arena) -> None:
        """CVE-2021-41091: an ordinary user of the machine walks into the data root."""
        container = arena.spawn(
            "busybox", ["sh", "-c", "cp /bin/busybox /root-shell; chmod 4755 /root-shell; sleep 600"]
        )
        arena.wait_for(container, "test -u /root-shell")
        data = arena.daemon.data_root
        [program] = data.glob("containers/*/upper/root-shell")
        reader, writer = os.pipe()
        if (child := os.fork()) == 0:
            try:
                os.setgroups([])
                os.setresgid(65534, 65534, 65534)
                os.setresuid(65534, 65534, 65534)
                answers = []
                for path in (
                    program,
                    data,
                    data / "layers",
                    data / "containers",
                    arena.daemon.run_root / "containers",
                ):
                    try:
                        os.stat(path) if path is program else os.listdir(path)
                        answers.append("open")
                    except PermissionError:
                        answers.append("shut")
                os.write(writer, " ".join(answers).encode())
            finally:
                os._exit(0)
        os.close(writer)
        os.waitpid(child, 0)
        assert set(os.read(reader, 1000).decode().split()) == {"shut"}
        os.close(reader)
