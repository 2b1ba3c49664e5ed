"""The repository's lines that each test runs: `sys.monitoring` where there is one, `sys.settrace` below Python 3.12."""

import dis
import sys
import threading

TYPE_CHECKING = False
if TYPE_CHECKING:
    from types import CodeType, FrameType
    from typing import Any, Callable, Dict, FrozenSet, List, Optional, Set

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
        # The sets stay the same ones and are emptied: frames that outlive a test hold on to them.
        self._hits: "Dict[str, Set[int]]" = {}
        # By identity: equal code objects may come from different files.
        self._codes: "Dict[int, CodeType]" = {}

    def start(self) -> None:
        """Begin to record; called again, it sees to it that recording is still on."""
        raise NotImplementedError

    def stop(self) -> None:
        """End recording."""
        raise NotImplementedError

    def take(self) -> "Lines":
        """Return path → sorted lines since the last call, and begin anew."""
        merged: "Dict[str, List[int]]" = {}
        for name in sorted(self._hits):
            lines = sorted(self._hits[name])
            self._hits[name].clear()
            path = self._relative(name)
            if path is not None and lines:
                merged[path] = sorted(set(merged[path]) | set(lines)) if path in merged else lines
        self._forget()
        return merged

    def _forget(self) -> None:
        """Begin anew in what a subclass keeps."""


class MonitoringRecorder(Recorder):
    """Each line reports once in a test and is then switched off until the next test."""

    def __init__(self, relative: "Relative", monitoring: "Any", tool: int) -> None:
        """Take `sys.monitoring` and the number of a tool that is free."""
        super().__init__(relative)
        self._monitoring = monitoring
        self._tool = tool
        self._disable = monitoring.DISABLE
        self._line_event = monitoring.events.LINE
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
    """Frames of other files are not traced; those of the repository only until all their lines were seen."""

    def __init__(self, relative: "Relative") -> None:
        """Nothing is traced yet."""
        super().__init__(relative)
        self._unseen: "Dict[int, Set[int]]" = {}
        self._all: "Dict[int, FrozenSet[int]]" = {}

    def start(self) -> None:
        """Trace this thread and those that start from now on."""
        _thread_settrace(self._call)
        _settrace(self._call)

    def stop(self) -> None:
        """End tracing in this thread; others end by themselves."""
        # A test that measures coverage itself may have put its own in place.
        if _gettrace() == self._call:
            _settrace(None)
        _thread_settrace(None)

    def _forget(self) -> None:
        for key, lines in self._all.items():
            if len(self._unseen[key]) < len(lines):
                self._unseen[key] = set(lines)

    def _call(self, frame: "FrameType", _event: str, _arg: "Any") -> "Any":
        code = frame.f_code
        unseen = self._unseen.get(id(code))
        if unseen is None:
            if self._relative(code.co_filename) is None:
                return None
            self._codes[id(code)] = code
            self._all[id(code)] = frozenset(line for _, line in dis.findlinestarts(code) if line)
            unseen = self._unseen[id(code)] = set(self._all[id(code)])
        if not unseen:
            return None
        hits = self._hits.get(code.co_filename)
        if hits is None:
            hits = self._hits[code.co_filename] = set()
        add, discard = hits.add, unseen.discard

        def local(frame: "FrameType", event: str, _arg: "Any") -> "Any":
            if event == "line":
                add(frame.f_lineno)
                discard(frame.f_lineno)
            return local

        return local


def ranges(lines: "List[int]") -> "List[int]":
    """Return sorted lines as first, last, first, last … of unbroken stretches."""
    found: "List[int]" = []
    for line in lines:
        if found and line == found[-1] + 1:
            found[-1] = line
        else:
            found += [line, line]
    return found
