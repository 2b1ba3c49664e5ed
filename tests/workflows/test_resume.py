"""`kill -9` at every node and between any two side effects: the same diff, nothing done twice, nothing left behind."""

from __future__ import annotations

import collections
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.workflows.conftest import BUGGY, Ran, Zygote
from workflows.graph import STEPS
from workflows.runs import RunStore

EFFECTS = ("deliver-patch", "deliver-bundle", "deliver-result", "deliver-bundle-copy", "deliver-output")
MOMENTS = ("before", "done", "after")


def around(node: str, *work: str) -> list[str]:
    """Return a node's points in the order in which they are reached."""
    inside = [f"{name}:{moment}" for name in work for moment in MOMENTS]
    return [f"{node}:before", *inside, f"{node}:after"]


POINTS = [
    *around("intake", "base-1", "base-2", "baseline"),
    *around("plan"),
    *around("localise", "coverage", "suspects"),
    *around("propose", "proposal-1"),
    *around("verify", "gate-*"),
    *around("select"),
    *around("review"),
    *around("deliver", "mutants", *EFFECTS),
]
"""Every point at which a run may be killed, in the order in which it comes to them."""


def processes(marker: str) -> list[str]:
    """Return the processes whose environment or command line names this test's folder."""
    found = []
    for folder in Path("/proc").iterdir():
        if not folder.name.isdecimal() or int(folder.name) == os.getpid():
            continue
        try:
            text = (folder / "cmdline").read_bytes() + (folder / "environ").read_bytes()
            state = (folder / "stat").read_text().rpartition(")")[2].split()[0]
        except OSError:
            continue
        if marker.encode() in text and state not in {"Z", "X"}:
            found.append((folder / "cmdline").read_text().replace("\0", " ")[:200])
    return found


def leftovers(temporary: Path) -> list[str]:
    """Return what lies in the folder for temporary files."""
    return sorted(path.name for path in temporary.iterdir())


@pytest.fixture
def scene(
    repository: Callable[..., Path], environment: dict[str, str], tmp_path: Path
) -> Iterator[tuple[Path, dict[str, str]]]:
    """A repository, and an environment with a folder of its own for temporary files."""
    temporary = tmp_path / "t"
    temporary.mkdir()
    # No other test has these files, so that no base report is known for them.
    yield repository({**BUGGY, "README": str(tmp_path)}), {**environment, "TMPDIR": str(temporary)}
    deadline = time.monotonic() + 5
    while (left := processes(str(temporary))) and time.monotonic() < deadline:
        time.sleep(0.05)
    assert left == []
    assert leftovers(temporary) == []


def command(*arguments: str | Path) -> list[str]:
    return [sys.executable, "-m", "workflows.cli", *map(str, arguments)]


def recorded(store: RunStore) -> collections.Counter[str]:
    """Count how often each piece of work was recorded as done."""
    run = store.find("last")
    return collections.Counter(event["name"] for event in run.events() if event["event"] == "recorded")


def killed(ran: Ran) -> Ran:
    assert ran.code == -signal.SIGKILL, (ran.code, ran.err)
    return ran


def await_interrupted(store: RunStore) -> None:
    """Wait until the run is nobody's: what the killed process had started may hold its lock for a moment longer."""
    deadline = time.monotonic() + 15
    while (status := store.find("last").info().status) == "running" and time.monotonic() < deadline:
        time.sleep(0.02)
    assert status == "interrupted"


def test_the_points_are_all_there_are() -> None:
    named = [point.partition(":")[0] for point in POINTS if point.partition(":")[0] in STEPS][::2]
    # A repair answers no question.
    assert named == [name for name in STEPS if name != "answer"]


def test_a_run_that_is_killed_at_every_point_ends_with_the_same_diff(
    scene: tuple[Path, dict[str, str]], tmp_path: Path, zygote: Zygote
) -> None:
    folder, environment = scene
    output, bundle = tmp_path / "out.diff", tmp_path / "evidence"
    store = RunStore(Path(environment["GREENDIFF_STATE_DIR"]))
    order: list[str | Path] = ["fix", folder, "--output", output, "--bundle", bundle]
    done: collections.Counter[str] = collections.Counter()
    for point in POINTS:
        if done[point.partition(":")[0]]:
            # Work goes on in the background: it may have been done already when the point before killed the run.
            continue
        killed(zygote.run(order, {**environment, "GREENDIFF_DIE_AT": point}))
        await_interrupted(store)
        assert done.keys() <= recorded(store).keys(), "a record is gone"
        done = recorded(store)
        order = ["resume", "last"]
    ran = zygote.run(order, environment)
    assert ran.code == 0, ran.err
    assert len(store.all()) == 1
    assert set(recorded(store).values()) == {1}, recorded(store)
    names = {re.sub("gate-.*", "gate-*", name) for name in recorded(store)}
    assert names == {point.partition(":")[0] for point in POINTS} - STEPS.keys(), "a piece of work was never killed at"
    assert (bundle / "patch.diff").is_file()
    assert sorted(path.name for path in tmp_path.iterdir()) == ["evidence", "out.diff", "project", "state", "t"]
    whole = zygote.run(["fix", folder], environment)
    assert "+    return result - discount" in whole.out
    assert output.read_text() == whole.out


def test_a_run_that_is_killed_while_it_applies_goes_on_and_then_only_says_what_it_said(
    scene: tuple[Path, dict[str, str]], zygote: Zygote
) -> None:
    folder, environment = scene
    order: list[str | Path] = ["fix", folder, "--apply"]
    for moment in MOMENTS:
        killed(zygote.run(order, {**environment, "GREENDIFF_DIE_AT": f"deliver-apply:{moment}"}))
        order = ["resume", "last"]
    ran = zygote.run(order, environment)
    assert ran.code == 0, ran.err
    assert ran.out == ""
    assert "return result - discount" in (folder / "shop/prices.py").read_text()
    assert not list(folder.rglob("*.greendiff-part"))
    store = RunStore(Path(environment["GREENDIFF_STATE_DIR"]))
    before = recorded(store)
    again = zygote.run(order, environment)
    assert (again.code, again.out) == (0, "")
    assert "verified in a fresh local sandbox" in again.err
    assert recorded(store) == before


def test_the_working_tree_may_change_before_a_run_goes_on(scene: tuple[Path, dict[str, str]], zygote: Zygote) -> None:
    folder, environment = scene
    source = folder / "shop/prices.py"
    source.write_text(source.read_text() + "\n# not committed\n")
    killed(zygote.run(["fix", folder], {**environment, "GREENDIFF_DIE_AT": "propose:before"}))
    source.write_text("broken(")
    ran = zygote.run(["resume", "last"], environment)
    assert ran.code == 0, ran.err
    assert "+    return result - discount" in ran.out
    assert source.read_text() == "broken("


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143), (signal.SIGHUP, 129)])
def test_a_signal_cleans_up_and_says_how_to_go_on(
    number: signal.Signals, code: int, scene: tuple[Path, dict[str, str]], zygote: Zygote
) -> None:
    folder, environment = scene
    child = subprocess.Popen(
        command("fix", folder, "--json"), env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    assert child.stdout is not None
    for line in child.stdout:
        if '"localise"' in line:
            break
    child.send_signal(number)
    out, err = child.communicate(timeout=30)
    assert child.returncode == code, err
    assert processes(environment["TMPDIR"]) == []
    assert leftovers(Path(environment["TMPDIR"])) == []
    last = out.splitlines()[-1]
    assert re.search(r"greendiff resume [0-9]{8}-[0-9]{6}-[0-9a-f]{4}", last)
    assert f'"code": {code}' in last
    if number is signal.SIGINT:
        ran = zygote.run(["resume", "last"], environment)
        assert ran.code == 0
        assert "+    return result - discount" in ran.out


def test_two_processes_cannot_go_on_with_one_run(scene: tuple[Path, dict[str, str]], zygote: Zygote) -> None:
    folder, environment = scene
    killed(zygote.run(["fix", folder], {**environment, "GREENDIFF_DIE_AT": "localise:before"}))
    run = RunStore(Path(environment["GREENDIFF_STATE_DIR"])).find("last")
    run.acquire()
    try:
        ran = zygote.run(["resume", "last"], environment)
    finally:
        run.release()
    assert ran.code == 3
    assert "another process is working on run" in ran.err
    assert zygote.run(["resume", "last"], environment).code == 0


def test_two_runs_at_once_in_one_repository(scene: tuple[Path, dict[str, str]]) -> None:
    folder, environment = scene
    both = [
        subprocess.Popen(command("fix", folder), env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        for _ in range(2)
    ]
    results = [child.communicate(timeout=120) for child in both]
    assert [child.returncode for child in both] == [0, 0], results
    assert results[0][0] == results[1][0]
