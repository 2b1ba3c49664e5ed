"""The repository's lines that each test runs: `sys.monitoring` where there is one, `sys.settrace` below Python 3.12."""

import dis
import sys
import threading

from . import instrument

TYPE_CHECKING = False
if TYPE_CHECKING:
    from types import CodeType, FrameType
    from typing import Any, Callable, Dict, FrozenSet, List, Optional, Set, Tuple

    Lines = Dict[str, List[int]]
    # Maps a file name as code objects carry it to its path in the repository, or None.
    Relative = Callable[[str], Optional[str]]

_settrace, _gettrace = sys.settrace, sys.gettrace
_thread_settrace = threading.settrace


def recorder(relative: "Relative") -> "Recorder":
    """Return the cheapest recorder that this interpreter has; `relative` says which files are the repository's."""
    monitoring = getattr(sys, "monitoring", None)
    if monitoring is not None:
        for tool in (3, 4, 1, 5, 2):
            if monitoring.get_tool(tool) is None:
                return MonitoringRecorder(relative, monitoring, tool)
    return TraceRecorder(relative)


class Recorder:
    """Collects lines between `start` and `take`, in all threads of the process."""

    def __init__(self, relative: "Relative") -> None:
        """Take the function that says which files are the repository's."""
        self._relative = relative

    def start(self) -> None:
        """Begin to record, or begin anew for the next test; what lies between `resume` and `pause` counts."""
        raise NotImplementedError

    def compile(self, source: bytes, path: str) -> "Optional[CodeType]":  # noqa: ARG002
        """Return the code of a module of the repository where it helps to compile it in another way."""
        return None

    def pause(self) -> None:
        """Leave out what comes until `resume`, where that saves time."""

    def resume(self) -> None:
        """Take in again what is run."""

    def stop(self) -> None:
        """End recording."""
        raise NotImplementedError

    def take(self) -> "Lines":
        """Return path → sorted lines since the last call, and begin anew."""
        raise NotImplementedError

    def _merged(self, hits: "Dict[str, Set[int]]") -> "Lines":
        merged: "Dict[str, Set[int]]" = {}
        for name, lines in hits.items():
            path = self._relative(name)
            if path is not None and lines:
                merged[path] = merged.get(path, set()) | lines
        return {path: sorted(merged[path]) for path in sorted(merged)}


class MonitoringRecorder(Recorder):
    """Each line reports once in a test and is then switched off until the next test."""

    def __init__(self, relative: "Relative", monitoring: "Any", tool: int) -> None:
        """Take `sys.monitoring` and the number of a tool that is free."""
        super().__init__(relative)
        self._monitoring = monitoring
        self._tool = tool
        self._disable = monitoring.DISABLE
        self._line_event = monitoring.events.LINE
        self._hits: "Dict[str, Set[int]]" = {}
        # By identity: equal code objects may come from different files. Kept, so that identities last.
        self._codes: "Dict[int, CodeType]" = {}
        self._on = False

    def start(self) -> None:
        """Ask for the start of every function, once; those of the repository are then asked for their lines."""
        monitoring = self._monitoring
        if not self._on:
            events = monitoring.events
            monitoring.use_tool_id(self._tool, "greendiff")
            monitoring.register_callback(self._tool, events.PY_START, self._function)
            monitoring.register_callback(self._tool, events.LINE, self._line)
            monitoring.set_events(self._tool, events.PY_START)
            self._on = True
        monitoring.restart_events()

    def stop(self) -> None:
        """Give the tool number back."""
        if self._on:
            self._monitoring.set_events(self._tool, 0)
            self._monitoring.free_tool_id(self._tool)
            self._on = False

    def take(self) -> "Lines":
        """Return path → sorted lines since the last call, and begin anew."""
        hits, self._hits = self._hits, {}
        return self._merged(hits)

    def _function(self, code: "CodeType", _offset: int) -> "Any":
        if self._relative(code.co_filename) is not None and id(code) not in self._codes:
            self._codes[id(code)] = code
            self._monitoring.set_local_events(self._tool, code, self._line_event)
        return self._disable

    def _line(self, code: "CodeType", line: int) -> "Any":
        try:
            self._hits[code.co_filename].add(line)
        except KeyError:
            self._hits[code.co_filename] = {line}
        return self._disable


class TraceRecorder(Recorder):
    """Modules are compiled so that they mark their lines; what comes in other ways (test files) is traced.

    Frames of other files are not traced; those of the repository only until all their lines were seen.
    """

    def __init__(self, relative: "Relative") -> None:
        """Nothing is traced yet."""
        super().__init__(relative)
        # What was seen is what is missing in the set of the unseen: one operation a line. By identity, because equal
        # code objects may come from different files. The sets stay the same ones: frames hold on to them.
        self._code: "Dict[int, Tuple[CodeType, FrozenSet[int], Set[int]]]" = {}
        self._marks = instrument.Marks()
        self._call = self._tracer()
        self._depth = 0

    def start(self) -> None:
        """Trace the threads that start from now on, and this one between `resume` and `pause`."""
        _thread_settrace(self._call)

    def pause(self) -> None:
        """Leave this thread alone until `resume`: test machinery calls thousands of functions for each test."""
        self._depth -= 1
        if self._depth == 0 and _gettrace() is self._call:
            _settrace(None)

    def resume(self) -> None:
        """Trace this thread again; pairs with `pause` may be nested."""
        self._depth += 1
        if self._depth == 1 and _gettrace() is None:
            _settrace(self._call)

    def stop(self) -> None:
        """End tracing in this thread; others end by themselves."""
        # A test that measures coverage itself may have put its own in place.
        if _gettrace() is self._call:
            _settrace(None)
        self._depth = 0
        _thread_settrace(None)

    def take(self) -> "Lines":
        """Return path → sorted lines since the last call, and begin anew."""
        hits: "Dict[str, Set[int]]" = {}
        for code, lines, unseen in list(self._code.values()):
            if len(unseen) < len(lines):
                hits.setdefault(code.co_filename, set()).update(lines - unseen)
                unseen |= lines
        for name, marked in self._marks.take().items():
            hits.setdefault(name, set()).update(marked)
        return self._merged(hits)

    def compile(self, source: bytes, path: str) -> "Optional[CodeType]":
        """Compile a module with marks."""
        return self._marks.compile(source, path)

    def _tracer(self) -> "Callable[[FrameType, str, Any], Any]":
        relative, codes, marks = self._relative, self._code, self._marks
        foreign: "Set[str]" = set()

        def call(frame: "FrameType", _event: str, _arg: "Any") -> "Any":
            code = frame.f_code
            if code.co_filename in foreign:
                return None
            entry = codes.get(id(code))
            if entry is None:
                if relative(code.co_filename) is None or code.co_filename in marks:
                    foreign.add(code.co_filename)
                    return None
                lines = _lines(code)
                entry = codes[id(code)] = (code, lines, set(lines))
            unseen = entry[2]
            if not unseen:
                return None
            discard = unseen.discard

            def local(frame: "FrameType", _event: str, _arg: "Any") -> "Any":
                discard(frame.f_lineno)
                if not unseen:
                    frame.f_trace_lines = False
                return local

            return local

        return call


def _lines(code: "CodeType") -> "FrozenSet[int]":
    """Return the lines that can be run, without that of `def`, which is run where the function is made."""
    lines = {line for _, line in dis.findlinestarts(code) if line}
    if sys.version_info >= (3, 11) and code.co_flags & 1 and len(lines) > 1:
        lines.discard(code.co_firstlineno)
    return frozenset(lines)


def ranges(lines: "List[int]") -> "List[int]":
    """Return sorted lines as first, last, first, last … of unbroken stretches."""
    found: "List[int]" = []
    for line in lines:
        if found and line == found[-1] + 1:
            found[-1] = line
        else:
            found += [line, line]
    return found
