"""The local backend: plain processes in a temporary folder, for code that is trusted."""

from __future__ import annotations

import os
import platform
import sys
from collections.abc import Mapping
from pathlib import Path

from sandbox import furnishing
from sandbox.errors import SandboxUnavailable
from sandbox.limits import Limits
from sandbox.owners import owned_folder, reap_folders, remove_folder
from sandbox.pip_settings import pip_settings
from sandbox.pipes import PipeChannel, command_environment, probe_entries
from sandbox.protocol import Environment, EnvironmentDefinition, Guarantee, Progress
from sandbox.resident import PROBE, Client, Place, ResidentWorkspace, program
from sandbox.tree import Tree

_FOR_BUILDS = (
    "PATH", "HOME", "TMPDIR", "LANG", "LC_ALL", "XDG_CACHE_HOME", "CC", "CXX", "CFLAGS", "CXXFLAGS", "LDFLAGS",
    "CPATH", "LIBRARY_PATH", "LD_LIBRARY_PATH", "PKG_CONFIG_PATH", "SSL_CERT_DIR",
)  # fmt: skip
"""Variables that builds of packages may need; pip's own and proxies are passed apart."""
_NOT_HERE = "Local processes run with your own rights on this machine; use the docker or bubblewrap backend."


class LocalSandbox:
    """See `sandbox.protocol.Sandbox`; `promises` says how little this isolates."""

    name = "local"

    def __init__(self) -> None:
        self._open: dict[str, ResidentWorkspace] = {}

    def promises(self) -> Mapping[Guarantee, str | None]:
        kept: tuple[Guarantee, ...] = (
            "file-size", "wall-clock", "process-tree-killed", "output-bounded", "gone-after-sigkill",
        )  # fmt: skip
        lacking: tuple[Guarantee, ...] = (
            "no-network", "non-root", "read-only-root", "memory", "pids", "cpu", "disk", "host-files-hidden",
        )  # fmt: skip
        return dict.fromkeys(kept) | dict.fromkeys(lacking, _NOT_HERE)

    def prepare(self, definition: EnvironmentDefinition, progress: Progress) -> Environment:
        interpreter = furnishing.inspect(definition.interpreter or furnishing.own_base())
        digest = furnishing.environment_digest(self.name, definition, interpreter)

        def build(folder: Path) -> Mapping[str, str]:
            supplies = str(furnishing.supplies())
            pip = pip_settings()
            order = furnishing.furnish_order(
                definition, interpreter.sites, pip, folder=str(folder), supplies_at=supplies
            )
            # An installation runs programs of strangers, and nothing of them needs a secret of this process.
            env = {name: os.environ[name] for name in _FOR_BUILDS if name in os.environ}
            env["PYTHONDONTWRITEBYTECODE"] = "1"
            return furnishing.furnish([interpreter.base, "-I", str(PROBE / "furnish.py")], order, progress, env)

        return furnishing.built_once(self.name, digest, build)

    def open(self, tree: Tree, environment: Environment, limits: Limits | None = None) -> ResidentWorkspace:
        limits = limits or Limits()
        reap_folders()
        try:
            folder = owned_folder()
        except OSError as error:
            raise SandboxUnavailable(f"No temporary folder can be made: {error.strerror}.") from error
        try:
            return self._opened(folder, tree, environment, limits)
        except BaseException:
            remove_folder(folder)
            raise

    def _opened(self, folder: Path, tree: Tree, environment: Environment, limits: Limits) -> ResidentWorkspace:
        for name in ("work", "probe", "home", "tmp"):
            (folder / name).mkdir()
        for name, entry in probe_entries().items():
            (folder / "probe" / name).write_bytes(entry.data)
            (folder / "probe" / name).chmod(0o444)
        (folder / "probe").chmod(0o555)
        arguments, sent = program(platform.python_version())
        channel = PipeChannel([sys.executable, *arguments])
        channel.send(sent)
        client = Client(channel)
        venv = f"{environment.reference}/venv"
        place = Place(
            root=str(folder / "work"),
            probe=str(folder / "probe"),
            python=f"{venv}/bin/python",
            env=command_environment(
                venv, f"{environment.reference}/pycache", str(folder / "home"), str(folder / "tmp")
            ),
            remove=(str(folder),),
            rlimits={"DATA": limits.memory_bytes},
        )

        def closed() -> None:
            channel.release()
            self._open.pop(workspace.id, None)
            remove_folder(folder)

        workspace = ResidentWorkspace(
            folder.name, client, place, limits, again=lambda: self.open(tree, environment, limits), closed=closed
        )
        self._open[workspace.id] = workspace
        try:
            workspace.fill(tree, {})
        except BaseException:
            workspace.close()
            raise
        return workspace

    def reap(self) -> int:
        return reap_folders()

    def close(self) -> None:
        for workspace in list(self._open.values()):
            workspace.close()
