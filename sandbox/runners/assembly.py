"""Makes a test report of the probe's messages, of which nothing is believed unseen."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, get_args

from sandbox.errors import TestsUnrunnable
from sandbox.probe import frames
from sandbox.protocol import Completed, Ended
from sandbox.runners.report import Frame, Outcome, TestReport, TestResult
from sandbox.runners.serialise import from_ranges

MAX_BYTES = 512 * 1024 * 1024
"""Of messages, in one run."""
MAX_RESULTS = 500_000
_MAX_ID, _MAX_TEXT, _MAX_FRAMES, _MAX_OUTPUT = 8192, 4096, 64, 64 * 1024
_WORST = [Outcome.PASSED, Outcome.XPASSED, Outcome.SKIPPED, Outcome.XFAILED, Outcome.ERROR, Outcome.FAILED]


class Malformed(ValueError):
    """A message is not what the probe sends."""


class Assembly:
    """Collects the messages of one run."""

    def __init__(self, nonce: str) -> None:
        """Take the number that every message of this run carries."""
        self._nonce = nonce
        self._decoder = frames.Decoder()
        self._bytes = 0
        self._results: dict[str, TestResult] = {}
        self._errors: dict[str, TestResult] = {}
        self._absent_modules: dict[str, str | None] = {}
        self._coverage: dict[str, dict[str, tuple[int, ...]]] = {}
        self._same: dict[tuple[int, ...], tuple[int, ...]] = {}
        self._collected: dict[str, None] = {}
        self._missing: tuple[str, ...] = ()
        self._tampering: dict[str, None] = {}
        self._finished: Mapping[str, Any] | None = None
        self.ready = False
        """Whether a fork server said that it waits for plans."""

    @property
    def finished(self) -> bool:
        """Whether the last message came, or none that follows can be read."""
        return self._finished is not None

    def feed(self, data: bytes) -> None:
        """Take what came from the probe's standard output.

        Raises:
            Malformed: it is not, or no longer, what the probe sends; what came before is kept.

        """
        self._bytes += len(data)
        if self._bytes > MAX_BYTES:
            raise Malformed("the messages about the tests are too large")
        try:
            for message in self._decoder.feed(data):
                self._take(message)
        except frames.FrameError as error:
            raise Malformed(str(error)) from error
        except (KeyError, TypeError, ValueError, AttributeError) as error:
            raise Malformed(f"a message about the tests cannot be read: {error!r}") from error

    def suspect(self, sentence: str) -> None:
        """Note something that should not happen in an honest run."""
        self._tampering[sentence] = None

    def _take(self, message: dict[str, Any]) -> None:
        if message.get("nonce") != self._nonce:
            self.suspect("A message came that is not this run's.")
            return
        kind = message["t"]
        if kind == "result":
            self._result(message)
        elif kind == "collection_error":
            result = _result(message)
            self._errors[result.node_id] = result
            self._absent_modules[result.node_id] = _text(message.get("missing") or "", 200) or None
        elif kind == "coverage":
            self._lines(message)
        elif kind == "collected":
            self._collected.update(dict.fromkeys(_text(item, _MAX_ID) for item in message["ids"]))
            if len(self._collected) > MAX_RESULTS:
                raise Malformed("more tests than can be handled")
        elif kind == "missing":
            self._missing = tuple(_text(item, _MAX_ID) for item in message["ids"])
        elif kind == "tampering":
            for sentence in message["sentences"][:200]:
                self.suspect(_text(sentence, 500))
        elif kind == "ready":
            self.ready = True
        elif kind == "finished":
            self._finished = message

    def _result(self, message: Mapping[str, Any]) -> None:
        result = _result(message)
        former = self._results.get(result.node_id)
        if former is not None:
            self.suspect(f"Test {result.node_id} gave more than one result.")
            if _WORST.index(former.outcome) >= _WORST.index(result.outcome):
                return
        if result.node_id not in self._collected:
            self.suspect(f"Test {result.node_id} gave a result and was not collected.")
        self._results[result.node_id] = result
        if len(self._results) > MAX_RESULTS:
            raise Malformed("more tests than can be handled")

    def _lines(self, message: Mapping[str, Any]) -> None:
        node = _text(message["id"], _MAX_ID)
        files = self._coverage.setdefault(node, {})
        for path, ranges in message["files"].items():
            lines = from_ranges(ranges)
            if path in files:
                lines = tuple(sorted(set(lines) | set(files[path])))
            files[_text(path, _MAX_ID)] = self._same.setdefault(lines, lines)

    def report(self, argv: tuple[str, ...], completed: Completed, seconds: float) -> TestReport:
        """Return what is known when the probe's process has ended, or when its run has.

        Raises:
            TestsUnrunnable: no test was run, for a reason that lies outside the tests.

        """
        last = self._finished or {}
        ended: Ended = completed.ended
        code = completed.exit_code
        if self._finished is not None:
            ended = next(known for known in get_args(Ended) if known == last["ended"])
            code = int(last["exit_code"])
        lost = [node for node in self._collected if node not in self._results]
        whole = bool(last.get("complete")) and not lost
        output = _text(last.get("output", ""), _MAX_OUTPUT)
        if not last:
            output = (completed.stdout + completed.stderr)[-_MAX_OUTPUT:].decode("utf-8", "backslashreplace")
        if not self._results:
            self._refuse(last, ended, output, completed, seconds)
        return TestReport(
            results=tuple(self._results.values()),
            collection_errors=tuple(self._errors.values()),
            complete=whole,
            ended=ended,
            exit_code=code,
            seconds=seconds,
            argv=argv,
            output="" if whole else output,
            coverage={node: files for node, files in self._coverage.items() if files},
            tampering=tuple(self._tampering),
        )

    def _refuse(self, last: Mapping[str, Any], ended: Ended, output: str, completed: Completed, seconds: float) -> None:
        """Raise TestsUnrunnable where there is no result and the fault is not in test files."""
        problem = last.get("problem")
        if isinstance(problem, dict) and not self._collected:
            raise TestsUnrunnable(_problem_sentence(problem))
        gone = [test for test in self._missing if test.partition("::")[0] not in self._errors]
        if gone and not self._collected and len(gone) == len(self._missing):
            raise TestsUnrunnable(f"There is no test {', '.join(gone[:5])}; give node ids as pytest does.")
        if self._errors:
            absent = sorted({name for name in self._absent_modules.values() if name})
            if absent and all(self._absent_modules.values()):
                more = f" and {len(self._errors) - 1} more files import" if len(self._errors) > 1 else " imports"
                lacking, it = ("is", "it") if len(absent) == 1 else ("are", "them")
                raise TestsUnrunnable(
                    f"No test can be collected: {next(iter(self._errors))}{more} {', '.join(absent[:5])}, which "
                    f"{lacking} not installed; declare {it} in the repository's requirements."
                )
            return
        if last.get("complete") or self._collected:
            return
        if ended == "timeout":
            raise TestsUnrunnable(f"The tests were not collected within {seconds:.0f} s.")
        reason = _usage(output)
        if reason:
            raise TestsUnrunnable(f"The tests cannot be started: {reason}")
        code = last.get("exit_code", completed.exit_code)
        raise TestsUnrunnable(f"The test process ended before it ran a test ({ended}, exit code {code}).")


def _result(message: Mapping[str, Any]) -> TestResult:
    return TestResult(
        node_id=_text(message["id"], _MAX_ID),
        outcome=Outcome(message["outcome"]),
        seconds=max(0.0, float(message.get("seconds", 0.0))),
        exception=_text(message.get("exception", ""), 500),
        message=_text(message.get("message", ""), _MAX_TEXT),
        frames=tuple(
            Frame(_text(path, _MAX_ID), int(line), _text(name, 500))
            for path, line, name in message.get("frames", ())[:_MAX_FRAMES]
        ),
    )


def _text(value: object, limit: int) -> str:
    if not isinstance(value, str):
        raise TypeError(f"{value!r} is no text")
    return value[:limit]


def _problem_sentence(problem: Mapping[str, Any]) -> str:
    text = " ".join(str(problem.get("text", "")).split())[:300]
    exception = str(problem.get("exception", ""))[:200]
    what = f"{exception}: {text}" if exception and text else exception or text
    missing = problem.get("missing")
    kind = problem.get("kind")
    if kind == "no-runner":
        return f"pytest cannot be loaded in the repository's environment: {text}"
    if kind == "conftest":
        where = str(problem.get("path") or "A conftest file or plugin")[:500]
        if missing:
            return (
                f"{where} cannot be loaded because module {str(missing)[:200]} is not installed; "
                "declare it in the repository's requirements."
            )
        return f"{where} cannot be loaded: {what}"
    if kind == "internal":
        return f"The test runner itself failed before it ran a test: {what}"
    if kind == "interrupted":
        return f"The test run was broken off before it ran a test: {what}"
    return f"The tests cannot be run: {what or problem.get('message', '')}"


def _usage(output: str) -> str:
    """Return pytest's own words about why it does not start."""
    lines = [line.strip() for line in output.splitlines()]
    for sign in ("ERROR: ", "error: ", "E   ", "ModuleNotFoundError: ", "ImportError: "):
        for line in lines:
            at = line.find(sign)
            if at >= 0 and line[at + len(sign) :].strip():
                start = at if sign.endswith("Error: ") else at + len(sign)
                found = line[start:].strip()
                # A usage message names itself first and says what is wrong on the next line.
                if found.startswith("usage:"):
                    continue
                return found[:400]
    return next((line for line in reversed(lines) if line), "")[:400]
