"""Which names, attributes and rough types are known at a place in a Python file."""

from __future__ import annotations

import ast
import builtins
import contextlib
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property

from agents.repair.guesses import Guess, Guesser
from agents.repair.units import FUNCTIONS, FunctionNode, Place, SourceFile, Unit

BUILTINS = frozenset(dir(builtins))


@dataclass(frozen=True, slots=True)
class Signature:
    """How a function known by name can be called; `self` and `cls` are left out."""

    positional: tuple[str, ...]
    required: int
    keyword: tuple[str, ...] = ()
    variable: bool = False


def signature(node: FunctionNode, *, method: bool) -> Signature:
    """Return a definition's parameters, without the first one for a method."""
    names = [a.arg for a in (*node.args.posonlyargs, *node.args.args)]
    static = any(isinstance(d, ast.Name) and d.id == "staticmethod" for d in node.decorator_list)
    skip = 1 if method and not static and names else 0
    required = max(0, len(names) - len(node.args.defaults) - skip)
    keyword = tuple(a.arg for a in node.args.kwonlyargs)
    return Signature(tuple(names[skip:]), required, keyword, bool(node.args.vararg or node.args.kwarg))


def _initial(value: ast.expr) -> bool:
    """Whether a value is what something starts from: an empty container, or a number."""
    if isinstance(value, (ast.List, ast.Set, ast.Tuple)):
        return not value.elts
    if isinstance(value, ast.Dict):
        return not value.keys
    if isinstance(value, ast.Call):
        return not value.args and isinstance(value.func, ast.Name) and value.func.id in {"set", "list", "dict", "deque"}
    return isinstance(value, ast.Constant) and isinstance(value.value, (int, float, str))


@dataclass(frozen=True, slots=True)
class PoolEntry:
    """An expression of a unit that could stand elsewhere."""

    text: str
    node: ast.expr
    start: int
    names: frozenset[str]
    guess: Guess


_COMPOUND = (ast.BinOp, ast.Call, ast.Subscript, ast.Attribute, ast.Compare, ast.BoolOp)


class ModuleScope:
    """What a file defines, imports and mentions."""

    def __init__(self, file: SourceFile) -> None:
        """Read the file's tree once."""
        self.functions: dict[str, FunctionNode] = {}
        self.classes: dict[str, ast.ClassDef] = {}
        self.imports: dict[str, str] = {}
        self.constants: dict[str, ast.expr] = {}
        self._collect(file.tree.body)
        self.attributes: Counter[str] = Counter()
        self.names: Counter[str] = Counter()
        self.strings: Counter[str] = Counter()
        self.methods: dict[str, list[tuple[ast.ClassDef, FunctionNode]]] = {}
        for node in ast.walk(file.tree):
            if isinstance(node, ast.Attribute):
                self.attributes[node.attr] += 1
            elif isinstance(node, ast.Name):
                self.names[node.id] += 1
            elif isinstance(node, ast.Constant) and isinstance(node.value, str):
                self.strings[node.value] += 1
            elif isinstance(node, ast.ClassDef):
                for child in node.body:
                    if isinstance(child, FUNCTIONS):
                        self.methods.setdefault(child.name, []).append((node, child))

    def _collect(self, body: list[ast.stmt]) -> None:
        for node in body:
            if isinstance(node, FUNCTIONS):
                self.functions[node.name] = node
            elif isinstance(node, ast.ClassDef):
                self.classes[node.name] = node
            elif isinstance(node, (ast.Import, ast.ImportFrom)):
                origin = getattr(node, "module", None)
                for alias in node.names:
                    name = alias.asname or alias.name.split(".")[0]
                    self.imports[name] = f"{origin}.{alias.name}" if origin else alias.name
            elif isinstance(node, (ast.Assign, ast.AnnAssign)) and node.value is not None:
                targets = node.targets if isinstance(node, ast.Assign) else [node.target]
                self.constants.update({t.id: node.value for t in targets if isinstance(t, ast.Name)})
            elif isinstance(node, (ast.If, ast.Try, ast.With)):
                self._collect(node.body)
                self._collect(getattr(node, "orelse", []))
                for handler in getattr(node, "handlers", []):
                    self._collect(handler.body)

    @cached_property
    def known(self) -> frozenset[str]:
        """Every name that is defined at the top of the file."""
        return frozenset((*self.functions, *self.classes, *self.imports, *self.constants))


def bound_names(target: ast.AST) -> Iterator[ast.Name]:
    """Give the names that a target expression binds."""
    for node in ast.walk(target):
        if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store):
            yield node


class UnitScope:
    """Names, attributes and types within one unit."""

    def __init__(self, file: SourceFile, module: ModuleScope, unit: Unit) -> None:
        """Collect bindings with their positions."""
        self.file, self.module, self.unit = file, module, unit
        self.bindings: dict[str, list[int]] = {}
        """Name → offsets after which it is bound; parameters at the unit's start."""
        self.inner: dict[str, tuple[int, int]] = {}
        """Names that exist only within a span (comprehension targets, lambda parameters)."""
        self.uses: dict[str, list[int]] = {}
        self.parameters: list[str] = []
        self.subscripted: frozenset[str] | None = None
        root = unit.node
        if isinstance(root, FUNCTIONS):
            self._parameters(root, unit.start, None)
        self._walk(root, None)
        self.self_name = self.parameters[0] if unit.kind == "method" and self.parameters else ""
        self.guesser = Guesser(root, self.parameters, module, self._assigned_attributes())

    def _parameters(self, node: FunctionNode | ast.Lambda, start: int, within: tuple[int, int] | None) -> None:
        arguments = node.args
        for argument in (*arguments.posonlyargs, *arguments.args, *arguments.kwonlyargs):
            self._bind(argument.arg, start, within)
            if within is None:
                self.parameters.append(argument.arg)
        for extra in (arguments.vararg, arguments.kwarg):
            if extra is not None:
                self._bind(extra.arg, start, within)
                if within is None:
                    self.parameters.append(extra.arg)

    def _bind(self, name: str, offset: int, within: tuple[int, int] | None) -> None:
        if within is not None:
            known = self.inner.get(name)
            self.inner[name] = (min(known[0], within[0]), max(known[1], within[1])) if known else within
        else:
            self.bindings.setdefault(name, []).append(offset)

    def _walk(self, node: ast.AST, within: tuple[int, int] | None) -> None:
        for child in ast.iter_child_nodes(node):
            inside = within
            if isinstance(child, (*FUNCTIONS, ast.Lambda)):
                if isinstance(child, FUNCTIONS):
                    self._bind(child.name, self.file.span(child)[0], within)
                    if self.unit.kind == "module":
                        continue
                inside = self.file.span(child)
                self._parameters(child, inside[0], inside)
            elif isinstance(child, (ast.ListComp, ast.SetComp, ast.DictComp, ast.GeneratorExp)):
                inside = self.file.span(child)
            elif isinstance(child, ast.Name):
                offset = self.file.span(child)[0]
                if isinstance(child.ctx, ast.Store):
                    self._bind(child.id, offset, within)
                self.uses.setdefault(child.id, []).append(offset)
            elif isinstance(child, ast.ExceptHandler) and child.name:
                self._bind(child.name, self.file.span(child)[0], self.file.span(child))
            elif isinstance(child, (ast.Import, ast.ImportFrom)):
                for alias in child.names:
                    self._bind(alias.asname or alias.name.split(".")[0], self.file.span(child)[0], within)
            self._walk(child, inside)

    @cached_property
    def untouched(self) -> frozenset[str]:
        """Local names that start empty, or as a number, and never change although they are read: a step is missing."""
        started: Counter[str] = Counter()
        changed: set[str] = set()
        for node in self.nodes:
            if isinstance(node, ast.Assign) and len(node.targets) == 1 and isinstance(node.targets[0], ast.Name):
                name = node.targets[0].id
                started[name] += 1
                if not _initial(node.value):
                    changed.add(name)
            elif isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store):
                started[node.id] += 0
            elif isinstance(node, ast.AugAssign):
                changed.update(n.id for n in ast.walk(node.target) if isinstance(n, ast.Name))
            elif isinstance(node, ast.Subscript) and isinstance(node.ctx, (ast.Store, ast.Del)):
                changed.update(n.id for n in (node.value,) if isinstance(n, ast.Name))
            elif isinstance(node, ast.Call):
                # A method may fill what it is called on, and a function what it is given.
                parts = [*node.args, *([node.func.value] if isinstance(node.func, ast.Attribute) else [])]
                changed.update(n.id for n in parts if isinstance(n, ast.Name))
        return frozenset(n for n, count in started.items() if count == 1 and n not in changed and n not in self.unused)

    @cached_property
    def nodes(self) -> tuple[ast.AST, ...]:
        """All nodes of the unit; of a module only what runs on import."""
        if isinstance(self.unit.node, FUNCTIONS):
            return tuple(ast.walk(self.unit.node))
        found: list[ast.AST] = []
        pending: list[ast.AST] = [self.unit.node]
        while pending:
            node = pending.pop()
            found.append(node)
            if not isinstance(node, FUNCTIONS):
                pending += ast.iter_child_nodes(node)
        return tuple(found)

    @cached_property
    def pool(self) -> tuple[PoolEntry, ...]:
        """Short compound expressions of the unit that could stand elsewhere."""
        found: list[PoolEntry] = []
        for node in self.nodes:
            if not isinstance(node, _COMPOUND) or not isinstance(getattr(node, "ctx", ast.Load()), ast.Load):
                continue
            if node.lineno != node.end_lineno or (node.end_col_offset or 0) - node.col_offset > 60:
                continue
            inner = list(ast.walk(node))
            if any(isinstance(n, (ast.JoinedStr, ast.Await, ast.Yield, ast.NamedExpr)) for n in inner):
                continue
            bound = {n.id for n in inner if isinstance(n, ast.Name) and isinstance(n.ctx, ast.Store)}
            names = frozenset(n.id for n in inner if isinstance(n, ast.Name)) - bound
            with contextlib.suppress(IndexError, UnicodeDecodeError):  # wrong positions inside an f-string
                found.append(PoolEntry(self.file.segment(node), node, self.file.span(node)[0], names, self.guess(node)))
        return tuple(found)

    def locals_at(self, place: Place, offset: int) -> list[str]:
        """Return local names that may be bound when the character at `offset` runs, those used nearest first.

        A name that is bound only later counts inside a loop that holds both, since a later round sees it.
        """
        if self.unit.kind == "module":
            return []
        limit = self.file.span(place.loops[0])[1] if place.loops else offset
        start = self.file.span(place.statement)[0]
        found = [
            n for n, at in self.bindings.items() if any((a <= offset and a < start) or offset < a < limit for a in at)
        ]
        found += [n for n, (low, high) in self.inner.items() if low <= offset < high and n not in self.bindings]
        distance = {n: min((abs(u - offset) for u in self.uses.get(n, ())), default=10**6) for n in found}
        return sorted(found, key=lambda n: (n == self.self_name, n not in self.unused, distance[n], n))

    @cached_property
    def unused(self) -> frozenset[str]:
        """Local names that are bound and never read: what was meant to use them may be missing or wrong."""
        read = {n.id for n in self.nodes if isinstance(n, ast.Name) and isinstance(n.ctx, ast.Load)}
        read |= {n.target.id for n in self.nodes if isinstance(n, ast.AugAssign) and isinstance(n.target, ast.Name)}
        method = self.parameters[:1] if self.unit.kind == "method" else []
        return frozenset(n for n in self.bindings if n not in read and n not in method and not n.startswith("_"))

    def bound_before(self, name: str, offset: int) -> bool:
        """Whether a local name is bound somewhere before `offset`."""
        return any(a <= offset for a in self.bindings.get(name, ()))

    @cached_property
    def self_attributes(self) -> dict[str, int]:
        """Attributes that the class (or module) uses on `self`, methods excluded, with how often."""
        counts: Counter[str] = Counter()
        roots: tuple[ast.AST, ...] = self.unit.classes[-1:] or (self.unit.node,)
        for root in roots:
            for node in ast.walk(root):
                if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name) and node.value.id == "self":
                    counts[node.attr] += 1
        return {n: c for n, c in counts.items() if n not in self.self_methods}

    @cached_property
    def self_methods(self) -> dict[str, FunctionNode]:
        """Methods of the innermost class around the unit."""
        if not self.unit.classes:
            return {}
        return {n.name: n for n in self.unit.classes[-1].body if isinstance(n, FUNCTIONS)}

    @cached_property
    def attributes_of(self) -> dict[str, Counter[str]]:
        """Receiver's text → attributes that the unit (or, for `self`, the class) reads or writes on it."""
        table: dict[str, Counter[str]] = {}
        for node in ast.walk(self.unit.node):
            if isinstance(node, ast.Attribute) and isinstance(node.value, (ast.Name, ast.Attribute)):
                table.setdefault(self.file.segment(node.value), Counter())[node.attr] += 1
        if self.self_name:
            table.setdefault(self.self_name, Counter()).update(self.self_attributes)
        return table

    def _assigned_attributes(self) -> dict[str, list[ast.expr]]:
        """Return attribute → what the class's methods assign to it, `self` left out."""
        found: dict[str, list[ast.expr]] = {}
        for root in self.unit.classes[-1:]:
            for node in ast.walk(root):
                if isinstance(node, (ast.Assign, ast.AnnAssign, ast.AugAssign)) and node.value is not None:
                    for target in node.targets if isinstance(node, ast.Assign) else [node.target]:
                        if isinstance(target, ast.Attribute) and isinstance(target.value, ast.Name):
                            found.setdefault(target.attr, []).append(node.value)
        return found

    @cached_property
    def fields(self) -> tuple[str, ...]:
        """Attributes of `self` as they are written, those that the unit itself uses first."""
        if not self.self_name:
            return ()
        here = Counter(
            n.attr for n in self.nodes if isinstance(n, ast.Attribute) and isinstance(n.value, ast.Name)
            and n.value.id == self.self_name
        )  # fmt: skip
        ranked = sorted(self.self_attributes, key=lambda a: (-here[a], -self.self_attributes[a], a))
        return tuple(f"{self.self_name}.{a}" for a in ranked)

    def guess(self, node: ast.expr) -> Guess:
        """Return the rough type of an expression, "any" where nothing is known."""
        return self.guesser.guess(node)

    def guess_name(self, name: str) -> Guess:
        """Return the rough type of a name, or of an attribute written as `self.x`."""
        if "." in name:
            return self.guesser.attribute(name.rpartition(".")[2])
        return self.guesser.name(name)

    def signature_of(self, call: ast.Call) -> Signature | None:
        """Return the signature of the function that a call names, where the file defines it."""
        func = call.func
        if isinstance(func, ast.Name):
            if func.id in self.module.functions:
                return signature(self.module.functions[func.id], method=False)
            if func.id == getattr(self.unit.node, "name", None) and isinstance(self.unit.node, FUNCTIONS):
                return signature(self.unit.node, method=False)
            nested = self._nested.get(func.id)
            if nested is not None:
                return signature(nested, method=False)
            owner = self.module.classes.get(func.id)
            made = (
                next((n for n in owner.body if isinstance(n, FUNCTIONS) and n.name == "__init__"), None)
                if owner
                else None
            )
            return signature(made, method=True) if made is not None else None
        if isinstance(func, ast.Attribute):
            if isinstance(func.value, ast.Name) and func.value.id == self.self_name and func.attr in self.self_methods:
                return signature(self.self_methods[func.attr], method=True)
            known = self.module.methods.get(func.attr, [])
            if len(known) == 1:
                return signature(known[0][1], method=True)
        return None

    @cached_property
    def _nested(self) -> dict[str, FunctionNode]:
        return {n.name: n for n in ast.walk(self.unit.node) if isinstance(n, FUNCTIONS) and n is not self.unit.node}
