"""The worker's parts run in this process, where their lines can be counted, against the same orders as in a sandbox."""

from __future__ import annotations

import os
import signal
import socket
import sys
import textwrap
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from sandbox.probe import importing, trial_overlay, trial_wire
from sandbox.probe.trial_batch import Trier
from sandbox.probe.trial_behave import Behaviour
from sandbox.probe.trial_live import Live, State
from sandbox.probe.trial_overlay import Zygote, prepare
from sandbox.probe.trial_server import Server, record_imports
from sandbox.probe.trial_tests import Tests, run_session
from sandbox.probe.trial_wire import Channel

# Inside a session of pytest, another one's warnings would be errors of this one's.
pytestmark = pytest.mark.filterwarnings("ignore")

CODE = """
    def shift(items, by=1):
        result = []
        for item in items:
            result.append(item - by)
        return result

    def count(items):
        return len(items)
"""

TESTS = """
    import unittest
    import pytest
    from inside_module import count, shift

    @pytest.mark.parametrize("items, expected", [([1, 2], [2, 3]), ([], []), ([-5, 0], [-4, 1])])
    def test_shift(items, expected):
        assert shift(items) == expected
        items.append(1)

    class Case(unittest.TestCase):
        def test_case(self):
            self.assertEqual(shift([4]), [5])

        def test_parts(self):
            for n in range(3):
                with self.subTest(n=n):
                    self.assertEqual(shift([n]), [n + 1])

    def test_count(): assert count([1]) == 1

    def test_hangs():
        while shift([1]) != [2]:
            pass

    @pytest.mark.skip
    def test_skipped(): pass

    @pytest.mark.xfail
    def test_expected(): assert False
"""

FILE = "tests/test_inside.py"
TARGETS = [f"{FILE}::test_shift[items0-expected0]", f"{FILE}::Case::test_case", f"{FILE}::Case::test_parts"]


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    for path, text in {"inside_module.py": CODE, FILE: TESTS}.items():
        (tmp_path / path).parent.mkdir(exist_ok=True)
        (tmp_path / path).write_text(textwrap.dedent(text))
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("PYTEST_DISABLE_PLUGIN_AUTOLOAD", "1")
    monkeypatch.setattr(sys, "path", list(sys.path))
    monkeypatch.setattr(sys, "argv", list(sys.argv))
    monkeypatch.setattr(sys, "path_hooks", list(sys.path_hooks))
    monkeypatch.setenv("PYTHONPATH", "")
    handler = signal.getsignal(signal.SIGPROF)
    loaded = set(sys.modules)
    yield tmp_path
    signal.signal(signal.SIGPROF, handler)
    importing._overlay.clear()
    for name in set(sys.modules) - loaded:
        if name.startswith(("inside_module", "test_inside", "tests.test_inside")):
            del sys.modules[name]
    for path in [p for p in sys.path_importer_cache if p.startswith(str(tmp_path))]:
        del sys.path_importer_cache[path]


def order_for(project: Path, **more: Any) -> dict[str, Any]:
    temp = project / "temp"
    temp.mkdir(exist_ok=True)
    order = {
        "root": str(project.resolve()),
        "temp": str(temp),
        "pythonpath": ["."],
        "autoload": False,
        "files": [FILE],
        "tests": TARGETS,
        "related": [f"{FILE}::test_count"],
        "sources": {"inside_module.py": (project / "inside_module.py").read_text()},
    }
    return order | more


def edit(project: Path, old: str, new: str) -> list[list[Any]]:
    text = (project / "inside_module.py").read_text()
    start = text.index(old)
    return [["inside_module.py", start, start + len(old), new]]


def served(project: Path, *orders: dict[str, Any], **more: Any) -> list[dict[str, Any]]:
    """Give a server its orders, let it serve them all in this process, and return its answers."""
    source, hosts = os.pipe()
    answers, sink = os.pipe()
    order = order_for(project, **more)
    opening = Channel(source, sink)
    zygote = Zygote(order, (hosts, answers))
    writer = Channel(-1, hosts)
    for one in orders:
        writer.send(one)
    os.close(hosts)
    imported: set[tuple[str, int, str]] = set()
    server = Server(order, opening, zygote, imported)
    try:
        prepare(order, {})
        record_imports(order["root"] + os.sep, imported)
        code, errors = run_session(order, server.serve)
        sys.setprofile(None)
        assert server.served, (code, errors)
    finally:
        zygote.close()
        os.close(source)
        os.close(sink)
    reader = Channel(answers, -1)
    found = []
    while (message := reader.receive()) is not None:
        found.append(message)
    os.close(answers)
    return found


def test_a_whole_session(project: Path) -> None:
    good = {"id": "good", "edits": edit(project, "item - by", "item + by")}
    same = {"id": "same", "edits": edit(project, "item - by", "(item - by)")}
    wrong = {"id": "wrong", "edits": edit(project, "item - by", "item * by")}
    broken = {"id": "broken", "edits": edit(project, "item - by", "item -")}
    module = {"id": "module", "edits": edit(project, "def shift(items, by=1)", "LIMIT = 1\ndef shift(items, by=LIMIT)")}
    # Not `os._exit`: where coverage is measured, that one takes its time.
    exits = {"id": "exits", "edits": edit(project, "return result", "import posix; posix._exit(0)")}
    hangs = {"id": "hangs", "edits": edit(project, "return result", "while True: pass")}
    breaks = {"id": "breaks", "edits": [*good["edits"], *edit(project, "len(items)", "len(items) + 1")]}
    text = (project / "inside_module.py").read_text().replace("item - by", "item + by")
    batch = {"op": "batch", "candidates": [wrong, good, same, broken, module, exits, hangs, breaks], "cpu": 0.05}
    answers = served(
        project,
        batch | {"related": [f"{FILE}::test_count"]},
        batch | {"candidates": [wrong], "thorough": True, "isolate": True},
        batch | {"candidates": [wrong], "seconds": 0.0},
        {"op": "behave", "candidates": [good, wrong, module, exits], "samples": 20, "cpu": 0.05, "wall": 4.0},
        {
            "op": "overlay",
            "id": "over",
            "overlay": {"inside_module.py": text},
            "files": [FILE],
            "tests": TARGETS,
            "expect": [f"{FILE}::test_count"],
            "all": True,
            "cpu": 1.0,
        },
        {"op": "close"},
    )
    opened, *rest = answers
    assert opened["op"] == "opened"
    assert {t["outcome"] for t in opened["tests"]} == {"failed"}
    assert opened["missing"] == []
    verdicts = {a["id"]: a["verdict"] for a in rest if a["op"] == "trial" and a["way"] == "swap"}
    assert verdicts == {
        "good": "passed",
        "same": "same",
        "wrong": "failed",
        "broken": "uncompilable",
        "module": "import",
        "exits": "crashed",
        "hangs": "timeout",
        "breaks": "passed",
    }
    assert next(a for a in rest if a.get("id") == "breaks" and "breaks" in a)["breaks"] == f"{FILE}::test_count"
    behaved = next(a for a in rest if a["op"] == "behaviours")
    assert "module" in behaved["unknown"]
    assert all(s["outcomes"]["exits"] == "?" for s in behaved["samples"])
    assert {s["kind"] for s in behaved["samples"]} >= {"failing", "generated"}
    over = next(a for a in rest if a.get("way") == "overlay")
    assert (over["verdict"], over["passed"], over["complete"]) == ("passed", 3, True)


def in_this_process(project: Path, work: Callable[[Trier, Channel], None], **more: Any) -> list[dict[str, Any]]:
    """Do what a child does, without a child, and return what it would have sent."""
    order = order_for(project, **more)
    source, sink = os.pipe()
    raised: list[BaseException] = []

    def serve(tests: Tests) -> None:
        tests.keep_parameters(order["tests"])
        live = Live(order["root"])
        trier = Trier(order["root"], order["sources"], tests, live, State(live))
        tests.arm()
        trier.base = {name: tests.run(name, 1.0) for name in order["tests"]}
        tests.tear_down()
        try:
            work(trier, Channel(-1, sink))
        except AssertionError as error:  # pytest would swallow it
            raised.append(error)

    prepare(order, {})
    run_session(order, serve)
    os.close(sink)
    reader = Channel(source, -1)
    found = []
    while (message := reader.receive()) is not None:
        found.append(message)
    os.close(source)
    if raised:
        raise raised[0]
    return found


def test_what_a_child_does_with_a_batch(project: Path) -> None:
    good = {"id": "good", "edits": edit(project, "item - by", "item + by")}
    wrong = {"id": "wrong", "edits": edit(project, "item - by", "item * by")}
    typed = {"id": "typed", "edits": edit(project, "item - by", "item - by.real_value")}
    same = {"id": "same", "edits": edit(project, "item - by", "(item - by)")}
    broken = {"id": "broken", "edits": edit(project, "item - by", "item -")}
    module = {"id": "module", "edits": edit(project, "def count", "LIMIT = 1\ndef count")}
    absent = {"id": "absent", "edits": [["none.py", 0, 0, "x"]]}
    hangs = {"id": "hangs", "edits": edit(project, "return result", "while True: pass")}
    breaks = {"id": "breaks", "edits": [*good["edits"], *edit(project, "len(items)", "len(items) + 1")]}
    interrupts = {"id": "interrupts", "edits": edit(project, "return result", "raise KeyboardInterrupt")}
    batch = [good, wrong, typed, same, broken, module, absent, hangs, breaks]
    order = {"tests": TARGETS, "cpu": 0.05, "related": [f"{FILE}::test_count"], "until": time.monotonic() + 60}

    def work(trier: Trier, out: Channel) -> None:
        trier.try_all(batch, order, out)
        trier.try_all([wrong, interrupts, good], order | {"thorough": True}, out)
        trier.try_all([good], order | {"until": 0.0}, out)

    sent = in_this_process(project, work)
    trials = [m for m in sent if m["op"] == "trial"]
    assert {m["id"]: m["verdict"] for m in trials[: len(batch)]} == {
        "good": "passed",
        "wrong": "failed",
        "typed": "failed",
        "same": "same",
        "broken": "uncompilable",
        "module": "import",
        "absent": "uncompilable",
        "hangs": "timeout",
        "breaks": "passed",
    }
    assert [m["op"] for m in sent[-1:]] == ["late"]
    assert [m["id"] for m in trials[len(batch) :]] == ["wrong", "interrupts"]
    assert trials[-1]["broken"]
    assert trials[2]["exception"] == "AttributeError"
    assert trials[2]["deep"][0] == "inside_module.py"
    assert next(m for m in sent if m["op"] == "base")["signature"]


def test_what_a_child_does_to_compare(project: Path) -> None:
    good = {"id": "good", "edits": edit(project, "item - by", "item + by")}
    wrong = {"id": "wrong", "edits": edit(project, "item - by", "item.missing")}
    hangs = {"id": "hangs", "edits": edit(project, "return result", "while True: pass")}
    eager = {"id": "eager", "edits": edit(project, "item - by", "bytearray(1 << 62)")}
    module = {"id": "module", "edits": edit(project, "def count", "LIMIT = 1\ndef count")}
    order: dict[str, Any] = {"candidates": [good, wrong, hangs, eager, module], "samples": 20, "cpu": 0.02}
    order["related"] = [f"{FILE}::test_count", f"{FILE}::test_shift[items1-expected1]"]
    unopened: dict[str, Any] = {"samples": []}

    def work(trier: Trier, out: Channel) -> None:
        behaviour = Behaviour(trier, TARGETS, order)
        behaviour.run(0, time.perf_counter() + 20, unopened, out)
        behaviour.run(9, time.perf_counter() + 20, {"samples": [1], "same": "other", "count": 3}, out)
        assert behaviour.outcomes(behaviour.inputs({}, time.perf_counter() + 5), 0.0) == []

    sent = in_this_process(project, work)
    inputs = sent[0]
    rows = {m["id"]: m["outcomes"] for m in sent if m["op"] == "row"}
    assert inputs["unknown"] == ["module"]
    assert {s["kind"] for s in inputs["samples"]} == {"failing", "earlier", "passing", "generated"}
    assert all(len(row) == len(inputs["samples"]) == inputs["count"] for row in rows.values())
    full = [i for i, outcome in enumerate(rows["wrong"]) if outcome.startswith("!")]
    assert full
    assert any(rows["good"][i] != inputs["original"][i] for i in full)
    assert all(rows["eager"][i] in {"?", "!OverflowError"} for i in full)
    assert set(rows["hangs"]) == {"?"}


def test_what_a_child_does_after_a_fresh_import(project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    ended: list[int] = []
    monkeypatch.setattr(os, "_exit", ended.append)
    order = order_for(project)
    text = (project / "inside_module.py").read_text().replace("item - by", "item + by")
    asked = {"tests": TARGETS, "expect": [f"{FILE}::test_count", f"{FILE}::test_gone"], "cpu": 1.0, "files": [FILE]}
    results: dict[str, dict[str, Any]] = {}
    variants: dict[str, dict[str, Any]] = {
        "all": {"all": True, "expect": [f"{FILE}::test_count"]},
        "gone": {"all": True},
        "targets": {},
        "absent": {"tests": ["tests/test_inside.py::test_none"]},
        "breaks": {"expect": [f"{FILE}::test_expected"]},
        "late": {"all": True, "expect": [f"{FILE}::test_count"], "test_seconds": -1.0},
    }
    for name, more in variants.items():
        source, sink = os.pipe()
        prepare(order, {"inside_module.py": text.encode()})
        for module in ("inside_module", "test_inside"):
            sys.modules.pop(module, None)
        runner = trial_overlay._Runner(asked | more, Channel(-1, sink))
        runner.ended(*run_session(order | {"files": [FILE]}, runner.serve))
        os.close(sink)
        reader = Channel(source, -1)
        found = []
        while (message := reader.receive()) is not None:
            found.append(message)
        os.close(source)
        results[name] = found[-1]["result"]
    assert (results["all"]["verdict"], results["all"]["complete"]) == ("passed", True)
    assert results["gone"]["breaks"] == f"{FILE}::test_gone"
    assert (results["targets"]["verdict"], results["targets"]["passed"]) == ("passed", 3)
    assert results["absent"]["exception"] == "missing"
    assert results["breaks"]["breaks"] == f"{FILE}::test_expected"
    assert results["late"]["complete"] is False
    assert set(ended) == {0}


def test_a_target_that_hangs_on_the_base_is_given_up_soon(project: Path) -> None:
    begun = time.monotonic()
    good = {"id": "good", "edits": edit(project, "item - by", "item + by")}
    answers = served(
        project,
        {"op": "batch", "candidates": [good], "cpu": 0.05},
        tests=[f"{FILE}::test_hangs", f"{FILE}::test_gone"],
        related=[],
    )
    assert answers[0]["tests"][0]["outcome"] == "timeout"
    assert answers[0]["missing"] == [f"{FILE}::test_gone"]
    assert answers[1]["verdict"] == "passed"
    assert time.monotonic() - begun < 30


def test_outcomes_that_are_neither(project: Path) -> None:
    names = ["test_skipped", "test_expected", "test_count"]
    answers = served(project, tests=[f"{FILE}::{name}" for name in names], related=[])
    outcomes = {t["test"].rpartition("::")[2]: t["outcome"] for t in answers[0]["tests"]}
    assert outcomes == {"test_skipped": "skipped", "test_expected": "xfailed", "test_count": "passed"}


def test_files_that_cannot_be_collected_are_told(project: Path) -> None:
    (project / FILE).write_text("import missing_module_of_inside\n")
    code, errors = run_session(order_for(project), lambda _: None)
    assert "missing_module_of_inside" in errors
    assert code != 0
    assert run_session(order_for(project, files=["tests/none.py"]), lambda _: None) == (
        5,
        "none of the test files exists",
    )


def test_a_zygote_answers_for_broken_code_and_for_its_own_death(project: Path) -> None:
    order = order_for(project)
    zygote = Zygote(order, ())
    asked = {"op": "overlay", "id": "x", "files": [FILE], "tests": TARGETS, "cpu": 1.0, "wall": 20.0}
    try:
        assert zygote.ask(asked | {"overlay": {"inside_module.py": "def ("}})["verdict"] in {"error", "failed"}
        hanging = zygote.ask(asked | {"overlay": {"inside_module.py": "while True: pass\n"}, "wall": 1.0})
        assert hanging["verdict"] == "timeout"
        dying = zygote.ask(asked | {"overlay": {"inside_module.py": "import os; os._exit(3)\n"}})
        assert dying["verdict"] == "crashed"
        os.kill(zygote.pid, signal.SIGKILL)
        assert zygote.ask(asked | {"overlay": {}})["lost"]
    finally:
        zygote.close()


def test_a_zygotes_orders(project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(importing.SourceLoader, "get_code", importing.SourceLoader.get_code)
    order = order_for(project)
    text = (project / "inside_module.py").read_text().replace("item - by", "item + by")
    asked = {"op": "overlay", "id": "x", "files": [FILE], "tests": TARGETS, "cpu": 1.0, "wall": 20.0}
    ours, theirs = socket.socketpair()
    with ours, theirs:
        host, channel = Channel(ours.fileno(), ours.fileno()), Channel(theirs.fileno(), theirs.fileno())
        host.send(
            {"op": "preload", "modules": ["json", "no_such_module"], "files": [str(project / "inside_module.py"), "/x"]}
        )
        host.send(asked | {"overlay": {"inside_module.py": text}})
        host.send(asked | {"overlay": {"inside_module.py": "while True: pass\n"}, "wall": 0.5})
        host.send(asked | {"overlay": {"inside_module.py": text.replace("return result", "import os; os._exit(1)")}})
        ours.shutdown(socket.SHUT_WR)
        handler = signal.getsignal(signal.SIGINT)
        trial_overlay._serve(order, channel)
        signal.signal(signal.SIGINT, handler)
        theirs.close()
        answers = []
        while (message := host.receive()) is not None:
            answers.append(message)
    assert [a.get("verdict", a["op"]) for a in answers] == ["preloaded", "passed", "timeout", "crashed"]
    assert answers[-1]["test"] == TARGETS[0]


def test_children_are_watched(tmp_path: Path) -> None:
    def run(work: Any, cpu: float = 5.0, wall: float = 5.0) -> tuple[str, list[dict[str, Any]]]:
        got: list[dict[str, Any]] = []
        pid, channel = trial_wire.start(work, 1 << 30)
        return trial_wire.watch(pid, channel, got.append, lambda: (cpu, wall)), got

    def burn(_: Channel) -> None:
        while True:
            pass

    def grow(out: Channel) -> None:
        out.send({"op": "begun"})
        bytearray(1 << 32)

    assert run(lambda out: out.send({"a": 1})) == ("done", [{"a": 1}])
    assert run(lambda _: time.sleep(60), wall=0.2)[0] == "wall"
    assert run(burn, cpu=0.1)[0] == "cpu"
    assert run(lambda _: os._exit(7))[0] == "died"
    assert run(grow) == ("died", [{"op": "begun"}])


def test_what_a_child_leaves_behind_does_not_hold_up_the_watch() -> None:
    def leave(out: Channel) -> None:
        if os.fork() == 0:
            os.setsid()
            time.sleep(20)
            os._exit(0)
        out.send({"left": True})

    got: list[dict[str, Any]] = []
    begun = time.monotonic()
    before = set(trial_wire.children())
    pid, channel = trial_wire.start(leave, 1 << 30)
    assert trial_wire.watch(pid, channel, got.append, lambda: (15.0, 15.0)) == "done"
    assert got == [{"left": True}]
    assert time.monotonic() - begun < 10
    trial_wire.sweep(tuple(before))


def test_a_channel_says_when_its_stream_ends() -> None:
    source, sink = os.pipe()
    channel = Channel(source, sink)
    channel.send({"n": 1})
    channel.send({"n": 2})
    os.close(sink)
    assert channel.waiting(1.0)
    assert [channel.receive(), channel.receive(), channel.receive()] == [{"n": 1}, {"n": 2}, None]
    os.close(source)
    assert trial_wire.cpu_seconds(10**8) == 0.0
