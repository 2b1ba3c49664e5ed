"""The state that a module keeps between calls: noticed where a call changes it, and put back."""

from __future__ import annotations

import copy
import types
from typing import Any, Dict, List, Tuple

_LARGEST = 3000
_SIMPLE = (int, float, str, bytes, bool, type(None), tuple, frozenset)


class State:
    """What the globals of a module and the attributes of its classes were."""

    def __init__(self, module: types.ModuleType) -> None:
        self._spaces: List[Tuple[Any, Dict[str, Any]]] = []
        self._containers: List[Tuple[Any, Any]] = []
        owners: List[Any] = [module]
        owners += [v for v in vars(module).values() if isinstance(v, type) and v.__module__ == module.__name__]
        for owner in owners:
            simple = {}
            for name, value in list(vars(owner).items()):
                if name.startswith("__"):
                    continue
                if type(value) in _SIMPLE:
                    simple[name] = value
                elif type(value) in (list, dict, set) and len(value) <= _LARGEST:
                    self._containers.append((value, copy.copy(value)))
            self._spaces.append((owner, simple))

    def restore(self) -> bool:
        """Put back what has changed; return whether anything had."""
        changed = False
        for owner, simple in self._spaces:
            space = vars(owner)
            for name, value in simple.items():
                if space.get(name, self) is not value:
                    changed = True
                    setattr(owner, name, value)
        for value, before in self._containers:
            if not _same(value, before):
                changed = True
                value.clear()
                if isinstance(value, list):
                    value.extend(before)
                else:
                    value.update(before)
        return changed


def _same(value: Any, before: Any) -> bool:
    if len(value) != len(before):
        return False
    try:
        return bool(value == before)
    except Exception:
        return True
