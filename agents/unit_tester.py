"""Writes tests that fail on the base for a stated reason: to reproduce an issue, or to pin what a feature has to do.

The tests are one new file, at a path that is chosen here. What is kept has been run: every test in it fails, in the way
that was stated before the run.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Literal

from agents.asking import Asker, Unanswered
from agents.asking_forms import one_line
from agents.neighbour_tests import Neighbourhood, neighbourhood, new_path, sources
from agents.results import Candidate, NewFile, NoTests, StatedFailure, TestRefused, WrittenTests
from agents.written_tests import IMPORTING, Stated, TestFile, TestsRefused, read_test_file, refusal, without
from sandbox.runners.report import Outcome, TestReport, TestResult
from sandbox.tree import Tree

__all__ = ["TestTask", "TryOut", "write_tests"]

TryOut = Callable[[Candidate], TestReport]
"""Runs the new file of a candidate (`candidate.created[0].path`) on the base, in a sandbox."""
_MAX_TOKENS = 1500
_RAISES = frozenset({"Failed", "AssertionError"})
"""`pytest.raises` that saw nothing raised fails with `Failed`; both say that the result is not what is asserted."""


@dataclass(frozen=True, slots=True)
class TestTask:
    """What the unit-test agent is given."""

    __test__ = False

    purpose: Literal["reproduce", "pin"]
    """Show a bug that no test shows, or what a feature has to do."""
    request: str
    """The issue or request; untrusted."""
    base: Tree
    test_files: tuple[str, ...] = ()
    """The files in which the base's run found tests."""
    criteria: tuple[str, ...] = ()
    """What the plan says has to hold."""
    places: tuple[str, ...] = ()
    """Where the fault or the feature probably is: `path` or `path::name`, the likeliest first."""
    context: str = ""
    """Further passages of the repository; untrusted."""
    tier: int = 1
    attempts: int = 4
    confirmations: int = 1
    """How often a run is repeated before it is believed."""


def write_tests(task: TestTask, asker: Asker, try_out: TryOut) -> WrittenTests | NoTests:
    """Return new tests that fail for stated reasons, or why none could be written.

    Each reply is read, run with `try_out` and, where it will not do, sent back with what is wrong, `task.attempts`
    times in all. Tests that will not do are dropped in the end, where others of the same file do.

    Raises:
        ModelError: the model did not answer at all.
        SandboxBroken: passed on from `try_out`.

    """
    around = neighbourhood(task.base, task.test_files, task.places, task.request)
    reader = _Reader(task, around, try_out)
    criteria = "".join(f"- {sentence}\n" for sentence in task.criteria)
    values = {
        "request": task.request + (f"\n\nIt is done when:\n{criteria}" if criteria else ""),
        "sources": sources(task.base, task.places), "context": task.context, "examples": around.examples,
        "style": around.style,
        "fixtures_line": f"Fixtures that are there: {', '.join(around.fixtures)}." if around.fixtures else "",
    }  # fmt: skip
    try:
        asked = asker.ask(
            "unit-test", values, reader, max_tokens=_MAX_TOKENS, prompt=f"unit_tester_{task.purpose}",
            attempts=task.attempts,
        )  # fmt: skip
    except Unanswered as unanswered:
        return NoTests(
            f"No test was written that can be kept: {one_line(str(unanswered), 400)}.", tuple(reader.refused)
        )
    path, text, stated = asked.value
    names = ", ".join(one.node_id.rpartition("::")[2] or one.node_id for one in stated[:3])
    candidate = Candidate(
        (), f"unit-test:{asked.model}", f"add {path}: {one_line(names, 160)}", tier=task.tier,
        created=(NewFile(path, text),),
    )  # fmt: skip
    return WrittenTests(candidate, stated, tuple(reader.refused))


class _Reader:
    """Reads a reply, runs its tests, and says what is wrong with them."""

    def __init__(self, task: TestTask, around: Neighbourhood, try_out: TryOut) -> None:
        self._task = task
        self._around = around
        self._try_out = try_out
        self._number = 0
        self.refused: list[TestRefused] = []

    def __call__(self, reply: str) -> tuple[str, str, tuple[StatedFailure, ...]]:
        self._number += 1
        try:
            return self._kept(reply)
        except TestsRefused as refused:
            self.refused += refused.refused
            raise

    def _kept(self, reply: str) -> tuple[str, str, tuple[StatedFailure, ...]]:
        new = self._task.purpose == "pin"
        file = read_test_file(reply, self._task.request, self._around.texts, new=new)
        path = new_path(list(self._task.base), self._around, file.stated[0].test)
        kept, problems = self._judged(path, file)
        if problems:
            # A bug needs one test that shows it; of a feature's tests, more may still come right.
            last = self._number >= self._task.attempts
            if not kept or not (last or not new):
                raise TestsRefused(problems)
            self.refused += problems
            names = {one.test for one in problems}
            left = tuple(one for one in file.stated if one.test not in names)
            file = TestFile(without(file.text, [one.test for one in problems]), left)
            kept, problems = self._judged(path, file)
            if problems:
                raise TestsRefused(problems)
        for _ in range(self._task.confirmations):
            again, problems = self._judged(path, file)
            if [one.node_id for one in again] != [one.node_id for one in kept]:
                raise refusal("unsteady", "the tests do not fail every time: remove what depends on chance or time")
        return path, file.text, kept

    def _judged(self, path: str, file: TestFile) -> tuple[tuple[StatedFailure, ...], list[TestRefused]]:
        """Run a test file; return how its good tests fail, and what is wrong with the others.

        Raises:
            TestsRefused: no test of it ran at all.

        """
        candidate = Candidate((), "unit-test", f"try {path}", created=(NewFile(path, file.text),))
        report = self._try_out(candidate)
        broken = [error for error in report.collection_errors if _belongs(error.node_id, path)]
        if broken:
            said = f"{broken[0].exception}: {one_line(broken[0].message, 300)}"
            hint = "; import what does not exist yet inside the test" if self._task.purpose == "pin" else ""
            raise refusal("not collected", f"the file cannot be imported: {said}{hint}")
        if not report.complete:
            raise refusal("not run", f"the run did not come to its end: {one_line(report.output[-400:], 300)}")
        kept: list[StatedFailure] = []
        problems: list[TestRefused] = []
        for stated in file.stated:
            results = [r for r in report.results if _belongs(r.node_id, path) and _function(r.node_id) == stated.test]
            judged = [self._fault(stated, result, path) for result in results]
            good = [r for r, fault in zip(results, judged, strict=True) if fault is None]
            if good:
                kept += [StatedFailure(r.node_id, r.exception.rpartition(".")[2] or stated.exception, stated.reason,
                                       one_line(r.message, 400)) for r in good]  # fmt: skip
            faults = [fault for fault in judged if fault is not None and not (good and fault.fault == "passed")]
            if not results:
                faults = [TestRefused("not run", f"{stated.test} was not run", stated.test)]
            problems += faults[:1]
        bad = {one.test for one in problems}
        return tuple(one for one in kept if _function(one.node_id) not in bad), problems

    def _fault(self, stated: Stated, result: TestResult, path: str) -> TestRefused | None:
        test = stated.test
        if result.outcome is Outcome.PASSED:
            return TestRefused("passed", f"{test} passes on the code as it is, so it does not show anything", test)
        if result.outcome in {Outcome.SKIPPED, Outcome.XFAILED, Outcome.XPASSED}:
            return TestRefused("skipped", f"{test} is skipped", test)
        seen = result.exception.rpartition(".")[2]
        said = f"{seen or 'an error'}: {one_line(result.message, 240)}"
        place = result.frames[-1] if result.frames else None
        where = f" at {place.path}:{place.line}" if place else ""
        if result.outcome is Outcome.ERROR:
            return TestRefused("fixture error", f"{test} could not be set up or ended: {said}{where}", test)
        if not _same(seen, stated.exception, new=self._task.purpose == "pin"):
            sentence = (
                f"{test} fails with {said}{where}, not with {stated.exception}: if that is what the request is about, "
                "state it, else correct the test"
            )
            return TestRefused("wrong exception", sentence, test)
        inside = place is None or place.path == path
        excused = seen in _RAISES or seen in self._task.request or (self._task.purpose == "pin" and seen in IMPORTING)
        if inside and not excused:
            return TestRefused("own mistake", f"{test} itself raises {said}{where}, not the code that it tests", test)
        return None


def _same(seen: str, stated: str, *, new: bool) -> bool:
    if seen == stated or {seen, stated} == _RAISES:
        return True
    # That something is missing is one reason, whichever way it is found out.
    return new and seen in IMPORTING and stated in IMPORTING


def _function(node_id: str) -> str:
    head = node_id.split("[", 1)[0]
    return head.rpartition("::")[2] if "::" in head else head.split(" ")[0].rpartition(".")[2]


def _belongs(node_id: str, path: str) -> bool:
    """Whether a test is one of a file: by path, as pytest names it, or by module, as unittest does."""
    if node_id == path or node_id.startswith(f"{path}::"):
        return True
    return any(node_id == name or node_id.startswith(f"{name}.") for name in _modules(path))


def _modules(path: str) -> Iterator[str]:
    parts: Sequence[str] = path.removesuffix(".py").split("/")
    yield from (".".join(parts[start:]) for start in range(len(parts)))
