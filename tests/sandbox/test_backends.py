"""Which backend is chosen, and what is said where one cannot be used."""

from __future__ import annotations

import contextlib
import socket
import subprocess
import threading
import time
from pathlib import Path

import docker.errors
import pytest
import requests

from sandbox import backends, images
from sandbox.backends import diagnose, open_sandbox
from sandbox.containers import container_settings
from sandbox.docker import DockerSandbox, translated
from sandbox.errors import EnvironmentFailed, SandboxBroken, SandboxUnavailable
from sandbox.furnishing import inspect
from sandbox.limits import MIB, Limits
from sandbox.protocol import Command, EnvironmentDefinition
from sandbox.tree import Tree

from .conftest import TREE


def test_a_backend_that_does_not_exist() -> None:
    with pytest.raises(SandboxUnavailable, match="choose auto, docker, bubblewrap or local"):
        open_sandbox("podman")


def test_a_daemon_that_is_not_there(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("DOCKER_HOST", f"unix://{tmp_path}/absent.sock")
    with pytest.raises(SandboxUnavailable, match="No Docker daemon answers"):
        open_sandbox("docker")


def test_a_daemon_that_does_not_answer(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    with socket.socket(socket.AF_UNIX) as server:
        server.bind(str(tmp_path / "silent.sock"))
        server.listen()
        monkeypatch.setenv("DOCKER_HOST", f"unix://{tmp_path}/silent.sock")
        started = time.monotonic()
        with pytest.raises(SandboxUnavailable, match="in time"):
            DockerSandbox(answer_seconds=1)
        assert time.monotonic() - started < 10.0


def test_errors_of_the_sdk_become_ours() -> None:
    denied = docker.errors.DockerException("('Connection aborted.', PermissionError(13, 'Permission denied'))")
    assert "may not use" in str(translated(denied))
    response = requests.Response()
    response.status_code = 500
    refused = translated(docker.errors.APIError("no", response=response, explanation="out of space"))
    assert isinstance(refused, SandboxBroken)
    assert "out of space" in str(refused)


def test_without_any_backend(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("DOCKER_HOST", f"unix://{tmp_path}/absent.sock")
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(SandboxUnavailable, match="install and start Docker, or install bubblewrap"):
        open_sandbox("auto")
    found = {finding.backend: finding for finding in diagnose()}
    assert not found["docker"].usable
    assert not found["bubblewrap"].usable
    assert "install the package bubblewrap" in found["bubblewrap"].reason
    assert found["local"].usable
    assert dict(found["local"].lacking)["no-network"]


def test_a_bubblewrap_that_cannot_make_namespaces(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    program = tmp_path / "bwrap"
    program.write_text("#!/bin/sh\n[ \"$1\" = --help ] && exit 0\necho 'bwrap: No permissions' >&2\nexit 1\n")
    program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:/usr/bin:/bin")
    with pytest.raises(SandboxUnavailable, match=r"No permissions.*namespaces"):
        open_sandbox("bubblewrap")
    program.write_text('#!/bin/sh\n[ "$1" = --help ] || sleep 30\n')
    from sandbox.bubblewrap import BubblewrapSandbox

    with pytest.raises(SandboxUnavailable, match="does not work"):
        BubblewrapSandbox(answer_seconds=0.3)


def test_an_old_bubblewrap_says_what_it_lacks(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    program = tmp_path / "bwrap"
    program.write_text("#!/bin/sh\nexit 0\n")
    program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:/usr/bin:/bin")
    with contextlib.closing(open_sandbox("bubblewrap")) as old:
        assert "0.8" in str(old.promises()["disk"])


@pytest.mark.docker
def test_docker_is_preferred() -> None:
    with contextlib.closing(open_sandbox("auto")) as best:
        assert best.name == "docker"


@pytest.mark.bubblewrap
def test_bubblewrap_comes_next(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("DOCKER_HOST", f"unix://{tmp_path}/absent.sock")
    with contextlib.closing(open_sandbox("auto")) as best:
        assert best.name == "bubblewrap"
    assert backends.BACKENDS[-1] == "local"


def test_containers_are_hardened() -> None:
    settings = container_settings(Limits(memory_bytes=64 * MIB, disk_bytes=512 * MIB), sealed=True)
    host = settings["HostConfig"]
    assert host["NetworkMode"] == "none"
    assert host["ReadonlyRootfs"]
    assert host["CapDrop"] == ["ALL"]
    assert set(host["CapAdd"]) == {"SETUID", "SETGID", "KILL"}
    assert host["Memory"] == host["MemorySwap"] == 64 * MIB
    assert "Binds" not in host
    assert "size=25165824" in host["Tmpfs"]["/work"]


@pytest.mark.docker
def test_limits_of_a_container_are_the_daemons_too() -> None:
    with contextlib.closing(DockerSandbox()) as sandbox:
        environment = sandbox.prepare(EnvironmentDefinition(), print)
        with sandbox.open(TREE, environment, Limits(pids=50, memory_bytes=256 * MIB)) as workspace:
            shown = subprocess.run(["docker", "inspect", workspace.id], capture_output=True, text=True, check=True)
            assert '"PidsLimit": 58' in shown.stdout
            assert '"Memory": 268435456' in shown.stdout
            assert "docker.sock" not in shown.stdout


@pytest.mark.docker
def test_an_environment_that_was_removed_is_said() -> None:
    with contextlib.closing(DockerSandbox()) as sandbox:
        environment = sandbox.prepare(EnvironmentDefinition(), print)
        from dataclasses import replace

        with pytest.raises(EnvironmentFailed, match="prepare it again"):
            sandbox.open(TREE, replace(environment, reference="sha256:" + "0" * 64))


@pytest.mark.docker
@pytest.mark.slow
@pytest.mark.skipif(not Path("/usr/bin/python3").exists(), reason="needs the system's own Python for a base image")
def test_builds_on_a_named_base_image(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    interpreter = inspect("/usr/bin/python3")
    with (tmp_path / "root.tar").open("wb") as file:
        files = images.root_files(interpreter, with_sites=False)
        files.add("/usr/bin/python3")
        images.write_tar(files, interpreter, file)
    name = "greendiff-test:base"
    subprocess.run(["docker", "import", str(tmp_path / "root.tar"), name], check=True, capture_output=True)
    monkeypatch.setenv("GREENDIFF_BASE_IMAGE", name)
    made = [name]
    try:
        with contextlib.closing(DockerSandbox()) as sandbox:
            definition = EnvironmentDefinition(distribution=("x", f"1.{time.time_ns()}"))
            environment = sandbox.prepare(definition, print)
            made.append(environment.reference)
            assert environment.versions["python"] == interpreter.version
            with sandbox.open(Tree({}), environment) as workspace:
                done = workspace.run(Command((workspace.python, "-c", "import pytest, sys; print(sys.base_prefix)")))
                assert done.stdout == b"/usr\n", done.stderr
        monkeypatch.setenv("GREENDIFF_BASE_IMAGE", "greendiff-test:absent")
        with contextlib.closing(DockerSandbox()) as sandbox, pytest.raises((EnvironmentFailed, SandboxBroken)):
            sandbox.prepare(definition, print)
    finally:
        subprocess.run(["docker", "rmi", "-f", *made], capture_output=True)


def test_a_root_file_system_has_what_it_should(tmp_path: Path) -> None:
    interpreter = inspect("/usr/bin/python3" if Path("/usr/bin/python3").exists() else "python3")
    files = images.root_files(interpreter, with_sites=False)
    names = set(files.files)
    assert f"{interpreter.stdlib}/unittest/mock.py" in names
    assert not any(f"{interpreter.stdlib}/test/test_" in name for name in names)
    assert not any("__pycache__" in name or "/dist-packages/" in name for name in names)
    assert any(name.rpartition("/")[2].startswith("libc.so") for name in names)
    assert not any(name in names for name in ("/etc/shadow", "/etc/hostname"))
    again = images.root_files(interpreter, with_sites=False)
    assert files.key() == again.key()


def test_threads_share_one_daemon(monkeypatch: pytest.MonkeyPatch) -> None:
    opened: list[str] = []
    with contextlib.closing(open_sandbox("local")) as sandbox:
        environment = sandbox.prepare(EnvironmentDefinition(), print)

        def use() -> None:
            with sandbox.open(TREE, environment) as workspace:
                opened.append(workspace.run(Command(("pwd",))).stdout.decode())

        threads = [threading.Thread(target=use) for _ in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    assert len(set(opened)) == 4
