"""The programs that run inside, run here: their files, their event loop and the making of environments."""

from __future__ import annotations

import contextlib
import io
import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from sandbox import furnishing
from sandbox.client import PROBE, Client, program
from sandbox.errors import SandboxBroken, SandboxError
from sandbox.limits import Limits
from sandbox.pip_settings import PipSettings
from sandbox.probe import furnish
from sandbox.probe.resident_files import Refused, read_file, remove, write_file
from sandbox.protocol import Command, EnvironmentDefinition
from sandbox.resident import Place, ResidentWorkspace
from sandbox.tree import Entry, Tree


class Pipes:
    """A channel to a resident that is started from its files, in this process's own environment."""

    def __init__(self) -> None:
        start = f"import sys; sys.path.insert(0, {str(PROBE)!r}); import resident; resident.main()"
        self.process = subprocess.Popen(
            [sys.executable, "-c", start], stdin=subprocess.PIPE, stdout=subprocess.PIPE, bufsize=0
        )

    def send(self, *parts: bytes) -> None:
        assert self.process.stdin is not None
        for part in parts:
            self.process.stdin.write(part)

    def receive(self) -> bytes:
        assert self.process.stdout is not None
        return self.process.stdout.read(1 << 16) or b""

    def close(self) -> None:
        assert self.process.stdin is not None
        with contextlib.suppress(OSError):
            self.process.stdin.close()
        self.process.wait(20)

    def complaint(self) -> str:
        return "it said this last"


@pytest.fixture
def workspace(tmp_path: Path) -> Iterator[ResidentWorkspace]:
    (tmp_path / "work").mkdir()
    pipes = Pipes()
    place = Place(
        root=str(tmp_path / "work"),
        probe=str(PROBE),
        python=sys.executable,
        env={"PATH": "/usr/bin:/bin"},
        ooms=("/does/not/exist", "/proc/self/status"),
        folders=(str(tmp_path / "home"),),
        remove=(str(tmp_path / "work"),),
    )
    limits = Limits(output_bytes=4096, wall_seconds=20.0)

    def again() -> ResidentWorkspace:
        raise AssertionError("not forked here")

    opened = ResidentWorkspace("here", Client(pipes), place, limits, again=again, closed=lambda: None)
    opened.fill(Tree({"a": Entry(b"1")}), {})
    with opened:
        yield opened
    assert pipes.process.stdout is not None
    pipes.process.stdout.close()
    assert not (tmp_path / "work").exists()


def test_the_event_loop(workspace: ResidentWorkspace) -> None:
    assert workspace.run(Command(("cat", "a"))).stdout == b"1"
    assert workspace.run(Command(("cat",), stdin=b"x" * 300_000)).stdout_dropped == 300_000 - 4096
    assert workspace.run(Command(("sleep", "60"), wall_seconds=0.2)).ended == "timeout"
    assert workspace.run(Command(("nothing-such",))).exit_code == 127
    assert workspace.run(Command(("pwd",), cwd="missing")).exit_code == 126
    process = workspace.start(Command(("cat",), stdin=b"first"))
    assert process.receive(10.0) == b"first"
    process.send(b"y" * 3_000_000)
    total = 0
    while total < 3_000_000:
        total += len(process.receive(10.0))
    assert process.close().ended == "killed"
    detached = workspace.run(Command(("sh", "-c", "setsid sleep 600 & exit 3")))
    assert (detached.exit_code, detached.ended) == (3, "exit")
    workspace.write({"b/c": Entry(b"2"), "a": None})
    assert workspace.read("b/c") == b"2"
    with pytest.raises(FileNotFoundError):
        workspace.read("a")


def test_a_write_that_fails_is_told(workspace: ResidentWorkspace) -> None:
    with pytest.raises(SandboxError, match="could not do it"):
        workspace.write({"x" * 300: Entry(b"")})


def test_a_resident_that_falls_silent_counts_as_lost() -> None:
    class Silent(Pipes):
        def __init__(self) -> None:
            self.process = subprocess.Popen(["cat"], stdin=subprocess.PIPE, stdout=subprocess.PIPE, bufsize=0)

        def receive(self) -> bytes:
            return b"" if not super().receive() else self.receive()

    silent = Silent()
    client = Client(silent)
    with pytest.raises(SandboxBroken, match="did not answer"):
        client.ask({"op": "hello"}, seconds=0.2)
    with pytest.raises(SandboxBroken):
        client.ask({"op": "hello"})
    assert client.lost
    assert silent.process.stdout is not None
    silent.process.stdout.close()


def test_other_pythons_get_the_program_as_text() -> None:
    arguments, sent = program("3.8.1", "/bytecode")
    assert b"class Resident" in sent
    assert "pycache_prefix=/bytecode" in arguments
    assert b"class Resident" not in program(".".join(map(str, sys.version_info[:3])))[1]


# Files --------------------------------------------------------------------------------------------------------------


def entry(path: str, kind: str = "file") -> dict[str, object]:
    return {"path": path, "kind": kind}


def test_files_are_written_and_read_beneath_a_root(tmp_path: Path) -> None:
    root = str(tmp_path)
    write_file(root, entry("a/b"), b"12")
    write_file(root, entry("a/b", "more"), b"34")
    write_file(root, entry("p", "program"), b"")
    write_file(root, entry("l", "symlink"), b"a/b")
    assert read_file(root, "a/b", 4) == b"1234"
    assert (tmp_path / "p").stat().st_mode & 0o777 == 0o755
    write_file(root, entry("none/x", "gone"), b"")
    write_file(root, entry("a", "gone"), b"")
    assert not (tmp_path / "a").exists()
    write_file(root, entry("l/x"), b"a folder took the link's place")
    assert (tmp_path / "l").is_dir()


@pytest.mark.parametrize(
    ("path", "kind"),
    [("link", "unsafe"), ("way/f", "unsafe"), ("d", "unsafe"), ("pipe", "unsafe"), ("big", "unsafe"), ("no", "missing"),
     ("f/x", "missing"), ("no/x", "missing")],
)  # fmt: skip
def test_what_is_refused(tmp_path: Path, path: str, kind: str) -> None:
    (tmp_path / "d").mkdir()
    (tmp_path / "d" / "f").write_text("x")
    (tmp_path / "f").write_text("x")
    (tmp_path / "big").write_text("x" * 100)
    (tmp_path / "link").symlink_to("f")
    (tmp_path / "way").symlink_to("d")
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(Refused) as refused:
        read_file(str(tmp_path), path, 10)
    assert refused.value.args[0] == kind


def test_a_file_that_has_no_size_is_bounded_too() -> None:
    with pytest.raises(Refused, match="larger"):
        read_file("/proc/self", "status", 10)


def test_removing_a_tree_that_forbids_it(tmp_path: Path) -> None:
    (tmp_path / "t" / "u").mkdir(parents=True)
    (tmp_path / "t" / "u" / "f").write_text("x")
    (tmp_path / "t" / "u").chmod(0)
    here = os.open(tmp_path, os.O_PATH)
    remove("t", here)
    remove("t", here)
    os.close(here)
    assert list(tmp_path.iterdir()) == []


# Environments -------------------------------------------------------------------------------------------------------


@pytest.fixture
def carry_out(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Iterator[Callable[[EnvironmentDefinition], dict[str, object]]]:
    """Return a function that carries an order out in this process and returns its last line."""
    before = sys.pycache_prefix

    def carried(definition: EnvironmentDefinition) -> dict[str, object]:
        order = furnishing.furnish_order(
            definition, (), PipSettings({"PIP_NO_INDEX": "1", "PIP_CONFIG_FILE": os.devnull}), folder=str(tmp_path),
            supplies_at=str(furnishing.supplies()),
        )  # fmt: skip
        monkeypatch.setattr(sys, "stdin", io.StringIO(order.decode()))
        furnish.main()
        said: dict[str, object] = json.loads(capsys.readouterr().out.splitlines()[-1])
        return said

    yield carried
    sys.pycache_prefix = before


def test_an_order_is_carried_out(
    tmp_path: Path, carry_out: Callable[[EnvironmentDefinition], dict[str, object]]
) -> None:
    points = "[console_scripts]\nrun-it = json:dumps\npytest = json:dumps\nodd = not a target\n"
    said = carry_out(
        EnvironmentDefinition(hints=("no-such-thing==1",), distribution=("pygments", "0.1"), entry_points=points)
    )
    versions = said["versions"]
    assert isinstance(versions, dict)
    assert versions["pygments"] == "0.1"
    assert "pytest" in versions
    assert (tmp_path / "venv/bin/run-it").stat().st_mode & 0o111
    assert list((tmp_path / "pycache").rglob("pytest/__init__.*.pyc"))
    assert list((tmp_path / "pycache").rglob("json/decoder.*.pyc"))


def test_an_order_that_cannot_be_carried_out(carry_out: Callable[[EnvironmentDefinition], dict[str, object]]) -> None:
    said = carry_out(EnvironmentDefinition(requirements=("no-such-thing",), constraints=("other==1",)))
    assert "could not be installed" in str(said["error"])
    assert "no-such-thing" in str(said["output"])


def test_answers_that_are_none() -> None:
    from sandbox.errors import EnvironmentFailed

    for said in ([], ["Traceback"], ["{"]):
        with pytest.raises(EnvironmentFailed):
            furnishing.versions_from(said)
