"""Reads one Python file for what matters to the gate: reaching for tests, machinery, processes, other modules."""

from __future__ import annotations

import ast
from dataclasses import dataclass

from workflows.gate.syntax import docstrings, folded, import_time_nodes, is_main_guard, returns
from workflows.gate.tamper_rules import (
    ASSIGNED_ATTRIBUTES,
    ATTRIBUTES,
    CALL_ONLY,
    COMPARISONS,
    IMPORT_TIME_METHODS,
    IMPORT_TIME_REFUSED,
    MACHINERY,
    NAMES,
    PLACE_VARIABLES,
    WORDS,
    Weight,
)

_BUILTINS = frozenset(name for name in NAMES if "." not in name) & frozenset(
    {"eval", "exec", "execfile", "compile", "globals", "breakpoint", "quit", "exit", "SystemExit", "KeyboardInterrupt",
     "__builtins__"}
)  # fmt: skip
_COMMAND_FUNCTIONS = frozenset({"main", "_main", "cli", "run", "run_cli", "entry_point"})


@dataclass(frozen=True, slots=True)
class Trace:
    """One thing that product code does and that matters to the gate."""

    key: str
    """What is counted: the same key on the base is no news."""
    weight: Weight
    sentence: str
    path: str
    line: int

    def __str__(self) -> str:
        """Return the place and what is done there."""
        return f"{self.path}:{self.line}: {self.sentence}"


@dataclass(frozen=True, slots=True)
class TestNames:
    """What product code could call the tests by."""

    __test__ = False

    files: frozenset[str]
    """Paths of test files."""
    modules: frozenset[str]
    """Dotted names under which they could be imported."""
    own: frozenset[str]
    """Top-level names that the repository itself provides."""


def _lookup(dotted: str) -> str | None:
    """Return the longest listed name that is `dotted` or holds it."""
    parts = dotted.split(".")
    for length in range(len(parts), 0, -1):
        name = ".".join(parts[:length])
        if name in NAMES:
            return name
    return None


class Reader(ast.NodeVisitor):
    """Collects the traces of one module."""

    def __init__(self, path: str, module: ast.Module, names: TestNames) -> None:
        self.path = path
        self.traces: list[Trace] = []
        self._names = names
        self._docs = docstrings(module)
        self._aliases: dict[str, str] = {}
        self._bound = {n.name for n in ast.walk(module) if isinstance(n, ast.FunctionDef | ast.ClassDef)}
        self._bound |= {n.arg for n in ast.walk(module) if isinstance(n, ast.arg)}
        self._bound |= {n.id for n in ast.walk(module) if isinstance(n, ast.Name) and isinstance(n.ctx, ast.Store)}
        self._learn_aliases(module)
        self._import_time = import_time_nodes(module)
        self._functions: list[str] = []
        self._command = path.rsplit("/", 1)[-1] in {"__main__.py", "cli.py", "main.py", "setup.py"}

    def _learn_aliases(self, module: ast.Module) -> None:
        for node in ast.walk(module):
            if isinstance(node, ast.Import):
                for alias in node.names:
                    top = alias.name.split(".")[0]
                    self._aliases[alias.asname or top] = alias.name if alias.asname else top
            elif isinstance(node, ast.ImportFrom):
                start = "." * node.level + (node.module or "")
                for alias in node.names:
                    self._aliases[alias.asname or alias.name] = f"{start}.{alias.name}"
        for _ in range(3):
            for node in ast.walk(module):
                if isinstance(node, ast.Assign) and len(node.targets) == 1 and isinstance(node.targets[0], ast.Name):
                    dotted = self._resolve(node.value)
                    if dotted and not isinstance(node.value, ast.Constant):
                        self._aliases.setdefault(node.targets[0].id, dotted)

    def _resolve(self, node: ast.AST) -> str | None:
        """Return the dotted name of an imported thing or listed built-in that an expression stands for."""
        match node:
            case ast.Name(id=name):
                if name in self._aliases:
                    return self._aliases[name]
                return name if name in _BUILTINS and name not in self._bound else None
            case ast.Attribute(value=value, attr=attr):
                start = self._resolve(value)
                return f"{start}.{attr}" if start else None
            case ast.Call(func=ast.Name(id="getattr"), args=[value, ast.Constant(value=str(attr)), *_]):
                start = self._resolve(value)
                return f"{start}.{attr}" if start else None
            case ast.Call(func=ast.Name(id="vars"), args=[value]):
                start = self._resolve(value)
                return f"{start}.__dict__" if start else None
            case ast.Call(func=ast.Name(id="__import__"), args=[ast.Constant(value=str(name)), *_]):
                return name
            case ast.Call(func=func, args=[ast.Constant(value=str(name)), *_]):
                return name if self._resolve(func) in {"importlib.import_module", "importlib.__import__"} else None
            case ast.Subscript(value=value, slice=ast.Constant(value=str(attr))):
                start = self._resolve(value)
                return f"{start[:-9]}.{attr}" if start and start.endswith(".__dict__") else None
        return None

    def _add(self, key: str, weight: Weight, sentence: str, node: ast.AST) -> None:
        self.traces.append(Trace(key, weight, sentence, self.path, getattr(node, "lineno", 1)))

    def _report_name(self, dotted: str, node: ast.AST, *, called: bool = False) -> bool:
        top = dotted.partition(".")[0]
        if top in MACHINERY and top not in self._names.own:
            self._add(f"machinery:{top}", "refuse", f"uses the test machinery `{dotted}`", node)
            return True
        if dotted in self._names.modules or any(dotted.startswith(f"{m}.") for m in self._names.modules if "." in m):
            self._add(f"tests:{dotted}", "refuse", f"imports from the tests (`{dotted}`)", node)
            return True
        name = _lookup(dotted)
        if name is None or (name in CALL_ONLY and not called) or top in self._names.own:
            return False
        weight, does = NAMES[name]
        if name in {"sys.exit", "SystemExit", "exit", "quit"} and self._is_command():
            return False
        self._add(f"name:{name}", weight, f"{does} (`{dotted}`)", node)
        return True

    def _is_command(self) -> bool:
        return bool(self._functions) and (self._command or any(f in _COMMAND_FUNCTIONS for f in self._functions))

    def visit_Import(self, node: ast.Import) -> None:
        for alias in node.names:
            if alias.name != "gc":  # what is used of it decides
                self._report_name(alias.name, node)

    def visit_ImportFrom(self, node: ast.ImportFrom) -> None:
        start = "." * node.level + (node.module or "")
        for alias in node.names:
            if alias.name == "*" and start in {"os", "sys", "inspect", "builtins", "traceback", "signal", "threading"}:
                self._add(f"star:{start}", "refuse", f"takes every name of `{start}`", node)
            full = f"{start}.{alias.name}"
            if node.level and full.lstrip(".").split(".")[0] not in MACHINERY:
                full = full.lstrip(".")
                if full in self._names.modules:
                    self._add(f"tests:{full}", "refuse", f"imports from the tests (`{full}`)", node)
                continue
            self._report_name(full, node)

    def visit_FunctionDef(self, node: ast.FunctionDef | ast.AsyncFunctionDef) -> None:
        if node.name.startswith("pytest_"):
            self._add(f"hook:{node.name}", "refuse", f"defines a hook of the test machinery (`{node.name}`)", node)
        self._functions.append(node.name)
        self.generic_visit(node)
        self._functions.pop()

    def visit_AsyncFunctionDef(self, node: ast.AsyncFunctionDef) -> None:
        self.visit_FunctionDef(node)

    def visit_If(self, node: ast.If) -> None:
        if not is_main_guard(node):
            self.generic_visit(node)
            return
        self._functions.append("main")
        for statement in node.body:
            self.visit(statement)
        self._functions.pop()
        for statement in node.orelse:
            self.visit(statement)

    def visit_ClassDef(self, node: ast.ClassDef) -> None:
        for statement in node.body:
            if isinstance(statement, ast.FunctionDef):
                self._method(node.name, statement.name, statement.args, returns(statement), statement, statement)
            elif isinstance(statement, ast.Assign) and isinstance(statement.value, ast.Lambda):
                for target in statement.targets:
                    if isinstance(target, ast.Name):
                        value = statement.value
                        self._method(node.name, target.id, value.args, [value.body], value.body, statement)
        self.generic_visit(node)

    def _method(
        self, owner: str, name: str, arguments: ast.arguments, results: list[ast.expr], body: ast.AST, node: ast.AST
    ) -> None:
        """Judge a method: comparisons that do not look at their argument, and lies about the class."""
        if name == "__class__":
            self._add(f"class:{owner}", "refuse", f"`{owner}` claims to be of another class", node)
        if name not in COMPARISONS:
            return
        parameters = [a.arg for a in (*arguments.posonlyargs, *arguments.args)][1:]
        used = {n.id for n in ast.walk(body) if isinstance(n, ast.Name) and isinstance(n.ctx, ast.Load)}
        constant = bool(results) and all(isinstance(r, ast.Constant) and bool(r.value) for r in results)
        humble = any(
            (isinstance(r, ast.Name) and r.id == "NotImplemented") or (isinstance(r, ast.Constant) and not r.value)
            for r in results
        )
        blind = bool(results) and not used.intersection(parameters) and not humble
        if constant or blind:
            self._add(
                f"blind:{owner}.{name}", "refuse", f"`{owner}.{name}` does not look at what it compares with", node
            )

    def visit_Assign(self, node: ast.Assign) -> None:
        for target in node.targets:
            self._assigned(target, node)
            if isinstance(target, ast.Name) and target.id in {"pytest_plugins", "pytestmark", "collect_ignore"}:
                self._add(f"hook:{target.id}", "refuse", f"speaks to the test machinery (`{target.id}`)", node)
        self.generic_visit(node)

    def visit_AugAssign(self, node: ast.AugAssign) -> None:
        self._assigned(node.target, node)
        self.generic_visit(node)

    def visit_AnnAssign(self, node: ast.AnnAssign) -> None:
        if node.value is not None:
            self._assigned(node.target, node)
        self.generic_visit(node)

    def visit_Delete(self, node: ast.Delete) -> None:
        for target in node.targets:
            self._assigned(target, node)
        self.generic_visit(node)

    def _assigned(self, target: ast.expr, node: ast.AST) -> None:
        if isinstance(target, ast.Tuple | ast.List):
            for element in target.elts:
                self._assigned(element, node)
        elif isinstance(target, ast.Attribute):
            self._attribute_set(target.value, target.attr, node)

    def _attribute_set(self, owner: ast.expr, attr: str, node: ast.AST) -> None:
        dotted = self._resolve(owner)
        text = f"{ast.unparse(owner)}.{attr}"
        if attr in COMPARISONS:
            self._add(f"graft:{attr}", "refuse", f"puts a method of comparison onto a class (`{text}`)", node)
        elif attr in ASSIGNED_ATTRIBUTES:
            weight: Weight = "flag" if attr in {"__class__", "__wrapped__"} else "refuse"
            self._add(f"rewrite:{attr}", weight, f"rewrites another object's nature (`{text}`)", node)
        elif dotted is not None:
            own = dotted.startswith(".") or dotted.split(".")[0] in self._names.own
            self._add(f"set:{dotted}.{attr}", "flag" if own else "refuse", f"changes `{text}` for everyone", node)

    def visit_Call(self, node: ast.Call) -> None:
        dotted = self._resolve(node.func)
        method = node.func.attr if isinstance(node.func, ast.Attribute) else ""
        name = dotted or (node.func.id if isinstance(node.func, ast.Name) else "")
        if name in {"setattr", "delattr"} and node.args:
            attr = node.args[1] if len(node.args) > 1 else None
            self._attribute_set(node.args[0], attr.value if isinstance(attr, ast.Constant) and isinstance(
                attr.value, str) else "?", node)  # fmt: skip
        if name in {"__import__", "importlib.import_module"} and not isinstance(node.args[0] if node.args else None,
                                                                               ast.Constant):  # fmt: skip
            self._add(f"import:{name}", "refuse" if name == "__import__" else "flag", "imports a computed name", node)
        if id(node) in self._import_time and (
            IMPORT_TIME_REFUSED.match(name) or (method in IMPORT_TIME_METHODS and dotted is None)
        ):
            what = f"acts while it is imported (`{ast.unparse(node.func)}`)"
            self._add(f"import-time:{name or method}", "refuse", what, node)
        if dotted in {"os.getenv", "os.environ.get", "os.environ.pop", "os.environ.setdefault"}:
            self._variable(node.args[0] if node.args else None, node)
        whole = self._resolve(node)
        if (whole and self._report_name(whole, node)) or (dotted and self._report_name(dotted, node, called=True)):
            for child in (*node.args, *node.keywords):
                self.visit(child)
            return
        self.generic_visit(node)

    def visit_Raise(self, node: ast.Raise) -> None:
        raised = node.exc.func if isinstance(node.exc, ast.Call) else node.exc
        dotted = self._resolve(raised) if raised is not None else None
        if dotted in CALL_ONLY:
            if id(node) in self._import_time:
                self._add(f"import-time:{dotted}", "refuse", f"raises {dotted} while it is imported", node)
            self._report_name(dotted, node, called=True)
        self.generic_visit(node)

    def visit_Subscript(self, node: ast.Subscript) -> None:
        if self._resolve(node.value) == "os.environ":
            self._variable(node.slice, node)
        if (
            self._resolve(node.value) == "sys.modules"
            and isinstance(node.slice, ast.Name)
            and node.slice.id == "__name__"
        ):
            return  # a module that looks at itself
        dotted = self._resolve(node)
        if not (dotted and self._report_name(dotted, node)):
            self.generic_visit(node)

    def visit_Compare(self, node: ast.Compare) -> None:
        for operator, right in zip(node.ops, node.comparators, strict=True):
            if isinstance(operator, ast.In | ast.NotIn) and self._resolve(right) == "os.environ":
                self._variable(node.left, node)
        self.generic_visit(node)

    def visit_For(self, node: ast.For) -> None:
        self._iterated(node.iter)
        self.generic_visit(node)

    def visit_comprehension(self, node: ast.comprehension) -> None:
        self._iterated(node.iter)
        self.generic_visit(node)

    def _iterated(self, node: ast.expr) -> None:
        if (self._resolve(node) or "").startswith("os.environ") or (
            isinstance(node, ast.Call) and (self._resolve(node.func) or "").startswith("os.environ")
        ):
            self._add("environ:*", "refuse", "searches the variables of the environment", node)

    def _variable(self, key: ast.expr | None, node: ast.AST) -> None:
        if not isinstance(key, ast.Constant) or not isinstance(key.value, str):
            self._add("environ:?", "flag", "reads a variable of the environment by a computed name", node)
        elif PLACE_VARIABLES.search(key.value):
            self._add(f"environ:{key.value}", "refuse", f"asks where it runs (variable {key.value})", node)

    def visit_Attribute(self, node: ast.Attribute) -> None:
        dotted = self._resolve(node)
        if dotted and self._report_name(dotted, node):
            return
        if node.attr in ATTRIBUTES:
            weight, does = ATTRIBUTES[node.attr]
            self._add(f"attribute:{node.attr}", weight, f"{does} (`.{node.attr}`)", node)
        self.generic_visit(node)

    def visit_Name(self, node: ast.Name) -> None:
        dotted = self._resolve(node)
        if isinstance(node.ctx, ast.Load) and dotted:
            self._report_name(dotted, node)

    def visit_BinOp(self, node: ast.BinOp) -> None:
        text = folded(node)
        if text is not None:
            self._word(text, node)
        self.generic_visit(node)

    def visit_Constant(self, node: ast.Constant) -> None:
        if isinstance(node.value, bytes):
            self._word(node.value.decode("latin-1"), node)
        if isinstance(node.value, str) and id(node) not in self._docs:
            self._word(node.value, node)

    def _word(self, text: str, node: ast.AST) -> None:
        for pattern, does in WORDS:
            if pattern.search(text):
                self._add(f"word:{text[:80]}", "refuse", f"{does} ({text[:60]!r})", node)
                return
        for path in self._names.files:
            name = path.rsplit("/", 1)[-1]
            if name in text or text == name.removesuffix(".py"):
                self._add(f"file:{name}", "refuse", f"names the test file {name}", node)
                return
        if text in self._names.modules or text.strip("/") in {"tests", "test"} or text.startswith(("tests/", "test_*")):
            self._add(f"place:{text[:80]}", "flag", f"names a place of tests ({text[:60]!r})", node)
