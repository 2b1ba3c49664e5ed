"""The repository's lines that each test runs: `sys.monitoring` where there is one, marks in the code before 3.12."""

import abc
import sys

from . import instrument

TYPE_CHECKING = False
if TYPE_CHECKING:
    from ast import Module
    from types import CodeType
    from typing import Any, Callable, Dict, Iterable, List, Mapping, Optional, Set

    Lines = Dict[str, List[int]]
    # Maps a file name as code objects carry it to its path in the repository, or None.
    Relative = Callable[[str], Optional[str]]


def recorder(relative: "Relative") -> "Recorder":
    """Return the cheapest recorder that this interpreter has; `relative` says which files are the repository's."""
    monitoring = getattr(sys, "monitoring", None)
    if monitoring is not None:
        for tool in (3, 4, 1, 5, 2):
            if monitoring.get_tool(tool) is None:
                return MonitoringRecorder(relative, monitoring, tool)
    return MarkRecorder(relative)


class Recorder(abc.ABC):
    """Collects lines between `start` and `take`, in all threads of the process."""

    def __init__(self, relative: "Relative") -> None:
        """Take the function that says which files are the repository's."""
        self._relative = relative

    @abc.abstractmethod
    def start(self) -> None:
        """Begin to record, or begin anew for the next test."""

    @abc.abstractmethod
    def mark(self, tree: "Module", path: str) -> None:
        """Change the syntax tree of a module that is being loaded, where that helps."""

    @abc.abstractmethod
    def stop(self) -> None:
        """End recording."""

    @abc.abstractmethod
    def take(self) -> "Lines":
        """Return path → sorted lines since the last call, and begin anew."""

    def _merged(self, hits: "Mapping[str, Iterable[int]]") -> "Lines":
        merged: "Dict[str, Set[int]]" = {}
        for name, lines in hits.items():
            path = self._relative(name)
            if path is not None and lines:
                merged.setdefault(path, set()).update(lines)
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

    def mark(self, tree: "Module", path: str) -> None:
        """Leave the module as it is."""

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


class MarkRecorder(Recorder):
    """Modules of the repository are compiled so that they mark their lines."""

    def __init__(self, relative: "Relative") -> None:
        """Nothing is compiled yet."""
        super().__init__(relative)
        self._marks = instrument.Marks()

    def start(self) -> None:
        """Do nothing: marks are made from the moment that a module is loaded."""

    def stop(self) -> None:
        """Do nothing: modules go on marking."""

    def take(self) -> "Lines":
        """Return path → sorted lines since the last call, and begin anew."""
        return self._merged(self._marks.take())

    def mark(self, tree: "Module", path: str) -> None:
        """Put marks into a module's syntax tree, if the module is the repository's."""
        if self._relative(path) is not None:
            self._marks.mark(tree, path)


def ranges(lines: "List[int]") -> "List[int]":
    """Return sorted lines as first, last, first, last … of unbroken stretches."""
    found: "List[int]" = []
    for line in lines:
        if found and line == found[-1] + 1:
            found[-1] = line
        else:
            found += [line, line]
    return found
