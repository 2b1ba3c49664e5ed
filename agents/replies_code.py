"""Whole functions and whole files in a model's reply."""

from __future__ import annotations

import ast
import io
import re
import tokenize
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from agents.replies import Draft, ReplyRefused, newline_of, parsed, split_lines
from agents.replies_blocks import Fenced, fenced, is_fence, path_in, path_of, path_of_info

_FUNCTIONS = (ast.FunctionDef, ast.AsyncFunctionDef)
_PROGRAMS = frozenset({"", "python", "py", "python3"})
_OTHER_TALK = frozenset({"bash", "sh", "shell", "console", "output", "text", "pytest"})
Function = ast.FunctionDef | ast.AsyncFunctionDef


@dataclass(frozen=True, slots=True)
class _Found:
    qualname: str
    node: Function
    first: int
    """Line of its first decorator or of itself, from 1."""
    last: int


def functions_in(tree: ast.Module) -> list[_Found]:
    """Return the functions of a module, those in classes, functions and branches included, by qualified name."""

    def walk(node: ast.AST, prefix: str) -> Iterator[_Found]:
        for child in ast.iter_child_nodes(node):
            if isinstance(child, _FUNCTIONS):
                name = prefix + child.name
                first = min([child.lineno, *(d.lineno for d in child.decorator_list)])
                yield _Found(name, child, first, child.end_lineno or child.lineno)
                yield from walk(child, f"{name}.<locals>.")
            elif isinstance(child, ast.ClassDef):
                yield from walk(child, f"{prefix}{child.name}.")
            elif not isinstance(child, ast.expr):
                yield from walk(child, prefix)

    return list(walk(tree, ""))


def apply_functions(reply: str, draft: Draft, path: str, function: str) -> None:
    """Replace the function `function` of the file, and others of it that the reply holds too, wholly.

    The reply has to hold the function once, alone or in its class; imports beside it are added to the file, and
    everything else beside it must be in the file as it is.

    Raises:
        ReplyRefused: it is not there, not once, or there is other code.

    """
    target = draft.existing(path)
    text = draft.text(target) or ""
    base = parsed(text)
    if isinstance(base, str):
        raise ReplyRefused("unparsable", f"{target} does not parse, so none of its functions can be replaced: {base}")
    own = _only([f for f in functions_in(base) if f.qualname == function], function, target)
    block = _block_with(reply, own.node.name)
    code, tree = _parsed_block(block)
    classes = function.split(".")[:-1]
    given = [f for f in functions_in(tree) if f.qualname == function]
    if not given and classes:
        # A method is often written without its class.
        given = [f for f in functions_in(tree) if f.qualname == own.node.name]
    new = _only(given, function, "the reply")
    imports = _beside(tree, new.node, base, function)
    lines = split_lines(text)
    body = _reindented(code, new, _indent(lines[own.node.lineno - 1]))
    result = [*lines[: own.first - 1], *body, *lines[own.last :]]
    if imports:
        at = _import_line(base)
        result[at:at] = imports
    newline = newline_of(text)
    end = newline if text.endswith(("\n", "\r")) or not text else ""
    _check_line_ends(text, target)
    draft.write(target, newline.join(result) + end)


def _check_line_ends(text: str, path: str) -> None:
    kinds = {"\r\n": text.count("\r\n")}
    kinds["\n"], kinds["\r"] = text.count("\n") - kinds["\r\n"], text.count("\r") - kinds["\r\n"]
    if sum(count > 0 for count in kinds.values()) > 1:
        raise ReplyRefused("ambiguous", f"{path} mixes line ends: change it by SEARCH and REPLACE blocks")


def _only(found: Sequence[_Found], function: str, where: str) -> _Found:
    if len(found) == 1:
        return found[0]
    if not found:
        raise ReplyRefused(
            "unmatched", f"there is no function {function} in {where}: write it wholly, with its own name"
        )
    places = ", ".join(str(f.first) for f in found)
    raise ReplyRefused("ambiguous", f"the function {function} stands in {where} {len(found)} times (lines {places})")


def _block_with(reply: str, name: str) -> Fenced:
    blocks = [block for block in fenced(reply) if block.info.split(" ")[0].lower() not in _OTHER_TALK]
    if not blocks and re.match(r"\s*(?:@|def |async def |class |import |from )", reply):
        blocks = [Fenced("", tuple(split_lines(reply)), ())]
    if not blocks:
        raise ReplyRefused(
            "no edit", "there is no code block in the reply: write the function in one, between ``` lines"
        )
    definition = re.compile(rf"^\s*(?:async\s+)?def\s+{re.escape(name)}\b")
    fitting = [block for block in blocks if any(definition.match(line) for line in block.lines)]
    if len(fitting) != 1:
        raise ReplyRefused(
            "ambiguous" if fitting else "unmatched",
            f"{len(fitting)} of the reply's code blocks define {name}: write exactly one that does",
        )
    return fitting[0]


def _parsed_block(block: Fenced) -> tuple[list[str], ast.Module]:
    """Return the block's lines and tree; a block that is indented as a whole is put under a line of its own."""
    lines = list(block.lines)
    first = next((line for line in lines if line.strip()), "")
    if first[:1] in {" ", "\t"}:
        lines.insert(0, "if 1:")
    tree = parsed("".join(f"{line}\n" for line in lines))
    if isinstance(tree, str):
        raise ReplyRefused("unparsable", f"the code in the reply is not valid Python: {tree}")
    return lines, tree


def _beside(tree: ast.Module, function: ast.AST, base: ast.Module, name: str) -> list[str]:
    """Return the imports that have to be added; refuse other code that the file does not have."""
    known = {ast.dump(node) for node in ast.walk(base) if isinstance(node, ast.stmt)}
    imported = {ast.dump(node) for node in _at_top(base)}
    wanted: list[str] = []

    def look(block: Sequence[ast.stmt]) -> None:
        for node in block:
            holds = node is function or any(inner is function for inner in ast.walk(node))
            dump = ast.dump(node)
            if node is function or dump in (imported if isinstance(node, (ast.Import, ast.ImportFrom)) else known):
                continue
            if holds and isinstance(node, (ast.ClassDef, ast.If)):
                look(node.body)
            elif isinstance(node, (ast.Import, ast.ImportFrom)):
                wanted.append(ast.unparse(node))
            elif isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant):
                continue
            else:
                raise ReplyRefused(
                    "malformed", f"beside {name} the reply holds other code that is not in the file: write {name} alone"
                )

    look(tree.body)
    future = [line for line in wanted if line.startswith("from __future__")]
    if future:
        raise ReplyRefused("malformed", f"the reply imports from __future__ beside {name}: write {name} alone")
    return wanted


def _at_top(base: ast.Module) -> Iterator[ast.stmt]:
    """Yield the statements that the module itself runs, those in branches and `try` included."""
    pending: list[ast.AST] = [base]
    while pending:
        for child in ast.iter_child_nodes(pending.pop()):
            if isinstance(child, ast.stmt):
                yield child
            if not isinstance(child, (*_FUNCTIONS, ast.ClassDef, ast.expr)):
                pending.append(child)


def _import_line(base: ast.Module) -> int:
    """Return after how many lines an import can be added: behind the last one at the top, or the docstring."""
    line = 0
    for number, node in enumerate(base.body):
        docstring = number == 0 and isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant)
        if docstring or isinstance(node, (ast.Import, ast.ImportFrom)):
            line = node.end_lineno or node.lineno
        else:
            break
    return line


def _indent(line: str) -> str:
    return line[: len(line) - len(line.lstrip(" \t"))]


def _reindented(code: Sequence[str], found: _Found, wanted: str) -> list[str]:
    """Return the function's lines with another indentation; strings of several lines, but docstrings, keep theirs."""
    own = _indent(code[found.node.lineno - 1])
    try:
        inside = _inside_strings("".join(f"{line}\n" for line in code))
    except (tokenize.TokenError, SyntaxError) as error:
        raise ReplyRefused("unparsable", f"the code in the reply is not valid Python: {error}") from error
    if own == wanted:
        return list(code[found.first - 1 : found.last])
    fixed = inside - _docstring_lines(found.node, code, own)
    result = []
    for number in range(found.first, found.last + 1):
        line = code[number - 1]
        if number in fixed:
            result.append(line)
        elif not line.strip(" \t"):
            result.append("")
        elif line.startswith(own):
            result.append(wanted + line[len(own) :])
        else:
            # A comment or the inside of brackets, where the indentation means nothing.
            result.append(wanted + line.lstrip(" \t"))
    return result


def _inside_strings(text: str) -> set[int]:
    """Return the lines that begin inside a string."""
    lines: set[int] = set()
    open_at: list[int] = []
    kinds = {
        name: getattr(tokenize, name, -1) for name in ("FSTRING_START", "FSTRING_END", "TSTRING_START", "TSTRING_END")
    }
    for token in tokenize.generate_tokens(io.StringIO(text).readline):
        if token.type == tokenize.STRING:
            lines.update(range(token.start[0] + 1, token.end[0] + 1))
        elif token.type in {kinds["FSTRING_START"], kinds["TSTRING_START"]}:
            open_at.append(token.start[0])
        elif token.type in {kinds["FSTRING_END"], kinds["TSTRING_END"]} and open_at:
            lines.update(range(open_at.pop() + 1, token.end[0] + 1))
    return lines


def _docstring_lines(node: Function, code: Sequence[str], own: str) -> set[int]:
    """Return the lines of the docstrings in the function, of those that keep to its indentation."""
    found: set[int] = set()
    for inner in ast.walk(node):
        if not isinstance(inner, (*_FUNCTIONS, ast.ClassDef)) or not inner.body:
            continue
        first = inner.body[0]
        if isinstance(first, ast.Expr) and isinstance(first.value, ast.Constant) and isinstance(first.value.value, str):
            lines = range(first.lineno + 1, (first.end_lineno or first.lineno) + 1)
            if all(code[n - 1].startswith(own) or not code[n - 1].strip(" \t") for n in lines):
                found.update(lines)
    return found


def apply_files(reply: str, draft: Draft, path: str | None) -> None:
    """Write the whole files that the reply's code blocks hold.

    A block's file is named behind its opening fence, in the line above it, or in its first line as a comment; a single
    block without a name is `path`.

    Raises:
        ReplyRefused: there is no block, it is not clear which file one is, or where it ends.

    """
    blocks = [block for block in fenced(reply) if block.info.split(" ")[0].lower() not in _OTHER_TALK]
    if not blocks:
        raise ReplyRefused("no edit", "there is no change in the reply: write it as SEARCH and REPLACE blocks")
    named = [(_name_of(block), block) for block in blocks]
    if path is not None and len(blocks) == 1 and not named[0][0]:
        named = [(path, blocks[0])]
    nameless = sum(not name for name, _ in named)
    if nameless:
        raise ReplyRefused(
            "unknown path",
            f"{nameless} of the reply's {len(blocks)} code blocks name no file: write the path above each one",
        )
    seen: set[str] = set()
    for name, block in named:
        target = name if draft.text(name) is not None else draft.absent(name)
        if target in seen:
            raise ReplyRefused("ambiguous", f"the reply has two code blocks for {target}: write one")
        seen.add(target)
        _write(draft, target, block)


def _name_of(block: Fenced) -> str:
    if name := path_of_info(block.info):
        return name
    if name := path_in(block.above):
        return name
    first = next((line for line in block.lines if line.strip()), "")
    return path_of(first.lstrip("#/ ")) if first.startswith(("# ", "// ")) else ""


def _write(draft: Draft, target: str, block: Fenced) -> None:
    old = draft.text(target)
    if any(is_fence(line) for line in block.lines) or (not target.endswith((".py", ".pyi")) and _fences_matter(target)):
        raise ReplyRefused(
            "ambiguous", f"{target} may hold ``` lines itself, so its end is not certain: use SEARCH and REPLACE blocks"
        )
    if not any(line.strip() for line in block.lines):
        raise ReplyRefused("no edit", f"the code block for {target} is empty")
    newline = newline_of(old or "")
    text = newline.join(block.lines)
    draft.write(target, text if old and not old.endswith(("\n", "\r")) else text + newline)


def _fences_matter(path: str) -> bool:
    return path.lower().endswith((".md", ".markdown", ".rst", ".mdx", ".adoc"))
