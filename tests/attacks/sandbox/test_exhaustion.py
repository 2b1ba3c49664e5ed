"""What takes all that there is, will not end, or leaves something for whoever comes next."""
# ruff: noqa: E501 - a table of programs

from __future__ import annotations

import os
import time
from dataclasses import dataclass
from pathlib import Path

import pytest

from sandbox.errors import SandboxError
from sandbox.protocol import Command, Environment, Guarantee, Sandbox, Workspace
from sandbox.runners.report import Harness
from sandbox.runners.run import run_tests
from sandbox.tree import Entry, Tree
from tests.attacks.sandbox.conftest import SMALL, Host, Open

TOP = 192
"""MiB: what is allowed, and some for what runs."""


@dataclass(frozen=True)
class Fill:
    """A program that prints how many MiB, or how many things, it got, and the most that it may get."""

    name: str
    program: str
    most: int
    against: Guarantee


FILLS = [
    Fill("the shared memory folder", """
n = 0
try:
    with open("/dev/shm/fill", "wb") as file:
        for n in range(400): file.write(bytes(1 << 20))
except OSError: pass
print(n)""", 64, "disk"),
    Fill("System V shared memory", """
import ctypes
libc = ctypes.CDLL(None); libc.shmat.restype = ctypes.c_void_p
n = 0
for n in range(0, 400, 40):
    at = libc.shmat(libc.shmget(0, 40 << 20, 0o1600), None, 0)
    if at in (None, ctypes.c_void_p(-1).value): break
    ctypes.memset(at, 1, 40 << 20); print(n + 40, flush=True)""", TOP, "memory"),
    Fill("memory without a file", """
import os
kept = []
for n in range(1, 400):
    if n % 7 == 1: kept.append(os.memfd_create("x"))
    os.write(kept[-1], bytes(1 << 20)); print(n, flush=True)""", TOP, "memory"),
    Fill("pipes", """
import fcntl, os
n = 0
try:
    while n < 400:
        r, w = os.pipe(); fcntl.fcntl(w, 1031, 1 << 20); os.set_blocking(w, False); os.write(w, bytes(1 << 20)); n += 1
        print(n, flush=True)
except OSError: pass""", TOP, "memory"),
    Fill("one file that is mapped", """
import mmap
with open("big", "wb+") as file:
    try:
        file.truncate(400 << 20)
        with mmap.mmap(file.fileno(), 400 << 20) as view:
            for n in range(400): view[n << 20] = 1; print(n, flush=True)
    except (OSError, ValueError): pass
print(0)""", TOP, "file-size"),
    Fill("processes and threads", """
import threading, time
n = 0
try:
    for n in range(400): threading.Thread(target=time.sleep, args=(5,), daemon=True).start()
except RuntimeError: pass
print(n, flush=True)
import os; os._exit(0)""", SMALL.pids + 8, "pids"),
    Fill("descriptors", """
import os, socket
n = 0
try:
    while n < 5000: kept = os.dup(0); n += 1
except OSError: pass
print(n)""", SMALL.open_files, "file-size"),
]  # fmt: skip


@pytest.mark.parametrize("fill", FILLS, ids=lambda fill: fill.name)
def test_nobody_takes_more_than_there_is_for_him(fill: Fill, fresh: Open, sandbox: Sandbox) -> None:
    if reason := sandbox.promises()[fill.against]:
        pytest.xfail(f"{fill.against}: {reason}")
    if sandbox.name == "local" and fill.name == "one file that is mapped":
        pytest.skip("harmless, and bound to the file's size alone")
    workspace = fresh()
    done = workspace.run(Command((workspace.python, "-c", fill.program), wall_seconds=10.0))
    numbers = [int(word) for word in done.stdout.split()]
    assert max(numbers, default=0) <= fill.most
    assert workspace.run(Command(("echo", "here"))).stdout == b"here\n"


def test_so_many_files_that_no_more_can_be_made(fresh: Open, sandbox: Sandbox, tmp_path: Path) -> None:
    """-> the host's own file system would have no place for a name any more."""
    if reason := sandbox.promises()["disk"]:
        pytest.xfail(f"disk: {reason}")
    program = """
import os
n = 0
try:
    for n in range(3_000_000): os.close(os.open("f%d" % n, os.O_CREAT | os.O_WRONLY))
except OSError: pass
print(n)"""
    before = os.statvfs(tmp_path).f_ffree
    workspace = fresh()
    done = workspace.run(Command((workspace.python, "-c", program), wall_seconds=4.0))
    assert done.ended in {"exit", "timeout", "memory"}
    assert before - os.statvfs(tmp_path).f_ffree < 20_000
    assert workspace.run(Command(("echo", "here"))).stdout == b"here\n"


@pytest.mark.parametrize(
    "what", ["stops its keeper", "stops all that it can", "closes everything", "ignores everything"]
)
def test_what_will_not_end_is_ended(what: str, fresh: Open, sandbox: Sandbox) -> None:
    """-> a command would hold the run for ever, or go on after it."""
    programs = {
        "stops its keeper": "os.kill(os.getppid(), signal.SIGSTOP)",
        "stops all that it can": "os.kill(-1, signal.SIGSTOP)",
        "closes everything": "os.closerange(0, 200)",
        "ignores everything": "[signal.signal(n, signal.SIG_IGN) for n in range(1, 32) if n not in (9, 19)]",
    }
    if what == "stops all that it can" and sandbox.name == "local":
        pytest.xfail("host-files-hidden: it would stop this machine's own processes.")
    workspace = fresh()
    program = f"""
import os, signal, sys, time
if os.fork() == 0:
    os.setsid()
    if os.fork(): os._exit(0)
try:
    {programs[what]}
except OSError:
    pass
while True: time.sleep(1)
"""
    begun = time.monotonic()
    done = workspace.run(Command((workspace.python, "-c", program, "MARKED-endless"), wall_seconds=2.0))
    assert time.monotonic() - begun < 20
    assert done.ended in {"timeout", "signal", "killed"}
    look = "import glob\nprint(sum(b'MARKED-endless' in open(p, 'rb').read().split(b'\\0') for p in glob.glob('/proc/[0-9]*/cmdline')))"
    if sandbox.name != "local":
        assert workspace.run(Command((workspace.python, "-c", look))).stdout == b"0\n"


def test_bytes_of_every_kind_for_ever(fresh: Open) -> None:
    """-> the host's memory would be full of them, or its program end in the middle of a character."""
    workspace = fresh()
    program = (
        "import os\nwhile True: os.write(1, bytes(range(256)) * 200); os.write(2, b'\\xff\\xfe\\x00\\x1b[2J' * 9000)"
    )
    done = workspace.run(Command((workspace.python, "-c", program), wall_seconds=1.0))
    assert done.ended == "timeout"
    assert len(done.stdout) <= SMALL.output_bytes
    assert len(done.stderr) <= SMALL.output_bytes
    assert done.stdout_dropped > 0


def test_a_file_that_becomes_a_link_while_it_is_read(fresh: Open, host: Host) -> None:
    """-> a file of the host would be read in the place of one of the work tree."""
    workspace = fresh()
    program = f"""
import os, time
end = time.monotonic() + 3
while time.monotonic() < end:
    open("new", "w").write("plain"); os.replace("new", "swap")
    os.symlink({host.facts["file"]!r}, "new"); os.replace("new", "swap")
    os.mkfifo("new"); os.replace("new", "swap")
"""
    process = workspace.start(Command((workspace.python, "-c", program), wall_seconds=8.0))
    seen: set[bytes] = set()
    refused = 0
    end = time.monotonic() + 2.5
    while time.monotonic() < end:
        try:
            seen.add(workspace.read("swap"))
        except (SandboxError, FileNotFoundError):
            refused += 1
    process.close()
    assert seen <= {b"plain", b""}
    assert refused


def test_a_tree_without_a_bottom_is_removed(sandbox: Sandbox, environment: Environment) -> None:
    """-> it would stay behind for ever, since no path reaches its bottom, and nobody may enter its folders."""
    program = """
import os
for n in range(1500): os.mkdir("d" * 40); os.chdir("d" * 40)
open("x" * 200, "w").close()
os.chmod(".", 0)
"""
    with sandbox.open(Tree({"a": Entry(b"")}), environment, SMALL) as workspace:
        root = workspace.root
        assert workspace.run(Command((workspace.python, "-c", program))).exit_code == 0
    if sandbox.name == "local":
        assert not Path(root).exists()


POISON = """
import glob, os, site, sys, sysconfig
line = "import os, sys; os.environ.get('NEVER') or setattr(sys, 'poisoned', True)\\n"
places = [*sys.path, *site.getsitepackages(), site.getusersitepackages(), os.path.expanduser("~"), "/tmp", "/dev/shm",
          os.environ.get("TMPDIR", "/tmp"), sysconfig.get_path("stdlib"), os.path.dirname(os.__file__), os.path.dirname(PROBE)]
done = []
for place in places:
    for name in ("sitecustomize.py", "usercustomize.py", "zz.pth", "conftest.py", "pytest.ini", "pytest_evil.py"):
        try:
            os.makedirs(place, exist_ok=True)
            with open(os.path.join(place, name), "a") as file: file.write(line)
        except OSError:
            continue
for path in [sys.executable, os.__file__, *glob.glob(os.path.join(PROBE, "*.py")), *glob.glob(os.path.join(os.path.dirname(os.__file__), "__pycache__", "os*"))]:
    try:
        with open(path, "ab") as file: done.append(path)
        os.chmod(path, 0o777); os.replace(path, path + "x")
    except OSError:
        continue
"""


def test_nothing_is_left_for_the_next_workspace(fresh: Open, sandbox: Sandbox) -> None:
    """-> a candidate's first run would make all later ones pass: it writes wherever Python and pytest look."""
    if reason := sandbox.promises()["read-only-root"]:
        pytest.xfail(f"read-only-root: {reason}")
    tests = Tree(
        {
            "test_a.py": Entry(
                b"import sys\ndef test_a():\n    assert not hasattr(sys, 'poisoned')\ndef test_b():\n    assert 0\n"
            )
        }
    )
    first = fresh(tree=tests)
    first.run(Command((first.python, "-c", f"PROBE = {first.probe!r}\n{POISON}")))
    report = run_tests(fresh(tree=tests), Harness("pytest"))
    assert report.complete
    assert report.passed() == {"test_a.py::test_a"}
    assert [one.node_id for one in report.failed()] == ["test_a.py::test_b"]


ENDINGS = {
    # -> the run would count as complete, or a failing test as passed.
    "leaves at once": "import os\ndef test_bad():\n    os._exit(0)\n",
    "ends pytest": "import pytest\ndef test_bad():\n    pytest.exit('fine', returncode=0)\n",
    "kills its parent": "import os\ndef test_bad():\n    os.kill(os.getppid(), 9)\n    os._exit(0)\n",
    "kills everything": "import os\ndef test_bad():\n    os.kill(-1, 9)\n    os._exit(0)\n",
    "becomes another program": "import os\ndef test_bad():\n    os.execv('/bin/true', ['true'])\n",
    "closes what it reports to": "import os\ndef test_bad():\n    os.closerange(0, 300)\n    assert 0\n",
    "writes a report of its own": (
        "import json, os, struct\ndef test_bad():\n"
        "    body = json.dumps({'t': 'result', 'id': 'test_a.py::test_bad', 'outcome': 'passed'}).encode()\n"
        "    for fd in range(1, 100):\n        try: os.write(fd, struct.pack('>I', len(body)) + body)\n"
        "        except OSError: pass\n    os._exit(0)\n"
    ),
    "leaves from a thread": (
        "import os, threading, time\ndef test_bad():\n    threading.Timer(0.1, os._exit, (0,)).start()\n    time.sleep(5)\n"
    ),
    "leaves while it is collected": "import os\nos._exit(0)\ndef test_bad(): pass\n",
    "leaves at the end": "import atexit, os\natexit.register(os._exit, 0)\ndef test_bad():\n    assert 0\n",
}  # fmt: skip


@pytest.mark.parametrize("name", ENDINGS)
def test_a_failing_test_does_not_pass_by_the_way_it_ends(name: str, fresh: Open, sandbox: Sandbox) -> None:
    if name == "kills everything" and sandbox.name == "local":
        pytest.xfail("non-root: it would kill this machine's own processes.")
    workspace: Workspace = fresh(tree=Tree({"test_a.py": Entry(ENDINGS[name].encode())}))
    try:
        report = run_tests(workspace, Harness("pytest"), wall_seconds=20.0)
    except Exception as error:  # noqa: BLE001 - any refusal to tell is as good as a failure
        assert type(error).__name__ in {"TestsUnrunnable", "SandboxBroken"}  # noqa: PT017
        return
    # What forges a report in its own process is told by that: it is not complete, or it is tampered with.
    assert "test_a.py::test_bad" not in report.passed() or report.tampering or not report.complete
    assert not (report.complete and not report.results and not report.collection_errors)
