"""Rough guesses of what type an expression has, from literals, annotations and how names are used."""

from __future__ import annotations

import ast
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Literal

from agents.repair.units import FUNCTIONS

if TYPE_CHECKING:
    from agents.repair.scopes import ModuleScope

Guess = Literal[
    "any", "int", "float", "bool", "str", "bytes", "list", "tuple", "dict", "set", "none", "function", "iter"
]

NUMBERS: frozenset[Guess] = frozenset({"int", "float", "bool"})
SIZED: frozenset[Guess] = frozenset({"str", "bytes", "list", "tuple", "dict", "set"})
SEQUENCES: frozenset[Guess] = frozenset({"str", "bytes", "list", "tuple"})
ITERABLE: frozenset[Guess] = frozenset({*SIZED, "iter"})

_METHODS: dict[str, Guess] = {
    **dict.fromkeys(("append", "extend", "insert", "sort", "reverse"), "list"),
    **dict.fromkeys(("items", "keys", "values", "setdefault", "popitem"), "dict"),
    **dict.fromkeys(("add", "discard", "issubset", "issuperset", "union", "intersection", "difference"), "set"),
    **dict.fromkeys(
        ("lower", "upper", "strip", "lstrip", "rstrip", "split", "startswith", "endswith", "replace", "isdigit",
         "isalpha", "isspace", "join", "format", "title", "encode", "splitlines", "rsplit", "zfill", "ljust"),
        "str",
    ),
    "decode": "bytes",
}  # fmt: skip
_RETURNS: dict[str, Guess] = {
    **dict.fromkeys(
        ("len", "int", "ord", "sum", "id", "hash", "round", "bisect", "bisect_left", "bisect_right"), "int"
    ),
    **dict.fromkeys(("str", "repr", "chr", "input", "hex", "bin", "oct", "format", "ascii"), "str"),
    **dict.fromkeys(("list", "sorted", "dir"), "list"),
    **dict.fromkeys(("isinstance", "any", "all", "bool", "callable", "hasattr", "issubclass"), "bool"),
    **dict.fromkeys(("range", "map", "filter", "zip", "enumerate", "reversed", "iter"), "iter"),
    **dict.fromkeys(("dict", "defaultdict", "Counter", "OrderedDict"), "dict"),
    **dict.fromkeys(("set", "frozenset"), "set"),
    "deque": "list",
    "tuple": "tuple",
    "float": "float",
    "bytes": "bytes",
}
_METHOD_RETURNS: dict[str, Guess] = {
    **dict.fromkeys(
        ("lower", "upper", "strip", "lstrip", "rstrip", "join", "format", "replace", "title", "capitalize", "decode",
         "zfill", "ljust", "rjust", "center", "casefold", "swapcase"),
        "str",
    ),
    **dict.fromkeys(("split", "rsplit", "splitlines", "readlines", "findall"), "list"),
    **dict.fromkeys(("startswith", "endswith", "isdigit", "isalpha", "isspace", "isupper", "islower", "issubset",
                     "issuperset", "isalnum", "isdisjoint", "exists"), "bool"),
    **dict.fromkeys(("index", "find", "count", "rfind", "rindex", "bit_length", "floor", "ceil", "isqrt", "bisect_left",
                     "bisect_right"), "int"),
    **dict.fromkeys(("items", "keys", "values"), "iter"),
    **dict.fromkeys(("union", "intersection", "difference", "symmetric_difference"), "set"),
    "encode": "bytes",
    "append": "none", "extend": "none", "insert": "none", "sort": "none", "reverse": "none", "add": "none",
    "partition": "tuple", "rpartition": "tuple",
}  # fmt: skip
_ANNOTATIONS: dict[str, Guess] = {
    "int": "int", "float": "float", "str": "str", "bytes": "bytes", "bool": "bool", "list": "list", "List": "list",
    "dict": "dict", "Dict": "dict", "set": "set", "Set": "set", "tuple": "tuple", "Tuple": "tuple",
    "Callable": "function", "Iterable": "iter", "Iterator": "iter", "Sequence": "list", "Mapping": "dict",
    "frozenset": "set", "FrozenSet": "set",
}  # fmt: skip


_NUMERIC = (
    ast.Sub, ast.Div, ast.FloorDiv, ast.Pow, ast.LShift, ast.RShift, ast.BitAnd, ast.BitXor, ast.BitOr,
)  # fmt: skip


class Guesser:
    """Guesses within one function (or module)."""

    def __init__(
        self, root: ast.AST, parameters: list[str], module: ModuleScope, attributes: Mapping[str, Sequence[ast.expr]]
    ) -> None:
        """Read the root's bindings and uses; two rounds, so that what follows from a guess is guessed too."""
        self._names: dict[str, Guess] = {}
        self._assigned = attributes
        self._attributes: dict[str, Guess] = {}
        self._module = module
        self._parameters = frozenset(parameters)
        nodes = list(ast.walk(root))
        for _ in range(2):
            for node in nodes:
                self._learn(node)
        weak = dict(self._names)
        for node in nodes:
            self._learn_from_use(node)
        self._names |= weak

    def name(self, name: str) -> Guess:
        """Return the guess for a name."""
        if name in self._names:
            return self._names[name]
        if name in self._parameters:
            return "any"
        if name in self._module.constants:
            self._names[name] = "any"  # what is bound to itself says nothing
            self._names[name] = self.guess(self._module.constants[name])
            return self._names[name]
        return "function" if name in self._module.functions else "any"

    def attribute(self, name: str) -> Guess:
        """Return the guess for an attribute of `self`, from what is assigned to it."""
        if name not in self._attributes:
            self._attributes[name] = "any"
            guesses = [g for g in map(self.guess, self._assigned.get(name, ())) if g not in {"any", "none"}]
            self._attributes[name] = guesses[0] if guesses else "any"
        return self._attributes[name]

    def _set(self, name: str, guess: Guess) -> None:
        if guess == "any":
            return
        known = self._names.get(name)
        if known is None or known == "none":
            self._names[name] = guess
        elif known != guess and guess != "none":
            self._names[name] = "float" if {known, guess} <= NUMBERS and "float" in {known, guess} else known

    def _learn(self, node: ast.AST) -> None:
        if isinstance(node, ast.Assign):
            for target in node.targets:
                self._learn_target(target, node.value)
        elif isinstance(node, (ast.AnnAssign, ast.arg)):
            target_name = node.arg if isinstance(node, ast.arg) else getattr(node.target, "id", "")
            if node.annotation is not None and target_name:
                self._set(target_name, _annotation(node.annotation))
        elif isinstance(node, ast.AugAssign) and isinstance(node.target, ast.Name):
            self._set(node.target.id, self.guess(node.value))
        elif isinstance(node, (ast.For, ast.comprehension)):
            self._learn_loop(node.target, node.iter)
        elif isinstance(node, FUNCTIONS):
            arguments = [*node.args.posonlyargs, *node.args.args]
            for argument, default in zip(arguments[::-1], node.args.defaults[::-1], strict=False):
                self._set(argument.arg, self.guess(default))
            self._set(node.name, "function")

    def _learn_target(self, target: ast.expr, value: ast.expr) -> None:
        if isinstance(target, ast.Name):
            self._set(target.id, self.guess(value))
        elif isinstance(target, ast.Tuple) and isinstance(value, ast.Tuple) and len(target.elts) == len(value.elts):
            for one, item in zip(target.elts, value.elts, strict=True):
                self._learn_target(one, item)

    def _learn_loop(self, target: ast.expr, iterable: ast.expr) -> None:
        function = iterable.func.id if isinstance(iterable, ast.Call) and isinstance(iterable.func, ast.Name) else ""
        if isinstance(target, ast.Name):
            if function == "range":
                self._set(target.id, "int")
            elif self.guess(iterable) == "str":
                self._set(target.id, "str")
        elif isinstance(target, ast.Tuple) and function == "enumerate" and isinstance(target.elts[0], ast.Name):
            self._set(target.elts[0].id, "int")

    def _learn_from_use(self, node: ast.AST) -> None:
        if isinstance(node, ast.Call):
            func = node.func
            if isinstance(func, ast.Attribute) and isinstance(func.value, ast.Name) and func.attr in _METHODS:
                self._set(func.value.id, _METHODS[func.attr])
            if isinstance(func, ast.Name):
                if func.id == "range":
                    for argument in node.args:
                        if isinstance(argument, ast.Name):
                            self._set(argument.id, "int")
                if func.id in self._parameters:
                    self._set(func.id, "function")
        elif isinstance(node, ast.Slice):
            for part in (node.lower, node.upper, node.step):
                bound = part.operand if isinstance(part, ast.UnaryOp) else part
                if isinstance(bound, ast.Name):
                    self._set(bound.id, "int")
        elif isinstance(node, (ast.BinOp, ast.AugAssign)) and isinstance(node.op, _NUMERIC):
            self._learn_from_arithmetic(node)
        elif isinstance(node, ast.Compare) and len(node.ops) == 1 and isinstance(node.left, ast.Name):
            guess = self.guess(node.comparators[0])
            if guess in NUMBERS or guess == "str":
                self._set(node.left.id, guess)

    def _learn_from_arithmetic(self, node: ast.BinOp | ast.AugAssign) -> None:
        if isinstance(node, ast.AugAssign):
            guess = self.guess(node.value)
            maybe_set = isinstance(node.op, (ast.Sub, ast.BitAnd, ast.BitOr))
            if isinstance(node.target, ast.Name) and (guess in NUMBERS or (guess == "any" and not maybe_set)):
                self._set(node.target.id, "int" if guess == "any" else guess)
            return
        sure = isinstance(node.op, (ast.Div, ast.FloorDiv, ast.Pow))
        for one, other in ((node.left, node.right), (node.right, node.left)):
            guess = self.guess(other)
            if isinstance(one, ast.Name) and (guess in NUMBERS or (sure and guess == "any")):
                self._set(one.id, "int" if guess == "any" else guess)

    def guess(self, node: ast.expr) -> Guess:  # noqa: C901 - one branch a kind of node, read top to bottom
        """Return the guess for an expression."""
        match node:
            case ast.Constant(value=value):
                return _constant(value)
            case ast.Name(id=name):
                return self.name(name)
            case ast.List() | ast.ListComp():
                return "list"
            case ast.Dict() | ast.DictComp():
                return "dict"
            case ast.Set() | ast.SetComp():
                return "set"
            case ast.Tuple():
                return "tuple"
            case ast.GeneratorExp():
                return "iter"
            case ast.JoinedStr():
                return "str"
            case ast.Compare() | ast.UnaryOp(op=ast.Not()):
                return "bool"
            case ast.UnaryOp(operand=operand):
                return self.guess(operand)
            case ast.Lambda():
                return "function"
            case ast.BoolOp(values=values):
                return self.guess(values[-1])
            case ast.IfExp(body=body, orelse=orelse):
                one = self.guess(body)
                return one if one not in {"any", "none"} else self.guess(orelse)
            case ast.BinOp():
                return self._binary(node)
            case ast.Call():
                return self._call(node)
            case ast.Subscript(value=value, slice=ast.Slice()):
                return self.guess(value)
            case ast.Subscript(value=value):
                return "str" if self.guess(value) == "str" else "any"
            case ast.Attribute(value=ast.Name(id="self" | "cls"), attr=attr):
                return self.attribute(attr)
            case ast.NamedExpr(value=value):
                return self.guess(value)
            case _:
                return "any"

    def _binary(self, node: ast.BinOp) -> Guess:
        left, right = self.guess(node.left), self.guess(node.right)
        if isinstance(node.op, ast.Div):
            return "float" if left in NUMBERS or right in NUMBERS else "any"
        if isinstance(node.op, ast.Mod) and left in {"str", "bytes"}:
            return left
        if isinstance(node.op, ast.Mult):
            for guess in (left, right):
                if guess in SEQUENCES:
                    return guess
        if left == "any" and isinstance(node.op, (ast.Add, ast.Mult)):
            return right if right in SEQUENCES or isinstance(node.op, ast.Add) else "any"
        if "float" in {left, right}:
            return "float"
        if left == "bool":
            return right
        return left if left != "any" else right

    def _call(self, node: ast.Call) -> Guess:
        if isinstance(node.func, ast.Name):
            if node.func.id in {"min", "max", "abs", "next"} and node.args:
                inner = self.guess(node.args[0])
                return inner if inner in NUMBERS else "any"
            return _RETURNS.get(node.func.id, "any") if node.func.id not in self._module.functions else "any"
        if isinstance(node.func, ast.Attribute):
            if node.func.attr == "copy":
                return self.guess(node.func.value)
            if node.func.attr in {"get", "pop", "setdefault"} and len(node.args) == 2:
                return self.guess(node.args[1])
            return _METHOD_RETURNS.get(node.func.attr, "any")
        return "any"


def _constant(value: object) -> Guess:
    if value is None:
        return "none"
    for kind, guess in _CONSTANTS:
        if isinstance(value, kind):
            return guess
    return "any"


_CONSTANTS: tuple[tuple[type, Guess], ...] = (
    (bool, "bool"), (int, "int"), (float, "float"), (str, "str"), (bytes, "bytes"),
)  # fmt: skip


def _annotation(node: ast.expr) -> Guess:
    if isinstance(node, ast.Subscript):
        return _annotation(node.value)
    if isinstance(node, ast.Attribute):
        return _ANNOTATIONS.get(node.attr, "any")
    return _ANNOTATIONS.get(node.id, "any") if isinstance(node, ast.Name) else "any"


def compatible(one: Guess, other: Guess) -> bool:
    """Whether a value of the one type might stand where the other did."""
    if one == other or "any" in {one, other} or "none" in {one, other}:
        return True
    if one in NUMBERS and other in NUMBERS:
        return True
    return one in ITERABLE and other in ITERABLE and "iter" in {one, other}
