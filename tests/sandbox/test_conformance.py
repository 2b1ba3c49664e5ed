"""What every backend promises to those who use a workspace; what one cannot promise is an expected failure."""

from __future__ import annotations

import threading
import time
from pathlib import Path

import pytest

from sandbox.errors import SandboxBroken, UnsafePath
from sandbox.limits import MIB, Limits
from sandbox.protocol import Command, Environment, Sandbox, Workspace
from sandbox.tree import Entry, Tree

from .conftest import SMALL, TREE, Open, python

# Commands -----------------------------------------------------------------------------------------------------------


def test_says_where_things_lie(shared: Workspace) -> None:
    assert shared.id
    assert shared.root.startswith("/")
    done = shared.run(Command(("sh", "-c", f"pwd && ls {shared.probe} && {shared.python} -c 'print(1)'")))
    lines = done.stdout.decode().splitlines()
    assert lines[0] == shared.root
    assert "resident.py" in lines
    assert lines[-1] == "1"


def test_runs_a_program_of_the_tree(shared: Workspace) -> None:
    done = shared.run(Command((shared.python, "a/b.py")))
    assert (done.exit_code, done.stdout, done.stderr, done.ended) == (0, b"hello from b\n", b"", "exit")
    assert 0 < done.seconds < 20
    assert shared.run(Command(("./run.sh",))).stdout == b"started\n"


def test_runs_in_the_folder_that_it_is_told(shared: Workspace) -> None:
    assert shared.run(Command(("pwd",), cwd="a")).stdout.decode().strip() == f"{shared.root}/a"
    with pytest.raises(UnsafePath):
        shared.run(Command(("pwd",), cwd=".."))
    missing = shared.run(Command(("pwd",), cwd="nowhere"))
    assert missing.exit_code == 126
    assert b"folder" in missing.stderr


def test_an_exit_code_is_a_value(shared: Workspace) -> None:
    assert shared.run(Command(("sh", "-c", "exit 7"))).exit_code == 7
    absent = shared.run(Command(("no-such-program",)))
    assert (absent.exit_code, absent.ended) == (127, "exit")
    assert b"cannot start" in absent.stderr
    assert shared.run(Command(("./a/b.py",))).exit_code == 126


def test_a_signal_is_told(shared: Workspace) -> None:
    done = shared.run(Command(("sh", "-c", "kill -SEGV $$")))
    assert (done.exit_code, done.ended) == (-11, "signal")


def test_standard_input_comes_whole(shared: Workspace) -> None:
    data = bytes(range(256)) * 8192
    done = shared.run(Command((shared.python, "-c", "import sys; print(len(sys.stdin.buffer.read()))"), stdin=data))
    assert int(done.stdout) == len(data)
    assert shared.run(Command(("cat",), stdin=b"\xff\x00\n")).stdout == b"\xff\x00\n"
    assert shared.run(Command(("true",), stdin=data)).exit_code == 0
    assert shared.run(Command(("cat",))).stdout == b""


def test_the_environment_is_small_and_fixed(shared: Workspace, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOST_SECRET", "leak")
    done = shared.run(Command(("env",), env={"EXTRA": "é\udcff"}))
    found = dict(line.split("=", 1) for line in done.stdout.decode("utf-8", "surrogateescape").splitlines())
    assert found.pop("EXTRA") == "é\udcff"
    names = {"PATH", "HOME", "TMPDIR", "LANG", "TZ", "VIRTUAL_ENV", "PYTHONDONTWRITEBYTECODE", "PYTHONPYCACHEPREFIX"}
    assert set(found) == names
    assert found["LANG"] == "C.UTF-8"
    assert found["TZ"] == "UTC"


def test_home_and_temporary_folder_can_be_written(shared: Workspace) -> None:
    done = shared.run(Command(("sh", "-c", 'echo x > "$HOME/x" && echo y > "$TMPDIR/y" && rm "$HOME/x" "$TMPDIR/y"')))
    assert done.exit_code == 0, done.stderr


def test_bytecode_is_never_stale(fresh: Open) -> None:
    workspace = fresh(tree=Tree({"m.py": Entry(b"VALUE = 1\n")}))
    command = Command((workspace.python, "-c", "import m; print(m.VALUE, m.__cached__)"))
    assert workspace.run(command).stdout.startswith(b"1 ")
    for number in range(2, 6):
        workspace.write({"m.py": Entry(b"VALUE = %d\n" % number)})
        assert workspace.run(command).stdout.startswith(b"%d " % number)
    assert b"pyc" not in workspace.run(Command(("find", "."))).stdout


def test_a_planted_bytecode_file_is_not_run(fresh: Open) -> None:
    workspace = fresh()
    plant = (
        "import importlib.util, marshal, os, sys;"
        "sys.pycache_prefix = None; os.makedirs('__pycache__');"
        "code = marshal.dumps(compile('VALUE = 666', 'm.py', 'exec'));"
        "open(importlib.util.cache_from_source('m.py'), 'wb').write("
        "importlib.util.MAGIC_NUMBER + (1).to_bytes(4, 'little') + bytes(8) + code)"
    )
    workspace.write({"m.py": Entry(b"VALUE = 1\n")})
    assert python(workspace, plant).exit_code == 0
    assert python(workspace, "import m; print(m.VALUE)").stdout == b"1\n"


def test_the_environments_own_bytecode_is_used(shared: Workspace) -> None:
    done = python(shared, "import pytest, json.decoder, os; print(os.path.exists(pytest.__cached__))")
    assert done.stdout == b"True\n", done.stderr


def test_output_that_is_not_text_comes_as_it_is(shared: Workspace) -> None:
    done = python(
        shared, "import sys; sys.stdout.buffer.write(bytes(range(256))); sys.stderr.buffer.write(b'\\xfe\\xff')"
    )
    assert done.stdout == bytes(range(256))
    assert done.stderr == b"\xfe\xff"


def test_output_keeps_its_first_and_its_last_half(fresh: Open) -> None:
    done = python(
        fresh(), "import sys; sys.stdout.write('a' * 100_000 + 'b' * 100_000); sys.stderr.write('c' * 70_000)"
    )
    assert done.stdout == b"a" * (SMALL.output_bytes // 2) + b"b" * (SMALL.output_bytes // 2)
    assert done.stdout_dropped == 200_000 - SMALL.output_bytes
    assert (len(done.stderr), done.stderr_dropped) == (SMALL.output_bytes, 70_000 - SMALL.output_bytes)


def _resident_memory(pid: int | str = "self") -> int:
    text = Path(f"/proc/{pid}/status").read_text()
    return next(int(line.split()[1]) for line in text.splitlines() if line.startswith("VmRSS")) * 1024


def test_a_gigabyte_of_output_takes_no_memory(shared: Workspace) -> None:
    peaks = [_resident_memory()]
    stop = threading.Event()

    def watch() -> None:
        while not stop.wait(0.02):
            peaks.append(_resident_memory())

    thread = threading.Thread(target=watch)
    thread.start()
    try:
        # A single write may be cut short by the kernel, so the program says what it wrote.
        program = "import os, sys\nprint(sum(os.write(1, bytes(1 << 20)) for _ in range(1024)), file=sys.stderr)"
        done = python(shared, program)
    finally:
        stop.set()
        thread.join()
    assert done.exit_code == 0
    assert len(done.stdout) + done.stdout_dropped == int(done.stderr) > 1 << 29
    assert max(peaks) - peaks[0] <= 16 * MIB
    status = "import os; print(open(f'/proc/{os.getppid()}/status').read())"
    peak = next(line for line in python(shared, status).stdout.decode().splitlines() if line.startswith("VmHWM"))
    assert int(peak.split()[1]) * 1024 <= 48 * MIB


def test_several_commands_run_at_once(fresh: Open) -> None:
    workspace = fresh()
    started = time.monotonic()
    threads = [threading.Thread(target=workspace.run, args=(Command(("sleep", "0.5")),)) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert time.monotonic() - started < 3.0


# Files --------------------------------------------------------------------------------------------------------------


def test_the_tree_is_there_as_it_was_given(fresh: Open) -> None:
    workspace = fresh()
    assert workspace.read("n\udce9e.bin") == bytes(range(256))
    listed = workspace.run(Command(("find", ".", "-printf", "%P %y %m %l\\n"))).stdout
    assert b"link l 777 a/b.py\n" in listed
    assert b"run.sh f 755 \n" in listed
    assert b"a/b.py f 644 \n" in listed
    assert b"n\xe9e.bin f 644" in listed


def test_reads_what_a_command_wrote(fresh: Open) -> None:
    workspace = fresh()
    workspace.run(Command(("sh", "-c", "mkdir -p x/y && printf data > x/y/z")))
    assert workspace.read("x/y/z") == b"data"


@pytest.mark.parametrize(
    "path", ["link", "a", "pipe", "folder-link/b.py", "../x", "/etc/passwd", ".git/config", "a//b.py"]
)
def test_refuses_to_read_what_is_no_plain_file(fresh: Open, path: str) -> None:
    workspace = fresh()
    workspace.run(Command(("mkfifo", "pipe")))
    with pytest.raises(UnsafePath):
        workspace.read(path)


def test_refuses_to_read_a_device(fresh: Open) -> None:
    workspace = fresh()
    workspace.run(
        Command(("sh", "-c", "ln -s /dev/zero zero; mknod z c 1 5 || true; ln -s /proc/self/environ environ"))
    )
    for path in ("zero", "environ"):
        with pytest.raises(UnsafePath):
            workspace.read(path)
    with pytest.raises((UnsafePath, FileNotFoundError)):
        workspace.read("z")


def test_refuses_to_read_more_than_asked_for(shared: Workspace) -> None:
    assert len(shared.read("a/b.py", limit=100)) == 22
    with pytest.raises(UnsafePath, match="larger"):
        shared.read("a/b.py", limit=21)


def test_says_what_is_not_there(shared: Workspace) -> None:
    for path in ("nothing", "a/nothing", "nothing/b", "a/b.py/c"):
        with pytest.raises(FileNotFoundError):
            shared.read(path)


def test_writes_and_deletes(fresh: Open) -> None:
    workspace = fresh(Limits())
    big = bytes(range(256)) * 80_000
    workspace.write(
        {
            "new/deep/file": Entry(b"1"), "tool": Entry(b"#!/bin/sh\necho tool\n", executable=True), "big": Entry(big),
            "a": None, "soft": Entry(b"tool", kind="symlink"), "run.sh": None, "absent/file": None, "empty": Entry(b""),
        }
    )  # fmt: skip
    assert workspace.read("new/deep/file") == b"1"
    assert workspace.read("big") == big
    assert workspace.read("empty") == b""
    assert workspace.run(Command(("./soft",))).stdout == b"tool\n"
    for gone in ("a/b.py", "run.sh", "absent/file"):
        with pytest.raises(FileNotFoundError):
            workspace.read(gone)


def test_a_file_takes_the_place_of_a_folder_and_the_other_way(fresh: Open) -> None:
    workspace = fresh()
    workspace.run(Command(("sh", "-c", "mkdir -p d/e && touch d/e/f && chmod 0 d/e && touch plain")))
    workspace.write({"d": Entry(b"now a file"), "plain/inner": Entry(b"now in a folder")})
    assert workspace.read("d") == b"now a file"
    assert workspace.read("plain/inner") == b"now in a folder"


def test_writing_goes_through_no_link(fresh: Open, tmp_path: Path) -> None:
    workspace = fresh()
    outside = tmp_path / "outside"
    outside.mkdir()
    (outside / "file").write_text("untouched")
    workspace.run(Command(("sh", "-c", f"ln -s {outside} out; ln -s {outside}/file f; echo kept > h; ln h hard")))
    workspace.write({"out/file": Entry(b"inside"), "f": Entry(b"inside"), "hard": Entry(b"other")})
    assert (outside / "file").read_text() == "untouched"
    assert workspace.read("out/file") == b"inside"
    assert workspace.read("h") == b"kept\n"
    for path in ("../x", "/x", ".git/hooks/x", ""):
        with pytest.raises(UnsafePath):
            workspace.write({path: Entry(b"")})


# Life and death -----------------------------------------------------------------------------------------------------


def test_fork_has_the_tree_as_it_was_opened(fresh: Open) -> None:
    workspace = fresh()
    workspace.write({"a/b.py": Entry(b"changed")})
    with workspace.fork() as other:
        assert other.id != workspace.id
        assert other.read("a/b.py") == TREE["a/b.py"].data
        other.write({"only": Entry(b"there")})
        assert other.run(Command((other.python, "-m", "pytest", "--version"))).exit_code == 0
    with pytest.raises(FileNotFoundError):
        workspace.read("only")
    assert workspace.read("a/b.py") == b"changed"


def test_a_closed_workspace_says_so(sandbox: Sandbox, environment: Environment) -> None:
    workspace = sandbox.open(TREE, environment)
    process = workspace.start(Command(("cat",)))
    workspace.close()
    workspace.close()
    with pytest.raises(SandboxBroken):
        workspace.run(Command(("true",)))
    with pytest.raises(SandboxBroken):
        workspace.read("a/b.py")
    with pytest.raises(SandboxBroken):
        process.send(b"x")
    with pytest.raises(SandboxBroken):
        process.receive(1.0)
    with pytest.raises(SandboxBroken):
        process.close()


def test_closing_ends_what_runs(sandbox: Sandbox, environment: Environment) -> None:
    workspace = sandbox.open(TREE, environment)
    errors: list[BaseException] = []

    def run() -> None:
        try:
            workspace.run(Command(("sleep", "60")))
        except SandboxBroken as error:
            errors.append(error)

    thread = threading.Thread(target=run)
    thread.start()
    time.sleep(0.3)
    workspace.close()
    thread.join(5.0)
    assert not thread.is_alive()
    assert len(errors) == 1


def test_says_every_promise(sandbox: Sandbox) -> None:
    promises = sandbox.promises()
    assert len(promises) == 13
    assert all(reason is None or reason.endswith(".") for reason in promises.values())
    assert sandbox.name in {"docker", "bubblewrap", "local"}


# Programs that are spoken to ----------------------------------------------------------------------------------------


def test_a_started_program_is_spoken_to(shared: Workspace) -> None:
    echo = (shared.python, "-c", "for l in open(0): print(l.strip()[::-1], flush=True)")
    process = shared.start(Command(echo, stdin=b"abc\n"))
    assert process.receive(20.0) == b"cba\n"
    process.send(b"xyz\n")
    assert process.receive(20.0) == b"zyx\n"
    with pytest.raises(TimeoutError):
        process.receive(0.05)
    done = process.close()
    assert (done.ended, done.exit_code, done.stdout) == ("killed", -9, b"")
    assert process.close() == done


def test_a_started_program_ends_by_itself(shared: Workspace) -> None:
    process = shared.start(Command(("sh", "-c", "echo out; echo err >&2; exit 3")))
    assert process.receive(20.0) == b"out\n"
    assert process.receive(20.0) == b""
    assert process.receive(20.0) == b""
    done = process.close()
    assert (done.exit_code, done.ended, done.stderr) == (3, "exit", b"err\n")
    process.send(b"nobody listens")


def test_a_started_program_is_slowed_down_by_a_slow_reader(shared: Workspace) -> None:
    process = shared.start(Command((shared.python, "-c", "import os\nfor _ in range(64): os.write(1, bytes(1 << 20))")))
    before = _resident_memory()
    time.sleep(0.5)
    assert _resident_memory() - before <= 8 * MIB
    total = 0
    while data := process.receive(20.0):
        total += len(data)
    assert total == 64 * MIB
    assert process.close().exit_code == 0


def test_a_program_that_does_not_read_does_not_block_others(shared: Workspace) -> None:
    process = shared.start(Command(("sleep", "60")))
    sender = threading.Thread(target=process.send, args=(bytes(16 * MIB),))
    sender.start()
    assert shared.run(Command(("echo", "free"))).stdout == b"free\n"
    assert process.close().ended == "killed"
    sender.join(10.0)
    assert not sender.is_alive()


def test_a_started_program_has_a_time_limit(shared: Workspace) -> None:
    process = shared.start(Command(("sleep", "60"), wall_seconds=0.2))
    assert process.receive(20.0) == b""
    assert process.close().ended == "timeout"
