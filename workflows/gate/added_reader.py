"""Reads a test file that a patch adds: it may hold tests, and nothing that steers how tests are run or judged."""

from __future__ import annotations

import ast
import posixpath
from collections.abc import Collection

from sandbox.syntax import parse
from workflows.gate.syntax import is_main_guard
from workflows.gate.tamper_reader import Reader, TestNames, Trace
from workflows.gate.tamper_rules import MACHINERY

_FRAMEWORKS = frozenset({"pytest", "unittest", "mock", "hypothesis", "doctest", "nose"})
"""What a test is written with; to use it is no reach for the machinery."""
_LOOSENING = frozenset(
    {"skip", "skipif", "xfail", "skipIf", "skipUnless", "expectedFailure", "SkipTest", "importorskip", "skipTest"}
)
_STEERING = frozenset(
    {"pytest.exit", "pytest.main", "pytest.console_main", "pytest.hookimpl", "pytest.hookspec",
     "pytest.register_assert_rewrite", "unittest.main", "unittest.installHandler", "unittest.registerResult"}
)  # fmt: skip
_START = frozenset({"unittest.main", "pytest.main", "sys.exit", "SystemExit", "exit", "quit"})
"""What a test file may do where it is run as a program, which the runners of tests never do."""
_ORDINARY = frozenset(
    {"pickle.loads", "pickle.load", "subprocess", "multiprocessing", "sys.argv", "builtins", "mmap", "weakref.finalize",
     "gc", "gc.collect", "importlib.util", "pkgutil", "signal.signal", "sys.flags", "globals", "os.uname", "os.system",
     "os.popen", "threading.main_thread", "threading.enumerate", "sys.__stdout__", "sys.__stderr__"}
)  # fmt: skip
"""Names that product code is asked about, and that tests use as they like."""
_FLAGGED = frozenset({"sys.modules", "eval", "exec", "compile", "types.FunctionType", "types.CodeType"})
"""Refused in product code; in a test a person should look."""
_REFUSED = frozenset(
    {"sys.exit", "exit", "quit", "SystemExit", "KeyboardInterrupt", "inspect.getsource", "inspect.getsourcelines"}
)
"""Flagged in product code; no test needs to do it."""
_SPOKEN = frozenset({"assertEqual", "assertTrue", "TestCase", "failureException", "__closure__", "__subclasses__"})
"""Attributes that are refused in product code only."""
_STEERING_ATTRIBUTES = frozenset({"add_marker", "applymarker", "skipTest", "pluginmanager"})
_READ_AT_IMPORT = frozenset({"open", "io.open", "print"})
_CLOCKS = frozenset(
    {"time.time", "time.time_ns", "time.monotonic", "time.perf_counter", "time.localtime", "time.gmtime",
     "datetime.datetime.now", "datetime.datetime.utcnow", "datetime.datetime.today", "datetime.date.today",
     "random.random", "random.randint", "random.choice", "os.urandom", "uuid.uuid4", "secrets.token_hex"}
)  # fmt: skip
_CHANGING = frozenset({"setattr", "setitem", "delattr", "delitem", "object", "multiple", "dict"})
"""Methods of `monkeypatch` and `mock.patch`."""


def read_added(path: str, data: bytes, names: TestNames, products: Collection[str]) -> tuple[list[Trace], list[Trace]]:
    """Return what one added test file does that it may not do, and what a person should look at: (refused, flagged).

    Args:
        path: where the file lies.
        data: its contents.
        names: what the repository's own tests are called.
        products: paths of the other files that the patch changes.

    """
    try:
        module = parse(data)
    except (SyntaxError, ValueError, RecursionError):
        return [Trace("syntax", "refuse", "cannot be parsed, so it cannot be read", path, 1)], []
    reader = _AddedReader(path, module, names, products)
    reader.visit(module)
    traces = sorted(dict.fromkeys(reader.traces), key=lambda t: t.line)
    return [t for t in traces if t.weight == "refuse"], [t for t in traces if t.weight == "flag"]


class _AddedReader(Reader):
    """The reader of product code with other rules: frameworks may be used, and more of the rest is forbidden."""

    def __init__(self, path: str, module: ast.Module, names: TestNames, products: Collection[str]) -> None:
        super().__init__(path, module, names)
        self._products = sorted(products)
        self._as_program = False

    def _add(self, key: str, weight: str, sentence: str, node: ast.AST) -> None:
        kind, _, name = key.partition(":")
        if self._as_program and name in _START:
            return
        if kind == "place" or (kind == "import-time" and name in _READ_AT_IMPORT) or key == "hook:pytestmark":
            return
        if (kind == "attribute" and name in _SPOKEN) or (kind == "name" and name in _ORDINARY):
            return
        if kind == "set":
            weight = "refuse"
        elif kind == "name" and name in _FLAGGED:
            weight = "flag"
        elif kind == "name" and name in _REFUSED:
            weight = "refuse"
        self.traces.append(
            Trace(key, "refuse" if weight == "refuse" else "flag", sentence, self.path, getattr(node, "lineno", 1))
        )

    def _report_name(self, dotted: str, node: ast.AST, *, called: bool = False) -> bool:
        parts = dotted.split(".")
        if parts[0] not in _FRAMEWORKS or parts[0] in self._names.own:
            return super()._report_name(dotted, node, called=called)
        if not _LOOSENING.isdisjoint(parts):
            self._add(f"loose:{parts[-1]}", "refuse", f"skips a test, or expects it to fail (`{dotted}`)", node)
        elif dotted in _STEERING or parts[-1] in {"TestProgram", "TextTestRunner"}:
            self._add(f"steer:{dotted}", "refuse", f"steers how tests are run (`{dotted}`)", node)
        return True

    def _is_command(self) -> bool:
        return False

    def visit_If(self, node: ast.If) -> None:
        outer, self._as_program = self._as_program, self._as_program or is_main_guard(node)
        super().visit_If(node)
        self._as_program = outer

    def visit_Attribute(self, node: ast.Attribute) -> None:
        if node.attr in _STEERING_ATTRIBUTES or (
            node.attr in {"config", "session"} and isinstance(node.value, ast.Name) and node.value.id == "request"
        ):
            self._add(f"steer:{node.attr}", "refuse", f"steers how tests are run (`.{node.attr}`)", node)
        elif node.attr == "__file__" and self._resolve(node.value) is not None:
            self._add("source:__file__", "refuse", f"asks where source code lies (`{ast.unparse(node)}`)", node)
        super().visit_Attribute(node)

    def visit_FunctionDef(self, node: ast.FunctionDef | ast.AsyncFunctionDef) -> None:
        arguments = {a.arg for a in (*node.args.posonlyargs, *node.args.args, *node.args.kwonlyargs)}
        if "pytestconfig" in arguments:
            self._add("steer:pytestconfig", "refuse", "steers how tests are run (`pytestconfig`)", node)
        super().visit_FunctionDef(node)

    def visit_AsyncFunctionDef(self, node: ast.AsyncFunctionDef) -> None:
        self.visit_FunctionDef(node)

    def visit_Assign(self, node: ast.Assign) -> None:
        for target in node.targets:
            if isinstance(target, ast.Name) and target.id in {"collect_ignore_glob", "__test__"}:
                self._add(f"hook:{target.id}", "refuse", f"speaks to the test machinery (`{target.id}`)", node)
        super().visit_Assign(node)

    def visit_Call(self, node: ast.Call) -> None:
        dotted = self._resolve(node.func) or ""
        named = {k.arg: k.value.value for k in node.keywords if k.arg and isinstance(k.value, ast.Constant)}
        if dotted == "pytest.fixture" and named.get("autouse") and named.get("scope") in {"session", "package"}:
            self._add("steer:autouse", "refuse", "sets up something for the whole run of the tests", node)
        if isinstance(node.func, ast.Attribute) and node.func.attr in _CHANGING and node.args:
            top = (self._resolve(node.args[0]) or "").split(".")[0]
            if top in MACHINERY and top not in self._names.own:
                self._add(f"patch:{top}", "refuse", f"changes the test machinery (`{ast.unparse(node.args[0])}`)", node)
        super().visit_Call(node)

    def visit_Compare(self, node: ast.Compare) -> None:
        calls = [self._resolve(n.func) for n in ast.walk(node) if isinstance(n, ast.Call)]
        for dotted in calls:
            if dotted in _CLOCKS:
                self._add(f"clock:{dotted}", "flag", f"compares with the clock or with chance (`{dotted}`)", node)
        super().visit_Compare(node)

    def _word(self, text: str, node: ast.AST) -> None:
        if posixpath.basename(self.path) in text:
            return
        if text in {"git", ".git"} or text.startswith(("git ", ".git/")) or "/.git" in text:
            self._add("git", "flag", f"asks Git ({text[:60]!r})", node)
        for product in self._products:
            name = posixpath.basename(product)
            if text == product or text.endswith(f"/{product}") or (text == name and not name.startswith("__")):
                weight = "refuse" if "/" in text and product.endswith(".py") else "flag"
                self._add(f"product:{product}", weight, f"names a file that the patch changes ({text[:60]!r})", node)
                return
        if text in _FRAMEWORKS or text.startswith("__") or "greendiff" in text.lower():
            return
        super()._word(text, node)
