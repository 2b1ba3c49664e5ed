"""Imports of the repository's files: from source only, never from bytecode, and with sources replaced in memory."""

import ast
import importlib.util
import linecache
import sys
from importlib.machinery import (
    BYTECODE_SUFFIXES,
    EXTENSION_SUFFIXES,
    SOURCE_SUFFIXES,
    ExtensionFileLoader,
    FileFinder,
    SourceFileLoader,
    SourcelessFileLoader,
)

TYPE_CHECKING = False
if TYPE_CHECKING:
    from types import CodeType
    from typing import Any, Callable, Dict, Mapping, Optional

_overlay: "Dict[str, bytes]" = {}


class SourceLoader(SourceFileLoader):
    """Compiles what is in the file now, or in its place; stale bytecode is nobody's business."""

    def get_data(self, path: str) -> bytes:
        """Return the replaced source where there is one."""
        found = _overlay.get(path)
        return super().get_data(path) if found is None else found

    def get_code(self, fullname: str) -> "Optional[CodeType]":
        """Compile the source without a look at the cache."""
        path = self.get_filename(fullname)
        return self.source_to_code(self.get_data(path), path)


def install(root: str, relative: "Callable[[str], Optional[str]]", overlay: "Mapping[str, bytes]") -> None:
    """Load the modules below `root` from source from now on; `overlay` maps relative paths to what they hold.

    Tracebacks, `inspect` and `linecache` show the replaced source too. A path must exist on the disk, too; one that
    does not raises FileNotFoundError.
    """
    details = (
        (ExtensionFileLoader, EXTENSION_SUFFIXES),
        (SourceLoader, SOURCE_SUFFIXES),
        (SourcelessFileLoader, BYTECODE_SUFFIXES),
    )

    def hook(path: str) -> FileFinder:
        if path != root and relative((path or root) + "/x") is None:
            raise ImportError("not a folder of the repository")
        return FileFinder(path or ".", *details)

    sys.path_hooks.insert(0, hook)
    for path in list(sys.path_importer_cache):
        if path == root or path.startswith(root + "/"):
            del sys.path_importer_cache[path]
    _overlay.clear()
    for name, source in overlay.items():
        path = root + "/" + name
        with open(path, "rb"):
            _overlay[path] = source
        try:
            text = importlib.util.decode_source(source)
        except (SyntaxError, UnicodeDecodeError):
            continue
        # Without a time of change, linecache never looks at the disk again.
        linecache.cache[path] = (len(source), None, text.splitlines(True), path)
    if overlay and "_pytest.assertion.rewrite" in sys.modules:
        _teach_rewriter(sys.modules["_pytest.assertion.rewrite"])


def watch(mark: "Callable[[ast.Module, str], None]") -> None:
    """Show `mark` the syntax tree of every module before it is compiled, however it is loaded; it may change it."""
    compile_source = SourceFileLoader.source_to_code

    def source_to_code(self: "Any", data: "Any", path: "Any", **options: "Any") -> "Any":
        if isinstance(data, bytes) and isinstance(path, str):
            try:
                tree = ast.parse(data, path)
                mark(tree, path)
                return compile(tree, path, "exec", dont_inherit=True)
            except (SyntaxError, ValueError, RecursionError):
                # Then the usual way fails, too, or it gets by without marks.
                pass
        return compile_source(self, data, path, **options)

    SourceFileLoader.source_to_code = source_to_code  # type: ignore[method-assign]
    rewrite: "Any" = sys.modules.get("_pytest.assertion.rewrite")
    if rewrite is not None:
        rewrite_asserts = rewrite.rewrite_asserts

        def rewrite_and_mark(tree: "ast.Module", source: bytes, module_path: "Any" = None, *rest: "Any") -> None:
            rewrite_asserts(tree, source, module_path, *rest)
            if module_path:
                mark(tree, str(module_path))

        rewrite.rewrite_asserts = rewrite_and_mark


def _teach_rewriter(rewrite: "Any") -> None:
    """Let pytest's assertion rewriting, which reads test modules by itself, see replaced sources."""
    original = rewrite._rewrite_test  # noqa: SLF001

    def rewrite_test(path: "Any", *rest: "Any") -> "Any":
        source = _overlay.get(str(path), b"")
        if str(path) not in _overlay:
            return original(path, *rest)

        class Replaced(type(path)):  # type: ignore[misc]
            def read_bytes(self) -> bytes:
                return source

        return original(Replaced(path), *rest)

    rewrite._rewrite_test = rewrite_test  # noqa: SLF001
