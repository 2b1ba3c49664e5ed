"""What one candidate does to its process, to shared state or to the clock leaves the next ones alone."""

from __future__ import annotations

import time

import pytest

from agents.results import Candidate
from tests.trials.conftest import Bench, OpenBench

CODE = """
    import os
    import re
    import signal
    import sys
    import time

    SEEN = []
    CACHE = {"total": 0}


    class Counter:
        made = 0
        known = {}


    def total(items):
        result = 0
        for item in items:
            result -= item
        return result


    def other(items):
        return len(items)


    def remember(item, memory=[]):
        memory.append(item)
        return list(memory)
    """

TESTS = """
    import pytest
    import code_under_test as code

    SHARED = [1, 2, 3]


    @pytest.fixture(scope="module")
    def numbers():
        return [4, 5]


    @pytest.mark.parametrize("items, expected", [(SHARED, 6), ([5], 5)])
    def test_total(items, expected):
        assert code.total(items) == expected

    def test_fixture(numbers):
        assert code.total(numbers) == 9

    def test_class():
        assert code.Counter.made == 0 and code.Counter.known == {}
        assert code.total([1]) == 1

    def test_other():
        assert code.other([1]) == 1

    def test_remember():
        assert code.remember(1) == [1]

    def test_clean():
        assert code.SEEN == [] and code.CACHE == {"total": 0}
    """

PATH = "code_under_test.py"
FILES = {PATH: CODE, "tests/test_code.py": TESTS}
TARGETS = [f"tests/test_code.py::test_{name}" for name in ("total[items0-6]", "total[items1-5]", "fixture", "class")]
RELATED = [f"tests/test_code.py::test_{name}" for name in ("other", "remember", "clean")]
GOOD = ("result -= item", "result += item")
RETURN = "    return result\n"


@pytest.fixture(scope="module")
def one(bench: OpenBench) -> Bench:
    return bench(FILES, TARGETS, RELATED)


def before(statement: str) -> tuple[str, str]:
    """Return the candidate that runs a statement and still gives a wrong result."""
    return RETURN, f"    {statement}\n{RETURN}"


@pytest.mark.parametrize(
    "statement",
    [
        "items.clear()",
        "items.append(99)",
        "SEEN.append(1); CACHE['total'] = 5; Counter.known['x'] = 1; Counter.made = 7",
        "globals().update(other=None); CACHE.clear()",
        "import builtins; builtins.len = None",
        "Counter.extra = 1; type(Counter()).known = None",
        "os.environ.update(HOME='/nowhere'); os.chdir('/')",
        "sys.setrecursionlimit(5000); sys.path.clear()",
        "sys.modules[__name__].total = None",
    ],
)
def test_a_right_candidate_passes_after_one_that_spoils_state(one: Bench, statement: str) -> None:
    first, second = one.run(before(statement), GOOD, path=PATH)
    assert first.verdict in {"failed", "error", "crashed"}
    assert second.good
    assert second.passed == len(TARGETS)


def test_a_candidate_that_passes_only_because_of_another_does_not_count(bench: OpenBench) -> None:
    code = """
        def step(state={}):
            return 1

        def double(x):
            return x
        """
    tests = """
        import json
        import code_under_test as code

        def test_double():
            assert code.double(2) + getattr(json, "spoiled", 0) == 4
        """
    one = bench({PATH: code, "tests/test_code.py": tests}, ["tests/test_code.py::test_double"])
    # Neither is right; the first leaves something where nobody looks for it.
    spoil = ("return x\n", "import json; json.spoiled = 2; return x - 2\n")
    assert one.verdicts(spoil, ("def double(x):", "def double(x, y=0):"), path=PATH) == ["failed", "failed"]


@pytest.mark.parametrize(
    ("statement", "verdict"),
    [
        ("while True: pass", "timeout"),
        ("\n    while True:\n        try:\n            time.sleep(0)\n        except BaseException: pass", "timeout"),
        ("sum(range(10**12))", "timeout"),
        ("10 ** (10 ** (len(items) + 8))", "timeout"),
        ("re.match('(a+)+$', 'a' * 40 + 'b')", "timeout"),
        ("time.sleep(60)", "timeout"),
        ("os._exit(0)", "crashed"),
        ("os.kill(os.getpid(), signal.SIGKILL)", "crashed"),
        ("import ctypes; ctypes.string_at(0)", "crashed"),
        ("sys.exit(0)", "failed"),
        ("raise KeyboardInterrupt", "error"),
        ("import pytest; pytest.exit('no')", "error"),
        ("[0] * 10 ** 10", "failed"),
        ("total(items)", "failed"),
        ("import pytest; pytest.skip('no')", "failed"),
        ("os.close(1); os.close(2); print('x' * 10 ** 6)", "failed"),
    ],
)
def test_what_does_not_come_back_is_ended_and_the_next_is_tried(one: Bench, statement: str, verdict: str) -> None:
    begun = time.monotonic()
    first, second = one.run(before(statement), GOOD, path=PATH)
    assert (first.verdict, second.verdict) == (verdict, "passed")
    assert time.monotonic() - begun < 12


def test_children_and_threads_of_a_candidate_die_with_it(one: Bench) -> None:
    marker = "3471.25"
    fork = f"\n    for n in range(4):\n        if os.fork() == 0:\n            os.setsid(); time.sleep({marker})"
    call = f"import subprocess; subprocess.Popen([sys.executable, '-c', 'import time; time.sleep({marker})'])"
    thread = "import threading; threading.Thread(target=time.sleep, args=(60,)).start()"
    verdicts = one.verdicts(before(fork), before(call), before(thread), GOOD, path=PATH)
    assert verdicts[-1] == "passed"
    from sandbox.protocol import Command

    found = one.workspace.run(Command(("sh", "-c", "cat /proc/[0-9]*/cmdline | tr '\\0' ' '"))).stdout.decode()
    assert f"time.sleep({marker})" not in found


def test_a_candidate_that_kills_the_worker_is_named_and_the_rest_goes_on(one: Bench) -> None:
    verdicts = one.verdicts(GOOD, before("os.kill(os.getppid(), signal.SIGKILL); time.sleep(60)"), path=PATH)
    assert verdicts == ["passed", "crashed"]
    assert one.verdicts(GOOD, path=PATH) == ["passed"]


def test_what_breaks_another_test_is_told(one: Bench) -> None:
    trial = one.run(("        result -= item\n", "        result += item\n        SEEN.append(item)\n"), path=PATH)[0]
    assert trial.verdict == "passed"
    assert not trial.good or trial.breaks == RELATED[2]


def test_what_another_test_hangs_on_breaks_it_and_the_rest_of_the_batch_goes_on(one: Bench) -> None:
    good = one.candidate(*GOOD, path=PATH)
    endless = one.candidate("    return len(items)\n", "    while True:\n        pass\n", path=PATH)
    hangs = Candidate((*good.edits, *endless.edits), "template:test", "both")
    trials = {trial.id: trial for trial in one.trials.try_batch([hangs, good])}
    assert (trials[hangs.id].verdict, trials[hangs.id].breaks) == ("passed", RELATED[0])
    assert trials[good.id].good


def test_progress_is_told(one: Bench) -> None:
    some = one.run((RETURN, "    return 6\n"), path=PATH, thorough=True)[0]
    assert (some.verdict, some.passed) == ("failed", 1)
    moved = one.run((RETURN, "    return result.real_value\n"), path=PATH)[0]
    assert moved.exception == "AttributeError"
    assert moved.deep == (PATH, one.texts[PATH][: one.texts[PATH].index(RETURN)].count("\n") + 1)
    assert moved.at is not None
    assert moved.at[0] == "tests/test_code.py"


def test_tests_that_depend_on_what_ran_before_get_a_process_for_each_candidate(bench: OpenBench) -> None:
    code = """
        import json

        def once():
            return not hasattr(json, "ran")
        """
    tests = """
        import json
        import code_under_test as code

        def test_once():
            fresh = code.once()
            json.ran = True
            assert not fresh
        """
    one = bench({PATH: code, "tests/test_code.py": tests}, ["tests/test_code.py::test_once"])
    assert one.trials.opened is not None
    assert one.trials.opened.stateful
    wrong, right = ("return not hasattr", "return 1 or hasattr"), ("return not hasattr", "return hasattr")
    assert one.verdicts(wrong, right, path=PATH) == ["failed", "passed"]


def test_a_confirmation_runs_everything_in_order(one: Bench) -> None:
    right = one.texts[PATH].replace(*GOOD).encode()
    trial = one.trials.confirm("x", {PATH: right}, expected=RELATED)
    assert (trial.verdict, trial.ran, trial.complete) == ("passed", 7, True)
    breaking = right.replace(b"return len(items)", b"return 0")
    assert one.trials.confirm("y", {PATH: breaking}, expected=RELATED).breaks == RELATED[0]
    assert one.trials.confirm("z", {PATH: b"def ("}, expected=RELATED).verdict in {"error", "failed"}
    assert one.trials.confirm("w", {PATH: right + b"\nimport os; os._exit(0)\n"}, expected=()).verdict == "crashed"
    hanging = right + b"\nwhile True: pass\n"
    assert one.trials.confirm("v", {PATH: hanging}, expected=(), wall_seconds=1.0).verdict == "timeout"
