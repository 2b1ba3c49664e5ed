"""Attacks on every guarantee that a backend may give."""

from __future__ import annotations

import socket
import threading
import time
from dataclasses import replace
from pathlib import Path

import pytest

from sandbox.limits import MIB
from sandbox.protocol import Command, Guarantee, Sandbox, Workspace

from .conftest import SMALL, Open, Promised, python

# Where nothing would hold an attack back, it is either harmless (and then expected to succeed) or not made at all.


def not_tried(sandbox: Sandbox, guarantee: Guarantee) -> None:
    """End the test as an expected failure where the attack would harm this machine."""
    if reason := sandbox.promises()[guarantee]:
        pytest.xfail(f"{guarantee}: {reason}")


@pytest.fixture
def listener() -> socket.socket:
    """Return a server on the host that accepts from everywhere."""
    server = socket.create_server(("", 0), dualstack_ipv6=False)
    server.settimeout(10.0)
    return server


def test_no_network(shared: Workspace, promised: Promised, listener: socket.socket) -> None:
    promised("no-network")
    addresses = {"127.0.0.1", "172.17.0.1", *(found[4][0] for found in socket.getaddrinfo(socket.gethostname(), None))}
    program = """
import socket, sys
reached = []
for address in sys.argv[2:]:
    try:
        socket.create_connection((address, int(sys.argv[1])), timeout=1).close()
        reached.append(address)
    except OSError:
        pass
print(reached)
try:
    socket.socket(socket.AF_INET, socket.SOCK_DGRAM).sendto(b"x", ("192.0.2.1", 53))
    print("sent")
except OSError:
    pass
"""
    with listener:
        port = listener.getsockname()[1]
        done = python(shared, program, str(port), *sorted(map(str, addresses)))
    assert done.stdout == b"[]\n", done


def test_not_root(shared: Workspace, promised: Promised) -> None:
    promised("non-root")
    program = """
import os
print(os.getuid(), os.geteuid(), os.getgid(), os.getgroups())
device = os.environ["TMPDIR"] + "/device"
attempts = (os.setuid, 0), (os.setgid, 0), (os.chroot, "/tmp"), (os.mknod, device, 0o20666, 259), (os.nice, -1)
for attempt, *arguments in attempts:
    try:
        attempt(*arguments)
        print("could")
    except OSError:
        pass
wanted = "CapPrm", "CapEff", "CapAmb", "NoNew"
print(*(line for line in open("/proc/self/status").read().splitlines() if line.startswith(wanted)))
"""
    lines = python(shared, program).stdout.decode().splitlines()
    assert lines[0].startswith("1000 1000 1000 ")
    assert " 0" not in lines[0].partition("[")[2]
    nothing = "0" * 16
    assert lines[1] == f"CapPrm:\t{nothing} CapEff:\t{nothing} CapAmb:\t{nothing} NoNewPrivs:\t1"


def test_a_place_outside_the_work_tree_can_not_be_written(
    shared: Workspace, promised: Promised, tmp_path: Path
) -> None:
    promised("read-only-root")
    shared.run(Command(("sh", "-c", f"mkdir -p {tmp_path}; echo x > {tmp_path}/written")))
    assert not (tmp_path / "written").exists()


def test_only_the_work_tree_and_the_temporary_folder_can_be_written(shared: Workspace, sandbox: Sandbox) -> None:
    not_tried(sandbox, "read-only-root")
    program = """
import os, sys
written = []
allowed = sys.argv[1:]
for folder, names, files in os.walk("/", followlinks=False):
    if folder in ("/proc", "/sys"):
        names[:] = []
        continue
    if any(folder == a or folder.startswith(a + "/") for a in allowed):
        names[:] = []
        continue
    try:
        path = os.path.join(folder, "written")
        with open(path, "w") as file:
            file.write("x")
        os.unlink(path)
        written.append(folder)
    except OSError:
        pass
print(written)
"""
    assert python(shared, program, shared.root, "/tmp", "/dev/shm").stdout == b"[]\n"
    targets = f"{shared.probe}/resident.py {shared.python} /etc/passwd /usr/bin/env {shared.probe}"
    for target in targets.split():
        assert shared.run(Command(("sh", "-c", f"echo x >> {target} || chmod 777 {target}"))).exit_code != 0
        assert shared.run(Command(("rm", "-rf", target))).exit_code != 0
    assert shared.run(Command((shared.python, "-c", "pass"))).exit_code == 0


def test_the_probe_can_not_be_written(shared: Workspace, promised: Promised) -> None:
    promised("read-only-root")
    assert shared.run(Command(("sh", "-c", f"echo x > {shared.probe}/new.py"))).exit_code != 0
    assert shared.run(Command(("sh", "-c", f"echo x >> {shared.probe}/keeper.py"))).exit_code != 0


def test_memory_is_bounded_for_all_together(fresh: Open, promised: Promised) -> None:
    promised("memory")
    workspace = fresh()
    # Three processes of 70 MiB each, where 160 MiB are allowed.
    program = """
import os, sys, time
children = []
for _ in range(3):
    if not (pid := os.fork()):
        block = bytearray(b"x") * (70 << 20)
        time.sleep(1.5)
        os._exit(0)
    children.append(pid)
sys.exit(10 + sum(os.waitpid(pid, 0)[1] == 0 for pid in children))
"""
    done = python(workspace, program)
    assert 10 <= done.exit_code < 13
    assert done.ended == "memory"


def test_a_program_that_takes_too_much_memory_is_said_to(fresh: Open, promised: Promised) -> None:
    promised("memory")
    workspace = fresh()
    done = python(workspace, "x = []\nfor _ in range(40): x.append(bytearray(b'x') * (8 << 20))")
    assert (done.ended, done.exit_code) == ("memory", -9)
    assert workspace.run(Command(("true",))).exit_code == 0


def test_the_number_of_processes_is_bounded(fresh: Open, promised: Promised) -> None:
    promised("pids")
    program = """
import os, time
count = 0
try:
    for _ in range(80):
        if not os.fork():
            time.sleep(20)
            os._exit(0)
        count += 1
except OSError:
    pass
print(count, flush=True)
"""
    assert int(python(fresh(), program).stdout) <= SMALL.pids + 8


def test_a_fork_bomb_is_contained(sandbox: Sandbox, fresh: Open) -> None:
    not_tried(sandbox, "pids")
    workspace = fresh()
    bomb = "import os\nwhile True:\n    try:\n        os.fork() or os.setsid()\n    except OSError:\n        pass"
    started = time.monotonic()
    assert python(workspace, bomb, seconds=1.0).ended == "timeout"
    assert time.monotonic() - started < 15.0
    assert _others(workspace) == 0


def test_cpu_is_bounded(fresh: Open, sandbox: Sandbox) -> None:
    # A busy machine bounds it too, so that it would sometimes pass where nothing is promised.
    not_tried(sandbox, "cpu")
    program = """
import os, time
end = time.monotonic() + 1.5
pids = []
for _ in range(3):
    if not (pid := os.fork()):
        while time.monotonic() < end:
            pass
        os._exit(0)
    pids.append(pid)
for pid in pids:
    os.waitpid(pid, 0)
t = os.times()
print(t.children_user + t.children_system)
"""
    assert float(python(fresh(replace(SMALL, cpus=0.1)), program).stdout) < 0.35


def test_the_disk_is_bounded(fresh: Open, promised: Promised) -> None:
    promised("disk")
    program = """
import os, sys
total = 0
for folder in (os.getcwd(), os.environ["TMPDIR"]):
    for number in range(12):
        try:
            with open(os.path.join(folder, "fill%d" % number), "wb") as file:
                for _ in range(4):
                    total += file.write(bytes(1 << 20))
        except OSError:
            break
print(total)
"""
    workspace = fresh()
    written = int(python(workspace, program).stdout)
    assert 16 * MIB < written <= SMALL.disk_bytes
    assert workspace.run(Command(("true",))).exit_code == 0


def test_a_file_has_a_largest_size(fresh: Open, promised: Promised) -> None:
    promised("file-size")
    workspace = fresh()
    done = workspace.run(Command(("sh", "-c", "head -c 12000000 /dev/zero > big; wc -c < big")))
    assert int(done.stdout) <= SMALL.file_bytes


def test_open_files_are_bounded(fresh: Open) -> None:
    program = "import os\ntry:\n    while True: last = os.open('/dev/null', 0)\nexcept OSError: print(last)"
    assert int(python(fresh(), program).stdout) < SMALL.open_files


def test_the_hosts_files_are_hidden(shared: Workspace, promised: Promised, tmp_path: Path) -> None:
    promised("host-files-hidden")
    secret = tmp_path / "secret"
    secret.write_text("secret")
    for path in (secret, Path(__file__), Path("/etc/shadow"), Path("/etc/hostname"), Path("/var/run/docker.sock")):
        done = shared.run(Command(("cat", str(path))))
        assert b"secret" not in done.stdout
        assert path.name == "hostname" or done.exit_code != 0, path


# Time and processes -------------------------------------------------------------------------------------------------

_COUNT = """
import os
mine = {os.getpid()}
count = 0
for name in os.listdir("/proc"):
    if name.isdigit():
        try:
            words = open(f"/proc/{name}/cmdline", "rb").read().split(b"\\0")
        except OSError:
            continue
        count += b"MARKED-%s" % os.environ["MARK"].encode() in words
print(count)
"""
_DETACH = """
import os, signal, sys, time
signal.signal(signal.SIGTERM, signal.SIG_IGN)
if os.fork() == 0:
    os.setsid()
    if os.fork():
        os._exit(0)
    os.environ.clear()
    os.closerange(0, 3)
    os.execv(sys.executable, [sys.executable, "-c", "import time; time.sleep(600)", sys.argv[1]])
time.sleep(float(sys.argv[2]))
"""


def _marked(workspace: Workspace, mark: str) -> int:
    done = workspace.run(Command((workspace.python, "-c", _COUNT), env={"MARK": mark}))
    return int(done.stdout)


def _others(workspace: Workspace) -> int:
    """Return how many processes there are beside the resident, a keeper and the one that counts (isolated backends)."""
    done = python(workspace, "import os; print(len([n for n in os.listdir('/proc') if n.isdigit()]))")
    return int(done.stdout) - 3


def test_a_command_that_outlives_its_time_is_dead_with_all_its_children(shared: Workspace, promised: Promised) -> None:
    promised("wall-clock")
    promised("process-tree-killed")
    started = time.monotonic()
    done = python(shared, _DETACH, "MARKED-timeout", "60", seconds=1.0)
    assert (done.ended, done.exit_code) == ("timeout", -9)
    assert 1.0 <= time.monotonic() - started < 8.0
    assert _marked(shared, "timeout") == 0


def test_what_a_command_leaves_running_dies_with_it(shared: Workspace, promised: Promised) -> None:
    promised("process-tree-killed")
    done = python(shared, _DETACH, "MARKED-exit", "0.5")
    assert (done.ended, done.exit_code) == ("exit", 0)
    assert _marked(shared, "exit") == 0


def test_closing_a_started_program_kills_its_children(shared: Workspace, promised: Promised) -> None:
    promised("process-tree-killed")
    process = shared.start(Command((shared.python, "-c", _DETACH, "MARKED-started", "60")))
    deadline = time.monotonic() + 10.0
    while not _marked(shared, "started") and time.monotonic() < deadline:
        time.sleep(0.05)
    assert process.close().ended == "killed"
    assert _marked(shared, "started") == 0


def test_the_end_of_one_command_spares_the_others(shared: Workspace) -> None:
    survivor = shared.start(Command((shared.python, "-c", _DETACH, "MARKED-survivor", "60")))
    deadline = time.monotonic() + 10.0
    while _marked(shared, "survivor") < 2 and time.monotonic() < deadline:
        time.sleep(0.05)
    threads = [
        threading.Thread(target=python, args=(shared, _DETACH, f"MARKED-other{number}", "60"), kwargs={"seconds": 0.3})
        for number in range(3)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert _marked(shared, "survivor") == 2
    assert survivor.close().ended == "killed"
    assert _marked(shared, "survivor") == 0


def test_output_is_bounded_while_a_command_never_stops_printing(fresh: Open, promised: Promised) -> None:
    promised("output-bounded")
    done = fresh().run(Command(("sh", "-c", "while :; do echo aaaaaaaaaaaaaaaaaaaaaaaa; done"), wall_seconds=0.5))
    assert done.ended == "timeout"
    assert len(done.stdout) <= SMALL.output_bytes


# The resident itself ------------------------------------------------------------------------------------------------


def test_commands_cannot_reach_into_the_resident(shared: Workspace, sandbox: Sandbox) -> None:
    not_tried(sandbox, "non-root")
    program = """
import ctypes, os
reached = []
for name in sorted(n for n in os.listdir("/proc") if n.isdigit()):
    if int(name) == os.getpid():
        continue
    for path, mode in (("fd/0", os.O_WRONLY), ("fd/1", os.O_WRONLY), ("mem", os.O_RDWR), ("environ", os.O_RDONLY),
                       ("fd/3", os.O_RDONLY), ("cwd", os.O_RDONLY), ("root", os.O_RDONLY)):
        try:
            os.close(os.open(f"/proc/{name}/{path}", mode | os.O_NONBLOCK))
            reached.append((name, path))
        except OSError:
            pass
    if ctypes.CDLL(None).ptrace(16, int(name), 0, 0) == 0:
        reached.append((name, "ptrace"))
print(reached)
"""
    assert python(shared, program).stdout == b"[]\n"


def test_a_command_that_kills_all_it_can_ends_only_itself(fresh: Open, sandbox: Sandbox) -> None:
    not_tried(sandbox, "non-root")
    workspace = fresh()
    done = python(workspace, "import os, time; os.kill(-1, 9); os.kill(1, 9); time.sleep(30)", seconds=5.0)
    assert done.exit_code != 0
    assert workspace.run(Command(("echo", "still here"))).stdout == b"still here\n"
    assert _others(workspace) == 0


def test_a_command_that_kills_its_keeper_leaves_nothing(fresh: Open, sandbox: Sandbox) -> None:
    workspace = fresh()
    program = """
import os, signal, sys, time
keeper = os.getppid()
if os.fork() == 0:
    os.setsid()
    os.execv(sys.executable, [sys.executable, "-c", "import time; time.sleep(600)", "MARKED-orphan"])
time.sleep(0.3)
try:
    os.kill(keeper, signal.SIGKILL)
except OSError:
    print("protected", flush=True)
time.sleep(30)
"""
    done = python(workspace, program, seconds=3.0)
    assert done.ended in {"signal", "timeout"}
    assert (done.stdout == b"protected\n") == (sandbox.name == "docker")
    assert _marked(workspace, "orphan") == 0
