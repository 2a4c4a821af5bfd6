"""What ``make run`` shows: an engine of its own, a container with limits, and what that container sees.

Every step is the command that a user would type, printed before it runs. The engine has its own instance name,
data root (build/demo, kept, so that the image is assembled once) and run root (removed), and meets no other
engine on the machine. Whatever happens, the container and the engine are gone at the end.
"""

from __future__ import annotations

import contextlib
import os
import shlex
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
RUNDLET = Path(sys.executable).parent / "rundlet"
DATA_ROOT = ROOT / "build" / "demo"
INSTANCE = "demo"
START_TIMEOUT_S = 30
STOP_TIMEOUT_S = 30

# Runs inside the container, with the Python of the assembled image.
PROGRAM = """
import os, signal, socket, sys, time

def read(path):
    try:
        return open(path).read().strip()
    except OSError as error:
        return error.strerror

def limit(v1, v2):
    root = "/sys/fs/cgroup/"
    return read(root + (v2 if os.path.exists(root + "cgroup.controllers") else v1))

signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
host_file, host_pid = sys.argv[1:]
print("hostname       ", socket.gethostname())
print("my pid         ", os.getpid())
print("all processes  ", sorted(int(name) for name in os.listdir("/proc") if name.isdigit()))
print("memory limit   ", limit("memory/memory.limit_in_bytes", "memory.max"), "bytes")
print("cpu quota      ", limit("cpu/cpu.cfs_quota_us", "cpu.max"), "us in every 100000")
print("pids limit     ", limit("pids/pids.max", "pids.max"))
print("capabilities   ", read("/proc/self/status").split("CapEff:")[1].split()[0])
print("seccomp mode   ", read("/proc/self/status").split("Seccomp:")[1].split()[0], "(2 = filtered)")
print("host's file    ", host_file, "is there" if os.path.exists(host_file) else "is not there")
print("host's process ", host_pid, "is there" if os.path.exists("/proc/" + host_pid) else "is not there")
print("mounts:")
for line in open("/proc/self/mounts"):
    source, target, kind = line.split()[:3]
    print("   ", target, "(" + kind + ")")
children = []
try:
    while True:
        child = os.fork()
        if child == 0:
            time.sleep(60)
            os._exit(0)
        children.append(child)
except OSError as error:
    print("fork number", len(children) + 1, "was refused:", error.strerror)
for child in children:
    os.kill(child, 9)
    os.waitpid(child, 0)
print("ready", flush=True)
time.sleep(3600)
"""


def say(text: str) -> None:
    print(f"\n\033[1m{text}\033[0m" if sys.stdout.isatty() else f"\n{text}", flush=True)


def rundlet(environment: dict[str, str], *arguments: str, shown: str = "") -> None:
    """Print the command (or ``shown`` in its place) and run it."""
    say(f"$ {shown or shlex.join(['rundlet', *arguments])}")
    subprocess.run([RUNDLET, *arguments], env=environment, check=True)


def output_of(environment: dict[str, str], *arguments: str) -> str:
    return subprocess.run(
        [RUNDLET, *arguments], env=environment, check=True, text=True, stdout=subprocess.PIPE
    ).stdout


@contextlib.contextmanager
def engine(run_root: Path) -> Iterator[dict[str, str]]:
    """A daemon in the background; the environment in which the CLI finds it."""
    host = f"unix://{run_root}/rundlet.sock"
    command = ["daemon", "--stop-containers", "--instance", INSTANCE, "--host", host]
    command += ["--data-root", str(DATA_ROOT), "--run-root", str(run_root)]
    say(f"$ {shlex.join(['rundlet', *command])} &")
    log_path = run_root.parent / "daemon.log"
    environment = {**os.environ, "RUNDLET_HOST": host}
    with log_path.open("wb") as log:
        daemon = subprocess.Popen([RUNDLET, *command], stdin=subprocess.DEVNULL, stdout=log, stderr=log)
    try:
        deadline = time.monotonic() + START_TIMEOUT_S
        while not (run_root / "rundlet.sock").exists():
            if daemon.poll() is not None or time.monotonic() > deadline:
                raise SystemExit(f"demo: the engine did not start:\n{log_path.read_text(errors='replace')}")
            time.sleep(0.02)
        yield environment
    finally:
        if daemon.poll() is None:
            subprocess.run([RUNDLET, "rm", "--force", "cask"], env=environment, check=False, capture_output=True)
            daemon.terminate()
            daemon.wait(STOP_TIMEOUT_S)


def show(environment: dict[str, str]) -> None:
    """The README's promise, step by step."""
    if not output_of(environment, "images", "--quiet", "rundlet/host"):
        rundlet(environment, "image", "assemble")
    rundlet(environment, "images")
    limits = ["--memory", "64m", "--cpus", "0.5", "--pids-limit", "16", "--network", "none"]
    options = ["run", "--detach", "--name", "cask", "--hostname", "cask", *limits, "rundlet/host"]
    program = ["python3", "-c", PROGRAM, str(Path(__file__).resolve()), str(os.getpid())]
    rundlet(environment, *options, *program, shown=f"rundlet {shlex.join(options)} python3 -c PROGRAM")
    rundlet(environment, "ps")
    wait_for_line(environment, "ready")
    rundlet(environment, "logs", "cask")
    rundlet(
        environment,
        "exec",
        "cask",
        "sh",
        "-c",
        "echo a second program, pid $$, in the same container: $(hostname)",
    )
    state = "{{.State.Status}} pid={{.State.Pid}} memory={{.HostConfig.Memory}} pids={{.HostConfig.PidsLimit}}"
    rundlet(environment, "inspect", "--format", state, "cask")
    rundlet(environment, "stop", "cask")
    rundlet(environment, "inspect", "--format", "{{.State.Status}} exit={{.State.ExitCode}}", "cask")
    rundlet(environment, "rm", "cask")
    rundlet(environment, "ps", "--all")


def wait_for_line(environment: dict[str, str], text: str) -> None:
    """Follow the container's log until ``text`` comes."""
    command: list[str | Path] = [RUNDLET, "logs", "--follow", "cask"]
    with subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, text=True) as logs:
        assert logs.stdout is not None
        found = any(line.strip() == text for line in logs.stdout)
        logs.terminate()
    if not found:
        raise SystemExit(f"demo: the container ended before it said {text!r}")


def main() -> int:
    if os.geteuid() != 0:
        print(
            "make run: needs root, because it makes namespaces, cgroups and mounts: sudo make run", file=sys.stderr
        )
        return 1
    DATA_ROOT.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix="rundlet-demo-") as directory:
        try:
            with engine(Path(directory) / "run") as environment:
                show(environment)
        except subprocess.CalledProcessError as error:
            print(f"demo: that command failed with status {error.returncode}", file=sys.stderr)
            return 1
    say("The engine is stopped; its data root is build/demo (make clean removes it).")
    return 0


if __name__ == "__main__":
    sys.exit(main())
