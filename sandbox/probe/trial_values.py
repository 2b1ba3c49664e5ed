"""Any value as text, so that what two candidates return can be compared outside their process."""

from __future__ import annotations

import collections
import enum
import hashlib
import itertools
import math
import types
from typing import Any, Dict, List, Tuple

DEPTH = 7
ITEMS = 400
"""Elements taken of an iterator, and of a container."""


class _Writer:
    def __init__(self) -> None:
        self.parts: List[str] = []
        self.nodes = 0
        self._inside: Dict[int, int] = {}

    def write(self, value: Any, depth: int) -> None:
        self.nodes += 1
        kind = type(value)
        out = self.parts.append
        if value is None or kind is bool or kind is int:
            # Tests compare by equality, for which True is 1 and 1.0 is 1.
            out(repr(value) if value is None or abs(value) < 10**60 else "%x" % value)
            if kind is bool:
                self.parts[-1] = "1" if value else "0"
        elif kind is float:
            out(_number(value))
        elif kind is str or kind is bytes:
            out(repr(value))
        elif kind is complex:
            out("complex(" + _number(value.real) + "," + _number(value.imag) + ")")
        elif isinstance(value, enum.Enum):
            out(kind.__name__ + "." + value.name)
        elif isinstance(value, type):
            out("class " + value.__qualname__)
        elif isinstance(value, (types.FunctionType, types.BuiltinFunctionType, types.MethodType, types.ModuleType)):
            out(kind.__name__ + " " + getattr(value, "__qualname__", getattr(value, "__name__", "")))
        elif id(value) in self._inside:
            out("<%d up>" % (len(self._inside) - self._inside[id(value)]))
        elif depth <= 0:
            out("<" + kind.__qualname__ + ">")
        else:
            self._inside[id(value)] = len(self._inside)
            self._compound(value, kind, depth - 1)
            del self._inside[id(value)]

    def _compound(self, value: Any, kind: type, depth: int) -> None:
        if isinstance(value, dict):
            self._dict(value, kind, depth)
        elif isinstance(value, (set, frozenset)):
            self._sorted("set", value, depth)
        elif isinstance(value, (list, tuple, collections.deque)):
            name = next(k.__name__ for k in (list, tuple, collections.deque) if isinstance(value, k))
            self._items(name, list(value), depth)
        elif isinstance(value, BaseException):
            self._items("exception " + kind.__qualname__, value.args, depth)
        elif hasattr(value, "tolist") and callable(value.tolist):
            self.parts.append(kind.__name__ + ":")
            self.write(value.tolist(), depth)
        elif hasattr(value, "__next__"):
            self._items("iterator", list(itertools.islice(value, ITEMS)), depth)
        else:
            self._object(value, kind, depth)

    def _items(self, name: str, values: Any, depth: int) -> None:
        self.parts.append(name + "[")
        for index, item in enumerate(values):
            if index >= ITEMS * 5:
                self.parts.append("and %d more" % (len(values) - index))
                break
            self.write(item, depth)
            self.parts.append(",")
        self.parts.append("]")

    def _text(self, value: Any, depth: int) -> str:
        inner = _Writer()
        inner.write(value, depth)
        self.nodes += inner.nodes
        return "".join(inner.parts)

    def _sorted(self, name: str, values: Any, depth: int) -> None:
        texts = sorted(self._text(value, depth) for value in itertools.islice(values, ITEMS * 5))
        self.parts.append(name + "{" + ",".join(texts) + "}")

    def _dict(self, value: Dict[Any, Any], kind: type, depth: int) -> None:
        pairs = list(itertools.islice(value.items(), ITEMS * 5))
        texts = [self._text(key, depth) + ":" + self._text(item, depth) for key, item in pairs]
        if kind is not collections.OrderedDict:
            texts.sort()
        self.parts.append("dict{" + ",".join(texts) + "}")

    def _object(self, value: Any, kind: type, depth: int) -> None:
        attributes: Dict[str, Any] = dict(getattr(value, "__dict__", None) or {})
        for owner in kind.__mro__:
            slots = owner.__dict__.get("__slots__", ())
            for name in (slots,) if isinstance(slots, str) else slots:
                if name not in ("__dict__", "__weakref__") and hasattr(value, name):
                    attributes[name] = getattr(value, name)
        self.parts.append("object " + kind.__qualname__)
        if attributes:
            self._dict(attributes, dict, depth)
        elif kind.__dict__.get("__repr__") is not None:
            self.parts.append(repr(value))


def _number(value: float) -> str:
    if math.isnan(value):
        return "nan"
    if math.isinf(value):
        return "inf" if value > 0 else "-inf"
    if value == int(value) and abs(value) < 1e15:
        return str(int(value))
    return "%.10g" % value


def canonical(value: Any) -> Tuple[str, int]:
    """Return a text that equal values share, and how many values there were inside.

    Iterators are used up.
    """
    writer = _Writer()
    writer.write(value, DEPTH)
    return "".join(writer.parts), writer.nodes


def fingerprint(text: str) -> str:
    """Return twelve digits that tell texts apart."""
    return hashlib.sha1(text.encode("utf-8", "backslashreplace")).hexdigest()[:12]  # noqa: S324 - no secrets here
