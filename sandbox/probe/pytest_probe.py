"""The pytest plugin that tells what happens to each test, and the call that runs pytest with it."""

import importlib.util
import sys

import pytest

from . import (
    captured,
    failures,
    importing,
    machinery,
    pytest_controls,
    pytest_hangs,
    pytest_options,
    selection,
    spectrum,
)

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, Callable, Dict, Generator, List, Optional, Set

    Message = Dict[str, Any]
    Send = Callable[[Message], None]

OWN = __name__.rpartition(".")[0]
"""The package that the probe runs as."""


def run(plan: "Message", send: "Send") -> int:
    """Run pytest as `plan` says and return its exit code; what happens is sent as it happens."""
    places = failures.Places(plan["root"])
    chosen = selection.Selection(plan.get("tests", ()))
    paths = chosen.paths(plan["root"]) if plan.get("tests") else [str(path) for path in plan.get("paths", ())]
    if plan.get("tests") and not paths:
        send({"t": "missing", "ids": chosen.unmatched()})
        return 5
    recorder = spectrum.recorder(places.relative) if plan.get("coverage") else None
    if isinstance(recorder, spectrum.MarkRecorder):
        importing.watch(recorder.mark)
    plugin = Plugin(plan, send, places, chosen, recorder)
    args = pytest_options.arguments(plan, paths, lambda name: importlib.util.find_spec(name) is not None)
    captured.bound()
    sys.argv[:] = [pytest.__file__, *args]
    plugins: "List[Any]" = [plugin]
    if plugin.hangs is not None:
        plugins.append(plugin.hangs)
    code = pytest.main(args, plugins=plugins)
    if recorder is not None:
        recorder.stop()
    plugin.close()
    return int(code)


def _problem(kind: str, message: str, **more: "Any") -> "Message":
    return dict({"t": "problem", "kind": kind, "message": message}, **more)


class Plugin:
    """Sends one message a collected test, result, collection error and problem."""

    def __init__(self, plan: "Message", send: "Send", places: "Any", chosen: "Any", recorder: "Optional[Any]") -> None:
        self._plan = plan
        self._send = send
        self._places = places
        self._chosen = chosen
        self._recorder = recorder
        self._skip = frozenset(plan.get("skip", ()))
        self._before: "Any" = None
        self._sentences: "List[str]" = []
        self._collected: "List[str]" = []
        self._reported: "Set[str]" = set()
        self._state: "Dict[str, Message]" = {}
        self._errors: "Dict[str, Message]" = {}
        self._controls = pytest_controls.Controls()
        self.hangs = pytest_hangs.Hangs(plan["hang_seconds"]) if plan.get("hang_seconds") else None

    # Start-up

    @pytest.hookimpl(hookwrapper=True, tryfirst=True)
    def pytest_load_initial_conftests(
        self, early_config: "Any", parser: "Any", args: "List[str]"
    ) -> "Generator[None, Any, None]":
        self._before = machinery.fingerprint(OWN)
        if self._recorder is not None:
            self._recorder.start()
        outcome = yield
        error = outcome.excinfo
        if error is not None and isinstance(error[1], BaseException):
            cause = _unwrapped(error[1])
            details = _details(cause, self._places)
            path = self._places.relative(str(getattr(error[1], "path", "")))
            if path is None and details["frames"]:
                path = details["frames"][0][0]
            missing = failures.missing_module(cause, self._places)
            self._send(_problem("conftest", "", path=path, missing=missing, **details))
        else:
            removed = pytest_options.neutralise(early_config, args, parser, self._plan["root"])
            if removed:
                self._send({"t": "note", "message": "options left out: " + " ".join(removed)})

    @pytest.hookimpl(tryfirst=True)
    def pytest_internalerror(self, excinfo: "Any") -> None:
        self._send(_problem("internal", "", **_details(excinfo.value, self._places)))

    @pytest.hookimpl(tryfirst=True)
    def pytest_keyboard_interrupt(self, excinfo: "Any") -> None:
        self._send(_problem("interrupted", "", **_details(excinfo.value, self._places)))

    # Collection

    @pytest.hookimpl(hookwrapper=True, tryfirst=True)
    def pytest_make_collect_report(self, collector: "Any") -> "Generator[None, Any, None]":
        if isinstance(collector, pytest.Module):
            self._send({"t": "collecting", "id": collector.nodeid})
        outcome = yield
        if outcome.excinfo is not None and isinstance(outcome.excinfo[1], SystemExit):
            error = outcome.excinfo[1]
            self._errors[collector.nodeid] = failures.described(error, self._places)
            text = "SystemExit: {}".format(error)
            outcome.force_result(pytest.CollectReport(collector.nodeid, "failed", text, []))

    def pytest_exception_interact(self, call: "Any", report: "Any") -> None:
        if isinstance(report, pytest.CollectReport):
            self._errors[report.nodeid] = failures.described(_unwrapped(call.excinfo.value), self._places)
            self._errors[report.nodeid]["missing"] = failures.missing_module(call.excinfo.value, self._places)

    @pytest.hookimpl(trylast=True)
    def pytest_collectreport(self, report: "Any") -> None:
        path = report.nodeid.partition("::")[0] or "."
        if report.failed and path not in self._skip:
            details = self._errors.pop(report.nodeid, None)
            if details is None:
                details = {"message": failures.trimmed(str(report.longrepr), self._places)}
            self._send(dict(details, t="collection_error", id=path, outcome="error"))

    @pytest.hookimpl(hookwrapper=True, tryfirst=True)
    def pytest_collection_modifyitems(self, config: "Any", items: "List[Any]") -> "Generator[None, Any, None]":
        yield
        kept: "List[Any]" = []
        dropped: "List[Any]" = []
        for item in items:
            (kept if item.nodeid not in self._skip and self._chosen.wants(item.nodeid) else dropped).append(item)
        if dropped:
            items[:] = kept
            config.hook.pytest_deselected(items=dropped)

    @pytest.hookimpl(hookwrapper=True, tryfirst=True)
    def pytest_collection_finish(self, session: "Any") -> "Generator[None, Any, None]":
        yield
        self._collected = [item.nodeid for item in session.items]
        for start in range(0, len(self._collected), 1000):
            self._send({"t": "collected", "ids": self._collected[start : start + 1000]})
        missing = self._chosen.unmatched()
        if missing:
            self._send({"t": "missing", "ids": missing})
        if self._recorder is not None:
            self._coverage("")
        if session.items:
            self._controls.append(session)

    # Tests

    @pytest.hookimpl(hookwrapper=True, tryfirst=True)
    def pytest_runtestloop(self) -> "Generator[None, Any, None]":
        yield
        self._finish()

    @pytest.hookimpl(tryfirst=True)
    def pytest_runtest_protocol(self, item: "Any", nextitem: "Any") -> "Optional[bool]":
        if self._controls.owns(item):
            self._controls.run(item, nextitem)
            return True
        self._send({"t": "start", "id": item.nodeid})
        if self._recorder is not None:
            self._recorder.start()
        return None

    @pytest.hookimpl(hookwrapper=True, tryfirst=True)
    def pytest_runtest_makereport(self, item: "Any", call: "Any") -> "Generator[None, Any, None]":
        outcome = yield
        if outcome.excinfo is None and call.excinfo is not None and not self._controls.owns(item):
            report = outcome.get_result()
            report.greendiff = failures.described(call.excinfo.value, self._places)
            if self.hangs is not None and isinstance(call.excinfo.value, pytest_hangs.Hung):
                report.greendiff.update(exception="", message=self.hangs.hung())
                report.greendiff_hung = True

    @pytest.hookimpl(trylast=True)
    def pytest_runtest_logreport(self, report: "Any") -> None:
        if report.outcome == "rerun":
            self._state.pop(report.nodeid, None)
            return
        state = self._state.setdefault(report.nodeid, {"outcome": "", "seconds": 0.0})
        state["seconds"] += float(getattr(report, "duration", 0.0) or 0.0)
        outcome = _outcome(report)
        if outcome and _RANK[outcome] > _RANK[state["outcome"]]:
            state["outcome"] = outcome
            state.update(_words(report, outcome, self._places))
            if getattr(report, "greendiff_hung", False):
                state.update(outcome="error", hung=True)

    @pytest.hookimpl(trylast=True)
    def pytest_runtest_logfinish(self, nodeid: str) -> None:
        state = self._state.pop(nodeid, None)
        if state is not None and state["outcome"]:
            state["seconds"] = round(state["seconds"], 6)
            self._reported.add(nodeid)
            if self.hangs is not None and not state.get("hung"):
                self.hangs.ended(state["seconds"])
            self._send(dict(state, t="result", id=nodeid))
        if self._recorder is not None:
            self._coverage(nodeid)

    def _coverage(self, nodeid: str) -> None:
        lines = self._recorder.take()  # type: ignore[union-attr]
        self._send({"t": "coverage", "id": nodeid, "files": {p: spectrum.ranges(ls) for p, ls in lines.items()}})

    # The end

    def _finish(self) -> None:
        self._sentences += self._controls.sentences()
        if self._before is not None:
            self._sentences += machinery.differences(self._before, OWN)
        unknown = sorted(self._reported.difference(self._collected))
        if unknown:
            self._sentences.append("Results came from tests that were not collected: " + ", ".join(unknown[:5]))
        lost = [item for item in self._collected if item not in self._reported]
        if lost:
            self._sentences.append(
                "{} collected tests gave no result, {} first.".format(len(lost), lost[0])
                if len(lost) > 1
                else "Collected test {} gave no result.".format(lost[0])
            )

    def close(self) -> None:
        """Send what was noticed."""
        if self._sentences:
            self._send({"t": "tampering", "sentences": self._sentences[:200]})


_RANK = {"": 0, "passed": 1, "skipped": 2, "xpassed": 2, "xfailed": 3, "error": 4, "failed": 5}


def _outcome(report: "Any") -> str:
    """Return what one phase says about its test, "" where it says nothing."""
    if hasattr(report, "wasxfail"):
        if report.outcome == "skipped":
            return "xfailed"
        if report.outcome == "passed":
            return "xpassed"
    if report.outcome == "failed":
        return "failed" if report.when == "call" else "error"
    if report.outcome == "skipped":
        return "skipped"
    return "passed" if report.outcome == "passed" and report.when == "call" else ""


def _words(report: "Any", outcome: str, places: "Any") -> "Message":
    """Return exception, message and frames of one phase's report."""
    if outcome in ("passed", "xpassed"):
        return {"exception": "", "message": "", "frames": []}
    details = getattr(report, "greendiff", None)
    longrepr = report.longrepr
    if outcome == "skipped":
        reason = str((longrepr[2] if isinstance(longrepr, tuple) and len(longrepr) == 3 else longrepr) or "")
        reason = reason[len("Skipped: ") :] if reason.startswith("Skipped: ") else reason
        return {"exception": "", "message": failures.trimmed(reason, places), "frames": []}
    if details is not None and not (outcome == "failed" and isinstance(longrepr, str)):
        return dict(details)
    # Where a plugin runs tests in another process, only the words come back.
    crash = getattr(longrepr, "reprcrash", None)
    return {
        "exception": "",
        "message": failures.trimmed(str(getattr(crash, "message", longrepr) or ""), places),
        "frames": [],
    }


def _details(error: BaseException, places: "Any") -> "Message":
    found = failures.described(error, places)
    found["text"] = found.pop("message")
    return found


def _unwrapped(error: BaseException) -> BaseException:
    """Return what a collector's or a conftest file's error is really about."""
    kind = type(error).__name__
    if kind == "CollectError" and isinstance(error.__cause__, BaseException):
        return error.__cause__
    if kind == "ConftestImportFailure":
        inner = getattr(error, "cause", None) or error.__cause__
        if inner is None and isinstance(getattr(error, "excinfo", None), tuple):
            inner = error.excinfo[1]  # type: ignore[attr-defined]
        if isinstance(inner, BaseException):
            return inner
    return error
