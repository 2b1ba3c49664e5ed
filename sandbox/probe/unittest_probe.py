"""Runs unittest suites for repositories whose tests pytest would not find, with the same node ids as pytest's."""

import os
import re
import sys
import time
import unittest

from . import failures, importing, machinery, selection, spectrum

TYPE_CHECKING = False
if TYPE_CHECKING:
    from types import TracebackType
    from typing import Any, Callable, Dict, FrozenSet, Iterator, List, Optional, Set, Tuple, Type, Union

    Message = Dict[str, Any]
    Send = Callable[[Message], None]
    Raised = Union[Tuple[Type[BaseException], BaseException, TracebackType], Tuple[None, None, None]]

OWN = __name__.rpartition(".")[0]

_FRAME = re.compile(r'^ *File "([^"]+)", line (\d+)(?:, in (\S+))?', re.MULTILINE)
_clock = time.perf_counter
_RANK = {"": 0, "passed": 1, "skipped": 2, "xpassed": 2, "xfailed": 3, "error": 4, "failed": 5}


def run(plan: "Message", send: "Send") -> int:
    """Find and run the tests as `plan` says and return the exit code that `python -m unittest` would have."""
    places = failures.Places(plan["root"])
    chosen = selection.Selection(plan.get("tests", ()))
    recorder = spectrum.recorder(places.relative) if plan.get("coverage") else None
    if isinstance(recorder, spectrum.MarkRecorder):
        importing.watch(recorder.mark)
    before = machinery.fingerprint(OWN)
    if recorder is not None:
        recorder.start()
    result = Result(send, places, recorder)
    suite = _suite(plan)
    skip = frozenset(plan.get("skip", ()))
    tests = [test for test in _flat(suite) if not result.collection_error(test, skip)]
    wanted = []
    for test in tests:
        node_id = result.node_id(test)
        if node_id not in skip and chosen.wants(node_id):
            wanted.append(test)
    collected = [result.node_id(test) for test in wanted]
    send({"t": "collected", "ids": collected})
    if chosen.unmatched():
        send({"t": "missing", "ids": chosen.unmatched()})
    if recorder is not None:
        result.coverage("")
    keep = {id(test) for test in wanted}
    _prune(suite, keep)
    suite.run(result)
    sentences = _controls() + machinery.differences(before, OWN)
    lost = [node_id for node_id in collected if node_id not in result.reported]
    if lost and not result.shouldStop:
        sentences.append("{} collected tests gave no result, {} first.".format(len(lost), lost[0]))
    if sentences:
        send({"t": "tampering", "sentences": sentences[:200]})
    return 0 if not result.bad else 1


def _suite(plan: "Message") -> "unittest.TestSuite":
    """Discover as `python -m unittest` does, in the harness' folders or in the tree."""
    loader = unittest.TestLoader()
    suite = unittest.TestSuite()
    root = plan["root"]
    pattern = "test*.py"
    for option in plan.get("options", ()):
        if option.startswith("--pattern="):
            pattern = option.partition("=")[2]
    for path in list(plan.get("paths", ())) or ["."]:
        whole = os.path.normpath(os.path.join(root, path))
        if os.path.isdir(whole):
            # A folder that is no package of the tree's top is its own top, as on the command line.
            top = root if os.path.isfile(os.path.join(whole, "__init__.py")) else whole
            suite.addTests(loader.discover(whole, pattern=pattern, top_level_dir=top))
        elif path.endswith(".py"):
            suite.addTests(loader.loadTestsFromName(path[:-3].replace("/", ".")))
    return suite


def _flat(suite: "Any") -> "Iterator[Any]":
    for test in suite:
        if isinstance(test, unittest.TestSuite):
            yield from _flat(test)
        else:
            yield test


def _prune(suite: "Any", keep: "Set[int]") -> None:
    kept = []
    for test in suite:
        if isinstance(test, unittest.TestSuite):
            _prune(test, keep)
            kept.append(test)
        elif id(test) in keep:
            kept.append(test)
    suite._tests = kept  # noqa: SLF001


class Result(unittest.TestResult):
    """Sends one message a test; subtests are part of theirs."""

    def __init__(self, send: "Send", places: "failures.Places", recorder: "Optional[spectrum.Recorder]") -> None:
        """Nothing has run."""
        super().__init__()
        self._send = send
        self._places = places
        self._recorder = recorder
        self._state: "Dict[str, Any]" = {}
        self._began = 0.0
        self._ids: "Dict[int, str]" = {}
        self._taken: "Dict[str, int]" = {}
        self.reported: "Set[str]" = set()
        self.bad = False

    def node_id(self, test: "Any") -> str:
        """Return `path.py::Class::test`, the same at every call."""
        known = self._ids.get(id(test))
        if known is not None:
            return known
        made = getattr(test, "_dt_test", None)
        module = sys.modules.get(type(test).__module__)
        file = getattr(module, "__file__", "") if made is None else made.filename
        path = self._places.relative(str(file or "")) or type(test).__module__
        if made is not None:
            node_id = "{}::{}".format(path, made.name)
        elif hasattr(test, "_testMethodName"):
            node_id = "{}::{}::{}".format(path, type(test).__qualname__, test._testMethodName)  # noqa: SLF001
        else:
            node_id = "{}::{}".format(path, test.id())
        count = self._taken[node_id] = self._taken.get(node_id, 0) + 1
        if count > 1:
            node_id += "[{}]".format(count)
        self._ids[id(test)] = node_id
        return node_id

    def collection_error(self, test: "Any", skip: "FrozenSet[str]") -> bool:
        """Report and say so where `test` stands for a module that could not be imported."""
        if type(test).__name__ != "_FailedTest":
            return False
        path = str(test._testMethodName).replace(".", "/") + ".py"  # noqa: SLF001
        if path not in skip:
            self.bad = True
            details = self._retold(failures.text_of(getattr(test, "_exception", None) or ImportError()))
            self._send(dict(details, t="collection_error", id=path, outcome="error"))
        return True

    def _retold(self, text: str) -> "Message":
        """Read the traceback that unittest keeps of a failed import only as text."""
        lines = text.strip().splitlines() or [""]
        name, _, words = lines[-1].partition(": ")
        frames = []
        for file, line, function in _FRAME.findall(text):
            path = self._places.relative(file)
            if path is not None:
                frames.append((path, int(line), function or "<module>"))
        return {
            "exception": name if name.replace(".", "").isidentifier() else "ImportError",
            "message": failures.trimmed(words or text, self._places),
            "frames": frames[-failures.LAST_FRAMES :],
            "missing": _named(text),
        }

    def startTest(self, test: "Any") -> None:  # noqa: N802
        """Begin a test."""
        super().startTest(test)
        self._state = {"outcome": "", "exception": "", "message": "", "frames": []}
        self._send({"t": "start", "id": self.node_id(test)})
        if self._recorder is not None:
            self._recorder.start()
        self._began = _clock()

    def stopTest(self, test: "Any") -> None:  # noqa: N802
        """Send what became of it."""
        super().stopTest(test)
        node_id = self.node_id(test)
        state, self._state = self._state, {}
        if state.get("outcome"):
            self.reported.add(node_id)
            self.bad = self.bad or state["outcome"] in ("failed", "error")
            self._send(dict(state, t="result", id=node_id, seconds=round(_clock() - self._began, 6)))
        if self._recorder is not None:
            self.coverage(node_id)

    def coverage(self, node_id: str) -> None:
        """Send the lines since the last call."""
        lines = self._recorder.take() if self._recorder is not None else {}
        self._send({"t": "coverage", "id": node_id, "files": {p: spectrum.ranges(ls) for p, ls in lines.items()}})

    def _note(self, test: "Any", outcome: str, error: "Optional[BaseException]" = None, message: str = "") -> None:
        if not self._state:
            self._fixture(test, outcome, error, message)
            return
        if _RANK[outcome] <= _RANK[self._state["outcome"]]:
            return
        self._state["outcome"] = outcome
        self._state["message"] = failures.trimmed(message, self._places)
        if error is not None:
            self._state.update(failures.described(error, self._places))

    def _fixture(self, holder: "Any", outcome: str, error: "Optional[BaseException]", message: str) -> None:
        """Report what setUpClass, setUpModule or their counterparts did to the tests that they are for."""
        name = str(getattr(holder, "description", holder))
        inside = name[name.find("(") + 1 : -1] if name.endswith(")") else ""
        details = failures.described(error, self._places) if error is not None else {"message": message}
        for node_id in list(self._ids.values()):
            path, _, rest = node_id.partition("::")
            module = path[:-3].replace("/", ".")
            whole = module + "." + rest.rpartition("::")[0].replace("::", ".")
            if inside and (whole.endswith(inside) or module.endswith(inside)) and node_id not in self.reported:
                self.reported.add(node_id)
                self.bad = self.bad or outcome in ("failed", "error")
                self._send(dict(details, t="result", id=node_id, outcome=outcome, seconds=0.0))

    def addSuccess(self, test: "Any") -> None:  # noqa: N802
        """Take a pass."""
        self._note(test, "passed")

    def addFailure(self, test: "Any", err: "Raised") -> None:  # noqa: N802
        """Take a failed assertion."""
        self._note(test, "failed", err[1])

    def addError(self, test: "Any", err: "Raised") -> None:  # noqa: N802
        """Take another exception; in the test itself it fails the test, as with pytest."""
        self._note(test, "failed" if self._state else "error", err[1])

    def addSubTest(self, test: "Any", _subtest: "Any", err: "Optional[Raised]") -> None:  # noqa: N802
        """Take a subtest; only those that fail tell something."""
        if err is not None and err[1] is not None:
            self._note(test, "failed", err[1])

    def addSkip(self, test: "Any", reason: str) -> None:  # noqa: N802
        """Take a skip."""
        self._note(test, "skipped", None, reason)

    def addExpectedFailure(self, test: "Any", err: "Raised") -> None:  # noqa: N802
        """Take a failure that was expected."""
        self._note(test, "xfailed", err[1])

    def addUnexpectedSuccess(self, test: "Any") -> None:  # noqa: N802
        """Take a pass that was not expected: pytest calls that failed for unittest's tests."""
        self._note(test, "failed", None, "Unexpected success")


def _named(text: str) -> "Optional[str]":
    sign = "ModuleNotFoundError: No module named '"
    return text.partition(sign)[2].partition("'")[0] or None


def _controls() -> "List[str]":
    """Return a sentence for each control that does not fail."""
    sentences = []
    from . import controls

    for name in controls.METHODS:
        result = unittest.TestResult()
        controls.ControlCase(name).run(result)
        if len(result.failures) + len(result.errors) != 1:
            sentences.append("A test that must fail did not: control {}.".format(name))
    return sentences
