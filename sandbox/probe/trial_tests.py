"""Pytest as a server: collects once, then runs chosen items again and again."""

from __future__ import annotations

import copy
import importlib.util
import os
import signal
import sys
import time
import types
import unittest
from typing import Any, Callable, Dict, Iterable, Iterator, List, Optional, Sequence, Tuple

import pytest
from _pytest import runner
from _pytest.reports import TestReport

from . import pytest_options, selection
from .trial_quick import QuickTests
from .trial_wire import Broken, OutOfTime, Summary

_ATOMS: Tuple[type, ...] = (
    int,
    float,
    complex,
    str,
    bytes,
    bool,
    type(None),
    type,
    types.FunctionType,
    types.BuiltinFunctionType,
)
AGAIN = 0.05
"""CPU seconds between repeated interruptions of a test that swallowed the first."""


def _immutable(value: Any, depth: int = 4) -> bool:
    if isinstance(value, _ATOMS):
        return True
    return type(value) in (tuple, frozenset) and depth > 0 and all(_immutable(v, depth - 1) for v in value)


class Tests:
    """The collected items, each with pristine copies of its mutable parameters."""

    __test__ = False

    def __init__(self, session: pytest.Session, root: str, own: object = None) -> None:
        self.session = session
        self.quick = QuickTests(session, own)
        self.brisk = False
        """Whether plain test functions are called directly."""
        self._straight = False
        self.root = root + os.sep
        self.items: Dict[str, Any] = {}
        for item in session.items:
            self.items.setdefault(item.nodeid, item)
        self._params: Dict[str, Dict[str, Any]] = {}
        self._fired = 0
        self.part_failed = False
        self.error: Optional[BaseException] = None
        self._state: Any = getattr(session, "_setupstate")  # noqa: B009 - private, and typed nowhere

    def keep_parameters(self, names: Iterable[str]) -> None:
        """Copy what tests could mutate; called once before the first run."""
        for name in names:
            item = self.items.get(name)
            params = getattr(getattr(item, "callspec", None), "params", None)
            if not params or name in self._params:
                continue
            kept = {}
            for key, value in params.items():
                if not _immutable(value):
                    try:
                        kept[key] = copy.deepcopy(value)
                    except Exception:  # noqa: S112 - what cannot be copied is shared
                        continue
            self._params[name] = kept

    def _interrupt(self, *_: object) -> None:
        self._fired += 1
        raise OutOfTime

    def arm(self) -> None:
        """Take over the signal that ends tests; in the process that runs them."""
        signal.signal(signal.SIGPROF, self._interrupt)

    def run(self, name: str, seconds: float, following: Optional[str] = None) -> Summary:
        """Run one test within so many CPU seconds; `following` is the test that comes next, None tears all down.

        Raises:
            Broken: the process must not be used for more.

        """
        item = self.items[name]
        kept = self._params.get(name)
        if kept:
            item.callspec.params.update(copy.deepcopy(kept))
        self._fired = 0
        self.part_failed = False
        self.error = None
        straight = self.quick.call(item) if self.brisk else None
        if straight is not None:
            return self._called(name, straight, seconds)
        if self._straight:
            # Tests called directly left what earlier ones had set up as it was.
            self._state.teardown_exact(item)
            self._straight = False
        cpu, wall = time.process_time(), time.perf_counter()
        after = self.items.get(following) if following else None
        reports: List[TestReport] = []
        try:
            signal.setitimer(signal.ITIMER_PROF, seconds, AGAIN)
            reports = runner.runtestprotocol(item, log=False, nextitem=after)
            signal.setitimer(signal.ITIMER_PROF, 0)
        except BaseException as error:
            signal.setitimer(signal.ITIMER_PROF, 0)
            raise Broken("timeout" if self._fired else type(error).__name__) from error
        summary: Summary = {
            "test": name,
            "outcome": self._outcome(reports),
            "cpu": time.process_time() - cpu,
            "wall": time.perf_counter() - wall,
        }
        if self._fired:
            summary["outcome"] = "timeout"
        elif self.part_failed and summary["outcome"] == "passed":
            summary["outcome"] = "failed"
        else:
            summary.update(self.reason())
        item.funcargs = None
        return summary

    def _called(self, name: str, test: Callable[[], Any], seconds: float) -> Summary:
        """Run a plain test function; see `run`."""
        self._straight = True
        cpu, wall = time.process_time(), time.perf_counter()
        outcome = "passed"
        try:
            try:
                signal.setitimer(signal.ITIMER_PROF, seconds, AGAIN)
                test()
            finally:
                signal.setitimer(signal.ITIMER_PROF, 0)
        except (KeyboardInterrupt, pytest.exit.Exception) as error:
            raise Broken(type(error).__name__) from error
        except (pytest.skip.Exception, unittest.SkipTest):
            outcome = "skipped"
        except pytest.xfail.Exception:
            outcome = "xfailed"
        except BaseException as error:
            outcome, self.error = "failed", error
        summary: Summary = {
            "test": name,
            "outcome": "timeout" if self._fired else outcome,
            "cpu": time.process_time() - cpu,
            "wall": time.perf_counter() - wall,
        }
        if not self._fired:
            summary.update(self.reason())
        return summary

    def reason(self) -> Summary:
        """Return why the test that ran last did not pass, nothing where it did."""
        error, self.error = self.error, None
        return {} if error is None else self.where(error)

    def tear_down(self) -> None:
        """End the fixtures that are still set up."""
        try:
            self._state.teardown_exact(None)
        except BaseException:
            self._state.stack.clear()

    @staticmethod
    def _outcome(reports: Sequence[TestReport]) -> str:
        outcome = "missing"
        for report in reports:
            if report.outcome == "failed":
                return "failed" if report.when == "call" else "error"
            if report.outcome == "skipped":
                outcome = "xfailed" if hasattr(report, "wasxfail") else "skipped"
            elif report.when == "call":
                outcome = "xpassed" if hasattr(report, "wasxfail") else "passed"
        return outcome

    def where(self, error: BaseException) -> Summary:
        """Say what was raised and where: the last line in the tests and the innermost line under the root."""
        kind = type(error)
        module = kind.__module__
        name = kind.__qualname__ if module in ("builtins", None) else module + "." + kind.__qualname__
        trace = error.__traceback__
        places: List[Tuple[str, int]] = []
        for _ in range(2000):
            if trace is None:
                break
            filename = trace.tb_frame.f_code.co_filename
            if filename.startswith(self.root):
                places.append((filename[len(self.root) :], trace.tb_lineno))
            trace = trace.tb_next
        return {"exception": name, "at": list(places[0]) if places else [], "deep": list(places[-1]) if places else []}


class Plugin:
    """Turns a pytest session into whatever `serve` does with the collected tests."""

    def __init__(self, root: str, serve: Callable[[Tests], None]) -> None:
        self.root = root
        self._serve = serve
        self._tests: Optional[Tests] = None
        self.errors: List[str] = []

    @pytest.hookimpl(hookwrapper=True, tryfirst=True)
    def pytest_load_initial_conftests(self, early_config: Any, parser: Any, args: List[str]) -> Iterator[None]:
        outcome: Any = yield
        if outcome.excinfo is None:
            pytest_options.neutralise(early_config, args, parser, self.root)
        else:
            self.errors.append("%s: %s" % (outcome.excinfo[0].__name__, outcome.excinfo[1]))

    @pytest.hookimpl(tryfirst=True)
    def pytest_collectreport(self, report: pytest.CollectReport) -> None:
        if report.failed:
            self.errors.append(report.nodeid + ": " + str(report.longrepr)[-1000:])

    @pytest.hookimpl
    def pytest_runtest_makereport(self, item: pytest.Item, call: pytest.CallInfo[None]) -> TestReport:
        # In place of pytest's own, which formats the traceback from source at a greater cost than the test's. Not the
        # very first, because the plugin for unittest hands over exceptions here.
        info = call.excinfo
        outcome: Any = "passed"
        if info is not None:
            outcome = "skipped" if isinstance(info.value, (pytest.skip.Exception, unittest.SkipTest)) else "failed"
            if outcome == "failed" and self._tests is not None and self._tests.error is None:
                self._tests.error = info.value
        when: Any = call.when
        return TestReport(item.nodeid, item.location, {}, outcome, None, when)

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        # Whole tests are not logged here, only the subtests in them.
        if report.failed and self._tests is not None:
            self._tests.part_failed = True

    @pytest.hookimpl(tryfirst=True)
    def pytest_runtestloop(self, session: pytest.Session) -> bool:
        if not session.items:
            return True
        self._tests = Tests(session, self.root, self)
        self._serve(self._tests)
        return True


def run_session(order: Dict[str, Any], serve: Callable[[Tests], None]) -> Tuple[int, str]:
    """Collect the tests and hand them to `serve`; returns pytest's exit code and what was said of collection."""
    plugin = Plugin(order["root"], serve)
    paths = selection.Selection(order["files"]).paths(order["root"])
    if order["files"] and not paths:
        return 5, "none of the test files exists"
    plan = dict(order, seed=0)
    arguments = pytest_options.arguments(plan, paths, lambda name: importlib.util.find_spec(name) is not None)
    # Assertions need no explanations here, and output goes nowhere.
    arguments[len(arguments) - len(paths) : len(arguments) - len(paths)] = ["-q", "--tb=no", "--assert=plain", "-s"]
    sys.argv[:] = [pytest.__file__, *arguments]
    code = int(pytest.main(arguments, plugins=[plugin]))
    return code, "; ".join(plugin.errors)[-4000:]
