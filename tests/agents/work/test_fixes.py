from __future__ import annotations

import threading
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import pytest

from agents.bugfixer import FixBounds, FixEvent, FixResult, Hints, RepairProblem, propose_fixes
from agents.edits import apply_candidate
from agents.fixes import evidence
from agents.fixes.answers import read_answer
from agents.fixes.places import places
from agents.models.errors import CapReached, ReplyEmpty
from agents.models.protocol import ChatReply, ChatRequest, Usage
from agents.models.scripted import ScriptedModel, Step
from agents.observations import Observation, observed
from agents.replies import ReplyRefused, TreeTexts
from agents.results import Candidate, Edit, Failure, Suspect
from sandbox.protocol import Environment, Sandbox
from sandbox.runners.report import Frame, Outcome, TestReport, TestResult
from sandbox.runners.run import run_tests
from tests.agents.work.conftest import HARNESS, tree_of

CODE = '''"""Numbers."""

LIMIT = 10


def clamp(value, low=0, high=LIMIT):
    """Keep a value between bounds."""
    if value < low:
        return low
    if value < high:
        return high
    return value


class Mean:
    """A running mean."""

    def __init__(self):
        self.total = 0
        self.count = 0

    def add(self, value):
        self.total += clamp(value)
        self.count += 1

    def value(self):
        if not self.count:
            return 0
        return self.total / self.count
'''
TESTS = """from numbers_ import Mean, clamp


def test_inside():
    assert clamp(5) == 5


def test_above():
    assert clamp(20) == 10


def test_mean():
    mean = Mean()
    mean.add(4)
    mean.add(8)
    assert mean.value() == 6
"""
FILES = {"numbers_.py": CODE, "tests/test_numbers.py": TESTS}
RIGHT = CODE[CODE.index("def clamp") : CODE.index("\n\nclass")].rstrip().replace("value < high", "value > high")


def problem_in(sandbox: Sandbox, environment: Environment, files: Mapping[str, str] = FILES) -> RepairProblem:
    tree = tree_of(files)
    with sandbox.open(tree, environment) as workspace:
        report = run_tests(workspace, HARNESS, coverage=True)
    return RepairProblem(tree, HARNESS, report, tuple(result.node_id for result in report.failed()))


@pytest.fixture(scope="module")
def problem(local: Sandbox, environment: Environment) -> RepairProblem:
    return problem_in(local, environment)


class Trial:
    """Runs the tests with a candidate in a real workspace."""

    def __init__(self, sandbox: Sandbox, environment: Environment, problem: RepairProblem) -> None:
        self.sandbox, self.environment, self.problem = sandbox, environment, problem
        self.tried: list[Candidate] = []

    def __call__(self, candidate: Candidate) -> Observation:
        self.tried.append(candidate)
        with self.sandbox.open(apply_candidate(self.problem.tree, candidate), self.environment) as workspace:
            return observed(run_tests(workspace, HARNESS), self.problem.targets)


@pytest.fixture
def trial(local: Sandbox, environment: Environment, problem: RepairProblem) -> Trial:
    return Trial(local, environment, problem)


def block(code: str) -> str:
    return f"```python\n{code}\n```"


def ask(problem: RepairProblem, steps: list[Step] | ScriptedModel, trial: Trial, **bounds: Any) -> FixResult:
    model = steps if isinstance(steps, ScriptedModel) else ScriptedModel(steps)
    return propose_fixes(problem, model, try_out=trial, bounds=replace(FixBounds(), **bounds))


def test_the_first_good_answer_ends_it(problem: RepairProblem, trial: Trial) -> None:
    model = ScriptedModel([block(RIGHT)])
    result = ask(problem, model, trial)
    assert (result.stopped, result.passed, len(result.attempts)) == ("passed", 1, 1)
    assert result.passing[0].origin == "bugfixer:scripted"
    assert [edit.replacement for edit in result.passing[0].edits] == ["    if value > high:\n"]
    (request,) = model.requests
    text = request.messages[-1].text
    assert "clamp in numbers_.py" in text
    assert "def test_above():\n    assert clamp(20) == 10" in text or "def test_inside" in text
    assert "LIMIT = 10" in text
    assert "class Mean" not in text
    assert request.max_tokens < 200
    assert request.temperature == 0.0
    assert sum(len(one.text) for one in request.messages) < 3_000


def test_answers_are_sampled_told_apart_and_reflected_on(problem: RepairProblem, trial: Trial) -> None:
    worse = RIGHT.replace("value > high", "value > low")
    same = RIGHT.replace("value > high", "value < high").replace("bounds.", "limits.")
    requests: list[ChatRequest] = []

    def answer(request: ChatRequest) -> str:
        requests.append(request)
        return [block(worse), block(worse), block(same), "I do not know.", block(RIGHT)][len(requests) - 1]

    events: list[FixEvent] = []
    bounds = FixBounds(places=1)
    result = propose_fixes(problem, ScriptedModel(answer), try_out=trial, bounds=bounds, on_event=events.append)
    kinds = [(one.kind, one.refused[:28]) for one in result.attempts]
    assert kinds[0] == ("first", "")
    assert ("sample", "") in kinds or ("reflection", "") in kinds
    refused = [one for one in result.attempts if one.refused]
    assert [("means the same" in one.refused, "no code block" in one.refused) for one in refused] == [
        (True, False), (True, False), (False, True),
    ]  # fmt: skip
    assert (result.stopped, result.passed, len(result.candidates)) == ("passed", 1, 2)
    assert len(trial.tried) == 2
    assert len({request.seed for request in requests}) == len(requests)
    assert {event.kind for event in events} == {"asking", "trying", "failed", "refused", "passed", "ended"}
    assert result.usage.total == sum(one.usage.total for one in result.attempts if one.usage is not None)


def test_a_nearer_candidate_is_reflected_on_with_its_own_failure(problem: RepairProblem, trial: Trial) -> None:
    near = RIGHT.replace("value > high", "value >= low")
    near = near.replace("return high", "return value + 1")
    model = ScriptedModel([block(near), block(RIGHT)])
    result = ask(problem, model, trial)
    assert [one.kind for one in result.attempts] == ["first", "reflection"]
    first, second = model.requests
    assert second.messages[: len(first.messages)] == first.messages
    assert "return value + 1" in second.messages[-2].text
    assert "assert 6 == 5" in second.messages[-1].text or "assert 21 == 10" in second.messages[-1].text


def test_other_places_get_their_turn(problem: RepairProblem, trial: Trial) -> None:
    model = ScriptedModel(lambda _: "No.")
    result = ask(problem, model, trial, samples=4)
    assert (result.stopped, result.candidates) == ("samples", ())
    asked = [one.place for one in result.attempts]
    assert asked[0] == "numbers_.py::clamp"
    assert len(set(asked)) > 1
    assert [request.temperature for request in model.requests if request.temperature] != []


def test_bounds_and_ends_are_typed(problem: RepairProblem, trial: Trial) -> None:
    assert ask(problem, ScriptedModel(lambda _: "No."), trial, tokens=1).stopped == "tokens"
    assert ask(problem, ScriptedModel(lambda _: "No."), trial, seconds=0).stopped == "seconds"
    cap = CapReached("the cap is reached", scope="run", unit="tokens", cap=1, used=1, wanted=1)
    assert ask(problem, [cap], trial).stopped == "cap"
    assert ask(problem, [ReplyEmpty("nothing came"), block(RIGHT)], trial, places=1).stopped == "passed"
    assert ask(replace(problem, allowed=("other/*",)), [], trial).stopped == "no place"
    stop = threading.Event()
    stop.set()
    assert propose_fixes(problem, ScriptedModel([]), try_out=trial, stop=stop).stopped == "interrupted"


def test_refused_candidates_are_not_tried_again(problem: RepairProblem, trial: Trial) -> None:
    known = ask(problem, [block(RIGHT)], trial).passing[0]
    again = ask(
        replace(problem, refused=frozenset({known.id})), ScriptedModel(lambda _: block(RIGHT)), trial, samples=2
    )
    assert again.candidates == ()
    assert "refused before" in again.attempts[0].refused


def test_an_endless_loop_in_an_answer_is_only_a_failure(
    local: Sandbox, environment: Environment, problem: RepairProblem
) -> None:
    def try_out(candidate: Candidate) -> Observation:
        with local.open(apply_candidate(problem.tree, candidate), environment) as workspace:
            return observed(run_tests(workspace, HARNESS, wall_seconds=2.0, test_seconds=1.0), problem.targets)

    hanging = RIGHT.replace("    if value > high:", "    while True:\n        pass\n    if value > high:")
    model = ScriptedModel([block(hanging)])
    result = propose_fixes(problem, model, try_out=try_out, bounds=FixBounds(samples=1))
    assert (result.stopped, result.passed) == ("samples", 0)
    assert result.attempts[0].observation is not None
    assert not result.attempts[0].observation.ok


def test_long_functions_are_asked_for_by_blocks(local: Sandbox, environment: Environment) -> None:
    filler = "".join(f"    if value == {n}:\n        return {n}\n" for n in range(1_000, 1_060))
    code = CODE.replace("    if value < low:\n", f"{filler}    if value < low:\n", 1)
    problem = problem_in(local, environment, {**FILES, "numbers_.py": code})
    good = (
        "<<<<<<< SEARCH\n    if value < high:\n        return high\n=======\n    if value > high:\n        return high"
    )
    model = ScriptedModel([ChatReply(good, "stop", Usage(10, 10))])
    result = ask(problem, model, Trial(local, environment, problem))
    assert result.stopped == "passed"
    assert model.requests[0].halts == ("\n>>>>>>> REPLACE",)
    assert "SEARCH" in model.requests[0].messages[0].text


def test_near_misses_and_weights_say_where_to_ask_first(problem: RepairProblem) -> None:
    plain = [place.name for place in places(problem, Hints(), 5)]
    assert plain[0] == "numbers_.py::clamp"
    other = plain[1]
    assert places(problem, Hints(weights={other: 9.0}), 5)[0].name == other
    at = CODE.index("self.total += clamp(value)")
    near = Candidate((Edit("numbers_.py", at, at + 4, "self"),), "template:x", "x")
    scores = {place.name: place.score for place in places(problem, Hints(), 5)}
    nearer = {place.name: place.score for place in places(problem, Hints(near_misses=((near, 1),)), 5)}
    assert nearer["numbers_.py::Mean.add"] > scores["numbers_.py::Mean.add"]
    assert nearer["numbers_.py::clamp"] == scores["numbers_.py::clamp"]


METHOD = CODE[CODE.index("    def value") :].rstrip().replace("return 0\n", "return 0.0\n")


@pytest.mark.parametrize(
    "text",
    [
        block(METHOD),
        block("class Mean:\n" + METHOD),
        block('class Mean:\n    """A running mean."""\n\n    def __init__(self):\n        self.x = 1\n\n' + METHOD),
        block("def value(self):\n    if not self.count:\n        return 0.0\n    return self.total / self.count"),
        "Here it is:\n" + block(METHOD) + "\nIt works now.\n" + block("assert Mean().value() == 0.0"),
        block("def value(self):\n    if not self.count:\n        return 0.0\n    return self.total / self.count\n\n"
              "def test_it():\n    assert Mean().value() == 0.0\n\nprint(Mean().value())"),
        f"```python\n{METHOD}",
    ],
)  # fmt: skip
def test_a_function_is_found_in_what_small_models_write_around_it(problem: RepairProblem, text: str) -> None:
    suspects = (Suspect("numbers_.py", CODE[: CODE.index("return self.total")].count("\n") + 1, "Mean.value", 1.0),)
    (place,) = places(replace(problem, suspects=suspects), Hints(), 3)
    changes = read_answer(text, place, TreeTexts(problem.tree), whole=True, halted=True)
    assert [edit.replacement for edit in changes.edits] == ["            return 0.0\n"]


@pytest.mark.parametrize(
    "text",
    [
        "", "```python\n```", block("def other(self):\n    return 1"), block("def value(self:\n    return 1"),
        block(METHOD) + "\n" + block(METHOD.replace("0.0", "1")), "```python\ndef value(self):\n    if not self",
        block(METHOD.replace("        if not self.count:\n", "        # ... rest of the code\n        if self:\n")),
    ],
)  # fmt: skip
def test_what_is_not_certain_is_refused(problem: RepairProblem, text: str) -> None:
    suspects = (Suspect("numbers_.py", CODE[: CODE.index("return self.total")].count("\n") + 1, "Mean.value", 1.0),)
    (place,) = places(replace(problem, suspects=suspects), Hints(), 3)
    with pytest.raises(ReplyRefused):
        read_answer(text, place, TreeTexts(problem.tree), whole=True, halted=True)


def test_blocks_may_change_the_one_file_only(problem: RepairProblem) -> None:
    (place, *_) = places(problem, Hints(), 3)
    text = "tests/test_numbers.py\n<<<<<<< SEARCH\n    assert clamp(20) == 10\n=======\n    pass\n>>>>>>> REPLACE\n"
    with pytest.raises(ReplyRefused, match=r"only numbers_\.py"):
        read_answer(text, place, TreeTexts(problem.tree), whole=False, halted=False)


def test_evidence_is_short_and_groups_parameter_sets() -> None:
    body = "".join(f"    check({n})\n" for n in range(100))
    tree = tree_of({"tests/test_a.py": f"def test_long(x):\n{body}    assert x == 1\n"})
    failures = [
        Failure(f"tests/test_a.py::test_long[{n}]", "AssertionError", "assert 2 == 1\n" + "x" * 9_000,
                (Frame("tests/test_a.py", 80, "test_long"),))
        for n in range(9)
    ]  # fmt: skip
    text = evidence.told(tree, failures)
    assert text.count("def test_long") == 1
    assert "check(78)" in text
    assert "check(20)" not in text
    assert text.count("# fails: [") == 3
    assert len(text) < 3_000
    assert evidence.told(tree, [Failure("gone.py::test_x", "OSError", "no")]) == (
        "gone.py::test_x\n# fails: OSError: no\n"
    )


def test_observations_are_trimmed_and_say_what_is_missing() -> None:
    results = tuple(TestResult(f"t.py::test_{n}", Outcome.FAILED, 0.1, "E", "m\n" * 90) for n in range(30))
    broken = TestResult("bad.py", Outcome.ERROR, 0.0, "SyntaxError", "invalid syntax")
    report = TestReport((*results, TestResult("t.py::ok", Outcome.PASSED)), (broken,), True, "exit", 1, 1.0, ())
    seen = observed(report, ("t.py::test_1", "t.py::gone", "bad.py::test_x", "t.py::ok"))
    assert (seen.passed, len(seen.failures), seen.missing, seen.ok) == (1, 31, ("t.py::gone",), False)
    text = seen.text()
    assert text.startswith("1 passed, 31 failed, 1 missing.\n")
    assert "25 more failed" in text
    assert "lines left out" in text
    assert len(text) < 6_000
    empty = observed(TestReport((), (), True, "exit", 5, 0.1, ()))
    assert (empty.ok, "No test was found" in empty.text()) == (False, True)
    late = observed(TestReport((), (), False, "timeout", -9, 9.0, (), output="noise\n" * 999))
    assert "its time was over" in late.text()
    assert len(late.text()) < 2_000
