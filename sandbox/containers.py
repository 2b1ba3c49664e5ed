"""What containers and images of the Docker backend are made of; speaks to the daemon only through a lent client."""

from __future__ import annotations

import hashlib
import io
import json
import os
import tempfile
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager
from typing import Any, Protocol

from sandbox import furnishing, images
from sandbox.errors import EnvironmentFailed, SandboxBroken, SandboxUnavailable
from sandbox.furnishing import Interpreter
from sandbox.limits import MIB, Limits
from sandbox.owners import owner
from sandbox.pip_settings import pip_settings
from sandbox.pipes import command_environment
from sandbox.protocol import WORK, Command, Environment, EnvironmentDefinition, Process, Progress
from sandbox.resident import Place, ResidentWorkspace
from sandbox.tree import Entry, Tree

_HOME = images.HOME
_BUILD = Limits(wall_seconds=1800.0, memory_bytes=4096 * MIB, disk_bytes=4096 * MIB, file_bytes=4096 * MIB, pids=1024)
_VERSIONS, _PYTHON, _OWNER = "greendiff.versions", "greendiff.python", "greendiff.owner"


def container_settings(limits: Limits, *, sealed: bool) -> dict[str, Any]:
    """Return a container's configuration: without network and read-only if `sealed`."""
    user = images.USER
    # tmpfs counts as memory, so it may take no more than half of that.
    disk = min(limits.disk_bytes, limits.memory_bytes // 2)
    temporary = disk // 4
    own = f"rw,nosuid,nodev,exec,uid={user},gid={user},mode=0755,nr_inodes=1m"
    host = {
        "NetworkMode": "none" if sealed else "default",
        "ReadonlyRootfs": sealed,
        "CapDrop": ["ALL"],
        # For the resident alone: commands run as another user, with none.
        "CapAdd": ["SETUID", "SETGID", "KILL"],
        "SecurityOpt": ["no-new-privileges:true"],
        "PidsLimit": limits.pids + 8,
        "Memory": limits.memory_bytes,
        "MemorySwap": limits.memory_bytes,
        "NanoCpus": int(limits.cpus * 1e9),
        "Ulimits": [
            {"Name": "fsize", "Soft": limits.file_bytes, "Hard": limits.file_bytes},
            {"Name": "nofile", "Soft": limits.open_files, "Hard": limits.open_files},
            {"Name": "core", "Soft": 0, "Hard": 0},
        ],
        "LogConfig": {"Type": "none"},
        "IpcMode": "private",
        "ShmSize": 64 * MIB,
        "AutoRemove": True,
        "Tmpfs": {
            WORK: f"{own},size={disk - temporary}",
            "/tmp": f"{own},size={temporary}",  # noqa: S108 (the container's own)
            f"{_HOME}/probe": "rw,nosuid,nodev,noexec,mode=0755,size=8m",
        },
    }
    return {
        "HostConfig": host,
        "User": "0:0",
        "WorkingDir": "/",
        "Hostname": "sandbox",
        "Env": ["PATH=/usr/local/bin:/usr/bin:/bin"],
        "Labels": {_OWNER: owner()},
        "AttachStdin": True,
        "AttachStdout": True,
        "AttachStderr": True,
        "OpenStdin": True,
        # The lifeline: when whoever attached goes, the resident's input ends, and it goes too.
        "StdinOnce": True,
        "Tty": False,
        "NetworkDisabled": sealed,
    }


def place_in_container() -> Place:
    """Return where things lie in every container."""
    venv, temporary = f"{_HOME}/venv", "/tmp"  # noqa: S108 (the container's own)
    return Place(
        root=WORK,
        probe=f"{_HOME}/probe",
        python=f"{venv}/bin/python",
        env=command_environment(venv, f"{_HOME}/pycache", f"{temporary}/home", temporary),
        uid=images.USER,
        ooms=("/sys/fs/cgroup/memory/memory.oom_control", "/sys/fs/cgroup/memory.events"),
        folders=(f"{temporary}/home",),
    )


def base_image(definition: EnvironmentDefinition) -> str | None:
    """Return the image that `GREENDIFF_BASE_IMAGE` names, None where the base is made of this host.

    A given interpreter's packages are this host's, and so is then the base.
    """
    return None if definition.interpreter else os.environ.get("GREENDIFF_BASE_IMAGE") or None


class Starter(Protocol):
    """Starts a container of an image, with the interpreter of its resident and that one's version."""

    def __call__(
        self, image: str, python: tuple[str, str], settings: Mapping[str, Any], limits: Limits, tree: Tree
    ) -> ResidentWorkspace: ...


class Images:
    """Base images and the environments that are made on them, cached in the daemon by their digests."""

    def __init__(self, client: Callable[[], AbstractContextManager[Any]], start: Starter) -> None:
        """Use `client` to borrow a connection, and `start` to start a container to build in."""
        self._client = client
        self._start = start
        self._known: dict[str, tuple[str, str]] = {}

    def python(self, environment: Environment) -> tuple[str, str]:
        """Return the base interpreter of an environment's image and its version."""
        if environment.reference not in self._known:
            labels = self._labels(environment.reference)
            if not labels:
                raise EnvironmentFailed("The environment's image is no longer there: prepare it again.")
            self._known[environment.reference] = labels[_PYTHON], environment.versions["python"]
        return self._known[environment.reference]

    def _find(self, name: str) -> Mapping[str, Any] | None:
        with self._client() as client:
            found: list[dict[str, Any]] = client.images(name=name)
        return found[0] if found else None

    def _labels(self, name: str) -> Mapping[str, str]:
        with self._client() as client:
            for found in client.images(all=True, filters={"label": _PYTHON}):
                if found["Id"] == name:
                    return dict(found["Labels"])
        return {}

    def prepare(self, definition: EnvironmentDefinition, progress: Progress) -> Environment:
        """See `sandbox.protocol.Sandbox.prepare`."""
        interpreter = furnishing.inspect(definition.interpreter or furnishing.own_base())
        digest = furnishing.environment_digest(
            "docker", definition, interpreter, images.RECIPE.read_text("utf-8"), base_image(definition) or ""
        )
        name = f"greendiff/environment:{digest[:32]}"
        with furnishing.locked(furnishing.cache_folder() / "environments" / f"docker-{digest[:32]}.lock"):
            found = self._find(name)
            if found is None:
                self._build(definition, interpreter, name, progress)
                found = self._find(name)
            if found is None:
                raise EnvironmentFailed("The environment's image was removed while it was made.")
        versions = json.loads(found["Labels"][_VERSIONS])
        self._known[found["Id"]] = found["Labels"][_PYTHON], versions["python"]
        return Environment(digest, "docker", found["Id"], versions)

    def _base(
        self, definition: EnvironmentDefinition, interpreter: Interpreter, progress: Progress
    ) -> tuple[str, tuple[str, str]]:
        """Return the image to build on, and its interpreter with its version."""
        named = base_image(definition)
        if named is not None:
            return self._from_dockerfile(named, progress)
        files = images.root_files(interpreter, with_sites=definition.interpreter is not None)
        name = f"greendiff/base:{files.key()[:32]}"
        if self._find(name) is None:
            progress(f"making a base image from {interpreter.base}")
            with tempfile.NamedTemporaryFile(prefix="greendiff-base-") as file:
                images.write_tar(files, interpreter, file)
                file.flush()
                repository, tag = name.split(":")
                changes = [f"LABEL {_PYTHON}={json.dumps(interpreter.base)}"]
                with self._client() as client:
                    client.import_image(src=file.name, repository=repository, tag=tag, changes=changes)
        return name, (interpreter.base, interpreter.version)

    def _from_dockerfile(self, base: str, progress: Progress) -> tuple[str, tuple[str, str]]:
        recipe = images.DOCKERFILE.read_bytes()
        name = f"greendiff/base:{hashlib.sha256(base.encode() + recipe).hexdigest()[:32]}"
        if self._find(name) is None:
            progress(f"building a base image on {base}")
            said: list[str] = []
            with self._client() as client:
                answers = client.build(
                    fileobj=io.BytesIO(recipe), tag=name, buildargs={"BASE": base}, rm=True, decode=True
                )
                said += [str(answer.get("stream") or answer.get("error") or "").rstrip() for answer in answers]
            if self._find(name) is None:
                raise EnvironmentFailed(f"No base image could be built on {base}.", "\n".join(said[-50:]))
        return name, self._asked(name)

    def _asked(self, image: str) -> tuple[str, str]:
        """Return the interpreter of an image and its version, by starting it once."""
        program = "import platform, os, sys; print(os.path.realpath(sys.executable), platform.python_version())"
        settings = container_settings(Limits(), sealed=True)
        try:
            with self._start(image, ("python3", "0"), settings, Limits(), Tree({})) as workspace:
                done = workspace.run(Command(("python3", "-c", program)))
        except (SandboxBroken, SandboxUnavailable) as error:
            raise EnvironmentFailed(f"The image {image} has no usable python3: {error}") from error
        path, _, version = done.stdout.decode().strip().partition(" ")
        return path, version

    def _build(
        self, definition: EnvironmentDefinition, interpreter: Interpreter, name: str, progress: Progress
    ) -> None:
        base, python = self._base(definition, interpreter, progress)
        pip, places = pip_settings().moved("/run/greendiff")
        settings = container_settings(_BUILD, sealed=False)
        binds = [f"{host}:{inside}:ro" for host, inside in places.items()]
        settings["HostConfig"] = {**settings["HostConfig"], "Binds": binds}
        supplies = Tree(
            {
                str(path.relative_to(furnishing.supplies())): Entry(path.read_bytes())
                for path in furnishing.supplies().rglob("*")
                if path.is_file()
            }
        )
        order = furnishing.furnish_order(
            definition, images.site_places(interpreter).values(), pip, folder=_HOME, supplies_at=WORK
        )
        with self._start(base, python, settings, _BUILD, supplies) as workspace:
            command = Command(
                (python[0], "-I", f"{workspace.probe}/furnish.py"), env={"PYTHONPYCACHEPREFIX": ""}, stdin=order
            )
            process = workspace.start(command)
            said = furnishing.relay(_lines(process), progress)
            done = process.close()
            versions = furnishing.versions_from(said or [done.stderr.decode("utf-8", "replace")])
            # The container's own label would say that the image, and what is made of it, is this process's.
            labels = {_VERSIONS: json.dumps(versions), _PYTHON: python[0], _OWNER: ""}
            progress("sealing the environment")
            with self._client() as client:
                repository, tag = name.split(":")
                conf = {"Labels": labels, "Cmd": [f"{_HOME}/venv/bin/python"]}
                client.commit(workspace.id, repository=repository, tag=tag, conf=conf)


def _lines(process: Process) -> Iterator[bytes]:
    rest = b""
    while data := process.receive(_BUILD.wall_seconds):
        *lines, rest = (rest + data).split(b"\n")
        yield from lines
    if rest:
        yield rest
