"""Values as they can be written in a test: recipes that are built for a call and rendered as source."""

from __future__ import annotations

import copy
import math
from typing import Any, Dict, List, Tuple

MAX_INT = 10**30


class Code:
    """A value that is written as an expression: a lambda, a function's name, a constant of a module."""

    __slots__ = ("text",)

    def __init__(self, text: str) -> None:
        self.text = text

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Code) and other.text == self.text

    def __hash__(self) -> int:
        return hash(self.text)

    def __deepcopy__(self, _memo: Any) -> Code:
        return self


class New:
    """A call whose arguments are recipes themselves."""

    __slots__ = ("args", "name", "named")

    def __init__(self, name: Any, args: Tuple[Any, ...] = (), named: Dict[str, Any] | None = None) -> None:
        self.name = name
        """A name, or the recipe of what is called."""
        self.args = args
        self.named = named or {}


def render(recipe: Any) -> str:
    """Return the source of a recipe."""
    kind = type(recipe)
    if kind is Code:
        return str(recipe.text)
    if kind is New:
        callee = recipe.name if isinstance(recipe.name, str) else render(recipe.name)
        return "%s(%s)" % (callee, arguments(recipe.args, recipe.named))
    if kind is float:
        return _float(recipe)
    if kind is list:
        return "[" + ", ".join(map(render, recipe)) + "]"
    if kind is tuple:
        return "(" + ", ".join(map(render, recipe)) + (",)" if len(recipe) == 1 else ")")
    if kind is dict:
        return "{" + ", ".join(render(k) + ": " + render(v) for k, v in recipe.items()) + "}"
    if kind is set or kind is frozenset:
        inner = ", ".join(sorted(map(render, recipe)))
        if kind is set:
            return "{" + inner + "}" if recipe else "set()"
        return "frozenset({" + inner + "})" if recipe else "frozenset()"
    return repr(recipe)


def _float(value: float) -> str:
    if math.isnan(value):
        return 'float("nan")'
    if math.isinf(value):
        return 'float("inf")' if value > 0 else 'float("-inf")'
    return repr(value)


def arguments(args: Tuple[Any, ...], named: Dict[str, Any]) -> str:
    """Return the source of what stands between a call's parentheses."""
    return ", ".join([*map(render, args), *("%s=%s" % (name, render(value)) for name, value in named.items())])


class Builder:
    """Makes values of recipes in a namespace; code is compiled once."""

    def __init__(self, names: Dict[str, Any]) -> None:
        self.names = names
        self._compiled: Dict[str, Any] = {}

    def build(self, recipe: Any) -> Any:
        """Return a fresh value; whatever the code raises is raised."""
        kind = type(recipe)
        if kind is Code:
            return self.evaluate(recipe.text)
        if kind is New:
            function = self.evaluate(recipe.name) if isinstance(recipe.name, str) else self.build(recipe.name)
            args = [self.build(arg) for arg in recipe.args]
            return function(*args, **{name: self.build(value) for name, value in recipe.named.items()})
        if kind is list:
            return [self.build(item) for item in recipe]
        if kind is tuple:
            return tuple([self.build(item) for item in recipe])
        if kind is dict:
            return {self.build(k): self.build(v) for k, v in recipe.items()}
        if kind is set or kind is frozenset:
            return kind([self.build(item) for item in recipe])
        return recipe

    def evaluate(self, text: str) -> Any:
        """Return the value of an expression."""
        code = self._compiled.get(text)
        if code is None:
            if len(self._compiled) > 20000:
                self._compiled.clear()
            code = self._compiled[text] = compile(text, "<test>", "eval")
        return eval(code, self.names)  # noqa: S307 - the sandbox is for this

    def execute(self, text: str, local: Dict[str, Any]) -> None:
        """Run a statement; the names that it binds go to `local`."""
        code = self._compiled.get("\0" + text)
        if code is None:
            code = self._compiled["\0" + text] = compile(text, "<test>", "exec")
        exec(code, self.names, local)


def size(recipe: Any) -> int:
    """Return how much there is to read in a recipe."""
    return len(render(recipe))


def copied(recipe: Any) -> Any:
    """Return a recipe that can be changed without changing this one."""
    return copy.deepcopy(recipe)


# From values back to source


class Unwritable(Exception):
    """A value has no short source that gives an equal one."""


class Writer:
    """Writes values as source that gives an equal value in a namespace."""

    LENGTH = 600
    NODES = 80

    def __init__(self, names: Dict[str, Any], owner: str) -> None:
        self._builder = Builder(names)
        self._names = names
        self._owner = owner
        self._left = 0
        self.inexact = False
        """Whether the last value held floats that should not be compared exactly."""

    def write(self, value: Any) -> str:
        """Return source for a value; raises Unwritable."""
        self._left = self.NODES
        self.inexact = False
        try:
            text = self._text(value, 6)
        except RecursionError:
            raise Unwritable("too deep") from None
        if len(text) > self.LENGTH:
            raise Unwritable("too long")
        return text

    def _text(self, value: Any, depth: int) -> str:
        self._left -= 1
        if self._left < 0 or depth < 0:
            raise Unwritable("too large")
        kind = type(value)
        if kind is str and " at 0x" in value:
            # An address is the same in forks, and another in the next process.
            raise Unwritable("an address")
        if value is None or kind is bool or kind is bytes or kind is str:
            return repr(value)
        if kind is int:
            if abs(value) > MAX_INT:
                raise Unwritable("too large")
            return repr(value)
        if kind is float:
            if math.isnan(value):
                raise Unwritable("not a number")
            self.inexact = self.inexact or not (math.isinf(value) or value == round(value, 3))
            return _float(value)
        if kind is complex:
            self.inexact = True
            return repr(value)
        if kind is list:
            return "[" + ", ".join(self._text(item, depth - 1) for item in value) + "]"
        if kind is tuple:
            return "(" + ", ".join(self._text(i, depth - 1) for i in value) + (",)" if len(value) == 1 else ")")
        if kind is dict:
            pairs = (self._text(k, depth - 1) + ": " + self._text(v, depth - 1) for k, v in value.items())
            return "{" + ", ".join(pairs) + "}"
        if kind is set or kind is frozenset:
            inner = ", ".join(sorted(self._text(item, depth - 1) for item in value))
            braces = "{" + inner + "}"
            return (braces if value else "set()") if kind is set else "frozenset(%s)" % (braces if value else "")
        return self._object(value, kind, depth)

    def _object(self, value: Any, kind: type, depth: int) -> str:
        for text in self._spellings(value, kind, depth):
            if text and len(text) <= self.LENGTH and " at 0x" not in text and "<" + kind.__name__ not in text:
                try:
                    again = self._builder.evaluate(text)
                    if again is value or (type(again) is kind and bool(again == value)):
                        return text
                except Exception:  # noqa: S112 - one spelling of several
                    continue
        raise Unwritable(kind.__name__)

    def _spellings(self, value: Any, kind: type, depth: int) -> List[str]:
        name = kind.__name__
        module = getattr(kind, "__module__", "")
        found: List[str] = []
        if isinstance(value, type) or (callable(value) and hasattr(value, "__qualname__")):
            found.append(value.__qualname__)
            found.append("%s.%s" % (getattr(value, "__module__", ""), value.__qualname__))
            return [text for text in found if "<" not in text]
        if hasattr(kind, "__members__") and hasattr(value, "name"):
            found += ["%s.%s" % (kind.__qualname__, value.name), "%s.%s.%s" % (module, kind.__qualname__, value.name)]
            return found
        if kind.__module__ == "collections":
            if name == "deque" or name == "OrderedDict":
                inner = list(value.items()) if name == "OrderedDict" else list(value)
                found.append("collections.%s(%s)" % (name, self._text(inner, depth - 1)))
            elif name == "Counter":
                found.append("collections.Counter(%s)" % self._text(dict(value), depth - 1))
        fields = getattr(kind, "__dataclass_fields__", None)
        if fields is not None:
            parts = [(f.name, getattr(value, f.name, None)) for f in fields.values() if f.init]
            inside = ", ".join("%s=%s" % (key, self._text(item, depth - 1)) for key, item in parts)
            found.append("%s(%s)" % (kind.__qualname__, inside))
        elif isinstance(value, tuple) and hasattr(kind, "_fields"):
            inside = ", ".join("%s=%s" % (key, self._text(item, depth - 1)) for key, item in zip(kind._fields, value))
            found.append("%s(%s)" % (kind.__qualname__, inside))
        if getattr(kind, "__repr__", None) not in (object.__repr__, None):
            try:
                text = repr(value)
            except Exception:
                text = ""
            if module in ("decimal", "fractions", "uuid", "pathlib"):
                text = "%s.%s" % (module, text)
            found.append(text)
        return found
