"""Calls recorded from tests as they run, with their arguments as they were."""

from __future__ import annotations

import copy
import dis
import sys
import types
from typing import Any, Callable, Dict, List, Optional, Set, Tuple

from .trial_values import canonical

_LAZY = 0x20 | 0x80 | 0x200
"""Code flags of generators, coroutines and asynchronous generators."""
_RESUME = dis.opmap.get("RESUME")
NODES = 4000
"""Values inside the arguments of one call beyond which it is not recorded."""
PER_FUNCTION = 150
Arguments = Tuple[List[Any], Dict[str, Any]]


class Call:
    """One recorded call: its arguments as they were, and where it came from."""

    __slots__ = ("arguments", "code", "key", "kind", "relevant")

    def __init__(self, code: types.CodeType, arguments: Arguments, key: str, kind: str) -> None:
        self.code = code
        self.arguments = arguments
        self.key = key
        self.kind = kind
        self.relevant = False


class Recorder:
    """A profile function that copies the arguments of calls from tests into the project.

    Only calls in whose course one of the `units` ran are relevant.
    """

    def __init__(self, ours: Callable[[types.CodeType], bool], units: Set[int], units_only: bool) -> None:
        self._ours = ours
        self._units = units
        self._units_only = units_only
        self._known: Dict[int, bool] = {}
        self._keep: List[types.CodeType] = []
        self._stack: List[Tuple[Any, Optional[Call]]] = []
        self._seen: Set[Tuple[int, str]] = set()
        self._counts: Dict[int, int] = {}
        self.kind = "passing"
        self.calls: List[Call] = []
        self.last: Optional[Call] = None

    def begin(self, kind: str) -> None:
        self.kind = kind
        self._stack = []
        self.last = None
        sys.setprofile(self._profile)

    def end(self) -> None:
        sys.setprofile(None)
        self._stack = []

    def _mine(self, code: types.CodeType) -> bool:
        key = id(code)
        found = self._known.get(key)
        if found is None:
            self._keep.append(code)
            found = self._known[key] = self._ours(code)
        return found

    def _profile(self, frame: Any, event: str, _: Any) -> None:
        if event == "call":
            code = frame.f_code
            if not self._mine(code):
                return
            hit = id(code) in self._units
            if hit:
                for _, outer in self._stack:
                    if outer is not None:
                        outer.relevant = True
            call = None
            if (hit if self._units_only else not self._stack) and _first_entry(frame):
                call = self._record(frame, code)
                if call is not None and hit:
                    call.relevant = True
            self._stack.append((frame, call))
        elif event == "return" and self._stack and self._stack[-1][0] is frame:
            self._stack.pop()

    def _record(self, frame: Any, code: types.CodeType) -> Optional[Call]:
        if self._counts.get(id(code), 0) >= PER_FUNCTION:
            return None
        names = code.co_varnames
        local = frame.f_locals
        count = code.co_argcount
        try:
            positional = [local[name] for name in names[:count]]
            keywords = {name: local[name] for name in names[count : count + code.co_kwonlyargcount]}
            after = count + code.co_kwonlyargcount
            if code.co_flags & 0x04:
                positional += local[names[after]]
                after += 1
            if code.co_flags & 0x08:
                keywords.update(local[names[after]])
            key, nodes = canonical([positional, keywords])
            if nodes > NODES:
                return None
            if (id(code), key) in self._seen:
                return None
            copied = copy.deepcopy((positional, keywords))
        except Exception:
            return None
        self._seen.add((id(code), key))
        self._counts[id(code)] = self._counts.get(id(code), 0) + 1
        call = Call(code, copied, key, self.kind)
        self.calls.append(call)
        self.last = call
        return call


def _first_entry(frame: Any) -> bool:
    """Say whether a frame is at its beginning, not being resumed after a yield or an await."""
    code = frame.f_code
    if not code.co_flags & _LAZY or frame.f_lasti < 0:
        return True
    if _RESUME is None:
        return False
    raw = code.co_code
    return bool(raw[frame.f_lasti] == _RESUME and raw[frame.f_lasti + 1] & 3 == 0)
