"""Rewrites target tests, in a sandbox's copy only, so that they must fail and tell which equalities are always true.

Every comparison goes through a function that also compares each side with objects that nothing should be equal to,
and at the end of every target test stand assertions that are false. A target that still passes does not depend on what
its assertions say, so something has reached into the machinery of the tests.
"""

from __future__ import annotations

import ast
import json
import secrets
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from sandbox.runners.report import Outcome, TestReport
from sandbox.syntax import parse
from workflows.gate.perturbing import CALLS, DIGITS, HELPERS, NEIGHBOURS

_HELPERS = """
class QQA:
    __slots__ = ()
class QQB:
    __slots__ = ()
QQseen = {{}}
QQops = {{"==": lambda a, b: a == b, "!=": lambda a, b: a != b, "<": lambda a, b: a < b,
         "<=": lambda a, b: a <= b, ">": lambda a, b: a > b, ">=": lambda a, b: a >= b,
         "in": lambda a, b: a in b, "not in": lambda a, b: a not in b}}
QQfar = ((int, (987654321, -123456789)), (float, (9.87654321e77, -1.25e-77)), (str, ("zq-7f3 far", "\\x00 near")),
         (bytes, (b"zq-7f3 far", b"\\x00 near")), (list, ([QQA], [QQB, 7])), (tuple, ((QQA,), (QQB, 7))),
         (dict, ({{QQA: 7}}, {{QQB: 8}})))
def QQhome(kind, name):
    import sys
    for base in kind.__mro__:
        if name in base.__dict__:
            method = base.__dict__[name]
            code = getattr(getattr(method, "fget", method), "__code__", None)
            if code is not None:
                return code.co_filename
            if base.__module__ in ("builtins",) or isinstance(method, type(object.__eq__)):
                return ""
            return getattr(sys.modules.get(base.__module__), "__file__", None) or ""
    return ""
def QQours(home):
    return home.startswith({root!r}) or (home.startswith("<") and home[:7] not in ("<frozen", "<attrs "))
def QQnote(what, kind, home):
    QQseen[(what, kind.__module__ + "." + kind.__qualname__, home)] = True
def QQtry(function, *values):
    try:
        return function(*values) is True
    except BaseException:
        return False
def QQlook(value, depth=0):
    kind = type(value)
    if kind in (list, tuple, set, frozenset) and depth < 3:
        for item in list(value)[:50]:
            QQlook(item, depth + 1)
    elif kind is dict and depth < 3:
        for item in list(value.values())[:50]:
            QQlook(item, depth + 1)
    home = QQhome(kind, "__eq__")
    if home and QQours(home):
        if QQtry(QQops["=="], value, QQA()) and QQtry(QQops["=="], value, QQB()):
            QQnote("equal to everything", kind, home)
        for base, far in QQfar:
            if isinstance(value, base) and kind is not base and all(QQtry(QQops["=="], value, f) for f in far):
                QQnote("equal to everything of its kind", kind, home)
    if "__class__" in {{n for b in kind.__mro__[:-1] for n in b.__dict__}}:
        home = QQhome(kind, "__class__")
        if home and QQours(home):
            QQnote("claiming another class", kind, home)
def QQcmp(left, name, right):
    QQlook(left)
    QQlook(right)
    kinds = {{"in": ("__contains__", right), "not in": ("__contains__", right), "!=": ("__ne__", left),
             "<": ("__lt__", left), "<=": ("__le__", left), ">": ("__gt__", left), ">=": ("__ge__", left)}}
    if name in kinds:
        method, owner = kinds[name]
        home = QQhome(type(owner), method)
        if home and QQours(home):
            if name == "!=":
                odd = QQtry(QQops[name], owner, owner)
            elif name in ("in", "not in"):
                odd = QQtry(QQops["in"], QQA(), owner) and QQtry(QQops["in"], QQB(), owner)
            else:
                odd = QQtry(QQops[name], owner, QQA()) and QQtry(QQops[name], owner, QQB())
            if odd:
                QQnote("true for everything in `" + name + "`", type(owner), home)
    return QQops[name](left, right)
def QQtwo(left, right):
    QQlook(left)
    QQlook(right)
    return left, right
def QQisa(value, kinds):
    for kind in (kinds if isinstance(kinds, tuple) else (kinds,)):
        home = QQhome(type(kind), "__instancecheck__")
        if home and QQours(home) and QQtry(isinstance, QQA(), kind) and QQtry(isinstance, QQB(), kind):
            QQnote("an instance of everything", type(kind), home)
    return isinstance(value, kinds)
def QQend(case, body):
    dead = []
    try:
        assert QQops["=="](1, 2)
    except AssertionError:
        pass
    else:
        dead.append("assert")
    if case is not None and hasattr(case, "failureException"):
        for name, values in (("assertEqual", (1, 2)), ("assertTrue", (False,)), ("assertIn", (1, [2]))):
            try:
                getattr(case, name)(*values)
            except AssertionError:
                pass
            else:
                dead.append(name)
    seen = [list(key) for key in QQseen]
    QQseen.clear()
    import json
    told = QQvary()
    raise AssertionError("{nonce} " + json.dumps({{"body": body, "dead": dead, "seen": seen[:4], "calls": told}}))
"""
_FRAME_BOUND = frozenset(
    {"super", "locals", "globals", "vars", "dir", "eval", "exec", "skip", "fail", "xfail", "warns"}
)
"""Functions that look at the frame that calls them, and what leads out of a test."""
_OPERATORS = {ast.Eq: "==", ast.NotEq: "!=", ast.Lt: "<", ast.LtE: "<=", ast.Gt: ">", ast.GtE: ">=", ast.In: "in",
              ast.NotIn: "not in"}  # fmt: skip


@dataclass(frozen=True, slots=True)
class ProbeFile:
    """A rewritten test file."""

    path: str
    data: bytes
    targets: tuple[str, ...]
    """Node ids that must fail with `nonce` at the start of their message."""
    nonce: str


@dataclass(frozen=True, slots=True)
class Probed:
    """What a run of rewritten tests showed."""

    immune: tuple[str, ...] = ()
    """Targets that do not fail although they end with a false assertion."""
    dead: tuple[str, ...] = ()
    """Assertions that let a falsehood pass."""
    always: tuple[tuple[str, str, str], ...] = ()
    """What is always true, of which class, defined in which file."""
    unclear: tuple[str, ...] = ()
    """Targets of which nothing can be said, with the reason."""
    different: tuple[str, ...] = ()
    """Targets whose own assertions failed only because the test file reads differently."""
    calls: tuple[tuple[str, ...], ...] = ()
    """Digests of the results of varied calls, see `workflows.gate.perturbing`."""
    probed: int = field(default=0)


class _Rewriter(ast.NodeTransformer):
    def __init__(self, prefix: str, wanted: frozenset[str]) -> None:
        self._prefix = prefix
        self._wanted = wanted
        self._inside = 0
        self._class = 0
        self._varied = 0
        self.found: set[str] = set()

    def _name(self, part: str) -> ast.Name:
        return ast.Name(f"{self._prefix}{part}", ast.Load())

    def visit_ClassDef(self, node: ast.ClassDef) -> ast.AST:
        self._class += 1
        self.generic_visit(node)
        self._class -= 1
        return node

    def visit_FunctionDef(self, node: ast.FunctionDef) -> ast.AST:
        return self._function(node)

    def visit_AsyncFunctionDef(self, node: ast.AsyncFunctionDef) -> ast.AST:
        return self._function(node)

    def _function(self, node: ast.FunctionDef | ast.AsyncFunctionDef) -> ast.AST:
        outer = self._inside
        self._inside += 1
        self._varied += node.name in self._wanted
        node.body = [self.visit(statement) for statement in node.body]
        self._inside -= 1
        self._varied -= node.name in self._wanted
        generator = any(isinstance(n, ast.Yield | ast.YieldFrom) for n in ast.walk(node))
        if not outer and node.name in self._wanted and not generator:
            self.found.add(node.name)
            first = node.args.args[0].arg if self._class and node.args.args else None
            case: ast.expr = ast.Name(first, ast.Load()) if first == "self" else ast.Constant(None)
            how = f"{self._prefix}how"
            ending = parse(
                f"{how} = ''\ntry:\n    pass\nexcept BaseException as {how}_e:\n"
                f"    {how} = type({how}_e).__name__\nfinally:\n    {self._prefix}end(None, {how})\n"
            ).body
            attempt = ending[1]
            assert isinstance(attempt, ast.Try)  # noqa: S101 - parsed above
            attempt.body = node.body
            call = attempt.finalbody[0]
            assert isinstance(call, ast.Expr) and isinstance(call.value, ast.Call)  # noqa: S101, PT018 - parsed above
            call.value.args[0] = case
            node.body = ending
        return node

    def visit_Compare(self, node: ast.Compare) -> ast.AST:
        self.generic_visit(node)
        name = _OPERATORS.get(type(node.ops[0])) if len(node.ops) == 1 else None
        if not self._inside or name is None:
            return node
        return ast.Call(self._name("cmp"), [node.left, ast.Constant(name), node.comparators[0]], [])

    def visit_Call(self, node: ast.Call) -> ast.AST:
        self.generic_visit(node)
        plain = not any(isinstance(a, ast.Starred) for a in node.args)
        name = node.func.id if isinstance(node.func, ast.Name) else getattr(node.func, "attr", "assert")
        ordinary = not name.startswith(("assert", "raises")) and name not in _FRAME_BOUND and name != "isinstance"
        if self._varied and plain and node.args and not node.keywords and ordinary:
            return ast.Call(self._name("call"), [node.func, *node.args], [])
        match node.func:
            case ast.Name(id="isinstance") if self._inside and plain and len(node.args) == 2:
                return ast.Call(self._name("isa"), node.args, [])
            case ast.Attribute(attr=attr) if attr.startswith("assert") and plain and len(node.args) >= 2:
                if self._inside and attr not in {"assertRaises", "assertRaisesRegex", "assertWarns", "assertLogs",
                                                 "assertWarnsRegex"}:  # fmt: skip
                    pair = ast.Starred(ast.Call(self._name("two"), node.args[:2], []), ast.Load())
                    node.args = [pair, *node.args[2:]]
        return node

    def visit_match_case(self, node: ast.match_case) -> ast.AST:
        node.body = [self.visit(statement) for statement in node.body]
        return node


def rewrite(path: str, source: bytes, targets: Mapping[str, str], root: str) -> ProbeFile | None:
    """Return the test file rewritten, or None where none of its targets can be.

    Args:
        path: of the test file in the tree.
        source: its contents.
        targets: node ids of that file, with the names of their functions.
        root: absolute path of the work tree in the sandbox.

    """
    try:
        module = parse(source)
    except (SyntaxError, ValueError, RecursionError):
        return None
    letters = "abcdefghijklmnopqrstuvwxyz"
    word = "".join(secrets.choice(letters) for _ in range(12))
    rewriter = _Rewriter(f"_{word}_", frozenset(targets.values()))
    module = ast.fix_missing_locations(rewriter.visit(module))
    found = tuple(t for t, name in targets.items() if name in rewriter.found)
    if not found:
        return None
    nonce = f"probe {word}"
    helpers = parse(
        (_HELPERS + HELPERS)
        .format(root=root.rstrip("/") + "/", nonce=nonce, calls=CALLS, neighbours=NEIGHBOURS, digits=DIGITS)
        .replace("QQ", f"_{word}_")
    ).body
    at = 0
    for number, statement in enumerate(module.body):
        is_doc = number == 0 and isinstance(statement, ast.Expr) and isinstance(statement.value, ast.Constant)
        if is_doc or (isinstance(statement, ast.ImportFrom) and statement.module == "__future__"):
            at = number + 1
    module.body[at:at] = helpers
    try:
        return ProbeFile(path, ast.unparse(module).encode("utf-8", "surrogatepass"), found, nonce)
    except (ValueError, RecursionError):
        return None


def judge_probe(files: Iterable[ProbeFile], report: TestReport) -> Probed:
    """Read what the rewritten tests reported."""
    immune, unclear, different, dead, always = [], [], [], [], []
    calls: list[tuple[str, ...]] = []
    probed = 0
    for file in files:
        for target in file.targets:
            result = next((r for r in report.results if r.node_id == target), None)
            if result is None:
                unclear.append(f"{target}: was not run when its assertions were turned round")
                continue
            if not result.outcome.bad:
                if result.outcome is Outcome.SKIPPED:
                    unclear.append(f"{target}: was skipped when its assertions were turned round")
                else:
                    immune.append(target)
                continue
            found = _payload(result.message, file.nonce)
            if found is None:
                unclear.append(
                    f"{target}: failed in another way ({result.exception}) when its assertions were turned round"
                )
                continue
            probed += 1
            dead += [str(name) for name in found["dead"]]
            always += [(str(a), str(b), str(c)) for a, b, c in found["seen"]]
            calls += [tuple(map(str, call)) for call in found.get("calls", []) if len(call) == 4]
            if found["body"]:
                different.append(f"{target}: {found['body']}")
    return Probed(tuple(immune), tuple(dict.fromkeys(dead)), tuple(dict.fromkeys(always)), tuple(unclear),
                  tuple(different), tuple(calls), probed)  # fmt: skip


def _payload(message: str, nonce: str) -> dict[str, list[list[str]]] | None:
    at = message.find(nonce)
    if at < 0:
        return None
    try:
        found, _ = json.JSONDecoder().raw_decode(message[at + len(nonce) :].lstrip())
    except ValueError:
        # The message was trimmed; that it failed with the nonce is what matters most.
        return {"body": [], "dead": [], "seen": []}
    return found if isinstance(found, dict) and {"body", "dead", "seen"} <= found.keys() else None
