"""What a module offers to tests: its functions, classes and methods, with recipes for their arguments."""

from __future__ import annotations

import ast
import inspect
import re
import time
import types
import typing
from typing import Any, Dict, Iterator, List, Optional, Sequence, Tuple

from .explore_inputs import Domain, Domains, Maker
from .explore_patterns import examples
from .explore_scenes import OPERATIONS
from .explore_usage import Usage, constants

_CHANGING = re.compile(r"^(__(setitem|iadd|ior|call|next)__|\.(add|append|push|put|insert|set|update|extend|enqueue|"
                       r"register|write|store|load|feed|include|record|union|deposit|start|move)\w*)$")  # fmt: skip
_BINARY = {"__eq__", "__ne__", "__lt__", "__le__", "__gt__", "__ge__", "__add__", "__sub__", "__and__", "__or__",
           "__xor__", "__radd__", "__rsub__", "__rand__", "__ror__", "__rxor__", "__iadd__", "__isub__", "__ior__",
           "__iand__", "__ixor__"}  # fmt: skip
_SKIPPED = {"__init__", "__new__", "__post_init__", "__del__", "__init_subclass__", "__class_getitem__", "__sizeof__",
            "__subclasshook__", "__getattr__", "__setattr__", "__getattribute__", "__delattr__", "__enter__",
            "__exit__", "__aenter__", "__aexit__", "__getnewargs__", "__dir__", "__set_name__"}  # fmt: skip


class Target:
    """A function, or a class with its operations."""

    def __init__(self, name: str, domains: Domains, public: bool, marks: Sequence[int]) -> None:
        self.name = name
        self.domains = domains
        self.public = public
        self.marks = set(marks)
        """The marks that lie in it."""
        self.operations: Dict[str, Tuple[Domains, List[int]]] = {}
        """Of a class: step name → recipes for its arguments, and the marks that lie in it."""
        self.is_class = False
        self.changing: List[str] = []
        """Operations that probably change the object."""
        self.starts: List[Any] = []
        """Recipes of the object, where it is what a function gives."""
        self.subject = ""
        self.argv = False
        """Whether it reads the command line."""
        self.tries = 0
        self.gains = 1.0
        self.left_out = ""
        """Why it is not explored any more."""


class Reader:
    """Reads one module that was imported."""

    def __init__(self, module: types.ModuleType, tree: ast.Module, spots: Sequence[Any], maker: Maker) -> None:
        self.module = module
        self.maker = maker
        self._spots = spots
        self.nodes: Dict[str, Any] = dict(_definitions(tree, ""))
        self._functions = {n.rpartition(".")[2]: v for n, v in self.nodes.items() if not isinstance(v, ast.ClassDef)}
        self.docs: Dict[str, str] = {}
        self._learn(tree)

    def _learn(self, tree: ast.Module) -> None:
        found = constants(tree)
        self.maker.learn(found)
        for node in ast.walk(tree):
            if isinstance(node, ast.Compare):
                self.maker.learn([v for v in constants(node) if isinstance(v, str)], favour=True)
        patterns: List[Any] = []
        own = {name: value for name, value in vars(self.module).items() if not name.startswith("__")}
        spaces: List[Any] = [own, *(vars(value) for value in own.values() if isinstance(value, type))]
        for space in spaces:
            for value in list(space.values()):
                patterns += _patterns_in(value)
        for node in ast.walk(tree):
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.args:
                first = node.args[0]
                if getattr(node.func.value, "id", "") == "re" and isinstance(first, ast.Constant):
                    patterns += _patterns_in(first.value, bare=True)
        for pattern in patterns[:120]:
            self.maker.learn(examples(pattern, self.maker.dice, 8), favour=True)
        for value in list(spaces[0].values()):
            if isinstance(value, (list, tuple, set, frozenset, dict)) and len(value) < 400:
                self.maker.learn([leaf for leaf in _leaves(value, 3) if type(leaf) in (str, int, float)][:200], True)

    def owned(self, kind: type) -> Optional[str]:
        """Return how tests name a class, None where the module does not offer it."""
        name = kind.__qualname__
        space: Any = self.module
        for part in name.split("."):
            space = getattr(space, part, None)
        return name if space is kind else None

    def targets(self) -> List[Target]:
        """Return what can be explored."""
        listed = getattr(self.module, "__all__", None)
        found: List[Target] = []
        classes: List[Tuple[str, type]] = []
        for name, value in list(vars(self.module).items()):
            if getattr(value, "__module__", None) != self.module.__name__ or name.startswith("__"):
                continue
            if getattr(value, "__name__", name) != name and getattr(value, "__name__", name) in vars(self.module):
                # Another name for the same thing.
                continue
            public = not name.startswith("_") if listed is None else name in listed
            if isinstance(value, type):
                classes.append((name, value))
            elif (callable(value) and name in self.nodes) or name in (listed or ()):
                target = self._function(name, value, public)
                if target is not None:
                    found.append(target)
        for name, kind in classes:
            domains = self._domains(kind, name + ".__init__", skip=0)
            if domains is not None and not inspect.isabstract(kind):
                self.maker.signatures[name] = domains
        for name, kind in classes:
            public = not name.startswith("_") if listed is None else name in listed
            found += self._class(name, kind, public)
        return found

    def _function(self, name: str, value: Any, public: bool) -> Optional[Target]:
        domains = self._domains(value, name)
        if domains is None:
            return None
        target = Target(name, domains, public and not name.rpartition(".")[2].startswith("_"), self._marks(name))
        self.docs[name] = inspect.getdoc(value) or ""
        node = self.nodes.get(name)
        target.argv = node is not None and not domains.parameters and _reads_argv(node, self._functions, 2)
        return target

    def _class(self, name: str, kind: type, public: bool) -> Iterator[Target]:
        if issubclass(kind, BaseException) and not {"__init__", "__str__"} & set(vars(kind)):
            return
        domains = self.maker.signatures.get(name)
        for attribute, value in list(vars(kind).items()):
            if isinstance(value, (staticmethod, classmethod)) and not attribute.startswith("__"):
                qualified = "%s.%s" % (name, attribute)
                target = self._function(qualified, getattr(kind, attribute), public)
                if target is not None:
                    yield target
        if domains is None:
            return
        target = Target(name, domains, public, self._marks(name + ".__init__"))
        target.is_class = True
        target.subject = re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "_", name.lstrip("_")).rpartition("_")[2].lower() or "thing"
        if target.subject in vars(self.module) or target.subject in ("str", "list", "dict", "set", "int", "type"):
            target.subject = "instance"
        self.docs[name] = inspect.getdoc(kind) or ""
        for owner in reversed(kind.__mro__):
            if not self._ours(owner):
                continue
            for attribute, value in list(vars(owner).items()):
                self._operation(target, owner, attribute, value)
        target.changing = [step for step in target.operations if _CHANGING.match(step)]
        if target.operations or target.marks:
            yield target

    def _ours(self, owner: type) -> bool:
        return owner.__module__ == self.module.__name__

    def _operation(self, target: Target, owner: type, attribute: str, value: Any) -> None:
        qualified = "%s.%s" % (owner.__qualname__, attribute)
        marks = self._marks(qualified)
        if isinstance(value, property) or type(value).__name__ == "cached_property":
            target.operations["get:" + attribute] = Domains(self.maker, (), ()), marks
            if getattr(value, "fset", None) is not None:
                found = self._domains(value.fset, qualified, skip=1)
                if found is not None:
                    target.operations["set:" + attribute] = found, marks
            return
        if not callable(value) or isinstance(value, type) or attribute in _SKIPPED:
            return
        if attribute.startswith("__") and attribute.endswith("__"):
            step = attribute
            if not OPERATIONS.get(attribute):
                return
        elif attribute.startswith("_"):
            return
        else:
            step = "." + attribute
        domains = self._domains(value, qualified, skip=1)
        if domains is None:
            return
        if step in OPERATIONS and step != "__call__":
            wanted = 2 if "{1}" in OPERATIONS[step] else 1 if "{0}" in OPERATIONS[step] else 0
            del domains.parameters[wanted:], domains.domains[wanted:]
            for number, parameter in enumerate(domains.parameters):
                domains.parameters[number] = parameter.replace(default=parameter.empty)
            if len(domains.parameters) < wanted:
                return
        if step in _BINARY and domains.domains:
            kinds = {target.name: 2.0, "list": 0.5, "int": 0.4, "str": 0.3, "dict": 0.2, "set": 0.3}
            domains.domains[0] = Domain(self.maker, "other", inspect.Parameter.empty, kinds, None)
        target.operations[step] = domains, marks
        self.docs["%s%s" % (target.name, step)] = inspect.getdoc(value) or ""

    def _marks(self, qualified: str) -> List[int]:
        inside = qualified + "."
        return [n for n, spot in enumerate(self._spots) if spot[3] == qualified or spot[3].startswith(inside)]

    def _domains(self, value: Any, qualified: str, skip: int = 0) -> Optional[Domains]:
        try:
            parameters = list(inspect.signature(value).parameters.values())[skip:]
        except (TypeError, ValueError):
            return None
        if len(parameters) > 12:
            return None
        try:
            inner = getattr(value, "__init__") if isinstance(value, type) else value  # noqa: B009 - of the class, on purpose
            hints = typing.get_type_hints(inspect.unwrap(inner))
        except Exception:
            hints = getattr(value, "__annotations__", {})
        node = self.nodes.get(qualified)
        usage = Usage(node, self._functions) if node is not None and not isinstance(node, ast.ClassDef) else None
        made: List[Domain] = []
        for parameter in parameters:
            name = parameter.name
            hint = hints.get(name, parameter.annotation)
            kinds = usage.kinds(name) if usage is not None else {}
            default = parameter.default
            if default is not parameter.empty and type(default) in (int, float, str, bool, bytes):
                kinds[type(default).__name__] = kinds.get(type(default).__name__, 0.0) + 3.0
            if type(default) is bool:
                kinds = {"bool": 1.0}
            arity = usage.arity(name) if usage is not None else None
            around = self.nodes.get(qualified.rpartition(".")[0])
            if arity is None and usage is not None and around is not None:
                arity = usage.kept_as(name, around)
                kinds = {"callable": 1.0} if arity is not None else kinds
            if default is not parameter.empty and callable(default) and not kinds:
                kinds, arity = {"callable": 1.0}, _arity(default)
            domain = Domain(self.maker, name, hint, kinds, arity)
            if type(default) in (int, float, str, bool, bytes, type(None), tuple) and default is not parameter.empty:
                domain.known.append(default)
            made.append(domain)
        return Domains(self.maker, parameters, made)


def _arity(function: Any) -> Optional[int]:
    if isinstance(function, type):
        return 0
    try:
        return len(inspect.signature(function).parameters)
    except (TypeError, ValueError):
        return 0 if function in (time.monotonic, time.time, time.perf_counter) else None


def _definitions(node: ast.AST, prefix: str) -> Iterator[Tuple[str, Any]]:
    for child in ast.iter_child_nodes(node):
        if isinstance(child, (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)):
            yield prefix + child.name, child
            yield from _definitions(child, prefix + child.name + ".")
        elif isinstance(child, (ast.If, ast.Try, ast.With)):
            yield from _definitions(child, prefix)


def _reads_argv(node: Any, functions: Dict[str, Any], depth: int) -> bool:
    for inner in ast.walk(node):
        if isinstance(inner, ast.Attribute) and inner.attr in ("argv", "ArgumentParser"):
            return True
        called = functions.get(getattr(inner.func, "id", "")) if isinstance(inner, ast.Call) else None
        if depth and called is not None and _reads_argv(called, functions, depth - 1):
            return True
    return False


def _patterns_in(value: Any, bare: bool = False) -> List[Any]:
    if isinstance(value, re.Pattern):
        return [value]
    if isinstance(value, str) and (bare or re.search(r"[\\(\[|^$*+?]", value)) and len(value) < 300:
        try:
            return [re.compile(value)]
        except (re.error, RecursionError, OverflowError):
            return []
    if isinstance(value, (list, tuple)) and len(value) < 300:
        return [pattern for item in value for pattern in _patterns_in(item)]
    return []


def _leaves(value: Any, depth: int) -> Iterator[Any]:
    if isinstance(value, dict):
        for key, inner in value.items():
            yield from _leaves(key, depth - 1)
            yield from _leaves(inner, depth - 1)
    elif isinstance(value, (list, tuple, set, frozenset)) and depth >= 0:
        for inner in value:
            yield from _leaves(inner, depth - 1)
    else:
        yield value
