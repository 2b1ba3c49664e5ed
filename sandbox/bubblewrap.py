"""The bubblewrap backend: namespaces without a daemon, bounded by control groups where those can be written."""

from __future__ import annotations

import os
import re
import secrets
import shutil
import subprocess
import tarfile
import threading
from collections.abc import Mapping
from pathlib import Path

from sandbox import cgroups, furnishing, images
from sandbox.cgroups import Cgroup
from sandbox.errors import EnvironmentFailed, SandboxUnavailable
from sandbox.furnishing import Interpreter
from sandbox.limits import MIB, Limits
from sandbox.owners import reap_folders, remove_folder
from sandbox.pip_settings import pip_settings
from sandbox.pipes import PipeChannel, command_environment
from sandbox.protocol import WORK, Environment, EnvironmentDefinition, Guarantee, Progress
from sandbox.resident import PROBE, Client, Place, ResidentWorkspace, program
from sandbox.tree import Tree

_HOME = images.HOME
_TEMPORARY = "/tmp"  # noqa: S108 (the sandbox's own)
_FLAGS = (
    "--unshare-user", "--unshare-all", "--uid", "1000", "--gid", "1000", "--cap-drop", "ALL", "--die-with-parent",
    "--new-session", "--clearenv", "--hostname", "sandbox",
)  # fmt: skip
_HIDDEN = ("/proc/kcore", "/proc/keys", "/proc/timer_list", "/proc/sched_debug", "/proc/latency_stats")
# A shell that waits: it joins the groups in a child, and removes them when that has ended, also when its own parent
# was killed; `--die-with-parent`, which fires when the parent's *thread* ends, so never concerns our threads.
_LAUNCH = """
groups=
while [ "$1" != -- ]; do groups="$groups $1"; shift; done
shift
(for group in $groups; do echo 0 > "$group/cgroup.procs" || exit 97; done; exec "$@")
code=$?
for group in $groups; do
  for _ in 1 2 3 4 5 6 7 8 9 10; do rmdir "$group" 2>/dev/null && break; sleep 0.02; done
done
exit $code
"""


def _settings_covered() -> list[str]:
    """Return the mounts that make everything in `/proc` but processes read-only, and hide what tells of the kernel.

    Started by root, what runs in a sandbox is still the owner of the kernel's settings, though it has no capability:
    whoever writes `kernel.core_pattern` has the host run a program. bubblewrap covers only folders that look writable.
    """
    mounts = []
    for path in sorted(Path("/proc").iterdir()):
        if path.name.isdigit() or path.is_symlink():
            continue
        if str(path) in _HIDDEN:
            mounts += ["--ro-bind", "/dev/null", str(path)]
        elif path.is_dir() or path.stat().st_mode & 0o222:
            mounts += ["--ro-bind", str(path), str(path)]
    return mounts


class BubblewrapSandbox:
    """See `sandbox.protocol.Sandbox`."""

    name = "bubblewrap"

    def __init__(self, answer_seconds: float = 10.0) -> None:
        """Try it out.

        Raises:
            SandboxUnavailable: it is not installed, or this kernel does not let it make namespaces.

        """
        found = shutil.which("bwrap")
        if found is None:
            raise SandboxUnavailable("bubblewrap is not installed: install the package bubblewrap.")
        self._program = found
        self._options = self._supported()
        self._open: dict[str, ResidentWorkspace] = {}
        self._bounds: frozenset[Guarantee] | None = None
        self._lock = threading.Lock()
        self._try_out(answer_seconds)

    def _supported(self) -> frozenset[str]:
        said = subprocess.run([self._program, "--help"], capture_output=True, text=True, check=False)
        return frozenset(re.findall(r"--[a-z-]+", said.stdout + said.stderr))

    def _try_out(self, seconds: float) -> None:
        argv = [self._program, *self._flags(), "--ro-bind", "/", "/", "--proc", "/proc", "--dev", "/dev", "true"]
        try:
            done = subprocess.run(argv, capture_output=True, text=True, timeout=seconds, check=False)
        except (OSError, subprocess.SubprocessError) as error:
            raise SandboxUnavailable(f"bubblewrap does not work here: {error}.") from error
        if done.returncode:
            said = (done.stderr.strip().splitlines() or ["no reason given"])[-1]
            raise SandboxUnavailable(
                f"bubblewrap cannot make a sandbox here ({said}): allow unprivileged user namespaces, or use Docker."
            )

    def _flags(self) -> list[str]:
        extra = ["--disable-userns"] if "--disable-userns" in self._options else []
        return [*_FLAGS, *extra]

    def promises(self) -> Mapping[Guarantee, str | None]:
        if self._bounds is None:
            group = cgroups.create(Limits())
            group.remove()
            self._bounds = group.bounds
        kept: tuple[Guarantee, ...] = (
            "no-network", "non-root", "read-only-root", "file-size", "wall-clock", "process-tree-killed",
            "output-bounded", "host-files-hidden", "gone-after-sigkill",
        )  # fmt: skip
        found: dict[Guarantee, str | None] = dict.fromkeys(kept)
        controlled: tuple[Guarantee, ...] = ("memory", "pids", "cpu")
        for name in controlled:
            missing = f"No control group for {name} can be written here: run under a delegated one, or use Docker."
            found[name] = None if name in self._bounds else missing
        old = "This bubblewrap cannot bound the size of its file systems: version 0.8 or later can."
        found["disk"] = None if "--size" in self._options else old
        return found

    # Environments

    def prepare(self, definition: EnvironmentDefinition, progress: Progress) -> Environment:
        interpreter = furnishing.inspect(definition.interpreter or furnishing.own_base())
        digest = furnishing.environment_digest(self.name, definition, interpreter, images.RECIPE.read_text("utf-8"))

        def build(folder: Path) -> Mapping[str, str]:
            root = self._root(definition, interpreter, progress)
            shutil.copytree(root / _HOME.lstrip("/") / "pycache", folder / "pycache", copy_function=os.link)
            (folder / "probe").mkdir()
            (folder / "root").symlink_to(root)
            (folder / "python").write_text(interpreter.base)
            return self._furnish(definition, interpreter, folder, progress)

        return furnishing.built_once(self.name, digest, build)

    def _root(self, definition: EnvironmentDefinition, interpreter: Interpreter, progress: Progress) -> Path:
        """Return the folder of a root file system with copies of what an environment needs of this host."""
        files = images.root_files(interpreter, with_sites=definition.interpreter is not None)
        folder = furnishing.cache_folder() / "roots" / files.key()[:32]
        with furnishing.locked(folder.with_name(f"{folder.name}.lock")):
            if not folder.is_dir():
                progress(f"copying {interpreter.base} and what it needs")
                making = folder.with_name(f"{folder.name}.making")
                remove_folder(making)
                making.mkdir()
                _extract(files, interpreter, making)
                making.rename(folder)
        return folder

    def _furnish(
        self, definition: EnvironmentDefinition, interpreter: Interpreter, folder: Path, progress: Progress
    ) -> dict[str, str]:
        supplies = furnishing.supplies()
        pip, places = pip_settings().moved("/run/greendiff")
        places[str(supplies)] = "/run/greendiff/supplies"
        if Path("/etc/resolv.conf").exists():
            places["/etc/resolv.conf"] = "/etc/resolv.conf"
        order = furnishing.furnish_order(
            definition, images.site_places(interpreter).values(), pip, folder=_HOME, supplies_at=places[str(supplies)]
        )  # fmt: skip
        mounts = ["--bind", str(folder), _HOME, "--ro-bind", str(PROBE), f"{_HOME}/probe", "--tmpfs", "/run"]
        for host, inside in places.items():
            mounts += ["--ro-bind", str(Path(host).resolve()), inside]
        argv = [self._program, *self._flags(), "--share-net", *self._file_systems(folder / "root", _BUILD), *mounts]
        env = command_environment(f"{_HOME}/venv", "", _TEMPORARY, _TEMPORARY)
        for name, value in env.items():
            if value:
                argv += ["--setenv", name, value]
        argv += ["--chdir", _TEMPORARY, interpreter.base, "-I", f"{_HOME}/probe/furnish.py"]
        return furnishing.furnish(argv, order, progress, {})

    def _file_systems(self, root: Path, limits: Limits) -> list[str]:
        sized = "--size" in self._options
        disk = min(limits.disk_bytes, limits.memory_bytes // 2)

        def tmpfs(path: str, size: int) -> list[str]:
            return [*(["--size", str(size)] if sized else []), "--tmpfs", path]

        return [
            "--ro-bind", str(root.resolve()), "/", "--proc", "/proc", *_settings_covered(), "--dev", "/dev",
            *tmpfs("/dev/shm", 64 * MIB), "--remount-ro", "/dev",  # noqa: S108
            *tmpfs(WORK, disk - disk // 4), *tmpfs(_TEMPORARY, disk // 4),
        ]  # fmt: skip

    # Workspaces

    def open(self, tree: Tree, environment: Environment, limits: Limits | None = None) -> ResidentWorkspace:
        limits = limits or Limits()
        self.reap()
        folder = Path(environment.reference)
        try:
            base = (folder / "python").read_text()
        except OSError as error:
            raise EnvironmentFailed("The environment is no longer in the cache: prepare it again.") from error
        group = cgroups.create(limits)
        ooms: tuple[int, ...] = ()
        passed: tuple[int, ...] = ()
        if group.ooms is not None:
            passed = ooms = (os.open(group.ooms, os.O_RDONLY),)
        try:
            return self._started(tree, environment, limits, base, group, ooms)
        except BaseException:
            group.remove()
            raise
        finally:
            for fd in passed:
                os.close(fd)

    def _started(
        self, tree: Tree, environment: Environment, limits: Limits, base: str, group: Cgroup, ooms: tuple[int, ...]
    ) -> ResidentWorkspace:
        folder = Path(environment.reference)
        arguments, sent = program(environment.versions["python"], f"{_HOME}/pycache")
        argv = [
            "/bin/sh", "-c", _LAUNCH, "sh", *map(str, group.folders), "--", self._program, *self._flags(), "--as-pid-1",
            *self._file_systems(folder / "root", limits), "--ro-bind", str(folder), _HOME,
            "--ro-bind", str(PROBE), f"{_HOME}/probe", "--chdir", WORK, base, *arguments,
        ]  # fmt: skip
        channel = PipeChannel(argv, keep=ooms)
        identifier = secrets.token_hex(6)

        def closed() -> None:
            channel.release()
            group.remove()
            self._open.pop(identifier, None)

        try:
            channel.send(sent)
        except OSError as error:
            channel.close()
            complaint = channel.complaint().strip()
            closed()
            raise SandboxUnavailable(f"bubblewrap could not start the sandbox: {complaint or error}.") from error
        workspace = ResidentWorkspace(
            identifier,
            Client(channel),
            self._place(limits, group, ooms),
            limits,
            again=lambda: self.open(tree, environment, limits),
            closed=closed,
        )
        self._open[identifier] = workspace
        try:
            workspace.fill(tree, {})
        except BaseException:
            workspace.close()
            raise
        return workspace

    @staticmethod
    def _place(limits: Limits, group: Cgroup, ooms: tuple[int, ...]) -> Place:
        venv = f"{_HOME}/venv"
        # Weaker stand-ins for the groups that are missing: bounds on each process.
        rlimits = {} if "memory" in group.bounds else {"DATA": limits.memory_bytes}
        if (
            "pids" not in group.bounds
            and os.geteuid()
            and tuple(map(int, os.uname().release.split(".")[:2])) >= (5, 14)
        ):
            rlimits["NPROC"] = limits.pids
        return Place(
            root=WORK,
            probe=f"{_HOME}/probe",
            python=f"{venv}/bin/python",
            env=command_environment(venv, f"{_HOME}/pycache", f"{_TEMPORARY}/home", _TEMPORARY),
            ooms=ooms,
            folders=(f"{_TEMPORARY}/home",),
            rlimits=rlimits,
        )

    def reap(self) -> int:
        return reap_folders() + cgroups.reap_cgroups()

    def close(self) -> None:
        for workspace in list(self._open.values()):
            workspace.close()


_BUILD = Limits(memory_bytes=8192 * MIB, disk_bytes=4096 * MIB)


def _extract(files: images.RootFiles, interpreter: Interpreter, folder: Path) -> None:
    """Lay the files out in a folder, through a pipe from the writer to the unpacker."""
    source, target = os.pipe()

    def write() -> None:
        with os.fdopen(target, "wb") as file:
            images.write_tar(files, interpreter, file)

    writer = threading.Thread(target=write, name="greendiff-root")
    writer.start()
    try:
        with os.fdopen(source, "rb") as file, tarfile.open(fileobj=file, mode="r|", bufsize=1 << 20) as tar:
            for member in tar:
                member.uid = member.gid = os.geteuid()
                tar.extract(member, folder, filter="fully_trusted")  # we wrote it
    finally:
        writer.join()
