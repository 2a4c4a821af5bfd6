"""The real docker command, used as people use it, on our engine and on dockerd."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

from tests.conformance.conftest import DockerCli
from tests.support.busybox import build_archive
from tests.support.engines import wait_until

RUN = ("run", "--rm", "--network", "none")


class TestRun:
    def test_prints_what_the_program_prints_on_each_stream(self, docker: DockerCli) -> None:
        done = docker(*RUN, "busybox", "sh", "-c", "echo out; echo err >&2")
        assert (done.stdout, done.stderr) == ("out\n", "err\n")

    def test_exits_with_the_programs_status(self, docker: DockerCli) -> None:
        docker(*RUN, "busybox", "sh", "-c", "exit 42", status=42)

    def test_exits_with_128_and_the_signal(self, docker: DockerCli) -> None:
        with docker.start(*RUN, "--name", "victim", "busybox", "sleep", "600") as run:
            wait_until(lambda: docker("ps", "-q").stdout, "the container to run")
            docker("kill", "victim")
            assert run.wait(20) == 137

    def test_leaves_no_container_with_rm(self, docker: DockerCli) -> None:
        docker(*RUN, "busybox", "true")
        wait_until(lambda: docker("ps", "-aq").stdout == "", "the container to be removed")

    def test_passes_stdin_until_its_end(self, docker: DockerCli) -> None:
        done = docker(*RUN, "-i", "busybox", "sh", "-c", "cat; echo end", stdin=b"one\ntwo\n")
        assert done.stdout == "one\ntwo\nend\n"

    def test_passes_a_megabyte_through_stdin_and_back(self, docker: DockerCli) -> None:
        data = b"0123456789abcde\n" * 65536
        done = docker(*RUN, "-i", "busybox", "cat", stdin=data)
        assert done.stdout.encode() == data

    def test_delivers_32_megabytes_complete(self, docker: DockerCli) -> None:
        done = docker(*RUN, "busybox", "sh", "-c", "yes 0123456789abcde | head -c 33554432")
        assert len(done.stdout) == 33554432

    def test_gives_a_terminal_with_t(self, docker: DockerCli) -> None:
        done = docker(*RUN, "-t", "busybox", "sh", "-c", "tty; test -t 1 && echo yes")
        assert done.stdout == "/dev/pts/0\r\nyes\r\n"

    def test_answers_127_for_a_missing_program_and_names_it(self, docker: DockerCli) -> None:
        done = docker(*RUN, "busybox", "no-such-program", status=127)
        assert 'exec: "no-such-program": executable file not found in $PATH' in done.stderr

    def test_answers_127_for_a_missing_path(self, docker: DockerCli) -> None:
        done = docker(*RUN, "busybox", "/no/such/program", status=127)
        assert "/no/such/program: no such file or directory" in done.stderr

    def test_answers_126_for_a_program_that_cannot_be_executed(self, docker: DockerCli) -> None:
        done = docker(*RUN, "busybox", "/etc/passwd", status=126)
        assert "permission denied" in done.stderr

    def test_answers_125_for_a_flag_that_does_not_exist(self, docker: DockerCli) -> None:
        assert "unknown flag: --no-such-flag" in docker("run", "--no-such-flag", "busybox", status=125).stderr

    def test_has_pid_1_and_no_other_processes(self, docker: DockerCli) -> None:
        assert docker(*RUN, "busybox", "sh", "-c", "echo $$ /proc/[0-9]*").stdout == "1 /proc/1\n"

    def test_has_loopback_alone_with_network_none(self, docker: DockerCli) -> None:
        done = docker(
            *RUN, "busybox", "sh", "-c", "ls /sys/class/net; ping -c 1 -W 1 127.0.0.1 >/dev/null && echo up"
        )
        assert done.stdout.split() == ["lo", "up"]


class TestRunOptions:
    @pytest.mark.parametrize(
        ("options", "program", "expected"),
        [
            pytest.param(["--hostname", "cask"], "hostname", "cask", id="hostname"),
            pytest.param(["--env", "COLOUR=red"], "echo $COLOUR", "red", id="env"),
            pytest.param(["--workdir", "/srv/new"], "pwd", "/srv/new", id="workdir"),
            pytest.param(["--user", "daemon"], "id -un; id -u; id -g", "daemon 1 1", id="user"),
            pytest.param(["--user", "1234:4321"], "id -u; id -g", "1234 4321", id="numeric user"),
            pytest.param(["--group-add", "10"], "id -G", "0 10", id="group-add"),
            pytest.param(["--read-only"], "touch /x 2>/dev/null || echo refused", "refused", id="read-only"),
            pytest.param(["--tmpfs", "/cache:size=1m"], "df -k /cache | awk 'END{print $2}'", "1024", id="tmpfs"),
            pytest.param(["--ulimit", "nofile=100:200"], "ulimit -Sn; ulimit -Hn", "100 200", id="ulimit"),
            pytest.param(["--oom-score-adj", "500"], "cat /proc/1/oom_score_adj", "500", id="oom-score-adj"),
            pytest.param(["--cap-drop", "ALL"], "grep CapEff /proc/1/status", "CapEff: " + "0" * 16, id="drop"),
            pytest.param(
                ["--cap-drop", "ALL", "--cap-add", "NET_RAW"],
                "grep CapEff /proc/1/status", "CapEff: 0000000000002000", id="cap-add",
            ),
            pytest.param([], "grep CapEff /proc/1/status", "CapEff: 00000000a80425fb", id="default capabilities"),
            pytest.param([], "grep Seccomp: /proc/1/status", "Seccomp: 2", id="default seccomp"),
            pytest.param(
                ["--security-opt", "seccomp=unconfined"],
                "grep Seccomp: /proc/1/status", "Seccomp: 0", id="unconfined",
            ),
            pytest.param(
                ["--security-opt", "no-new-privileges"],
                "grep NoNewPrivs /proc/1/status", "NoNewPrivs: 1", id="no-new-privileges",
            ),
            pytest.param(["--shm-size", "2m"], "df -k /dev/shm | awk 'END{print $2}'", "2048", id="shm"),
        ],
    )  # fmt: skip
    def test_reaches_the_program(self, docker: DockerCli, options: list[str], program: str, expected: str) -> None:
        assert docker(*RUN, *options, "busybox", "sh", "-c", program).stdout.split() == expected.split()

    @pytest.mark.parametrize(
        ("options", "file", "expected"),
        [
            (["--memory", "64m"], "memory/memory.limit_in_bytes", "67108864"),
            (["--cpus", "0.5"], "cpu/cpu.cfs_quota_us", "50000"),
            (["--cpu-shares", "512"], "cpu/cpu.shares", "512"),
            (["--cpuset-cpus", "0"], "cpuset/cpuset.cpus", "0"),
            (["--pids-limit", "17"], "pids/pids.max", "17"),
        ],
    )
    def test_limits_are_in_the_programs_cgroup(
        self, docker: DockerCli, options: list[str], file: str, expected: str
    ) -> None:
        if Path("/sys/fs/cgroup/cgroup.controllers").exists():
            pytest.skip("reads cgroup v1 files")
        assert docker(*RUN, *options, "busybox", "cat", f"/sys/fs/cgroup/{file}").stdout.strip() == expected

    def test_a_bind_mount_shows_the_hosts_directory(self, docker: DockerCli, tmp_path: Path) -> None:
        (tmp_path / "file").write_text("from the host\n")
        docker(*RUN, "-v", f"{tmp_path}:/data", "busybox", "cp", "/data/file", "/data/copy")
        assert (tmp_path / "copy").read_text() == "from the host\n"

    def test_a_read_only_bind_mount_cannot_be_written(self, docker: DockerCli, tmp_path: Path) -> None:
        done = docker(*RUN, "-v", f"{tmp_path}:/data:ro", "busybox", "touch", "/data/x", status=1)
        assert "Read-only file system" in done.stderr

    def test_a_missing_source_of_a_mount_is_named(self, docker: DockerCli, tmp_path: Path) -> None:
        mount = f"type=bind,source={tmp_path}/none,target=/data"
        done = docker(*RUN, "--mount", mount, "busybox", "true", status=125)
        assert f"bind source path does not exist: {tmp_path}/none" in done.stderr

    def test_a_program_above_its_memory_limit_is_oom_killed(self, docker: DockerCli) -> None:
        limits = ["--memory", "16m", "--memory-swap", "16m"]
        docker("run", "--name", "hungry", "--network", "none", *limits, "busybox", "tail", "/dev/zero", status=137)
        assert docker("inspect", "-f", "{{.State.OOMKilled}}", "hungry").stdout == "true\n"

    def test_entrypoint_and_command_are_joined(self, docker: DockerCli) -> None:
        assert docker(*RUN, "--entrypoint", "echo", "busybox", "a", "b").stdout == "a b\n"

    def test_a_restart_policy_tries_as_often_as_it_says(self, docker: DockerCli) -> None:
        container = docker.run_detached("--restart", "on-failure:2", "busybox", "false")

        def restarts() -> str:
            return docker("inspect", "-f", "{{.State.Status}} {{.RestartCount}}", container).stdout.strip()

        wait_until(lambda: restarts() == "exited 2", "two restarts", timeout_s=20)


class TestPs:
    def test_shows_a_running_container_as_docker_does(self, docker: DockerCli) -> None:
        container = docker.run_detached("--name", "sleeper", "busybox", "sleep", "600")
        header, line = docker("ps").stdout.splitlines()
        assert header.split() == ["CONTAINER", "ID", "IMAGE", "COMMAND", "CREATED", "STATUS", "PORTS", "NAMES"]
        pattern = rf'{container[:12]} +busybox +"sleep 600" +.* ago +Up .* +sleeper'
        assert re.fullmatch(pattern, line.rstrip())

    def test_shows_stopped_ones_with_all_and_their_status(self, docker: DockerCli) -> None:
        docker("run", "--name", "failed", "--network", "none", "busybox", "false", status=1)
        assert docker("ps", "-q").stdout == ""
        assert "Exited (1)" in docker("ps", "-a").stdout

    def test_filters_by_name_label_and_status(self, docker: DockerCli) -> None:
        docker.run_detached("--name", "one", "--label", "team=a", "busybox", "sleep", "600")
        docker("create", "--name", "two", "--label", "team=b", "busybox", "true")

        def names(*filters: str) -> list[str]:
            options = [word for item in filters for word in ("--filter", item)]
            return sorted(docker("ps", "-a", "--format", "{{.Names}}", *options).stdout.split())

        assert names("name=one") == ["one"]
        assert names("label=team") == ["one", "two"]
        assert names("label=team=b") == ["two"]
        assert names("status=created") == ["two"]
        assert names("status=running", "status=created") == ["one", "two"]


class TestLogs:
    @pytest.fixture
    def talker(self, docker: DockerCli) -> str:
        program = "for i in 1 2 3 4 5; do echo out $i; echo err $i >&2; done"
        container = docker.run_detached("busybox", "sh", "-c", program)
        docker("wait", container)
        return container

    def test_keeps_the_streams_apart_and_complete(self, docker: DockerCli, talker: str) -> None:
        done = docker("logs", talker)
        assert done.stdout.splitlines() == [f"out {i}" for i in range(1, 6)]
        assert done.stderr.splitlines() == [f"err {i}" for i in range(1, 6)]

    def test_tail_counts_lines_from_the_end(self, docker: DockerCli, talker: str) -> None:
        done = docker("logs", "--tail", "3", talker)
        assert len((done.stdout + done.stderr).splitlines()) == 3

    def test_timestamps_are_rfc3339_nanoseconds(self, docker: DockerCli, talker: str) -> None:
        lines = docker("logs", "--timestamps", talker).stdout.splitlines()
        assert all(re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{1,9}Z out \d", line) for line in lines)

    def test_since_the_future_there_is_nothing(self, docker: DockerCli, talker: str) -> None:
        assert docker("logs", "--since", "2199-01-01T00:00:00Z", talker).stdout == ""

    def test_follow_shows_what_comes_and_ends_with_the_container(self, docker: DockerCli) -> None:
        container = docker.run_detached("busybox", "sh", "-c", "echo first; sleep 0.5; echo last")
        assert docker("logs", "--follow", container).stdout == "first\nlast\n"

    def test_of_a_container_that_is_not_there(self, docker: DockerCli) -> None:
        assert "No such container: nobody" in docker("logs", "nobody", status=1).stderr


class TestExec:
    @pytest.fixture
    def sleeper(self, docker: DockerCli) -> str:
        return docker.run_detached("--env", "FROM=container", "busybox", "sleep", "600")

    def test_runs_in_the_containers_namespaces_and_environment(self, docker: DockerCli, sleeper: str) -> None:
        done = docker("exec", sleeper, "sh", "-c", "hostname; echo $FROM; cat /proc/1/cmdline | tr '\\0' ' '")
        assert done.stdout.split() == [sleeper[:12], "container", "sleep", "600"]

    def test_keeps_streams_apart_and_returns_the_status(self, docker: DockerCli, sleeper: str) -> None:
        done = docker("exec", sleeper, "sh", "-c", "echo out; echo err >&2; exit 7", status=7)
        assert (done.stdout, done.stderr) == ("out\n", "err\n")

    def test_passes_stdin(self, docker: DockerCli, sleeper: str) -> None:
        assert docker("exec", "-i", sleeper, "cat", stdin=b"typed\n").stdout == "typed\n"

    def test_takes_env_workdir_and_user(self, docker: DockerCli, sleeper: str) -> None:
        options = ["--env", "COLOUR=red", "--workdir", "/tmp", "--user", "daemon"]
        done = docker("exec", *options, sleeper, "sh", "-c", "echo $COLOUR; pwd; id -un")
        assert done.stdout.split() == ["red", "/tmp", "daemon"]

    def test_gives_a_terminal(self, docker: DockerCli, sleeper: str) -> None:
        assert docker("exec", "-t", sleeper, "sh", "-c", "test -t 0 && echo yes").stdout == "yes\r\n"

    def test_answers_127_for_a_missing_program(self, docker: DockerCli, sleeper: str) -> None:
        done = docker("exec", sleeper, "no-such-program", status=None)
        assert done.returncode in (126, 127)  # dockerd 20.10 says 126, 23 and later 127
        assert 'exec: "no-such-program": executable file not found in $PATH' in done.stdout + done.stderr

    def test_goes_on_in_the_background_with_detach(self, docker: DockerCli, sleeper: str) -> None:
        docker("exec", "--detach", sleeper, "sh", "-c", "echo done > /tmp/mark")
        wait_until(lambda: docker("exec", sleeper, "cat", "/tmp/mark", status=None).stdout == "done\n", "the mark")

    def test_needs_a_running_container(self, docker: DockerCli) -> None:
        docker("create", "--name", "idle", "busybox", "true")
        assert "is not running" in docker("exec", "idle", "true", status=1).stderr


class TestLifecycle:
    def test_stop_ends_a_program_that_handles_the_signal(self, docker: DockerCli) -> None:
        program = "trap 'exit 3' TERM; echo ready; while :; do sleep 0.1; done"
        container = docker.run_detached("busybox", "sh", "-c", program)
        wait_until(lambda: "ready" in docker("logs", container).stdout, "the trap to be set")
        docker("stop", container)
        assert docker("inspect", "-f", "{{.State.ExitCode}}", container).stdout == "3\n"

    def test_stop_kills_after_its_timeout(self, docker: DockerCli) -> None:
        container = docker.run_detached("busybox", "sleep", "600")
        docker("stop", "-t", "1", container)
        state = docker("inspect", "-f", "{{.State.Status}} {{.State.ExitCode}}", container).stdout
        assert state == "exited 137\n"

    def test_stop_of_a_stopped_container_is_no_error(self, docker: DockerCli) -> None:
        docker("run", "--name", "over", "--network", "none", "busybox", "true")
        assert docker("stop", "over").stdout == "over\n"

    def test_start_runs_it_again_on_the_same_files(self, docker: DockerCli) -> None:
        program = "echo again >> /root/count; cat /root/count"
        docker("run", "--name", "twice", "--network", "none", "busybox", "sh", "-c", program)
        assert docker("start", "-a", "twice").stdout == "again\nagain\n"

    def test_restart_gives_a_new_process(self, docker: DockerCli) -> None:
        container = docker.run_detached("busybox", "sleep", "600")
        before = docker("inspect", "-f", "{{.State.Pid}}", container).stdout
        docker("restart", "-t", "0", container)
        assert docker("inspect", "-f", "{{.State.Pid}}", container).stdout not in (before, "0\n")

    def test_kill_sends_the_signal_it_is_told(self, docker: DockerCli) -> None:
        program = "trap 'echo got it; exit 5' USR1; echo ready; while :; do sleep 0.1; done"
        container = docker.run_detached("busybox", "sh", "-c", program)
        wait_until(lambda: "ready" in docker("logs", container).stdout, "the trap to be set")
        docker("kill", "--signal", "USR1", container)
        assert docker("wait", container).stdout == "5\n"
        assert docker("logs", container).stdout == "ready\ngot it\n"

    def test_pause_freezes_and_unpause_thaws(self, docker: DockerCli) -> None:
        container = docker.run_detached("busybox", "sh", "-c", "while :; do echo tick; sleep 0.05; done")
        docker("pause", container)
        assert docker("inspect", "-f", "{{.State.Status}} {{.State.Paused}}", container).stdout == "paused true\n"
        assert "(Paused)" in docker("ps").stdout
        frozen = docker("logs", container).stdout
        assert docker("logs", container).stdout == frozen
        docker("unpause", container)
        wait_until(lambda: len(docker("logs", container).stdout) > len(frozen), "a tick after the thaw")

    def test_wait_prints_the_exit_code(self, docker: DockerCli) -> None:
        container = docker.run_detached("busybox", "sh", "-c", "sleep 0.3; exit 9")
        assert docker("wait", container).stdout == "9\n"

    def test_rename_moves_the_name(self, docker: DockerCli) -> None:
        docker("create", "--name", "before", "busybox", "true")
        docker("rename", "before", "after")
        assert docker("ps", "-a", "--format", "{{.Names}}").stdout == "after\n"

    def test_rm_refuses_a_running_container_and_obeys_force(self, docker: DockerCli) -> None:
        container = docker.run_detached("busybox", "sleep", "600")
        assert "stop the container before" in docker("rm", container, status=1).stderr.lower()
        docker("rm", "--force", container)
        assert docker("ps", "-aq").stdout == ""

    def test_a_name_is_taken_once(self, docker: DockerCli) -> None:
        first = docker("create", "--name", "unique", "busybox", "true").stdout.strip()
        done = docker("create", "--name", "unique", "busybox", "true", status=None)
        assert done.returncode != 0
        assert f'The container name "/unique" is already in use by container "{first}"' in done.stderr

    def test_attach_shows_what_comes_from_now_on(self, docker: DockerCli) -> None:
        program = "read line; echo got $line; read line; exit 4"
        container = docker.run_detached("-i", "busybox", "sh", "-c", program)
        with docker.start("attach", container) as attached:
            assert attached.stdin is not None
            assert attached.stdout is not None
            attached.stdin.write(b"hello\n")
            attached.stdin.flush()
            assert attached.stdout.readline() == b"got hello\n"
            attached.stdin.write(b"bye\n")
            attached.stdin.close()
            assert attached.wait(20) == 4


class TestInspect:
    def test_echoes_what_was_asked_for(self, docker: DockerCli) -> None:
        options = ["--memory", "64m", "--label", "a=b", "--restart", "always", "--network", "none"]
        docker("create", "--name", "asked", *options, "busybox", "sleep", "600")
        [document] = json.loads(docker("inspect", "asked").stdout)
        assert document["Name"] == "/asked"
        assert document["State"]["Status"] == "created"
        assert (document["Path"], document["Args"]) == ("sleep", ["600"])
        assert document["Config"]["Labels"] == {"a": "b"}
        assert document["HostConfig"]["Memory"] == 67108864
        assert document["HostConfig"]["RestartPolicy"] == {"Name": "always", "MaximumRetryCount": 0}
        assert document["Image"] == docker("image", "inspect", "-f", "{{.Id}}", "busybox").stdout.strip()

    def test_of_nothing_says_so(self, docker: DockerCli) -> None:
        assert "No such object: nobody" in docker("inspect", "nobody", status=1).stderr


class TestImages:
    def test_lists_and_inspects_the_loaded_image(self, docker: DockerCli) -> None:
        lines = docker("images", "--format", "{{.Repository}}:{{.Tag}} {{.ID}}").stdout.splitlines()
        image_id = docker("image", "inspect", "-f", "{{.Id}}", "busybox").stdout.strip()
        assert f"busybox:latest {image_id.removeprefix('sha256:')[:12]}" in lines

    def test_load_tag_and_remove(self, docker: DockerCli) -> None:
        done = docker("load", stdin=build_archive("example/second:v1"))
        assert done.stdout == "Loaded image: example/second:v1\n"
        docker("tag", "example/second:v1", "third")
        removed = docker("rmi", "example/second:v1", "third").stdout.splitlines()
        assert removed == ["Untagged: example/second:v1", "Untagged: third:latest"]
        assert docker("images", "-q", "third").stdout == ""

    def test_removal_of_an_image_in_use_is_refused(self, docker: DockerCli) -> None:
        docker("create", "--name", "user", "busybox", "true")
        done = docker("rmi", "busybox", status=1)
        assert re.search("conflict: unable to .* is using its referenced image", done.stderr)

    def test_a_corrupt_archive_is_refused(self, docker: DockerCli) -> None:
        assert docker("load", stdin=b"not an archive" * 1000, status=1).stderr

    def test_history_has_a_line_per_step(self, docker: DockerCli) -> None:
        assert "busybox-static" in docker("history", "--no-trunc", "busybox").stdout


class TestSystem:
    def test_version_shows_client_and_server(self, docker: DockerCli) -> None:
        assert docker("version", "--format", "{{.Server.Version}} {{.Server.Os}}").stdout.split()[1] == "linux"

    def test_info_counts_containers(self, docker: DockerCli) -> None:
        docker("create", "busybox", "true")
        assert docker("info", "--format", "{{.Containers}} {{.ContainersRunning}}").stdout == "1 0\n"
