"""Nothing is left after a run, an exception, an interruption or `kill -9`, and nothing that lives is taken away."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from sandbox import cgroups, owners
from sandbox.backends import open_sandbox
from sandbox.bubblewrap import BubblewrapSandbox
from sandbox.docker import DockerSandbox
from sandbox.errors import SandboxBroken
from sandbox.limits import Limits
from sandbox.local import LocalSandbox
from sandbox.protocol import Command, Environment, EnvironmentDefinition, Sandbox

from .conftest import TREE, Open

_OWNER = """
import sys, threading, time
from sandbox.backends import open_sandbox
from sandbox.protocol import Command, EnvironmentDefinition
from sandbox.tree import Entry, Tree

sandbox = open_sandbox(sys.argv[1])
environment = sandbox.prepare(EnvironmentDefinition(), lambda line: None)
workspace = sandbox.open(Tree({"a": Entry(b"a")}), environment)
program = "import os, time; os.fork() or os.setsid(); print('up', flush=True); time.sleep(600)"
process = workspace.start(Command((workspace.python, "-c", program, sys.argv[2])))
process.receive(20.0)
print("ready", workspace.id, flush=True)
time.sleep(600)
"""


def _processes(mark: str) -> list[int]:
    found = []
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit() and int(entry.name) != os.getpid():
            with contextlib.suppress(OSError):
                words = (entry / "cmdline").read_bytes().split(b"\0")
                if mark.encode() in words and b"-I" not in words:
                    found.append(int(entry.name))
    return found


def _left_by(pid: int) -> list[str]:
    """Return the containers, folders and groups that carry the label of process `pid`."""
    names = [str(path) for path in Path(tempfile.gettempdir()).glob(f"greendiff-{pid}.*")]
    names += [str(path) for parent in Path("/sys/fs/cgroup").glob("*") for path in parent.rglob(f"greendiff-{pid}.*")]
    listed = subprocess.run(
        ["docker", "ps", "-a", "--format", '{{.ID}} {{.Label "greendiff.owner"}}'], capture_output=True, text=True
    )
    names += [line for line in listed.stdout.splitlines() if line.split()[-1].startswith(f"{pid}.")]
    return names


def _gone(pid: int, mark: str, seconds: float) -> list[str]:
    deadline = time.monotonic() + seconds
    left = ["?"]
    while left and time.monotonic() < deadline:
        time.sleep(0.1)
        left = _left_by(pid) + [f"process {found}" for found in _processes(mark)]
    return left


@contextlib.contextmanager
def _owner(name: str, mark: str) -> Iterator[subprocess.Popen[str]]:
    argv = [sys.executable, "-c", _OWNER, name, mark]
    with subprocess.Popen(argv, stdout=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout is not None
            assert process.stdout.readline().startswith("ready")
            yield process
        finally:
            process.kill()


@pytest.mark.parametrize("how", [signal.SIGKILL, signal.SIGTERM, signal.SIGINT])
def test_nothing_outlives_a_killed_owner(sandbox: Sandbox, environment: Environment, how: signal.Signals) -> None:
    assert sandbox.promises()["gone-after-sigkill"] is None
    mark = f"owned-{sandbox.name}-{how.name}"
    with _owner(sandbox.name, mark) as process:
        assert _left_by(process.pid) or sandbox.name == "bubblewrap"
        assert len([pid for pid in _processes(mark) if pid != process.pid]) == 2
        process.send_signal(how)
        process.wait()
    assert _gone(process.pid, mark, 10.0) == []


def test_an_interrupted_command_is_dead(fresh: Open) -> None:
    workspace = fresh()
    script = Command((workspace.python, "-c", "import time; open('up', 'w').close(); time.sleep(600)", "interrupted"))

    def interrupt() -> None:
        deadline = time.monotonic() + 20.0
        while time.monotonic() < deadline:
            with contextlib.suppress(FileNotFoundError):
                workspace.read("up")
                break
        signal.raise_signal(signal.SIGINT) if threading.current_thread() is threading.main_thread() else os.kill(
            os.getpid(), signal.SIGINT
        )

    thread = threading.Thread(target=interrupt)
    thread.start()
    with pytest.raises(KeyboardInterrupt):
        workspace.run(script)
    thread.join()
    deadline = time.monotonic() + 5.0
    while _processes("interrupted") and time.monotonic() < deadline:
        time.sleep(0.05)
    assert _processes("interrupted") == []
    assert workspace.run(Command(("echo", "goes on"))).stdout == b"goes on\n"


def test_an_exception_leaves_nothing(sandbox: Sandbox, environment: Environment) -> None:
    before = set(_left_by(os.getpid()))
    with pytest.raises(ZeroDivisionError), sandbox.open(TREE, environment):
        raise ZeroDivisionError
    assert set(_left_by(os.getpid())) <= before


def test_a_sandbox_that_is_closed_closes_its_workspaces(sandbox: Sandbox, environment: Environment) -> None:
    before = set(_left_by(os.getpid()))
    with contextlib.closing(open_sandbox(sandbox.name)) as other:
        workspaces = [other.open(TREE, environment) for _ in range(2)]
        assert len({workspace.id for workspace in workspaces}) == 2
    assert set(_left_by(os.getpid())) <= before
    with pytest.raises(SandboxBroken):
        workspaces[0].read("a/b.py")


@pytest.fixture
def dead() -> str:
    """Return the label of a process that has ended."""
    with subprocess.Popen(
        [sys.executable, "-c", "from sandbox.owners import owner; print(owner())"], stdout=subprocess.PIPE, text=True
    ) as process:
        return process.communicate()[0].strip()


def test_knows_the_dead_from_the_living(dead: str) -> None:
    assert owners.is_dead(dead)
    assert not owners.is_dead(owners.owner())
    pid, start, namespace, boot = owners.owner().split(".")
    assert owners.is_dead(f"{pid}.{int(start) - 1}.{namespace}.{boot}")
    assert not owners.is_dead(f"{pid}.{int(start) - 1}.1.{boot}")
    assert owners.is_dead(f"{pid}.{start}.{namespace}.another")
    assert not owners.is_dead(f"{pid}.{start}.{namespace}.another", other_boots=False)
    for nonsense in ("", "x", "a.b.c.d", "1.2.3"):
        assert not owners.is_dead(nonsense)


def test_folders_of_the_dead_are_removed(dead: str) -> None:
    mine = owners.owned_folder()
    theirs = mine.with_name(f"greendiff-{dead}-abc")
    try:
        (theirs / "locked").mkdir(parents=True)
        (theirs / "locked" / "file").write_text("x")
        (theirs / "locked").chmod(0)
        assert LocalSandbox().reap() >= 1
        assert mine.is_dir()
        assert not theirs.exists()
    finally:
        owners.remove_folder(mine)
        owners.remove_folder(theirs)
    owners.remove_folder(mine)


@pytest.mark.docker
def test_containers_of_the_dead_are_removed(dead: str) -> None:
    with contextlib.closing(DockerSandbox()) as sandbox:
        environment = sandbox.prepare(EnvironmentDefinition(), print)
        argv = ["docker", "create", "--label", f"greendiff.owner={dead}", environment.reference, "true"]
        made = subprocess.run(argv, capture_output=True, text=True, check=True).stdout.strip()
        with sandbox.open(TREE, environment) as living:
            sandbox.reap()
            assert living.run(Command(("true",))).exit_code == 0
        listed = subprocess.run(["docker", "ps", "-aq", "--no-trunc"], capture_output=True, text=True, check=True)
        assert made not in listed.stdout


@pytest.mark.bubblewrap
def test_groups_of_the_dead_are_removed(dead: str, monkeypatch: pytest.MonkeyPatch) -> None:
    mine = cgroups.create(Limits())
    if not mine.folders:
        pytest.skip("no control group can be written here")
    with monkeypatch.context() as patched:
        patched.setattr(cgroups, "owner", lambda: dead)
        theirs = cgroups.create(Limits())
    with subprocess.Popen(["sleep", "60"]) as sleeper:
        for folder in theirs.folders:
            (folder / "cgroup.procs").write_text(str(sleeper.pid))
        with contextlib.closing(BubblewrapSandbox()) as sandbox:
            assert sandbox.reap() >= len(theirs.folders)
        assert sleeper.wait(10) == -signal.SIGKILL
    assert all(folder.is_dir() for folder in mine.folders)
    assert not any(folder.exists() for folder in theirs.folders)
    assert mine.remove()
    assert mine.remove()


# A sandbox that goes away ------------------------------------------------------------------------------------------


@pytest.mark.docker
def test_a_container_that_goes_away_is_said_to() -> None:
    with contextlib.closing(DockerSandbox()) as sandbox:
        workspace = sandbox.open(TREE, sandbox.prepare(EnvironmentDefinition(), print))
        remover = threading.Timer(
            0.5, subprocess.run, (["docker", "rm", "-f", workspace.id],), {"capture_output": True}
        )
        remover.start()
        started = time.monotonic()
        with pytest.raises(SandboxBroken, match="went away"):
            workspace.run(Command(("sleep", "60")))
        assert time.monotonic() - started < 10.0
        with pytest.raises(SandboxBroken):
            workspace.read("a/b.py")
        remover.join()
        workspace.close()


def test_a_resident_that_dies_is_said_to(environment: Environment, sandbox: Sandbox) -> None:
    if sandbox.name != "local":
        pytest.skip("residents of the other backends cannot be killed from outside by their user alone")
    workspace = sandbox.open(TREE, environment)
    program = "import os, signal; k = int(open(f'/proc/{os.getppid()}/stat').read().split()[3]); os.kill(k, 9)"
    with pytest.raises(SandboxBroken, match="went away"):
        workspace.run(Command((workspace.python, "-c", program + "; import time; time.sleep(60)", "last-of-it")))
    workspace.close()
    deadline = time.monotonic() + 5.0
    while _processes("last-of-it") and time.monotonic() < deadline:
        time.sleep(0.05)
    assert _processes("last-of-it") == []
