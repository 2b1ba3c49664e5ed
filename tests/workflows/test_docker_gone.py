"""Docker going away in the middle of a run: one sentence, nothing lost, and the run goes on when it is back."""

from __future__ import annotations

import contextlib
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.workflows.conftest import BUGGY, Ran
from workflows.runs import cache_folder

SOCKET = "/var/run/docker.sock"


class Proxy:
    """Stands between the Docker client and the daemon, and can be cut."""

    def __init__(self, path: Path) -> None:
        self._server = socket.socket(socket.AF_UNIX)
        self._server.bind(str(path))
        self._server.listen(64)
        self._open: list[socket.socket] = []
        self._cut = threading.Event()
        threading.Thread(target=self._accept, daemon=True).start()

    def _accept(self) -> None:
        while not self._cut.is_set():
            try:
                near, _ = self._server.accept()
            except OSError:
                return
            far = socket.socket(socket.AF_UNIX)
            far.connect(SOCKET)
            self._open += [near, far]
            for source, target in ((near, far), (far, near)):
                threading.Thread(target=self._pass_on, args=(source, target), daemon=True).start()

    @staticmethod
    def _pass_on(source: socket.socket, target: socket.socket) -> None:
        with contextlib.suppress(OSError):
            while data := source.recv(65536):
                target.sendall(data)
            target.shutdown(socket.SHUT_WR)

    def cut(self) -> None:
        self._cut.set()
        self._server.close()
        for one in self._open:
            with contextlib.suppress(OSError):
                one.shutdown(socket.SHUT_RDWR)
            one.close()


@pytest.fixture
def proxy(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Proxy, str]]:
    path = tmp_path_factory.mktemp("p") / "d.sock"
    made = Proxy(path)
    yield made, f"unix://{path}"
    made.cut()


@pytest.mark.docker
@pytest.mark.skipif(not Path(SOCKET).exists(), reason="the daemon does not listen on its usual socket")
def test_docker_goes_away_and_comes_back(
    repository: Callable[..., Path], environment: dict[str, str], proxy: tuple[Proxy, str],
    quick: Callable[..., Ran], tmp_path: Path,
) -> None:  # fmt: skip
    made, host = proxy
    folder = repository({**BUGGY, "README": str(tmp_path)})
    shared = {"GREENDIFF_CACHE_DIR": str(cache_folder())}
    child = subprocess.Popen(
        [sys.executable, "-m", "workflows.cli", "fix", str(folder), "--sandbox", "docker", "--json"],
        env={**environment, **shared, "DOCKER_HOST": host}, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
    )  # fmt: skip
    assert child.stdout is not None
    assert child.stderr is not None
    lines, begun = [], 0.0
    for line in child.stdout:
        lines.append(line)
        if '"search-started"' in line:
            made.cut()
            begun = time.monotonic()
    err = child.stderr.read()
    child.stdout.close()
    child.stderr.close()
    assert child.wait(timeout=60) == 3, (lines[-3:], err)
    assert begun
    assert time.monotonic() - begun < 30, "the run did not notice"
    assert "Traceback" not in err
    assert "greendiff resume" in lines[-1]
    ran = quick("resume", "last", **shared)
    assert ran.code == 0, ran.err
    assert "+    return result - discount" in ran.out
