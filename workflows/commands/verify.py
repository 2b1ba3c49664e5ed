"""`greendiff verify`: an evidence bundle replayed, and every difference told."""

from __future__ import annotations

import argparse
import os
from pathlib import Path
from typing import TYPE_CHECKING, cast

from sandbox.errors import SandboxUnavailable
from workflows.commands.session import guarded, say
from workflows.errors import Usage
from workflows.progress import Events, view_for
from workflows.wording import plural

if TYPE_CHECKING:
    from sandbox.backends import BackendName
    from sandbox.protocol import Sandbox


def _sandbox(asked: str | None, made_in: str) -> Sandbox:
    """Open the backend that was asked for, or the kind that the bundle was made in.

    A bundle is not trusted, so it never leads to `local`: only the person who replays it may ask for that.
    """
    from sandbox.backends import open_sandbox

    name = asked or os.environ.get("GREENDIFF_SANDBOX")
    if name in {"auto", "docker", "bubblewrap", "local"}:
        return open_sandbox(cast("BackendName", name))
    if name is not None:
        raise Usage(f"GREENDIFF_SANDBOX: there is no sandbox {name!r}")
    if made_in in {"docker", "bubblewrap"}:
        try:
            return open_sandbox(cast("BackendName", made_in))
        except SandboxUnavailable:
            say(f"the bundle was made with {made_in}, which is not here; trying another sandbox")
    return open_sandbox()


def verify(arguments: argparse.Namespace, started: float) -> int:
    """Replay a bundle from its base commit; 0 if everything is as it says, 1 if anything differs."""

    def work() -> int:
        from workflows.evidence import read_bundle, replay

        bundle = read_bundle(Path(arguments.bundle))
        repository = Path(arguments.repository or ".").absolute()
        events = Events(view_for(as_json=False, budget=0), started=started)
        sandbox = _sandbox(arguments.sandbox, bundle.manifest.environment.backend)
        try:
            sandbox.reap()
            result = replay(bundle, repository, sandbox, events.note, interpreter=arguments.python)
        finally:
            events.close()
            sandbox.close()
        for note in result.notes:
            say(f"note: {note}")
        for difference in result.differences:
            say(f"differs: {difference}")
        if not result.passed:
            say(f"greendiff: the bundle does not hold: {plural(len(result.differences), 'difference')}")
            return 1
        print(f"{arguments.bundle} holds: replayed in a fresh {sandbox.name} sandbox in {result.seconds:.1f} s")
        return 0

    return guarded(work)
