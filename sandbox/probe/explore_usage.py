"""What a function's body, docstring and names say about the kinds of its parameters."""

from __future__ import annotations

import ast
import re
from typing import Any, Dict, Iterator, List, Optional, Set

_NUMBER_CALLS = {"range", "abs", "round", "chr", "divmod", "bin", "hex", "pow", "isqrt", "sqrt", "floor", "ceil"}
_SERIES_CALLS = {"sorted", "list", "set", "tuple", "sum", "min", "max", "enumerate", "zip", "iter", "map", "filter",
                 "any", "all", "reversed", "frozenset", "heapify", "chain", "Counter", "next"}  # fmt: skip
_TEXT_CALLS = {"ord", "search", "match", "fullmatch", "findall", "finditer", "sub", "split", "normalize", "unhexlify"}
_TEXT = {"lower", "upper", "strip", "lstrip", "rstrip", "split", "rsplit", "splitlines", "startswith", "endswith",
         "replace", "isdigit", "isalpha", "isupper", "islower", "isspace", "isalnum", "title", "capitalize", "encode",
         "join", "find", "rfind", "format", "partition", "rpartition", "zfill", "ljust", "rjust", "casefold",
         "translate", "swapcase", "isnumeric", "isidentifier", "center", "expandtabs"}  # fmt: skip
_TABLE = {"items", "keys", "values", "setdefault", "update", "get", "popitem"}
_SERIES = {"append", "extend", "insert", "sort", "reverse", "remove"}
_WORDS = {
    "int": "int", "integer": "int", "number": "int", "float": "float", "str": "str", "string": "str", "text": "str",
    "bytes": "bytes", "bool": "bool", "boolean": "bool", "list": "list", "sequence": "list", "array": "list",
    "iterable": "list", "tuple": "tuple", "dict": "dict", "dictionary": "dict", "mapping": "dict", "set": "set",
    "callable": "callable", "function": "callable", "predicate": "callable",
}  # fmt: skip
_NAMES = (
    (re.compile(r"^(n|m|k|i|j|num|number|count|size|index|idx|width|height|length|year|month|day|start|stop|end|step|"
                r"limit|depth|level|base|exp|exponent|capacity|maxsize|max_\w+|min_\w+|\w+_size|\w+_count|n_\w+|num_\w+|"
                r"pos|position|offset|indent|times|amount|low|high|lo|hi|left|right)$"), "int"),
    (re.compile(r"^(s|t|text|string|word|name|line|prefix|suffix|sep|separator|char|ch|c|sentence|phrase|pattern|title|"
                r"str\d?|s\d|\w+_str|\w+_name|label|msg|message|token|source|target|roman|html|url|version)$"), "str"),
    (re.compile(r"^(f|fn|func|function|callback|predicate|pred|cmp|op|mapper|reducer|\w+_func|\w+_fn|factory)$"),
     "callable"),
    (re.compile(r"^(items|seq|sequence|iterable|it|lst|l|arr|array|values|nums|numbers|data|xs|ys|elements|args|list\d?|"
                r"words|lines|strings|keys|points|\w+_list|weights|coins|prices|intervals|edges|nodes)$"), "list"),
    (re.compile(r"^(d|dct|dic|dict\d?|mapping|kwargs|options|config|graph|counts|table|\w+_dict|\w+_map)$"), "dict"),
    (re.compile(r"^(is_\w+|has_\w+|reverse|reversed|strict|flag|ascending|descending|inclusive|recursive|ignore_\w+|"
                r"case_sensitive|verbose|inplace|allow_\w+|use_\w+|include_\w+|keep_\w+)$"), "bool"),
    (re.compile(r"^(matrix|grid|board|rows)$"), "matrix"),
)  # fmt: skip

Kinds = Dict[str, float]
"""Kind → weight."""
Function = Any
"""A FunctionDef, AsyncFunctionDef or Lambda."""


class Usage:
    """What is known of the parameters of one function."""

    def __init__(self, node: Function, functions: Dict[str, Function]) -> None:
        """Read a function; `functions` are its module's own, whose parameters say something about what they get."""
        self._functions = functions
        self._parents: Dict[ast.AST, ast.AST] = {}
        for parent in ast.walk(node):
            for child in ast.iter_child_nodes(parent):
                self._parents[child] = parent
        self._node = node
        self._doc = ast.get_docstring(node) or "" if not isinstance(node, ast.Lambda) else ""

    def kinds(self, name: str, depth: int = 2) -> Kinds:
        """Return the kinds of a parameter with their weights; empty where nothing is known."""
        found: Kinds = {}
        for node in ast.walk(self._node):
            if isinstance(node, ast.Name) and node.id == name and isinstance(node.ctx, ast.Load):
                for kind in self._of_use(node, depth):
                    found[kind] = found.get(kind, 0.0) + 1.0
        for kind in self._of_doc(name):
            found[kind] = found.get(kind, 0.0) + 4.0
        if depth == 2:
            for pattern, kind in _NAMES:
                if pattern.match(name.lower().lstrip("_")):
                    found[kind] = found.get(kind, 0.0) + 1.5
        return found

    def arity(self, name: str) -> Optional[int]:
        """Return with how many arguments a parameter is called, None where it is not."""
        for node in ast.walk(self._node):
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == name:
                return len(node.args)
        return None

    def kept_as(self, name: str, around: ast.AST) -> Optional[int]:
        """Return with how many arguments a class calls what a parameter is kept as, None where it does not."""
        kept: Set[str] = set()
        for node in ast.walk(self._node):
            if isinstance(node, ast.Assign) and isinstance(node.value, ast.Name) and node.value.id == name:
                kept |= {target.attr for target in node.targets if isinstance(target, ast.Attribute)}
        for node in ast.walk(around):
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr in kept:
                return len(node.args)
        return None

    def _of_doc(self, name: str) -> Iterator[str]:
        for pattern in (r":type\s+%s:\s*([^\n]+)", r":param\s+(\w+)\s+%s:", r"^\s*%s\s*(?:\(|:)\s*([^\n):]+)"):
            for text in re.findall(pattern % re.escape(name), self._doc, re.MULTILINE):
                for word in re.findall(r"[a-z]+", text.lower())[:4]:
                    if word in _WORDS:
                        yield _WORDS[word]
                        break

    def _of_use(self, node: ast.Name, depth: int) -> Iterator[str]:
        parent = self._parents.get(node)
        if isinstance(parent, ast.Call):
            yield from self._of_call(node, parent, depth)
        elif isinstance(parent, ast.Attribute):
            for names, kind in ((_TEXT, "str"), (_TABLE, "dict"), (_SERIES, "list"), ({"decode"}, "bytes")):
                if parent.attr in names:
                    yield kind
        elif isinstance(parent, (ast.For, ast.comprehension)) and parent.iter is node:
            yield "list"
            if isinstance(parent.target, ast.Name) and depth:
                element = self.kinds(parent.target.id, 0)
                if element:
                    yield "list of " + max(element, key=lambda kind: element[kind])
        elif isinstance(parent, ast.Starred):
            yield "list"
        elif isinstance(parent, ast.Subscript) and parent.value is node:
            index = parent.slice
            index = getattr(index, "value", index) if type(index).__name__ == "Index" else index
            if isinstance(index, ast.Constant) and isinstance(index.value, str):
                yield "dict"
            elif isinstance(index, ast.Subscript) or isinstance(self._parents.get(parent), ast.Subscript):
                yield "matrix"
            else:
                yield "list"
                yield "str" if isinstance(index, (ast.Slice, ast.Constant)) else "dict"
        elif isinstance(parent, (ast.BinOp, ast.AugAssign, ast.UnaryOp)):
            yield from self._of_arithmetic(node, parent)
        elif isinstance(parent, ast.Compare):
            yield from self._of_comparison(node, parent)

    def _of_call(self, node: ast.Name, call: ast.Call, depth: int) -> Iterator[str]:
        if call.func is node:
            yield "callable"
            return
        name = getattr(call.func, "id", getattr(call.func, "attr", ""))
        if name == "isinstance" and len(call.args) == 2 and call.args[0] is node:
            for inner in ast.walk(call.args[1]):
                word = getattr(inner, "id", getattr(inner, "attr", "")).lower()
                if word in _WORDS:
                    yield _WORDS[word]
        elif name == "len":
            yield "list"
            yield "str"
        elif name in _NUMBER_CALLS or name in ("int", "float"):
            yield "float" if name == "float" else "int"
        elif name in _SERIES_CALLS:
            yield "list"
        elif name in _TEXT_CALLS:
            yield "str"
        elif name == "join":
            yield "list of str"
        elif depth and name in self._functions:
            callee = self._functions[name]
            names = [a.arg for a in [*getattr(callee.args, "posonlyargs", []), *callee.args.args]]
            for position, argument in enumerate(call.args):
                if argument is node and position < len(names):
                    yield from Usage(callee, {}).kinds(names[position], 1)

    def _of_arithmetic(self, node: ast.Name, parent: Any) -> Iterator[str]:
        other = None
        if isinstance(parent, ast.BinOp):
            other = parent.right if parent.left is node else parent.left
            formats = isinstance(parent.op, ast.Mod) and parent.right is node
            if formats and isinstance(other, (ast.Constant, ast.JoinedStr)) and not _is_number(other):
                return
        if isinstance(other, ast.Constant) and isinstance(other.value, str):
            yield "str"
        elif isinstance(other, (ast.List, ast.ListComp)):
            yield "list"
        elif isinstance(other, ast.Constant) and isinstance(other.value, float):
            yield "float"
        elif not (isinstance(parent, ast.UnaryOp) and isinstance(parent.op, ast.Not)):
            yield "int"

    def _of_comparison(self, node: ast.Name, parent: ast.Compare) -> Iterator[str]:
        operands: List[ast.expr] = [parent.left, *parent.comparators]
        if parent.left is not node and isinstance(parent.ops[-1], (ast.In, ast.NotIn)):
            yield "list"
            yield "dict"
            return
        for other in operands:
            if isinstance(other, ast.Constant):
                kind = type(other.value).__name__
                if kind in ("int", "float", "str", "bytes"):
                    yield kind
                elif other.value is None:
                    yield "None"
            elif isinstance(other, ast.Name) and other is not node and isinstance(parent.ops[0], (ast.Lt, ast.Gt)):
                yield "int"


def _is_number(node: Any) -> bool:
    return isinstance(getattr(node, "value", 0), (int, float))


def constants(node: ast.AST) -> List[Any]:
    """Return the numbers and texts that stand in a piece of code, in order, without documentation."""
    found: List[Any] = []
    texts: Set[int] = set()
    for inner in ast.walk(node):
        if isinstance(inner, ast.Expr) and isinstance(inner.value, ast.Constant):
            texts.add(id(inner.value))
    for inner in ast.walk(node):
        if isinstance(inner, ast.Constant) and id(inner) not in texts:
            value = inner.value
            short = not isinstance(value, (str, bytes)) or len(value) <= 40
            if type(value) in (int, float, str, bytes) and value not in found and len(found) < 300 and short:
                found.append(value)
    return found
