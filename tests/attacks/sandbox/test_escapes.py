"""Ways out of a sandbox, each tried without one first where that does no harm, and then on every backend."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from sandbox.protocol import Command, Sandbox, Workspace
from tests.attacks.sandbox.conftest import Host
from tests.attacks.sandbox.programs import ATTACKS, PRELUDE, Attack

SHOWN = [attack for attack in ATTACKS if attack.shown]


def test_there_are_enough() -> None:
    names = [attack.name for attack in ATTACKS]
    assert len(names) == len(set(names)) >= 45


@pytest.mark.parametrize("attack", SHOWN, ids=lambda attack: attack.name)
def test_without_a_sandbox_it_gets_out(attack: Attack, host: Host, tmp_path: Path) -> None:
    if attack.root and os.getuid() != 0:
        pytest.skip("only root could do it without a sandbox")
    if attack.name == "TCP over IPv6" and not host.facts["tcp6"]:
        pytest.skip("this machine has no IPv6")
    host.heard()
    done = subprocess.run(
        [sys.executable, "-c", PRELUDE + attack.program, json.dumps(host.facts)], cwd=tmp_path, capture_output=True,
        timeout=60,
    )  # fmt: skip
    if b"Permission denied" in done.stderr or (attack.against == "non-root" and not done.stdout):
        pytest.skip("this machine keeps it back already, by what it runs in")
    assert b"OUT" in done.stdout or host.heard(), done


@pytest.mark.parametrize("attack", ATTACKS, ids=lambda attack: attack.name)
def test_from_a_sandbox_it_does_not(
    attack: Attack, host: Host, sandbox: Sandbox, shared: Workspace, request: pytest.FixtureRequest
) -> None:
    """Where a backend does not promise what it would break, an expected failure; what does harm is not made there."""
    if reason := sandbox.promises()[attack.against]:
        pytest.xfail(f"{attack.against}: {reason}")
    host.heard()
    done = shared.run(
        Command((shared.python, "-c", PRELUDE + attack.program, json.dumps(host.facts)), wall_seconds=15.0)
    )
    ours = [line for line in done.stdout.decode("utf-8", "replace").splitlines() if line.startswith("OUT")]
    # Links can be made; what they lead to is nothing.
    ours = [line for line in ours if not line.startswith("OUT symlink")]
    assert not ours
    assert not host.heard()
    assert host.facts["secret"].encode() not in done.stdout + done.stderr
