"""Programs that try to get out: each prints `OUT` and what it reached, and nothing where it reached nothing."""
# ruff: noqa: E501 - a table of programs

from __future__ import annotations

from dataclasses import dataclass

from sandbox.protocol import Guarantee

PRELUDE = """
import ctypes, glob, json, os, pwd, resource, socket, struct, sys, time
facts = json.loads(sys.argv[1])
libc = ctypes.CDLL(None, use_errno=True)
def out(*what):
    print("OUT", *what, flush=True)
def read(path):
    with open(path, "rb") as file:
        return file.read(100_000)
def attempt(action, *arguments):
    try:
        found = action(*arguments)
    except (OSError, ValueError, OverflowError):
        return
    if found is not False:
        out(action.__name__, *arguments)
def secret_in(path):
    if facts["secret"].encode() in read(path):
        out("read", path)
    return False
"""
"""What every program begins with; `attempt` reports what did not fail."""


@dataclass(frozen=True)
class Attack:
    """One way out."""

    name: str
    program: str
    against: Guarantee
    """The promise that it would break; a backend that does not give it is expected to let it through."""
    shown: bool = True
    """Whether it is run on this machine itself first, where it must succeed; False where that would do harm or depends
    on what the machine has."""
    root: bool = False
    """Shown only to root, who alone can do it without a sandbox."""


FILES = [
    Attack("its path", 'attempt(secret_in, facts["file"])', "host-files-hidden"),
    Attack("the root of process 1", 'attempt(secret_in, "/proc/1/root" + facts["file"])', "host-files-hidden", shown=False),
    Attack(
        "the root of every process",
        'for one in glob.glob("/proc/[0-9]*/root"): attempt(secret_in, one + facts["file"])',
        "host-files-hidden",
    ),
    Attack(
        "the folder that another process is in",
        'for one in glob.glob("/proc/[0-9]*/cwd"): attempt(secret_in, one + "/secret.txt")',
        "host-files-hidden",
    ),
    Attack(
        "the open files of other processes",
        'for one in glob.glob("/proc/[0-9]*/fd/*"):\n'
        '    if facts["file"] in (os.readlink(one) if os.path.islink(one) else ""): attempt(secret_in, one)',
        "host-files-hidden",
    ),
    Attack(
        "the environment of other processes",
        'for one in glob.glob("/proc/[0-9]*/environ"):\n    if int(one.split("/")[2]) != os.getpid(): attempt(secret_in, one)',
        "host-files-hidden",
    ),
    Attack(
        "the words that other processes were started with",
        'for one in glob.glob("/proc/[0-9]*/cmdline"):\n'
        '    if int(one.split("/")[2]) not in (os.getpid(), os.getppid()) and b"-mark-" in read(one): out(one)',
        "host-files-hidden",
    ),
    Attack("a symbolic link", 'attempt(os.symlink, facts["file"], "l1"); attempt(secret_in, "l1")\n', "host-files-hidden"),
    Attack("a hard link", 'attempt(os.link, facts["file"], "l2")', "host-files-hidden"),
    Attack(
        "a link by way of a descriptor",
        'attempt(os.symlink, "/proc/self/root" + facts["file"], "l3"); attempt(secret_in, "l3")\n',
        "host-files-hidden",
    ),
    Attack("a walk up", 'attempt(secret_in, "../" * 40 + facts["file"].lstrip("/"))', "host-files-hidden"),
    Attack(
        "a bound mount",
        'os.makedirs("m", exist_ok=True)\nif libc.mount(b"/", b"m", None, 4096, None) == 0: out("mount"); libc.umount2(b"m", 2)',
        "non-root", root=True,
    ),
    Attack(
        "a mount of another kind",
        'os.makedirs("m", exist_ok=True)\n'
        'for kind in (b"proc", b"tmpfs", b"cgroup2"):\n'
        '    if libc.mount(b"none", b"m", kind, 0, None) == 0: out(kind); libc.umount2(b"m", 2)',
        "non-root", root=True,
    ),
    Attack(
        "a handle to the root folder",
        'for top in (b"/", b".", b"/etc", b"/tmp"):\n'
        '    fd = os.open(top, os.O_RDONLY)\n'
        '    handle = struct.pack("II", 8, 1) + struct.pack("Q", 2)\n'
        '    if libc.open_by_handle_at(fd, ctypes.create_string_buffer(handle), 0) >= 0: out(top)',
        "non-root", shown=False,
    ),
    Attack(
        "a device that is made",
        'for number in ((1, 1), (1, 2), (8, 0), (253, 0), (254, 0), (259, 0)):\n'
        '    attempt(os.mknod, "d%d-%d" % number, 0o20666, os.makedev(*number))',
        "non-root", root=True,
    ),
    Attack(
        "a device that is there",
        'for one in ("/dev/mem", "/dev/kmem", "/dev/port", "/dev/fuse", "/dev/loop-control", "/dev/kmsg",\n'
        '            *glob.glob("/dev/sd*"), *glob.glob("/dev/vd*"), *glob.glob("/dev/nvme*"), *glob.glob("/dev/dm-*")):\n'
        '    attempt(os.open, one, os.O_RDWR)',
        "host-files-hidden", root=True, shown=False,
    ),
    Attack("another root", 'os.makedirs("r", exist_ok=True)\nif os.fork() == 0:\n    attempt(os.chroot, "r"); os._exit(0)\nos.wait()', "non-root", root=True),
    Attack("the daemon's socket", 'for one in ("/var/run/docker.sock", "/run/docker.sock", "/run/containerd/containerd.sock"):\n'
           '    attempt(socket.socket(socket.AF_UNIX).connect, one)', "host-files-hidden", shown=False),
    Attack("the folders of users", 'mine = pwd.getpwuid(0).pw_dir\nfor one in (mine + "/.ssh", mine + "/.bashrc", "/home", "/var/lib/docker", "/etc/shadow", "/etc/ssh", "/boot"):\n'
           '    attempt(lambda path: bool(os.listdir(path) if os.path.isdir(path) else read(path)), one)', "host-files-hidden", root=True),
]  # fmt: skip

KERNEL = [
    # Whoever may write one of them has the host run a program, or switches its defences off.
    Attack(
        "any setting of the kernel",
        'for top, folders, names in os.walk("/proc"):\n'
        '    if top == "/proc": folders[:] = [one for one in folders if not one.isdigit() and one not in ("self", "thread-self", "pressure")]\n'
        '    for name in names:\n'
        '        # What can be opened there is a device that holds nothing, laid over it.\n'
        '        if name not in ("keys", "timer_list", "kcore"): attempt(os.open, os.path.join(top, name), os.O_WRONLY | os.O_NONBLOCK)\n'
        'for top, _, names in os.walk("/sys"):\n'
        '    for name in names: attempt(os.open, os.path.join(top, name), os.O_WRONLY | os.O_NONBLOCK)',
        "read-only-root", shown=False,
    ),
    Attack("the pattern of core dumps", 'attempt(os.open, "/proc/sys/kernel/core_pattern", os.O_WRONLY)', "read-only-root", root=True),
    Attack("the keys of the kernel", 'attempt(os.open, "/proc/sysrq-trigger", os.O_WRONLY)', "read-only-root", shown=False),
    Attack("the loader of modules", 'attempt(os.open, "/proc/sys/kernel/modprobe", os.O_WRONLY)', "read-only-root", shown=False),
    Attack(
        "control groups",
        'for top, _, names in os.walk("/sys/fs/cgroup"):\n'
        '    for name in names:\n'
        '        if name in ("cgroup.procs", "tasks", "release_agent", "memory.limit_in_bytes", "memory.max"):\n'
        '            attempt(os.open, os.path.join(top, name), os.O_WRONLY)',
        "read-only-root", root=True,
    ),
    Attack("a uevent helper", 'attempt(os.open, "/sys/kernel/uevent_helper", os.O_WRONLY)', "read-only-root", root=True, shown=False),
    Attack("the machine's name", 'attempt(socket.sethostname, socket.gethostname())', "non-root", root=True),
    Attack("the machine's clock", 'attempt(time.clock_settime, time.CLOCK_REALTIME, time.time())', "non-root", shown=False),
    Attack("a namespace of its own with every right", 'if os.fork() == 0:\n    if libc.unshare(0x10000000) == 0: out("unshare")\n    os._exit(0)\nos.wait()', "non-root"),
    Attack("a namespace of mounts", 'if os.fork() == 0:\n    if libc.unshare(0x20000) == 0: out("unshare")\n    os._exit(0)\nos.wait()', "non-root", root=True),
    Attack("another process's namespaces", 'for one in glob.glob("/proc/[0-9]*/ns/*"):\n    if os.fork() == 0:\n        fd = os.open(one, 0) if os.access(one, 4) else -1\n'
           '        if fd >= 0 and not one.endswith(("user", "time_for_children", "pid_for_children")) and libc.setns(fd, 0) == 0: out(one)\n        os._exit(0)\n    os.wait()', "non-root", shown=False),
    Attack("higher limits", 'soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)\nattempt(resource.setrlimit, resource.RLIMIT_NOFILE, (hard + 1, hard + 1))', "non-root", root=True),
    Attack("a real-time schedule", 'attempt(os.sched_setscheduler, 0, os.SCHED_FIFO, os.sched_param(1)); attempt(os.nice, -5)', "non-root", root=True, shown=False),
    Attack("another user", 'for act in (os.setuid, os.setgid):\n    if os.fork() == 0:\n        attempt(act, 0 if os.getuid() else 4321); os._exit(0)\n    os.wait()', "non-root", root=True),
    Attack("a program that runs as root", 'open("s", "wb").write(b"x"); os.chmod("s", 0o4755)\n'
           'for one in ("/bin/su", "/usr/bin/sudo", "/bin/mount", "/usr/bin/passwd", "/usr/bin/newgrp"):\n'
           '    if os.path.exists(one) and os.stat(one).st_mode & 0o4000 and "NoNewPrivs:\\t1" not in open("/proc/self/status").read(): out(one)', "non-root", shown=False),
    Attack("a process of the host", 'for one in glob.glob("/proc/[0-9]*/comm"):\n    number = int(one.split("/")[2])\n'
           '    if b"-mark-" in read("/proc/%d/cmdline" % number) and number not in (os.getpid(), os.getppid()): attempt(os.kill, number, 0)', "host-files-hidden"),
    Attack("the memory of other processes", 'for one in glob.glob("/proc/[0-9]*/mem"):\n    if int(one.split("/")[2]) != os.getpid(): attempt(os.open, one, os.O_RDWR)', "non-root", root=True),
    Attack("tracing", 'for one in glob.glob("/proc/[0-9]*"):\n    number = int(one.split("/")[2])\n'
           '    if number == facts["pid"] and libc.ptrace(16, number, 0, 0) == 0: out(number); libc.ptrace(17, number, 0, 0)', "non-root"),
    Attack("the kernel's log", 'buffer = ctypes.create_string_buffer(4096)\nif libc.klogctl(3, buffer, 4096) > 0: out("klogctl")', "non-root", root=True, shown=False),
    Attack("programs for the kernel", 'if libc.syscall(321, 0, ctypes.create_string_buffer(struct.pack("IIII", 2, 4, 4, 1) + bytes(56)), 72) >= 0: out("bpf")', "non-root", shown=False),
]  # fmt: skip

NETWORK = [
    Attack("TCP to the host", 'for one in facts["addresses"]: attempt(lambda a: bool(socket.create_connection((a, facts["tcp"]), 1)), one)', "no-network"),
    Attack("TCP over IPv6", 'attempt(socket.create_connection, ("::1", facts["tcp6"]), 1)', "no-network"),
    Attack("UDP to the host", 'for one in facts["addresses"]:\n    try: socket.socket(socket.AF_INET, socket.SOCK_DGRAM).sendto(b"x", (one, facts["udp"]))\n    except OSError: pass', "no-network"),
    Attack("an abstract Unix socket", 'attempt(socket.socket(socket.AF_UNIX).connect, "\\0" + facts["abstract"])', "no-network"),
    Attack("a Unix socket by its path", 'attempt(socket.socket(socket.AF_UNIX).connect, facts["unix"])', "host-files-hidden"),
    Attack("a raw socket", 'attempt(socket.socket, socket.AF_INET, socket.SOCK_RAW, 1)', "non-root", root=True),
    Attack("a packet socket", 'attempt(socket.socket, socket.AF_PACKET, socket.SOCK_RAW, 3)', "non-root", root=True),
    Attack("interfaces", 'names = [name for _, name in socket.if_nameindex() if name != "lo" and not name.startswith(("tunl", "sit", "ip6", "gre", "erspan"))]\nif names: out(*names)', "no-network", shown=False),
    Attack("the metadata address", 'attempt(socket.create_connection, ("169.254.169.254", 80), 1)', "no-network", shown=False),
    Attack("names", 'attempt(lambda name: bool(socket.gethostbyname(name)), "example.org")', "no-network", shown=False),
    Attack("a resolver", 'for line in (open("/etc/resolv.conf") if os.path.exists("/etc/resolv.conf") else ()):\n'
           '    if line.startswith("nameserver"): attempt(socket.create_connection, (line.split()[1], 53), 1)', "no-network", shown=False),
    Attack("broadcast", 'one = socket.socket(socket.AF_INET, socket.SOCK_DGRAM); one.setsockopt(socket.SOL_SOCKET, socket.SO_BROADCAST, 1)\nattempt(one.sendto, b"x", ("255.255.255.255", 9))', "no-network", shown=False),
    Attack("the machine beneath", 'attempt(lambda: socket.socket(socket.AF_VSOCK).connect((2, 22)))', "no-network", shown=False),
]  # fmt: skip

ATTACKS = [*FILES, *KERNEL, *NETWORK]
