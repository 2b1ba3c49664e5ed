"""Constants of modules and classes that are exchanged while the program runs, without importing it anew."""

from __future__ import annotations

import ast
import sys
import types
from typing import Any, Dict, Iterator, List, Optional, Sequence, Set, Tuple

from .trial_live import Live, is_under
from .trial_units import NotSwappable, Source, Splice, Uncompilable, splice_text

_FUNCTIONS = (ast.FunctionDef, ast.AsyncFunctionDef)


class Binding:
    """Names that get new values: those whose own text changes, and those that are computed from them."""

    def __init__(self, module: types.ModuleType, siblings: Sequence[Dict[str, Any]] = ()) -> None:
        self.module = module
        self.siblings = siblings
        """The namespaces of the project's other modules, which may have imported the names."""
        self._steps: List[Tuple[str, Tuple[str, ...], types.CodeType]] = []

    def add(self, owner: str, names: Tuple[str, ...], code: types.CodeType) -> None:
        """Note that names of the module, or of its class `owner`, get what the code gives."""
        self._steps.append((owner, names, code))

    def apply(self) -> None:
        """Compute the values and bind them; `State.restore` puts everything back.

        Raises:
            Uncompilable: a value cannot be computed.

        """
        namespace = vars(self.module)
        for owner, names, code in self._steps:
            holder: Any = namespace.get(owner) if owner else None
            try:
                local = dict(vars(holder)) if owner else namespace
                value = eval(code, namespace, local)  # noqa: S307 - running candidates is the purpose
                for name in names:
                    if owner:
                        setattr(holder, name, value)
                    else:
                        self._bind(name, value)
            except Exception as error:
                raise Uncompilable("a constant cannot be computed: " + repr(error)) from None

    def _bind(self, name: str, value: Any) -> None:
        """Bind a name in its module, and in those that imported it by name."""
        old = vars(self.module)[name]
        for names in self.siblings:
            if names.get(name, self) is old:
                names[name] = value
        vars(self.module)[name] = value


def binding_for(live: Live, source: Source, path: str, splices: Sequence[Splice]) -> Binding:
    """Return what must be bound anew to make changes outside functions; `path` is the file's real path.

    Raises:
        NotSwappable: the changes are no mere changes of constants, or something else was made from these on import.
        Uncompilable: a changed value is no Python.

    """
    loaded = [(m, _file_of(live, m)) for m in list(sys.modules.values())]
    module = next((m for m, file in loaded if file == path), None)
    if module is None:
        raise NotSwappable("the module is not loaded")
    binding = Binding(module, [vars(m) for m, file in loaded if is_under(file, live.root)])
    left = list(splices)
    changed: Set[str] = set()
    for statement in source.tree.body:
        if isinstance(statement, ast.ClassDef):
            _in_class(source, statement, binding, left, path)
        names = _targets(statement)
        texts = _changed_value(source, statement, left) if names else None
        if texts is not None:
            binding.add("", names, _compiled(texts, source, path))
            changed.update(names)
        elif changed & _read(statement):
            if not names:
                raise NotSwappable("something else is made from the constant")
            value: Any = statement.value  # type: ignore[attr-defined]
            binding.add("", names, _compiled(source.text[slice(*_span(source, value))], source, path))
            changed.update(names)
        elif changed.intersection(names):
            raise NotSwappable("the constant is bound more than once")
    if left:
        raise NotSwappable("the change is outside functions and constants")
    return binding


def _in_class(source: Source, node: ast.ClassDef, binding: Binding, left: List[Splice], path: str) -> None:
    changed: Set[str] = set()
    for statement in node.body:
        names = _targets(statement)
        text = _changed_value(source, statement, left) if names else None
        if text is not None:
            if node.decorator_list or node.keywords or not _plain(binding.module, node.name):
                raise NotSwappable("the class is made by more than its body")
            binding.add(node.name, names, _compiled(text, source, path))
            changed.update(names)
        elif changed & _read(statement):
            raise NotSwappable("something else is made from the class's constant")


def _plain(module: types.ModuleType, name: str) -> bool:
    return type(vars(module).get(name)) is type


def _file_of(live: Live, module: Any) -> str:
    filename = getattr(module, "__file__", None)
    return live.real(filename) if isinstance(filename, str) else ""


def _targets(statement: ast.stmt) -> Tuple[str, ...]:
    """Return the names that a simple assignment binds; nothing for any other statement."""
    if isinstance(statement, ast.Assign) and all(isinstance(target, ast.Name) for target in statement.targets):
        return tuple(target.id for target in statement.targets if isinstance(target, ast.Name))
    if isinstance(statement, ast.AnnAssign) and isinstance(statement.target, ast.Name) and statement.value is not None:
        return (statement.target.id,)
    return ()


def _span(source: Source, node: ast.expr) -> Tuple[int, int]:
    end_line, end_column = node.end_lineno or node.lineno, node.end_col_offset or 0
    return source.offset(node.lineno, node.col_offset), source.offset(end_line, end_column)


def _changed_value(source: Source, statement: ast.stmt, left: List[Splice]) -> Optional[str]:
    """Return a constant's text with the changes that lie in it, which are taken off the list; None where none does."""
    start, end = _span(source, statement.value)  # type: ignore[attr-defined]
    inside = [s for s in left if start <= s[0] and s[1] <= end]
    if not inside:
        return None
    left[:] = [s for s in left if s not in inside]
    return splice_text(source.text[start:end], [(s - start, e - start, text) for s, e, text in inside])


def _compiled(text: str, source: Source, path: str) -> types.CodeType:
    try:
        code: types.CodeType = compile("(\n" + text + "\n)", path, "eval", source.flags, dont_inherit=True)
    except (SyntaxError, ValueError, RecursionError, MemoryError, OverflowError) as error:
        raise Uncompilable(str(error)) from None
    return code


def _read(statement: ast.stmt) -> Set[str]:
    """Return the names that a statement reads when it runs: of functions only decorators and defaults."""
    return {node.id for node in _running(statement) if isinstance(node, ast.Name)}


def _running(node: ast.AST) -> Iterator[ast.AST]:
    yield node
    children: Dict[str, Any] = dict(ast.iter_fields(node))
    if isinstance(node, (*_FUNCTIONS, ast.Lambda)):
        children = {"args": node.args, "decorator_list": getattr(node, "decorator_list", [])}
    elif isinstance(node, ast.arguments):
        children = {"defaults": node.defaults, "kw_defaults": node.kw_defaults}
    for value in children.values():
        for child in value if isinstance(value, list) else [value]:
            if isinstance(child, ast.AST):
                yield from _running(child)
