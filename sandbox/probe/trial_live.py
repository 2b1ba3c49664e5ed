"""The functions and the mutable state that live in this process, and how they are exchanged and put back."""

from __future__ import annotations

import ast
import builtins
import collections
import functools
import gc
import os
import sys
import types
from typing import Any, Callable, Dict, List, Optional, Sequence, Tuple

from .trial_units import NotSwappable, Source, Splice, Uncompilable, Unit, pair_codes

Swap = Tuple[types.FunctionType, types.CodeType, Any, Any]
"""A function with the code, the defaults and the keyword defaults that it gets."""

_CACHE = type(functools.lru_cache(maxsize=1)(len))
_PLAIN = (int, float, complex, str, bytes, bool, type(None), type, types.FunctionType, types.ModuleType)
_CONTAINERS: Tuple[type, ...] = (
    list,
    dict,
    set,
    bytearray,
    collections.deque,
    collections.OrderedDict,
    collections.defaultdict,
    collections.Counter,
)
MANY = 20000
"""Elements of module-level containers that are watched altogether."""


def is_under(path: str, root: str) -> bool:
    return path.startswith(root + os.sep) and "site-packages" not in path and "dist-packages" not in path


class Live:
    """Every function object whose code comes from a file under `root`, found once."""

    def __init__(self, root: str) -> None:
        self.root = os.path.realpath(root)
        self._real: Dict[str, str] = {}
        self.by_id: Dict[int, List[types.FunctionType]] = {}
        self.by_place: Dict[Tuple[str, int, str], List[types.CodeType]] = {}
        self._ids: Dict[int, types.CodeType] = {}
        self.caches: List[Any] = []
        for thing in gc.get_objects():
            kind = type(thing)
            if kind is types.FunctionType:
                self._add(thing)
            elif kind is _CACHE and self._ours(getattr(thing, "__wrapped__", None)):
                self.caches.append(thing)

    def real(self, filename: str) -> str:
        found = self._real.get(filename)
        if found is None:
            # Generated code has names such as <string>, which would look like files of the current folder.
            found = self._real[filename] = filename if filename[:1] == "<" else os.path.realpath(filename)
        return found

    def _ours(self, function: Any) -> bool:
        code = getattr(function, "__code__", None)
        return code is not None and is_under(self.real(code.co_filename), self.root)

    def _add(self, function: types.FunctionType) -> None:
        code = function.__code__
        path = self.real(code.co_filename)
        if not is_under(path, self.root):
            return
        # Equal code objects of different places compare equal, so identity decides.
        if id(code) not in self._ids:
            self._ids[id(code)] = code
            self.by_place.setdefault((path, code.co_firstlineno, code.co_name), []).append(code)
        self.by_id.setdefault(id(code), []).append(function)

    def functions(self, code: types.CodeType) -> List[types.FunctionType]:
        return self.by_id.get(id(code), [])

    def codes(self, path: str, unit: Unit) -> List[types.CodeType]:
        return self.by_place.get((path, unit.line, unit.name), [])

    def swaps(self, source: Source, path: str, unit: Unit, splices: Sequence[Splice]) -> List[Swap]:
        """Return what must be exchanged to make the changes in the unit; `path` is the file's real path.

        Raises:
            Uncompilable, NotSwappable: the change is no Python, or needs a fresh import.

        """
        text = source.changed_text(unit, splices)
        header = any(start < unit.body for start, _, _ in splices)
        swaps: List[Swap] = []
        olds = self.codes(path, unit)
        if not olds:
            source.compile_unit(unit, text, path)
            raise NotSwappable("the function is not loaded")
        for old in olds:
            new = source.compile_unit(unit, text, old.co_filename)
            for before, after in pair_codes(old, new):
                functions = self.functions(before)
                if functions and after is None:
                    raise NotSwappable("an inner function that is in use has no counterpart")
                for function in functions:
                    if after is None or before.co_freevars != after.co_freevars:
                        raise NotSwappable("a closure's variables change")
                    defaults, keywords = function.__defaults__, function.__kwdefaults__
                    if header and before is old:
                        defaults, keywords = _new_defaults(source, unit, text, function)
                    swaps.append((function, after, defaults, keywords))
        return swaps


def _named_defaults(arguments: ast.arguments) -> Tuple[Dict[str, ast.expr], Dict[str, ast.expr]]:
    positional = [a.arg for a in arguments.posonlyargs + arguments.args]
    first = len(positional) - len(arguments.defaults)
    by_position = dict(zip(positional[first:], arguments.defaults))
    by_keyword = {a.arg: d for a, d in zip(arguments.kwonlyargs, arguments.kw_defaults) if d is not None}
    return by_position, by_keyword


def _new_defaults(source: Source, unit: Unit, text: str, function: types.FunctionType) -> Tuple[Any, Any]:
    """Return the defaults under the changed header; expressions that stay the same keep their objects."""
    before = _named_defaults(source.arguments(unit, source.text[unit.start : unit.end]))
    after = _named_defaults(source.arguments(unit, text))
    have = dict(zip(before[0], function.__defaults__ or ()))
    have.update(function.__kwdefaults__ or {})
    olds = dict(before[0])
    olds.update(before[1])
    namespace: Dict[str, Any] = {}
    owner: Any = function.__globals__
    for name in unit.classes:
        owner = owner.get(name) if isinstance(owner, dict) else getattr(owner, name, None)
    if unit.classes and owner is not None:
        namespace = dict(vars(owner))

    def value(name: str, expression: ast.expr) -> Any:
        if name in olds and name in have and ast.dump(olds[name]) == ast.dump(expression):
            return have[name]
        code = compile(ast.fix_missing_locations(ast.Expression(expression)), "<default>", "eval", dont_inherit=True)
        try:
            return eval(code, function.__globals__, namespace)  # noqa: S307 - running candidates is the purpose
        except Exception as error:
            raise Uncompilable("a default cannot be computed: " + repr(error)) from None

    positional = tuple(value(name, expression) for name, expression in after[0].items()) or None
    keywords = {name: value(name, expression) for name, expression in after[1].items()} or None
    return positional, keywords


def apply(swaps: Sequence[Swap]) -> List[Swap]:
    """Exchange, and return what puts everything back."""
    undo: List[Swap] = []
    for function, code, defaults, keywords in swaps:
        undo.append((function, function.__code__, function.__defaults__, function.__kwdefaults__))
        function.__code__ = code
        if defaults is not function.__defaults__:
            function.__defaults__ = defaults
        if keywords is not function.__kwdefaults__:
            function.__kwdefaults__ = keywords
    undo.reverse()
    return undo


class State:
    """Module globals, class attributes and containers reachable from them, as they were; cheap to put back."""

    def __init__(self, live: Live) -> None:
        self._live = live
        self._namespaces: List[Tuple[Dict[str, Any], Dict[str, Any]]] = []
        self._classes: List[Tuple[type, Dict[str, Any]]] = []
        self._restore: List[Callable[[], None]] = []
        self._seen: Dict[int, Any] = {}
        self._count = 0
        self._environment = dict(os.environ)
        self._folder = os.getcwd()
        self._recursion = sys.getrecursionlimit()
        self._paths = list(sys.path)
        for module in list(sys.modules.values()):
            filename = getattr(module, "__file__", None)
            if isinstance(filename, str) and is_under(live.real(filename), live.root):
                self._namespace(module)
        self._namespaces.append((vars(builtins), dict(vars(builtins))))
        for functions in list(live.by_id.values()):
            for function in functions:
                for value in (function.__defaults__ or ()) + tuple((function.__kwdefaults__ or {}).values()):
                    self._watch(value, 2)
                self._watch(vars(function), 2)

    def _namespace(self, module: types.ModuleType) -> None:
        names = vars(module)
        self._namespaces.append((names, dict(names)))
        for name, value in list(names.items()):
            if name.startswith("__"):
                continue
            if isinstance(value, type):
                if value.__module__ == module.__name__:
                    self._classes.append((value, dict(vars(value))))
                    for attribute, inner in list(vars(value).items()):
                        if not attribute.startswith("__"):
                            self._watch(inner, 3)
            else:
                self._watch(value, 3)

    def _watch(self, value: Any, depth: int) -> None:
        kind = type(value)
        if depth < 0 or kind in _PLAIN or id(value) in self._seen:
            return
        if kind in _CONTAINERS:
            if self._count + len(value) > MANY:
                return
            self._count += len(value) + 1
            self._seen[id(value)] = value
            keep = kind(value) if kind is not collections.defaultdict else dict(value)
            self._restore.append(_restorer(value, keep))
            if kind is not bytearray:
                for inner in list(value.values()) if isinstance(value, dict) else list(value):
                    self._watch(inner, depth - 1)
            return
        filename = getattr(sys.modules.get(kind.__module__ or ""), "__file__", None)
        attributes = getattr(value, "__dict__", None)
        if (
            type(attributes) is dict
            and isinstance(filename, str)
            and is_under(self._live.real(filename), self._live.root)
        ):
            self._watch(attributes, depth - 1)

    def restore(self) -> None:
        """Put back what differs."""
        for cache in self._live.caches:
            cache.cache_clear()
        for names, kept in self._namespaces:
            if not _same_dict(names, kept):
                names.clear()
                names.update(kept)
        for owner, kept in self._classes:
            now = vars(owner)
            if len(now) != len(kept) or any(now.get(n, kept) is not v for n, v in kept.items()):
                _restore_class(owner, kept)
        for put_back in self._restore:
            put_back()
        if os.environ != self._environment:
            os.environ.clear()
            os.environ.update(self._environment)
        try:
            if os.getcwd() != self._folder:
                os.chdir(self._folder)
        except OSError:
            pass
        if sys.getrecursionlimit() != self._recursion:
            sys.setrecursionlimit(self._recursion)
        if sys.path != self._paths:
            sys.path[:] = self._paths


def _same_dict(now: Dict[Any, Any], kept: Dict[Any, Any]) -> bool:
    return len(now) == len(kept) and all(map(_is, now.values(), kept.values())) and list(now) == list(kept)


def _is(one: object, other: object) -> bool:
    return one is other


def _restore_class(owner: type, kept: Dict[str, Any]) -> None:
    for name in [name for name in vars(owner) if name not in kept]:
        _try(delattr, owner, name)
    for name, value in kept.items():
        if vars(owner).get(name, kept) is not value:
            _try(setattr, owner, name, value)


def _try(change: Callable[..., None], *arguments: Any) -> None:
    try:
        change(*arguments)
    except (AttributeError, TypeError):
        pass


def _restorer(value: Any, keep: Any) -> Callable[[], None]:
    if isinstance(value, dict):

        def restore_dict() -> None:
            if not _same_dict(value, keep):
                dict.clear(value)
                dict.update(value, keep)

        return restore_dict
    if isinstance(value, set):

        def restore_set() -> None:
            if value != keep:
                value.clear()
                value.update(keep)

        return restore_set

    def restore_sequence() -> None:
        if len(value) != len(keep) or not all(map(_is, value, keep)):
            value.clear()
            value.extend(keep)

    return restore_sequence


def find_source(sources: Dict[str, Optional[Source]], root: str, path: str, texts: Dict[str, str]) -> Optional[Source]:
    """Return the parsed base text of a file, parsed once; None where it is not Python."""
    if path not in sources:
        text = texts.get(path)
        if text is None:
            try:
                with open(os.path.join(root, path), encoding="utf-8", newline="") as stream:
                    text = stream.read()
            except (OSError, UnicodeDecodeError):
                sources[path] = None
                return None
        try:
            sources[path] = Source(path, text)
        except Uncompilable:
            sources[path] = None
    return sources[path]
