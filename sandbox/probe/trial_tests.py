"""Pytest as a server: collects once, then runs chosen items again and again."""

from __future__ import annotations

import copy
import os
import signal
import sys
import time
import types
from typing import Any, Callable, Dict, Iterable, List, Optional, Sequence, Tuple

import pytest
from _pytest import runner
from _pytest.reports import TestReport

Summary = Dict[str, Any]
_ATOMS = (int, float, complex, str, bytes, bool, type(None), type, types.FunctionType, types.BuiltinFunctionType)
AGAIN = 0.05
"""CPU seconds between repeated interruptions of a test that swallowed the first."""


class OutOfTime(BaseException):
    """Raised inside a test that used up its CPU time; not an Exception, so that few handlers swallow it."""


class Broken(Exception):
    """The test machinery itself was hit: this process is not to be trusted with further candidates."""


def _immutable(value: Any, depth: int = 4) -> bool:
    if isinstance(value, _ATOMS):
        return True
    return type(value) in (tuple, frozenset) and depth > 0 and all(_immutable(v, depth - 1) for v in value)


class Tests:
    """The collected items, each with pristine copies of its mutable parameters."""

    __test__ = False

    def __init__(self, session: pytest.Session, root: str) -> None:
        self.session = session
        self.root = root + os.sep
        self.items: Dict[str, Any] = {}
        for item in session.items:
            self.items.setdefault(item.nodeid, item)
        self._params: Dict[str, Dict[str, Any]] = {}
        self._fired = 0
        self.info: Optional[pytest.ExceptionInfo[BaseException]] = None
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
                    except Exception:
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
        self.info = None
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
        elif self.info is not None and summary["outcome"] != "passed":
            summary.update(self.where(self.info.value))
        self.info = None
        item.funcargs = None
        return summary

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
        self.tests: Optional[Tests] = None
        self.errors: List[Tuple[str, str]] = []

    @pytest.hookimpl(tryfirst=True)
    def pytest_collectreport(self, report: pytest.CollectReport) -> None:
        if report.failed:
            self.errors.append((report.nodeid, str(report.longrepr)[-2000:]))

    @pytest.hookimpl(tryfirst=True)
    def pytest_runtest_makereport(self, item: pytest.Item, call: pytest.CallInfo[None]) -> TestReport:
        # Pytest's own formats the traceback from source, which costs more than the test.
        info = call.excinfo
        outcome: Any = "passed"
        if info is not None:
            outcome = "skipped" if isinstance(info.value, (pytest.skip.Exception, _SKIP)) else "failed"
            if outcome == "failed" and self.tests is not None and self.tests.info is None:
                self.tests.info = info
        return TestReport(item.nodeid, item.location, {}, outcome, None, call.when)

    @pytest.hookimpl(tryfirst=True)
    def pytest_runtestloop(self, session: pytest.Session) -> bool:
        self.tests = Tests(session, self.root)
        self._serve(self.tests)
        return True


def _skip_of_unittest() -> type:
    import unittest

    return unittest.SkipTest


_SKIP = _skip_of_unittest()


def pytest_arguments(order: Dict[str, Any]) -> List[str]:
    """Return the command line for a session; `order` is the host's opening message."""
    arguments = ["-q", "-s", "--tb=no", "--assert=plain", "--continue-on-collection-errors"]
    arguments += ["-p", "no:cacheprovider", "-p", "no:faulthandler", "-p", "no:randomly", "-p", "no:rerunfailures"]
    for name in order.get("plugins", ()):
        arguments += ["-p", name]
    return arguments + list(order.get("options", ())) + list(order.get("files", ()))


def run_session(order: Dict[str, Any], serve: Callable[[Tests], None]) -> Tuple[int, Plugin]:
    """Collect the tests and hand them to `serve`; returns pytest's exit code and the plugin."""
    plugin = Plugin(order["root"], serve)
    for folder in reversed(order.get("pythonpath", ())):
        path = os.path.normpath(os.path.join(order["root"], folder))
        if path not in sys.path:
            sys.path.insert(0, path)
    return int(pytest.main(pytest_arguments(order), plugins=[plugin])), plugin
